//! A real docker and real file systems on a real node: what they answer, and what the checks say.

use std::io::Write;

use serde_json::Value;

use support::node::{self, Node};

/// What one run of all checks says.
struct Told(Value);

impl Told {
    fn of(node: &Node, role: &str) -> Told {
        Told(node.run(&["dcos-node", "preflight", role, "--json"]).json())
    }

    #[track_caller]
    fn says(&self, id: &str, verdict: &str, words: &str) -> &Told {
        let checks = self.0["checks"].as_array().expect("checks");
        let check = checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap_or_else(|| panic!("there is no {id}"));
        let found = check["found"].as_str().unwrap_or_default();
        assert!(
            check["verdict"] == verdict && found.contains(words),
            "expected {verdict} with {words:?}: {check:#}"
        );
        self
    }
}

#[test]
fn a_real_docker_is_judged_by_what_it_answers() {
    if !node::available() {
        return;
    }
    let node = Node::equipped("docker").booted();
    node.install_binary();
    let absent = Told::of(&node, "slave");
    absent.says("docker.reachable", "fail", "there is no /var/run/docker.sock").says(
        "docker.version",
        "skipped",
        "does not answer",
    );

    restart(&node, r#"{"storage-driver": "overlay2"}"#);
    Told::of(&node, "slave")
        .says("docker.reachable", "pass", "docker 20.10.")
        .says("docker.version", "pass", "20.10.")
        .says("docker.storage-driver", "pass", "overlay2")
        .says("docker.root-dir", "warn", "/var/lib/docker is on / (tmpfs), which is in memory")
        .says("docker.live-restore", "pass", "off")
        .says("accounts.groups", "pass", "");
    is_as_recorded(&node, "20.10.24-debian");

    // Its state on a disk of its own, where all checks of that state have to look.
    disk(&node, "data", "400M", "mkfs.xfs -q", "/data");
    restart(
        &node,
        r#"{"storage-driver": "vfs", "live-restore": true, "data-root": "/data/docker"}"#,
    );
    Told::of(&node, "slave")
        .says("docker.storage-driver", "warn", "vfs; DC/OS was tested with overlay and overlay2")
        .says("docker.root-dir", "pass", "/data/docker is on /data (xfs)")
        .says("docker.live-restore", "warn", "on")
        .says("storage.ftype", "pass", "ftype=1 under /data/docker");

    is_as_recorded(&node, "20.10.24-debian-vfs");
    node.run(&["systemctl", "kill", "--signal=STOP", "docker.service"]).succeeds();
    Told::of(&node, "master").says("docker.reachable", "fail", "does not answer within").says(
        "docker.live-restore",
        "skipped",
        "",
    );
    node.run(&["systemctl", "kill", "--signal=CONT", "docker.service"]).succeeds();
    node.run(&["systemctl", "stop", "docker.service", "docker.socket"]).succeeds();
}

/// Starts docker with these settings.
#[track_caller]
fn restart(node: &Node, settings: &str) {
    node.write("/etc/docker/daemon.json", settings);
    node.run(&["systemctl", "restart", "docker.service"]).succeeds();
}

/// What was recorded of this docker, which other tests read, is what it still answers.
/// `DCOS_NODE_BLESS` records it anew.
#[track_caller]
fn is_as_recorded(node: &Node, name: &str) {
    let answer = |path: &str| {
        node.run(&[
            "curl",
            "-sS",
            "--unix-socket",
            "/var/run/docker.sock",
            &format!("http://docker{path}"),
        ])
        .json()
    };
    let answers = [answer("/version"), answer("/info")];
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("fixtures/docker/{name}.jsonl"));
    if support::recorded::is_blessing() {
        let lines =
            answers.iter().cloned().map(|answer| format!("{}\n", without_the_machine(answer)));
        std::fs::write(&file, lines.collect::<String>()).expect("record the answers");
    }
    let text = std::fs::read_to_string(&file).expect("the recorded answers");
    let recorded: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [version, info] = &recorded[..] else {
        panic!("{} has other than two lines", file.display())
    };
    // What the checks read; a newer build of the package answers the rest differently.
    for (recorded, answer, field) in [
        (info, &answers[1], "/Driver"),
        (info, &answers[1], "/DriverStatus"),
        (info, &answers[1], "/DockerRootDir"),
        (info, &answers[1], "/LiveRestoreEnabled"),
        (version, &answers[0], "/Components/1/Name"),
    ] {
        assert!(
            answer.pointer(field).is_some() && answer.pointer(field) == recorded.pointer(field),
            "{field} of {answer:#}"
        );
    }
}

