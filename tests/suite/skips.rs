//! Skips are accountable: who takes responsibility for a check is on record, for that check and for
//! that reason, and nobody does so for all.
//!
//! The node is a directory with the fake of systemd beside it and a clock of the test's. Everything
//! but the command lines runs in this process.

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dcos_node::command::{World, install, preflight, status};
use dcos_node::dcos::event::{Event, Events};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::fetching::Fetching;
use dcos_node::dcos::receipt::CheckWarning;
use dcos_node::dcos::role::Role;
use dcos_node::output;
use dcos_node::output::paint::Paint;
use dcos_node::preflight::report::Verdict;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::clock::{Clock, ClockState};
use dcos_node::system::root::Root;
use dcos_node::system::systemd::Fake;
use serde_json::{Value, json};
use support::build::Build;

/// A clock whose time daemon the test starts and stops.
#[derive(Default)]
struct TestClock(AtomicBool);

impl Clock for TestClock {
    fn state(&self) -> io::Result<ClockState> {
        let synchronised = self.0.load(Ordering::SeqCst);
        let error = if synchronised { Duration::from_millis(1) } else { Duration::from_secs(16) };
        Ok(ClockState {
            marked_bad: !synchronised,
            unsynchronised: !synchronised,
            estimated_error: error,
            max_error: error,
            offset: Duration::ZERO,
        })
    }
}

struct TestNode {
    directory: tempfile::TempDir,
    build: tempfile::TempDir,
    clock: Arc<TestClock>,
    world: World,
}

