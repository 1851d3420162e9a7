//! Detection scripts on a real node: a hostile one leaves no trace of itself, a good one is judged
//! as DC/OS will run it, and what the kernel lacks is named.

use serde_json::Value;
use support::node::{self, Node, Running};
use support::step;
use support::tree::Snapshot;

const UNPRIVILEGED: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const HOSTILE: &str = "/opt/scripts/hostile";
/// A file of the unprivileged user.
const OWN: &str = "/srv/own";

fn node(name: &str) -> Node {
    let node = Node::boot(name);
    node.install_binary();
    node.write_script(HOSTILE, support::HOSTILE_SCRIPT);
    // No name server answers here, and the node's own name is looked up in every run.
    node.shell(&format!("echo 127.0.1.1 {name} >> /etc/hosts")).succeeds();
    node
}

/// Checks the node with a script in place of the build's.
fn preflight(node: &Node, before: &[&str], script: &str) -> Value {
    let command = ["dcos-node", "preflight", "--ip-detect", script, "--json"];
    node.run(&[before, &command[..]].concat()).json()
}

fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let mut checks = report["checks"].as_array().expect("checks").iter();
    checks.find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

#[track_caller]
fn finds(report: &Value, id: &str, verdict: &str, words: &str) {
    let check = check(report, id);
    assert_eq!(check["verdict"], verdict, "{check:#}");
    assert!(check["found"].as_str().is_some_and(|found| found.contains(words)), "{check:#}");
}

/// The script answered as it should, however long a busy machine took for that.
#[track_caller]
fn answers(report: &Value) {
    let check = check(report, "ip-detect.output");
    assert!(["pass", "warn"].iter().any(|verdict| check["verdict"] == *verdict), "{check:#}");
    assert!(check["found"].as_str().is_some_and(|f| f.starts_with("127.0.0.1")), "{check:#}");
}

fn missing(report: &Value) -> Vec<&str> {
    let pieces = report["scripts"]["missing"].as_array();
    let pieces = pieces.unwrap_or_else(|| panic!("no scripts in {report:#}"));
    pieces.iter().filter_map(|missing| missing["piece"].as_str()).collect()
}

#[track_caller]
fn is_as_before(node: &Node, before: &Snapshot) {
    // A daemon that got away would write by then.
    node.shell("sleep 3").succeeds();
    let mut changed = Snapshot::of(&node.root()).changes_since(before);
    changed.retain(|change| {
        !change.contains("/var/lib/systemd") && !change.contains("/var/lib/private")
    });
    assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
    let traces = "find / -xdev /run /dev/shm /tmp /mnt -name 'escaped-*' 2>/dev/null; \
                  pgrep -f 'hostile-slee[p]|escaped-lat[e]'; \
                  systemctl show-environment | grep ESCAPED; \
                  ls -d /tmp/dcos-node-script*; hostname | grep escaped; \
                  cat /proc/sys/kernel/domainname | grep escaped; \
                  grep -h 1702060849 /proc/sysvipc/shm; grep -h 1702060850 /proc/sysvipc/msg; \
                  grep -h 1702060851 /proc/sysvipc/sem; ls /dev/mqueue | grep escaped; \
                  pgrep -f 'sleep 303.2[5]' >/dev/null || echo the neighbour is dead; true";
    let traces = node.shell(traces);
    assert_eq!(traces.stdout(), "", "traces of the script");
    assert_eq!(node.read(OWN), "own");
}

#[test]
fn hostile_script_leaves_no_trace_on_a_node() {
    if !node::available() {
        return;
    }
    let node = node("hostile");
    let _neighbour = with_files_and_a_process_to_attack(&node);
    let before = Snapshot::of(&node.root());
    step("as root", || root_script_writes_to_a_copy_only(&node, &before));
    step("events", || script_forges_no_event(&node));
    step("as another user", || other_users_script_is_refused_all_but_sight(&node, &before));
}

/// What a script would change, some of it owned by the user that runs it without privileges.
fn with_files_and_a_process_to_attack(node: &Node) -> Running {
    node.write("/opt/keep", "kept");
    node.write(OWN, "own");
    node.shell(&format!("chmod 600 {OWN} && chown 65534:65534 {OWN}")).succeeds();
    node.shell("mkdir -p /mnt/data && mount -t tmpfs data /mnt/data && mkfifo /run/fifo")
        .succeeds();
    node.start(&[&UNPRIVILEGED[..], &["sleep", "303.25"]].concat())
}

