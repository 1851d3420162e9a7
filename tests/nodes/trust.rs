//! Verified means verified, on real nodes: what an attacker put on a node before the build was
//! published is neither used, run nor reported as verified.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::build::{Build, Packed};
use support::node::{self, Node, Outcome, Server};
use support::step;
use tempfile::TempDir;

use crate::publish_node::{program, publish};

/// Where packages are active, and where they wait for an install.
const REPOSITORY: &str = "/opt/mesosphere/packages";
const KEPT: &str = "/var/lib/dcos-node/packages";
const STAMPED: &str = "/srv/dcos-node";
/// What a tampered program writes when it runs.
const MARK: &str = "/var/tmp/evil-ran";
const TAMPERED: &str = "bin/mesos-master";
/// A file of a package that nothing runs or reads.
const PAGE: &str = "share/mesos/webui/index.html";
/// Effect at which an install of a classic build fails, after its packages are on the node.
const LATE_FAULT: &str = "DCOS_NODE_FAULT=EIO Link 1 \
                          /etc/systemd/system/multi-user.target.wants/.dcos.target.dcos-node.tmp";

/// A server, first of a classic build, and a node that knows it.
struct Bench {
    node: Node,
    server: Server,
    packed: Packed,
    program: PathBuf,
    directory: TempDir,
    _programs: TempDir,
}

impl Bench {
    fn new(name: &str, build: &Build) -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        let programs = tempfile::tempdir().expect("a directory for programs");
        let packed = build.pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::boot(name).knowing(&server);
        node.install_binary();
        let program = program(&programs);
        Bench { node, server, packed, program, directory, _programs: programs }
    }

    /// The operator publishes what is served and copies the stamped program to the node.
    fn publish(&self) {
        publish(&self.program, self.directory.path(), &[]);
        self.node.copy_in(&self.directory.path().join("dcos-node"), STAMPED);
    }

    fn make_classic(&self) {
        crate::publish_node::make_classic(self.directory.path());
    }

    fn index_sha256(&self) -> String {
        let text = fs::read(self.directory.path().join("dcos-build.json")).expect("an index");
        dcos_node::system::digest::hex(&dcos_node::system::digest::sha256(&text))
    }

    /// Runs a classic command while an attacker serves another content of one package.
    fn run_attacked(&self, before: &[&str], command: &[&str]) -> Outcome {
        let sound = self.packed.tamper("mesos", TAMPERED, |text| {
            let line = format!("BEGIN {{ system('id >> {MARK}') }}\n");
            text.replacen('\n', &format!("\n{line}"), 1)
        });
        let from = ["--bootstrap-url", self.server.url()];
        let outcome = self.node.run(&[before, &["dcos-node"], command, &from].concat());
        fs::write(self.packed.archive("mesos"), sound).expect("the true archive");
        outcome
    }

    fn package(&self, path: &str) -> String {
        format!("{REPOSITORY}/{}/{path}", self.packed.id("mesos"))
    }

    /// Whether the package in this place, the repository or where it waits, is the tampered one.
    fn is_tampered(&self, place: &str) -> bool {
        let program = format!("{place}/{}/{TAMPERED}", self.packed.id("mesos"));
        self.node.read(&program).contains(MARK)
    }

    fn stamped(&self, more: &[&str]) -> Outcome {
        self.node.run(&[&[STAMPED, "install", "master"], node::LACKS, more].concat())
    }

    fn trust(&self) -> (Value, Value) {
        let status = self.node.run(&["dcos-node", "status", "--json"]).json();
        (status["trust"].clone(), status["index_sha256"].clone())
    }

    #[track_caller]
    fn is_verified(&self) {
        let expected = ("verified".into(), self.index_sha256().into());
        assert_eq!(self.trust(), expected);
        let verify = self.node.run(&["dcos-node", "verify"]);
        verify.succeeds().stdout_has("trust: verified").stdout_has(&self.index_sha256());
        let receipt: Value =
            serde_json::from_str(&self.node.read("/var/lib/dcos-node/receipt.json"))
                .expect("a receipt");
        assert_eq!(receipt["trust"]["index_sha256"], self.index_sha256());
    }
}

#[test]
fn tampered_package_of_an_earlier_run_is_fetched_again() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("earlier", &Build::fixture());
    step("classic fetch", || {
        bench.run_attacked(&[], &["fetch"]).succeeds();
        assert!(bench.is_tampered(KEPT));
        bench.publish();
        published_install_replaces_the_package(&bench);
    });
    bench.node.run(&["dcos-node", "uninstall", "--purge-data", "--yes"]).succeeds();
    step("failed classic install", || {
        bench.make_classic();
        let install = [&["install", "master"], node::LACKS].concat();
        bench.run_attacked(&["env", LATE_FAULT], &install).exits_with(1);
        assert!(bench.is_tampered(KEPT));
        bench.publish();
        published_install_replaces_the_package(&bench);
    });
}