/// An answer without what tells one machine from another.
fn without_the_machine(mut answer: Value) -> Value {
    for object in ["", "/Components/0/Details"] {
        if let Some(fields) = answer.pointer_mut(object).and_then(Value::as_object_mut) {
            for name in ["ID", "KernelVersion", "SystemTime", "NCPU", "MemTotal"] {
                fields.remove(name);
            }
        }
    }
    answer
}

/// Mounts a new file system on a loop device of the node's own.
#[track_caller]
fn disk(node: &Node, name: &str, size: &str, make: &str, mounted_at: &str) {
    mount(node, name, size, make, mounted_at).succeeds();
}

/// The same where the kernel may refuse.
fn mount(node: &Node, name: &str, size: &str, make: &str, mounted_at: &str) -> node::Outcome {
    node.shell(
        "[ -e /dev/loop-control ] || { mknod /dev/loop-control c 10 237; for n in $(seq 0 63); do \
         mknod /dev/loop$n b 7 $n; done; }",
    )
    .succeeds();
    // Nothing of it is in memory before it is written.
    node.shell(&format!(
        "truncate -s {size} /var/{name}.disk && {make} /var/{name}.disk && mkdir -p {mounted_at}"
    ))
    .succeeds();
    node.shell(&format!("mount -o loop /var/{name}.disk {mounted_at}"))
}

#[test]
fn file_systems_are_judged_as_the_kernel_has_them() {
    if !node::available() {
        return;
    }
    let node = Node::equipped("disks").booted();
    node.install_binary();
    Told::of(&node, "slave").says("storage.ftype", "pass", "no XFS there").says(
        "storage.writable",
        "pass",
        "",
    );

    disk(&node, "mesos", "400M", "mkfs.xfs -q", "/var/lib/mesos");
    Told::of(&node, "slave").says("storage.ftype", "pass", "ftype=1 under /var/lib/mesos/slave");
    node.run(&["umount", "/var/lib/mesos"]).succeeds();
    // Only the old format can be without; kernels from 2025 on may have been built without it.
    let old = mount(&node, "mesos", "400M", "mkfs.xfs -q -f -m crc=0 -n ftype=0", "/var/lib/mesos");
    if old.code() == Some(0) {
        Told::of(&node, "slave").says(
            "storage.ftype",
            "fail",
            "ftype=0 under /var/lib/mesos/slave",
        );
        node.run(&["umount", "/var/lib/mesos"]).succeeds();
    } else {
        old.stderr_has("/var/lib/mesos");
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: ftype=0 on a real XFS: this kernel mounts no XFS of version 4"
        );
    }

    // A disk that is filled: in bytes, then in inodes. What is left counts, not how large it is.
    disk(&node, "opt", "4G", "mkfs.ext4 -q -N 120000", "/opt/mesosphere");
    let packages = |verdict, words| {
        Told::of(&node, "slave").says("storage.packages", verdict, words);
    };
    packages("pass", "inodes left on /opt/mesosphere (ext4)");
    node.run(&["fallocate", "-l", "2500M", "/opt/mesosphere/ballast"]).succeeds();
    packages("warn", "1.");
    node.run(&["fallocate", "-l", "3600M", "/opt/mesosphere/ballast"]).succeeds();
    packages("fail", " MB and ");
    node.shell(
        "rm /opt/mesosphere/ballast && mkdir /opt/mesosphere/many && cd /opt/mesosphere/many && \
         seq 116000 | xargs touch",
    )
    .succeeds();
    let left = node.run(&["stat", "-f", "-c", "%d", "/opt/mesosphere"]);
    packages(
        "fail",
        &format!("GB and {} inodes left on /opt/mesosphere (ext4)", left.stdout().trim()),
    );
    node.run(&["umount", "/opt/mesosphere"]).succeeds();

    for (path, remount) in [("/opt/mesosphere", "remount,bind,ro"), ("/var/lib/dcos", "remount,ro")]
    {
        node.shell(&format!(
            "mkdir -p {path} && mount -t tmpfs tmpfs {path} && mount -o {remount} {path}"
        ))
        .succeeds();
        Told::of(&node, "slave").says(
            "storage.writable",
            "fail",
            &format!("{path} is on {path}, which is read-only"),
        );
        node.run(&["umount", path]).succeeds();
    }
}