fn root_script_writes_to_a_copy_only(node: &Node, before: &Snapshot) {
    let report = preflight(node, &["env", "SECRET=of-the-caller"], HOSTILE);
    answers(&report);
    finds(&report, "ip-detect.unprivileged", "pass", "127.0.0.1");
    assert_eq!(report["scripts"]["view"], "copy-on-write", "{report:#}");
    assert_eq!(missing(&report), Vec::<&str>::new(), "{report:#}");
    is_as_before(node, before);
    node.shell(&format!("stat -c %a {OWN}")).stdout_has("600");
}

fn script_forges_no_event(node: &Node) {
    let events = "dcos-node preflight --ip-detect /opt/scripts/hostile --events /run/events \
                  >/dev/null; grep -c forged /run/events; rm /run/events";
    assert_eq!(node.shell(events).stdout().trim(), "0");
}

/// It sees the other processes and terminals, and can change nothing but modes and times of its
/// user's own files. That its bounding set is not empty gives it no right: without new privileges
/// nothing is gained.
fn other_users_script_is_refused_all_but_sight(node: &Node, before: &Snapshot) {
    let report = preflight(node, &UNPRIVILEGED, HOSTILE);
    assert_eq!(report["sealed"], "landlock", "{report:#}");
    assert_eq!(report["scripts"]["view"], "private-directory", "{report:#}");
    assert_eq!(missing(&report), ["mount-namespace", "pid-namespace", "ipc-namespace"]);
    let found = check(&report, "ip-detect.output")["found"].as_str().expect("what was found");
    assert!(found.contains("\"not refused: other-processes terminals bounding-set\""), "{found}");
    is_as_before(node, before);
}

#[test]
fn killed_preflight_takes_its_script_along() {
    if !node::available() {
        return;
    }
    let node = node("killed");
    let script = "#!/bin/sh\nsetsid sleep 304.25 &\nsleep 304.25\n";
    node.write_script("/opt/scripts/hangs", script);
    for before in [&[][..], &UNPRIVILEGED[..]] {
        let command = ["dcos-node", "preflight", "--ip-detect", "/opt/scripts/hangs"];
        let _running = node.start(&[before, &command[..]].concat());
        node.until("[ $(pgrep -c -f 'sleep 304.2[5]') -ge 2 ]");
        node.shell("pkill -KILL -f '^dcos-node preflight'").succeeds();
        node.until("! pgrep -f 'sleep 304.2[5]'");
        node.until("! ls -d /tmp/dcos-node-script*");
    }
}

#[test]
fn script_is_judged_as_dcos_will_run_it() {
    if !node::available() {
        return;
    }
    let node = node("judged");
    let judge = |before: &[&str], script: &str| {
        node.write_script("/opt/scripts/judged", script);
        preflight(&node, before, "/opt/scripts/judged")
    };
    let caches = "#!/bin/bash\nset -eu\nkept=/var/cache/node-address\n\
                  [ -s $kept ] || echo 127.0.0.1 >$kept\ncat $kept\n";
    answers(&judge(&[], caches));
    let reads_itself = "#!/bin/bash\nsed -n 's/^#@ //p' \"$0\"\nexit\n#@ 127.0.0.1\n";
    answers(&judge(&[], reads_itself));
    let makes_file = "#!/bin/bash\nset -eu\nfile=$(mktemp)\necho 127.0.0.1 >$file\n\
                      cat $file\nrm $file\n";
    for before in [&[][..], &UNPRIVILEGED[..]] {
        answers(&judge(before, makes_file));
    }

    let by_user = "#!/bin/sh\n[ $(id -u) = 0 ] && echo 127.0.0.1 || echo 127.0.0.2\n";
    let report = judge(&[], by_user);
    answers(&report);
    let difference = "nobody gets 127.0.0.2, root gets 127.0.0.1";
    finds(&report, "ip-detect.unprivileged", "warn", difference);
    let only_root = "#!/bin/sh\ncat /root/address || exit 1\n";
    node.shell("echo 127.0.0.1 >/root/address; chmod 600 /root/address").succeeds();
    finds(&judge(&[], only_root), "ip-detect.unprivileged", "warn", "Permission denied");

    // Without evidence, its words are no excuse. The error of an old kernel is injected.
    let complains = "#!/bin/sh\necho docker: Permission denied >&2\nexit 1\n";
    finds(&judge(&[], complains), "ip-detect.output", "fail", "Permission denied");
    let deaf = ["env", "DCOS_NODE_FAULT=EINVAL Confine 1 refusal-evidence"];
    let guess = "(may be caused by the confinement: Permission denied)";
    finds(&judge(&deaf, complains), "ip-detect.output", "unknown", guess);

    // What DC/OS lets it do and we do not, is not held against it.
    let asks_systemd = "#!/bin/sh\nsystemctl show-environment >/dev/null || exit 1\n\
                        echo 127.0.0.1\n";
    let report = judge(&[], asks_systemd);
    let evidence = "(the confinement refused systemctl the local socket /run/";
    finds(&report, "ip-detect.output", "unknown", evidence);
    let cure = check(&report, "ip-detect.output")["cure"].as_str().expect("what to do");
    assert!(cure.contains("by hand") && !cure.contains("correct"), "{cure}");

    node.run(&["dcos-node", "preflight", "--ip-detect", "genconf/no-such-file"])
        .exits_with(2)
        .stderr_has("cannot read genconf/no-such-file (--ip-detect): No such file or directory");
}