impl TestNode {
    /// None where this test cannot run; that is said then, and is a failure where `CI` is set.
    fn new() -> Option<TestNode> {
        if !nix::unistd::geteuid().is_root() {
            assert!(
                !std::env::var("CI").is_ok_and(|value| value == "true" || value == "1"),
                "this test takes root, and CI must have it"
            );
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(io::stderr(), "NOT RUN: {test} takes root");
            return None;
        }
        let (directory, build) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Build::tiny().pack(build.path());
        for path in ["etc/systemd/system", "run"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        // The accounts of the build are there, so that none is made.
        let users = "dcos_tiny_files:x:60001:60001::/:/sbin/nologin\ndcos_tiny_units:x:60002:60002::/:/sbin/nologin\n";
        let groups = "dcos_tiny_files:x:60001:\n\
                      dcos_tiny_units:x:60002:\n\
                      systemd-journal:x:59001:dcos_tiny_units\n";
        fs::write(
            directory.path().join("etc/passwd"),
            format!("root:x:0:0::/root:/bin/sh\n{users}"),
        )
        .unwrap();
        fs::write(directory.path().join("etc/group"), format!("root:x:0:\n{groups}")).unwrap();
        fs::write(directory.path().join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        let unit = directory.path().join("etc/systemd/system/systemd-journald.service");
        fs::write(unit, "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n").unwrap();
        let clock = Arc::new(TestClock::default());
        let world = World {
            root: Root::new(directory.path()),
            systemd: Some(Ok(Arc::new(Fake::new(directory.path())))),
            patience: Duration::from_secs(1),
            clock: clock.clone(),
            events: Events::to(std::sync::mpsc::channel().0),
            cancellation: Cancellation::default(),
            command_line: "a test".to_owned(),
            authorities: None,
            stamp: None,
        };
        Some(TestNode { directory, build, clock, world })
    }

    async fn install(&self, skip: &[(&str, &str)], skip_all: Option<&str>) {
        let request = self.request(skip, skip_all);
        install::run(&request, &self.world).await.unwrap_or_else(|failure| panic!("{failure:#?}"));
    }

    fn request(&self, skip: &[(&str, &str)], skip_all: Option<&str>) -> install::Request {
        install::Request {
            role: Role::Slave,
            bootstrap_url: Some(self.build.path().display().to_string()),
            skip: skip
                .iter()
                .map(|(check, reason)| ((*check).to_owned(), (*reason).to_owned()))
                .collect(),
            skip_all: skip_all.map(str::to_owned),
            wait_time_sync: None,
            reset_identity: false,
            dry_run: false,
            start: false,
            follow: false,
            restart_journald: false,
            restart_docker: false,
            strict: false,
            require_digests: false,
            allow_files: Vec::new(),
            fetching: Fetching::default(),
        }
    }

    fn receipt(&self) -> Value {
        let receipt =
            fs::read(self.directory.path().join("var/lib/dcos-node/receipt.json")).unwrap();
        serde_json::from_slice(&receipt).unwrap()
    }

    fn kept(&self) -> Value {
        self.receipt()["skips"].clone()
    }

    /// What `status` says, as data and as text.
    async fn status(&self) -> (Vec<status::SkippedCheck>, String) {
        let status = status::run(status::Request::default(), &self.world).await.unwrap();
        let text = output::status::text(&status, Paint::stdout(true));
        (status.skips, text)
    }
}

fn now(skips: &[status::SkippedCheck], check: &str) -> Option<Verdict> {
    skips.iter().find(|skipped| skipped.skip.check == check).expect("it was skipped").now
}

#[tokio::test]
async fn skip_is_recorded_and_shown_while_its_check_would_fail() {
    let Some(node) = TestNode::new() else { return };
    let skip =
        [("time.sync", "the hypervisor keeps the clock"), ("bootstrap.clock", "it is far away")];
    // What else fails does so because the node is a directory.
    node.install(&skip, Some("not judged here")).await;
    for (check, reason) in skip {
        let kept =
            node.kept().as_array().unwrap().contains(&json!({"check": check, "reason": reason}));
        assert!(kept, "{check} is not on record: {}", node.kept());
    }

    let (skips, text) = node.status().await;
    assert_eq!(
        (now(&skips, "time.sync"), now(&skips, "bootstrap.clock")),
        (Some(Verdict::Fail), None),
        "{skips:?}"
    );
    assert!(text.contains("time.sync: the hypervisor keeps the clock (FAIL now: "), "{text}");
    assert!(
        text.contains("bootstrap.clock: it is far away (not judged again: status asks no server)"),
        "{text}"
    );

    node.clock.0.store(true, Ordering::SeqCst);
    let (skips, text) = node.status().await;
    assert_eq!(now(&skips, "time.sync"), Some(Verdict::Pass));
    assert!(!text.contains("time.sync"), "what passes now is nobody's concern: {text}");
}

#[tokio::test]
async fn classic_skip_flag_skips_only_failed_checks() {
    let Some(node) = TestNode::new() else { return };
    node.install(&[], Some("--disable-preflight")).await;
    let checks: Vec<Value> =
        node.kept().as_array().unwrap().iter().map(|skip| skip["check"].clone()).collect();
    assert!(checks.contains(&json!("time.sync")), "{checks:?}");
    for passed in ["ip-detect.output", "ip-detect.master-list", "bootstrap.clock"] {
        assert!(!checks.contains(&json!(passed)), "{passed} did not fail: {checks:?}");
    }
    assert!(
        node.kept().as_array().unwrap().iter().all(|skip| skip["reason"] == "--disable-preflight")
    );
}

fn preflight(arguments: &[&str], environment: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command
        .args(["preflight", "--json"])
        .args(arguments)
        .env_remove("DCOS_NODE_BOOTSTRAP_URL")
        .env("DCOS_NODE_SKIP", environment);
    command.output().expect("run dcos-node")
}

fn reasons(output: &Output) -> Vec<(String, Value)> {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let checks = report["checks"].as_array().expect("checks").clone();
    let skipped = checks.into_iter().filter(|check| !check["skipped_because"].is_null());
    skipped
        .map(|check| {
            (check["id"].as_str().expect("an id").to_owned(), check["skipped_because"].clone())
        })
        .collect()
}

#[test]
fn skip_variable_has_one_skip_per_line_below_the_options() {
    let told = reasons(&preflight(&[], "time.sync=a=b, and c\n\nip-detect.output = it is new\n"));
    assert_eq!(
        told,
        [
            ("time.sync".to_owned(), json!("a=b, and c")),
            ("ip-detect.output".to_owned(), json!("it is new"))
        ]
    );
    let told = reasons(&preflight(&["--skip", "time.sync=mine"], "ip-detect.output=theirs"));
    assert_eq!(told, [("time.sync".to_owned(), json!("mine"))]);
    assert_eq!(reasons(&preflight(&[], "")), []);
}

#[test]
fn skip_of_all_or_without_reason_or_of_a_need_is_refused() {
    for (skip, why) in [
        ("all=I dare", "there is no check all"),
        ("*=I dare", "there is no check *"),
        ("time=I dare", "did you mean time.sync"),
        ("privileges.root=I dare", "cannot be skipped"),
        ("time.sync=", "your reason"),
        ("time.sync", "your reason"),
    ] {
        for output in [preflight(&["--skip", skip], ""), preflight(&[], skip)] {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(2) && said.contains(why), "{skip}: {said}");
        }
    }
}

#[tokio::test]
async fn install_reports_every_warning_of_its_own_checks() {
    let Some(mut node) = TestNode::new() else { return };
    let (sender, events) = std::sync::mpsc::channel();
    node.world.events = Events::to(sender);
    let url = Some(node.build.path().display().to_string());
    let asked = preflight::Request {
        role: Some(Role::Slave),
        bootstrap_url: url,
        ..preflight::Request::default()
    };
    let report = preflight::run(&asked, &node.world).await.unwrap();
    // What fails does so because the node is a directory.
    let skip: Vec<(&str, &str)> = report.blocking().map(|check| (check.id, "a test")).collect();
    let expected: Vec<&str> = report.warnings().map(|check| check.id).collect();
    assert!(expected.contains(&"accounts.nogroup"), "{expected:?}");

    let strict = install::Request { strict: true, ..node.request(&skip, None) };
    let failure = install::run(&strict, &node.world).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Warnings, "{failure:#?}");
    assert!(!node.directory.path().join("var/lib/dcos-node").exists());

    let outcome = install::run(&node.request(&skip, None), &node.world).await.unwrap();
    let text = output::outcome::install(&outcome, Paint::stdout(true));
    let warned: Vec<String> = events
        .try_iter()
        .filter_map(|event| match event {
            Event::Warning { text } => Some(text),
            _ => None,
        })
        .collect();
    let status = status::run(status::Request::default(), &node.world).await.unwrap();
    let ids = |warnings: &[CheckWarning]| -> Vec<String> {
        warnings.iter().map(|warning| warning.check.clone()).collect()
    };
    let receipt: Vec<CheckWarning> =
        serde_json::from_value(node.receipt()["warnings"].clone()).unwrap();
    for found in [ids(&outcome.warnings), ids(&receipt), ids(&status.warnings)] {
        assert_eq!(found, expected);
    }
    for check in expected {
        assert!(text.contains(&format!(" {check}: ")), "{check}: {text}");
        assert!(warned.iter().any(|text| text.starts_with(&format!("{check}: "))), "{check}");
    }
}
