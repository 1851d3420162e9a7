//! The test nodes are what they claim to be.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::node::{self, Node, Server};

#[test]
fn a_node_boots_and_runs_commands() {
    if !node::available() {
        return;
    }
    let node = Node::boot("plain");
    node.run(&["cat", "/proc/1/comm"]).succeeds().stdout_has("systemd");
    node.run(&["hostname"]).succeeds().stdout_has("plain");
    node.shell("echo out; echo err >&2; exit 7")
        .exits_with(7)
        .stdout_has("out")
        .stderr_has("err")
        .stdout_lacks("err");
    node.run(&["systemctl", "list-units", "--failed", "--no-legend"]).succeeds();
    assert!(
        node.run(&["env"]).stdout().lines().all(|line| !line.starts_with("CARGO")),
        "the environment of the test leaks into the node"
    );

    node.install_binary();
    node.run(&["sh", "-c", "command -v dcos-node"])
        .succeeds()
        .stdout_has("/usr/local/bin/dcos-node");

    node.write("/srv/made/for/it", "text");
    assert_eq!(node.read("/srv/made/for/it"), "text");
    assert_eq!(node.run(&["cat", "/srv/made/for/it"]).stdout(), "text");
    node.write_script("/srv/script", "#!/bin/sh\necho ran\n");
    node.run(&["/srv/script"]).succeeds().stdout_has("ran");
}

#[test]
fn paths_are_resolved_in_the_node() {
    if !node::available() {
        return;
    }
    let node = Node::switched_off("links");
    node.write("/etc/there", "the node's");
    for (link, target) in [
        ("absolute", "/etc/there"),
        ("relative", "../etc/there"),
        ("outside", "../../../../../../../etc/there"),
        ("through", "/srv/absolute"),
    ] {
        std::os::unix::fs::symlink(target, node.root().join("srv").join(link))
            .expect("make a link");
        assert_eq!(node.read(&format!("/srv/{link}")), "the node's");
    }
    std::os::unix::fs::symlink("/nowhere", node.root().join("srv/dangling")).expect("make a link");
    assert!(node.has("/srv/dangling") && !node.has("/nowhere"));
    node.power_on();
    assert_eq!(node.read("/srv/outside"), "the node's");
    assert_eq!(node.run(&["cat", "/srv/outside"]).stdout(), "the node's");
}

#[test]
fn reboots_and_power_cuts_keep_the_disk() {
    if !node::available() {
        return;
    }
    let node = Node::boot("power");
    let boot_id = || node.read("/proc/sys/kernel/random/boot_id");
    let uptime = || {
        node.run(&["systemctl", "show", "-P", "UserspaceTimestampMonotonic"])
            .stdout()
            .trim()
            .to_owned()
    };
    let first = (boot_id(), uptime());
    node.write("/etc/kept", "1");
    node.shell("echo kept > /var/tmp/kept; echo gone > /run/gone").succeeds();
    node.write(
        "/etc/systemd/system/goodbye.service",
        "[Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/bin/true\n\
         ExecStop=/bin/sh -c 'echo stopped >> /srv/stops'\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
    );
    node.run(&["systemctl", "enable", "--now", "goodbye.service"]).succeeds();

    node.reboot();
    assert_ne!((boot_id(), uptime()), first, "it was booted anew");
    assert_eq!(
        (node.read("/etc/kept").as_str(), node.read("/var/tmp/kept").as_str()),
        ("1", "kept\n")
    );
    assert!(!node.has("/run/gone"));
    assert_eq!(node.read("/srv/stops"), "stopped\n", "units were stopped in an orderly way");
    node.run(&["systemctl", "is-active", "goodbye.service"]).succeeds();

    let mut command = node.start(&["sleep", "1000"]);
    node.until("pgrep -x sleep");
    assert!(command.is_running());
    node.cut_power();
    assert!(!node.is_on());
    let command = command.finish_within(Duration::from_secs(300));
    assert!(command.was_killed(), "{command}");
    assert_eq!(node.read("/srv/stops"), "stopped\n", "nothing is told of a power cut");
    node.power_on();
    node.wait_until_booted();
    assert_eq!(node.read("/etc/kept"), "1");
}

#[test]
fn a_process_is_killed_by_name() {
    if !node::available() {
        return;
    }
    let node = Node::boot("kill");
    let command = node.start(&["sleep", "1000"]);
    node::eventually(|| {
        node.kill("sleep").then_some(()).ok_or("the command does not run".to_owned())
    });
    assert!(command.finish_within(Duration::from_secs(300)).was_killed());
    assert!(!node.kill("sleep"));
}