/// The errors of old kernels and of containers are injected: no such machine is at hand. A real
/// filter that forbids namespaces is in `sealed.rs`.
#[test]
fn missing_pieces_of_confinement_are_named() {
    if !node::available() {
        return;
    }
    let node = node("pieces");
    let script = "#!/bin/sh\necho 127.0.0.1 >/var/cache/address\nsetsid sleep 305.25 &\n\
                  cat /var/cache/address\n";
    node.write_script("/opt/scripts/caches", script);
    for (fault, piece, view) in [
        ("EINVAL Confine 1 pid-namespace", "pid-namespace", "copy-on-write"),
        ("EINVAL Confine 1 ipc-namespace", "ipc-namespace", "copy-on-write"),
        ("ENODEV Confine 1 overlay /", "copy-on-write", "read-only"),
        ("EPERM Confine 1 proc", "pid-namespace", "copy-on-write"),
        ("EPERM Confine 1 bounding-set", "bounding-set", "copy-on-write"),
        ("EINVAL Confine 1 system-call-filter", "system-call-filter", "copy-on-write"),
        ("EPERM Confine 1 refusal-evidence", "refusal-evidence", "copy-on-write"),
    ] {
        let environment = format!("DCOS_NODE_FAULT={fault}");
        let report = preflight(&node, &["env", &environment], "/opt/scripts/caches");
        assert_eq!((missing(&report), &report["scripts"]["view"]), (vec![piece], &view.into()));
        answers(&report);
        let outlives = node.shell("pgrep -f 'sleep 305.2[5]'; ls /var/cache/address");
        assert_eq!(outlives.stdout(), "", "{fault}");
    }
    let fault = "DCOS_NODE_FAULT=EINVAL Confine 1 pid-namespace";
    node.run(&["env", fault, "dcos-node", "preflight", "--ip-detect", "/opt/scripts/caches"])
        .stdout_has("without pid-namespace");
}

/// As root, in process numbers of its own and (injected) without them, and as another user. Small
/// limits are set, and the scripts end by themselves: a limit that fails harms nobody.
#[test]
fn limits_of_a_script_hold_on_a_node() {
    if !node::available() {
        return;
    }
    let node = node("limits");
    let root: &[&str] = &[];
    let no_numbers: &[&str] = &["env", "DCOS_NODE_FAULT=EINVAL Confine 1 pid-namespace"];
    // Each generation has twice the processes of the one before, the last one 64.
    let grows = "#!/bin/bash\ngrow() { [ $1 = 0 ] && exec sleep 8.25; sleep 0.1\n\
                 grow $(($1 - 1)) & grow $(($1 - 1)) & wait; }\ngrow 6\n";
    let memory = "#!/bin/sh\nfor i in 1 2 3 4; do\n\
                  perl -e '$x = \"x\" x 30_000_000; sleep 8.25' &\ndone\nwait\n";
    let long_file = "#!/bin/sh\nhead -c 64000001 /dev/zero >\"${TMPDIR:-/tmp}/file\"\n";
    for (script, words) in [
        (grows, "had more than 30 processes"),
        (memory, "used more than 100 MB of memory"),
        (long_file, "wrote a file of more than 64 MB"),
    ] {
        node.write_script("/opt/scripts/greedy", script);
        for before in [root, no_numbers, &UNPRIVILEGED] {
            let limits = [
                "env",
                "DCOS_NODE_FAULT_SCRIPT_PROCESSES=30",
                "DCOS_NODE_FAULT_SCRIPT_MEMORY=100000000",
            ];
            let report = preflight(&node, &[&limits, before].concat(), "/opt/scripts/greedy");
            finds(&report, "ip-detect.output", "unknown", words);
            let outlives = node.shell("pgrep -f 'detect_i[p]|sleep 8.2[5]'");
            assert_eq!(outlives.stdout(), "", "{before:?}: {words}");
        }
    }
}