fn published_install_replaces_the_package(bench: &Bench) {
    let events = ["--events", "/root/events", "--json"];
    bench.node.shell(&format!("rm -f /root/events {MARK}")).succeeds();
    let installed = bench.stamped(&[&["--require-digests"], &events[..]].concat());
    let outcome = installed.succeeds().json();
    assert_eq!(
        (&outcome["trust"], &outcome["origins"]["fetched"]),
        (&"verified".into(), &1.into())
    );
    installed.stderr_has("not from an archive that the build index names");
    assert!(!bench.is_tampered(REPOSITORY));
    let origin = |id: &str| {
        let events = bench.node.read("/root/events");
        let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.find(|event| event["event"] == "package" && event["id"] == id).unwrap()["origin"]
            .clone()
    };
    assert_eq!(origin(bench.packed.id("mesos")), "fetched");
    assert_eq!(origin(bench.packed.id("exhibitor")), "kept-verified");
    bench.is_verified();
    bench.node.until("curl -sf http://127.0.0.1:5050/version");
    assert!(!bench.node.has(MARK), "the tampered program ran");
}

#[test]
fn classic_install_is_unverified_until_compared_online() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("compared", &Build::fixture());
    let classic = ["dcos-node", "install", "master", "--bootstrap-url", bench.server.url()];
    bench.node.run(&[&classic[..], node::LACKS].concat()).succeeds();
    bench.publish();
    step("stamped program", || stamped_program_reports_unverified(&bench));
    step("tampered byte", || tampered_byte_is_found_online(&bench));
    step("verify --online", || {
        bench.node.run(&[STAMPED, "verify", "--online"]).succeeds().stdout_has("trust: verified");
        bench.is_verified();
        let again = bench.stamped(&["--require-digests", "--json"]);
        assert_eq!(again.succeeds().json()["changed"], false);
        again.stderr_lacks("warning:");
    });
}

fn stamped_program_reports_unverified(bench: &Bench) {
    let same = bench.stamped(&["--json"]);
    let outcome = same.succeeds().json();
    assert_eq!(
        (&outcome["changed"], &outcome["trust"]),
        (&false.into(), &"unverified".into()),
        "{same}"
    );
    same.stderr_has("trust: unverified").stderr_has("dcos-node verify --online");
    assert_eq!(same.stderr().matches("warning:").count(), 1, "{same}");
    bench.stamped(&["--require-digests"]).exits_with(6).stderr_has("verify --online");
    assert_eq!(bench.trust(), ("unverified".into(), Value::Null));
}

fn tampered_byte_is_found_online(bench: &Bench) {
    let page = bench.package(PAGE);
    let sound = bench.node.read(&page);
    let receipt = bench.node.read("/var/lib/dcos-node/receipt.json");
    // The same length and the same time: only the bytes show it.
    let turn = format!("touch -r {page} /tmp/time && printf X | dd of={page} conv=notrunc bs=1");
    bench.node.shell(&format!("{turn} && touch -r /tmp/time {page}")).succeeds();
    bench.node.run(&[STAMPED, "verify", "--online"]).exits_with(6).stdout_has(PAGE);
    bench.stamped(&["--require-digests"]).exits_with(6);
    assert_eq!(bench.trust(), ("unverified".into(), Value::Null));
    assert_eq!(bench.node.read("/var/lib/dcos-node/receipt.json"), receipt);
    bench.node.write(&page, &sound);
}

/// The server logs it when this detection script runs.
const CALLING: &str = "#!/bin/bash
exec 3<>/dev/tcp/bootstrap.dcos.test/8080
printf 'GET /ip-detect-ran HTTP/1.0\\r\\n\\r\\n' >&3
cat <&3 >/dev/null
echo 127.0.0.1
";

#[test]
fn demanded_digests_run_no_script_of_a_classic_build() {
    if !node::available() {
        return;
    }
    let mut build = Build::fixture();
    for script in ["detect_ip", "detect_ip_public"] {
        build = build.with_file("dcos-config", &format!("bin/{script}"), 0o755, CALLING);
    }
    let bench = Bench::new("demanded", &build);
    let ran = || bench.server.requests().iter().any(|line| line.contains("/ip-detect-ran"));
    let from = ["--bootstrap-url", bench.server.url()];
    for command in [
        &["install", "master", "--require-digests"][..],
        &["install", "master", "--require-digests", "-d"],
        &["install", "master", "--require-digests", "--dry-run"],
        &["install", "master", "--require-digests", "-p"],
        &["preflight", "master", "--require-digests"],
        &["fetch", "--require-digests"],
    ] {
        let refused = bench.node.run(&[&["dcos-node"], command, &from].concat());
        refused.exits_with(6).stderr_has("has no digests");
        assert!(!ran(), "{command:?} ran a script of the build");
    }
    assert!(!bench.node.has("/opt/mesosphere") && !bench.node.has("/var/lib/dcos-node"));
    // The script is one that the server hears of.
    bench.node.run(&[&["dcos-node", "preflight", "master"], &from[..]].concat());
    assert!(ran());
}