#[test]
fn usr_can_be_read_only() {
    if !node::available() {
        return;
    }
    let node = Node::switched_off("flatcar").with_read_only_usr().booted();
    node.run(&["touch", "/usr/x"]).exits_with(1).stderr_has("Read-only file system");
    node.run(&["touch", "/etc/x", "/opt/x", "/var/x"]).succeeds();
    node.install_binary();
    node.run(&["sh", "-c", "command -v dcos-node"]).succeeds().stdout_has("/opt/bin/dcos-node");
}

#[test]
fn nodes_share_a_server() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory to serve");
    fs::write(directory.path().join("bootstrap.latest"), "an id").expect("write a file to serve");
    let server = Server::serving(directory.path());
    let nodes =
        [Node::switched_off("one").knowing(&server), Node::switched_off("two").knowing(&server)];
    let fetch = format!("curl -fsS --max-time 300 {}/bootstrap.latest", server.url());
    std::thread::scope(|scope| {
        for node in &nodes {
            scope.spawn(|| {
                node.power_on();
                node.wait_until_booted();
                assert_eq!(node.shell(&fetch).succeeds().stdout(), "an id");
            });
        }
    });
    nodes[0].until("ping -c 1 -W 5 10.77.0.3");
    // nginx writes the line when the answer is out already.
    let requests =
        || Some(server.requests()).filter(|them| *them == ["GET /bootstrap.latest 200"; 2]);
    node::eventually(|| requests().ok_or_else(|| format!("{:?}", server.requests())));

    server.stop();
    nodes[0].shell(&fetch).exits_with(7).stderr_has("Failed to connect");
    server.start();
    nodes[0].reboot();
    assert_eq!(nodes[0].shell(&fetch).succeeds().stdout(), "an id");

    // What lies outside is refused at once, and does not cost a time limit.
    nodes[1]
        .run(&["curl", "-sS", "--connect-timeout", "60", "http://192.0.2.1/"])
        .exits_with(7)
        .stderr_has("Failed to connect");
}

/// A unit that both nodes have: on each it writes its control groups and waits.
const SHARED_NAME: &str = "[Service]\n\
                           ExecStart=/bin/sh -c 'cat /proc/self/cgroup >/srv/groups; exec sleep \
                           1000'\n";

/// The control groups of a node's unit: as the node names them, and as this machine does.
fn groups_of_the_unit(node: &Node) -> (String, Vec<String>) {
    let process = node.run(&["systemctl", "show", "-P", "MainPID", "shared.service"]);
    let inside = process.stdout().trim().to_owned();
    let is_it = |status: &str| {
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_whitespace().next_back() == Some(&inside))
    };
    let outside = fs::read_dir("/proc").expect("list /proc").flatten().find_map(|process| {
        let file = |name| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let groups = file("cgroup");
        let is_ours = groups.contains(&format!("/{}/", node.id()));
        (is_ours && is_it(&file("status"))).then_some(groups)
    });
    let groups = outside.expect("the process of the unit").lines().map(str::to_owned).collect();
    (node.read("/srv/groups"), groups)
}

#[test]
fn nodes_at_once_have_separate_units_of_one_name() {
    if !node::available() {
        return;
    }
    let nodes = ["left", "right"].map(|name| {
        let node = Node::switched_off(name);
        node.write("/etc/systemd/system/shared.service", SHARED_NAME);
        node.power_on();
        node
    });
    let state = |node: &Node| {
        node.run(&["systemctl", "is-active", "shared.service"]).stdout().trim().to_owned()
    };
    for node in &nodes {
        node.wait_until_booted();
        assert_eq!(state(node), "inactive", "the unit of the other node is seen");
        node.run(&["systemctl", "start", "shared.service"]).succeeds();
        node.until("[ -s /srv/groups ] && pgrep -x sleep");
    }
    let [left, right] = nodes.each_ref().map(groups_of_the_unit);
    assert_eq!(left.0, right.0, "each node sees its own groups from their top");
    assert!(left.0.contains("/system.slice/shared.service"), "{}", left.0);
    for group in &left.1 {
        assert!(!right.1.contains(group), "both nodes are in {group}");
    }
    for node in &nodes {
        let command = node.run(&["cat", "/proc/self/cgroup"]);
        assert!(
            !command.stdout().contains("/.."),
            "a command is in no group of its node: {command}"
        );
    }

    let [left, right] = &nodes;
    left.run(&["systemctl", "kill", "--signal=KILL", "shared.service"]).succeeds();
    left.until("[ $(systemctl is-active shared.service) = failed ]");
    assert_eq!(state(right), "active", "the unit of the other node was killed");
    right.run(&["pgrep", "-x", "sleep"]).succeeds();
    left.run(&["systemctl", "start", "shared.service"]).succeeds();
    right.run(&["systemctl", "stop", "shared.service"]).succeeds();
    right.run(&["pgrep", "-x", "sleep"]).exits_with(1);
    assert_eq!(state(left), "active", "the unit of the other node was stopped");
    left.cut_power();
    assert_eq!(state(right), "inactive");
    right.run(&["systemctl", "start", "shared.service"]).succeeds();
    assert_eq!(state(right), "active");
}

#[test]
fn failed_test_leaves_nothing_behind() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory to serve");
    let ids = Mutex::new(Vec::new());
    let failed = std::panic::catch_unwind(|| {
        let server = Server::serving(directory.path());
        let node = Node::boot("leaving").knowing(&server);
        *ids.lock().expect("nobody else has it") =
            vec![node.id().to_owned(), server.id().to_owned()];
        panic!("as a test fails");
    });
    assert!(failed.is_err());
    let ids = ids.into_inner().expect("nobody else has it");
    assert_eq!(ids.len(), 2);
    for id in &ids {
        assert_eq!(traces(id), Vec::<String>::new());
    }
}

#[test]
fn leftovers_of_a_killed_test_are_removed() {
    // This test is also the one that is killed: a second process of it, told where to write the id
    // of its node.
    const TELL: &str = "NODE_LIBRARY_TELLS_ITS_ID_IN";
    if let Some(file) = env::var_os(TELL) {
        let directory = tempfile::tempdir().expect("a directory to serve");
        let server = Server::serving(directory.path());
        let node = Node::boot("orphan").knowing(&server);
        fs::write(file, format!("{}\n{}\n", node.id(), server.id())).expect("tell the ids");
        std::thread::sleep(Duration::from_secs(600));
    }
    if !node::available() {
        return;
    }
    let told = tempfile::NamedTempFile::new().expect("a file for the id");
    let this_test = std::thread::current().name().expect("the name of this test").to_owned();
    let mut test = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", &this_test])
        .env(TELL, told.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("start this program again");
    let began = Instant::now();
    let ids = loop {
        let ids = fs::read_to_string(told.path()).expect("read the ids");
        if ids.ends_with('\n') {
            break ids;
        }
        assert!(test.try_wait().expect("look after it").is_none(), "it ended by itself");
        assert!(began.elapsed() < Duration::from_secs(7200), "it never had its turn");
        std::thread::sleep(Duration::from_millis(100));
    };
    node::clear_leftovers();
    assert!(ids.lines().all(|id| !traces(id).is_empty()), "the living are left alone");
    // Tests of other programs that begin just now clear it away too.
    let alone = node::announcing();
    test.kill().and_then(|()| test.wait()).expect("kill it");
    assert!(ids.lines().all(|id| !traces(id).is_empty()), "it had no chance to clean up");
    node::clear_leftovers_while(alone);
    for id in ids.lines() {
        assert_eq!(traces(id), Vec::<String>::new());
    }
}

/// Everything on this machine that carries the id of a node or a server: processes, namespaces,
/// mounts, cgroups, directories.
fn traces(id: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for process in fs::read_dir("/proc").expect("list /proc").flatten().map(|entry| entry.path()) {
        // Of a process that is dead and not yet reaped nothing is left but its number.
        let is_dead =
            fs::read_to_string(process.join("status")).unwrap_or_default().contains("\nState:\tZ");
        for file in ["cmdline", "cgroup"].into_iter().filter(|_| !is_dead) {
            let text = fs::read(process.join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(id) {
                traces.push(format!("{} {}", process.display(), String::from_utf8_lossy(&text)));
            }
        }
    }
    traces.extend(
        fs::read_to_string("/proc/self/mountinfo")
            .expect("the mounts")
            .lines()
            .filter(|line| line.contains(id))
            .map(str::to_owned),
    );
    for place in [Path::new("/run/netns"), Path::new("/sys/fs/cgroup"), &node::cache()] {
        let found = Command::new("find")
            .arg(place)
            .args(["-maxdepth", "4", "-name", id])
            .output()
            .expect("run find");
        traces.extend(String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned));
    }
    traces
}
