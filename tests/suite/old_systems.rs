//! Old systems: what an install and an uninstall ask of systemd is what systemd 219 has, in an
//! order that a power cut cannot harm.
//!
//! The node is a directory with the fake of systemd beside it, so that the flow is that of a
//! running node. Everything runs in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use dcos_node::command::{Failure, Outcome as _, World, install, status, uninstall};
use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::event::{Event, Events};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::fetching::Fetching;
use dcos_node::dcos::role::Role;
use dcos_node::observe::services::Condition;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::root::Root;
use dcos_node::system::systemd::{Behaviour, Fake, Systemd};
use serde_json::Value;
use support::build::Build;

use crate::good_clock::GoodClock;

const COMMIT_LINK: &str = "/etc/systemd/system/multi-user.target.wants/dcos.target";
const WANTS: &str = "etc/systemd/system/dcos.target.wants";

/// A directory that stands for a node with systemd 219.
struct OldNode {
    directory: tempfile::TempDir,
    build: Arc<tempfile::TempDir>,
    systemd: Arc<Fake>,
    world: World,
    news: Receiver<Event>,
}

impl OldNode {
    /// None where this test cannot run; that is said then, and is a failure where `CI` is set.
    fn new() -> Option<OldNode> {
        // Files are given to the owners that their packages name. Nothing is asked of this machine
        // itself.
        if !nix::unistd::geteuid().is_root() {
            assert!(
                !std::env::var("CI").is_ok_and(|value| value == "true" || value == "1"),
                "this test takes root, and CI must have it"
            );
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(io::stderr(), "NOT RUN: {test} takes root");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let below = |path: &str| directory.path().join(path);
        for path in ["etc/systemd/system", "run"] {
            fs::create_dir_all(below(path)).unwrap();
        }
        let (passwd, group) = accounts();
        fs::write(below("etc/passwd"), passwd).unwrap();
        fs::write(below("etc/group"), group).unwrap();
        fs::write(
            below("etc/systemd/system/systemd-journald.service"),
            "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n",
        )
        .unwrap();
        let systemd = Arc::new(Fake::new(directory.path()));
        systemd.offers_only_219();
        let (sender, news) = channel();
        let world = World {
            root: Root::new(directory.path()),
            systemd: Some(Ok(systemd.clone())),
            patience: Duration::from_secs(1),
            clock: Arc::new(GoodClock),
            events: Events::to(sender),
            cancellation: Cancellation::default(),
            command_line: "a test".to_owned(),
            authorities: None,
            stamp: None,
        };
        Some(OldNode { directory, build: build(), systemd, world, news })
    }

    async fn install(&self) -> install::Outcome {
        self.try_install().await.unwrap_or_else(|failure| panic!("{failure:#?}"))
    }

    async fn try_install(&self) -> Result<install::Outcome, Failure> {
        let request = install::Request {
            role: Role::Master,
            bootstrap_url: Some(self.build.path().display().to_string()),
            skip: Vec::new(),
            skip_all: Some(
                "the node is a directory; the machine below it is not judged".to_owned(),
            ),
            wait_time_sync: None,
            dry_run: false,
            start: true,
            follow: true,
            restart_journald: false,
            restart_docker: false,
            strict: false,
            require_digests: false,
            allow_files: Vec::new(),
            fetching: Fetching::default(),
            reset_identity: false,
        };
        install::run(&request, &self.world).await
    }

    async fn uninstall(&self) -> uninstall::Outcome {
        self.try_uninstall().await.unwrap_or_else(|failure| panic!("{failure:#?}"))
    }

    async fn try_uninstall(&self) -> Result<uninstall::Outcome, Failure> {
        let request = uninstall::Request { yes: true, ..uninstall::Request::default() };
        uninstall::run(&request, &self.world).await
    }

    /// The calls since the last time, as `Member object`.
    fn calls_after(&self, before: usize) -> Vec<String> {
        self.systemd.calls()[before..].iter().map(ToString::to_string).collect()
    }

    /// What was told so far.
    fn told(&self) -> Vec<Event> {
        self.news.try_iter().collect()
    }

    fn stands(&self, path: &str) -> bool {
        self.directory.path().join(path.trim_start_matches('/')).symlink_metadata().is_ok()
    }
}

/// One serve directory for all tests that run at the same time; it is gone with the last of them.
fn build() -> Arc<tempfile::TempDir> {
    static BUILD: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());
    let mut shared = BUILD.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let detect = "#!/bin/sh\necho 127.0.0.1\n";
        Build::fixture()
            .with_file("dcos-config", "bin/detect_ip", 0o755, detect)
            .pack(directory.path());
        *shared = Arc::downgrade(&directory);
        directory
    })
}

/// `/etc/passwd` and `/etc/group` of a node that has all accounts of the build already, so that
/// none is made.
fn accounts() -> (String, String) {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/build/packages");
    let (mut passwd, mut group) =
        ("root:x:0:0:root:/root:/bin/sh\n".to_owned(), "root:x:0:\n".to_owned());
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, package) in (60_000..).zip(fs::read_dir(packages).unwrap()) {
        let text = fs::read(package.unwrap().path().join("pkginfo.json")).unwrap();
        let info: Value = serde_json::from_slice(&text).unwrap();
        let Some(user) = info["username"].as_str() else { continue };
        passwd.push_str(&format!("{user}:x:{id}:{id}::/opt/mesosphere:/sbin/nologin\n"));
        group.push_str(&format!("{user}:x:{id}:\n"));
        if let Some(other) = info["group"].as_str() {
            members.entry(other.to_owned()).or_default().insert(user.to_owned());
        }
    }
    for (id, (name, users)) in (59_000..).zip(members) {
        group.push_str(&format!(
            "{name}:x:{id}:{}\n",
            users.into_iter().collect::<Vec<_>>().join(",")
        ));
    }
    (passwd, group)
}

fn members(calls: &[String]) -> BTreeSet<&str> {
    calls.iter().filter_map(|call| call.split(' ').next()).collect()
}

#[track_caller]
fn position(calls: &[String], begins: &str) -> usize {
    calls
        .iter()
        .position(|call| call.starts_with(begins))
        .unwrap_or_else(|| panic!("{begins} was not called: {calls:#?}"))
}

#[tokio::test]
async fn install_uses_only_systemd_219_and_starts_units_last() {
    let Some(node) = OldNode::new() else { return };
    let outcome = node.install().await;
    assert!(outcome.changed && !outcome.degraded, "{outcome:#?}");
    assert_eq!(outcome.units.len(), 0, "{:#?}", outcome.units);

    let calls = node.calls_after(0);
    let used = [
        "AddDependencyUnitFiles",
        "GetAll",
        "ListUnits",
        "LoadUnit",
        "Reload",
        "RestartUnit",
        "StartUnit",
        "Version",
    ];
    assert_eq!(members(&calls), BTreeSet::from(used), "{calls:#?}");
    let links = calls.iter().filter(|call| call.starts_with("AddDependencyUnitFiles")).count();
    assert_eq!(links, 1, "the links of all units are one call: {calls:#?}");
    let starts: Vec<&String> = calls.iter().filter(|call| call.starts_with("StartUnit")).collect();
    assert_eq!(starts, ["StartUnit dcos.target"], "the target starts everything");
    assert!(position(&calls, "AddDependencyUnitFiles") < position(&calls, "Reload"), "{calls:#?}");
    assert!(
        position(&calls, "Reload") < position(&calls, "StartUnit"),
        "links count after a reload: {calls:#?}"
    );

    let told = node.told();
    let link = ActionKey::Link(COMMIT_LINK.to_string());
    let committed =
        told.iter().position(|event| matches!(event, Event::Done { key } if *key == link));
    let start = ActionKey::Start("dcos.target".into());
    let started =
        told.iter().position(|event| matches!(event, Event::Begun { key, .. } if *key == start));
    assert!(
        committed.is_some() && committed < started,
        "started at {started:?}, durable for the next boot at {committed:?}"
    );
    assert!(node.stands(COMMIT_LINK));
}

#[tokio::test]
async fn uninstall_stops_triggers_first_and_leaves_no_link() {
    let Some(node) = OldNode::new() else { return };
    node.install().await;
    let links: BTreeSet<String> = fs::read_dir(node.directory.path().join(WANTS))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        links.contains("dcos-diagnostics.socket") && links.contains("dcos-exhibitor.service"),
        "{links:?}"
    );
    let before = node.systemd.calls().len();
    node.told();

    assert!(node.uninstall().await.changed);
    let calls = node.calls_after(before);
    let stops: Vec<&str> = calls.iter().filter_map(|call| call.strip_prefix("StopUnit ")).collect();
    let services = stops.iter().position(|unit| unit.ends_with(".service")).unwrap();
    let (first, then) = stops.split_at(services);
    assert!(
        first.iter().any(|unit| unit.ends_with(".socket"))
            && first.iter().any(|unit| unit.ends_with(".timer")),
        "{stops:?}"
    );
    assert!(
        then.iter().all(|unit| unit.ends_with(".service")),
        "what starts others is stopped before all services: {stops:?}"
    );
    assert!(links.iter().all(|unit| stops.contains(&unit.as_str())), "{stops:?}");
    let used = ["ListUnits", "Reload", "ResetFailedUnit", "StopUnit"];
    assert_eq!(members(&calls), BTreeSet::from(used), "{calls:#?}");

    let undone = node
        .told()
        .into_iter()
        .find_map(|event| if let Event::Undone { text, .. } = event { Some(text) } else { None });
    assert_eq!(
        undone,
        Some(format!("remove {COMMIT_LINK}")),
        "a boot in between starts nothing half-made"
    );
    for path in [
        COMMIT_LINK,
        WANTS,
        "/etc/systemd/system/dcos.target",
        "/etc/systemd/system/dcos-exhibitor.service",
        "/opt/mesosphere",
    ] {
        assert!(!node.stands(path), "{path} is left");
    }
    assert_eq!(
        status::run(status::Request::default(), &node.world).await.unwrap().exit(),
        Exit::NotInstalled
    );
}

#[tokio::test]
async fn failed_unit_makes_the_node_unhealthy() {
    let Some(node) = OldNode::new() else { return };
    node.systemd.behave("dcos-cosmos.service", Behaviour::Fails);
    let outcome = node.install().await;
    assert!(outcome.changed && outcome.degraded, "{outcome:#?}");
    let unwell: Vec<(&str, Condition)> =
        outcome.units.iter().map(|unit| (unit.name.as_str(), unit.condition)).collect();
    assert_eq!(unwell, [("dcos-cosmos.service", Condition::Failed)]);
    let status = status::run(status::Request::default(), &node.world).await.unwrap();
    assert!(status.degraded);
    assert_eq!((outcome.exit(), status.exit()), (Exit::Unhealthy, Exit::Unhealthy));
}

#[tokio::test]
async fn a_unit_that_polls_before_it_starts_is_converging() {
    let Some(node) = OldNode::new() else { return };
    node.systemd.behave("dcos-exhibitor.service", Behaviour::AutoRestarts);
    let outcome = node.install().await;
    assert!(!outcome.degraded, "{outcome:#?}");
    let unwell: Vec<(&str, Condition)> =
        outcome.units.iter().map(|unit| (unit.name.as_str(), unit.condition)).collect();
    assert_eq!(unwell, [("dcos-exhibitor.service", Condition::Converging)]);
    let why = outcome.units[0].why.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(
        why.contains("/opt/mesosphere/bin/check-time"),
        "the command that it waits for is named: {why}"
    );
    let status = status::run(status::Request::default(), &node.world).await.unwrap();
    assert!(!status.degraded);
    assert_eq!(status.exit(), Exit::NotReady);
}

#[tokio::test]
async fn endless_start_is_not_awaited() {
    let Some(node) = OldNode::new() else { return };
    node.systemd.behave("dcos.target", Behaviour::NeverAnswers);
    let begun = Instant::now();
    let outcome = node.install().await;
    assert!(begun.elapsed() >= node.world.patience, "the jobs were not followed");
    assert!(outcome.changed, "{outcome:#?}");
    let warned = node.told().into_iter().any(|event| {
        matches!(event, Event::Warning { text } if text.contains("have \
            not ended after 1 seconds"))
    });
    assert!(warned, "that the jobs go on is not said");
    assert!(node.stands("/var/lib/dcos-node/receipt.json"), "the install is complete all the same");
    assert!(
        node.uninstall().await.changed,
        "a start that is under way is no obstacle to an uninstall"
    );
}

#[tokio::test]
async fn install_without_systemd_changes_nothing() {
    let Some(mut node) = OldNode::new() else { return };
    node.world.systemd = Some(Err("nobody listens on the bus".to_owned()));
    let failure = node.try_install().await.expect_err("there is no systemd");
    assert_eq!(failure.exit, Exit::Preflight);
    assert!(failure.error.to_string().contains("systemd.running"), "{failure:#?}");
    assert!(!node.stands("/opt") && !node.stands("/var"), "something was written");
}

#[tokio::test]
async fn network_daemons_reload_after_dcos_files_are_removed() {
    let Some(node) = OldNode::new() else { return };
    for (unit, file) in [
        ("systemd-networkd.service", "etc/systemd/network/dcos.network"),
        ("NetworkManager.service", "etc/NetworkManager/conf.d/dcos-net.conf"),
    ] {
        fs::write(
            node.directory.path().join("etc/systemd/system").join(unit),
            "[Service]\nExecStart=/usr/sbin/it\n",
        )
        .unwrap();
        fs::create_dir_all(node.directory.path().join(file).parent().unwrap()).unwrap();
    }
    let write = |path: &str| {
        fs::write(node.directory.path().join(path), "[Match]\nName=spartan\n").unwrap()
    };
    let told = |calls: Vec<String>| -> Vec<String> {
        calls
            .into_iter()
            .filter(|call| {
                ["networkd", "NetworkManager"].iter().any(|name| call.contains(name))
                    && !call.starts_with("GetAll")
                    && !call.starts_with("LoadUnit")
            })
            .collect()
    };
    // Neither runs: nobody is told, and nothing is started.
    node.install().await;
    write("etc/systemd/network/dcos.network");
    let before = node.systemd.calls().len();
    node.uninstall().await;
    assert!(!node.stands("/etc/systemd/network/dcos.network"));
    assert_eq!(told(node.calls_after(before)), Vec::<String>::new());
    // systemd 219 has a networkd that cannot be told; NetworkManager never depends on systemd's
    // age.
    for unit in ["systemd-networkd.service", "NetworkManager.service"] {
        node.world.systemd.as_ref().unwrap().as_ref().unwrap().start(unit).await.unwrap();
    }
    node.install().await;
    write("etc/systemd/network/dcos.network");
    write("etc/NetworkManager/conf.d/dcos-net.conf");
    let before = node.systemd.calls().len();
    node.uninstall().await;
    assert!(
        !node.stands("/etc/systemd/network/dcos.network")
            && !node.stands("/etc/NetworkManager/conf.d/dcos-net.conf")
    );
    let mut calls = told(node.calls_after(before));
    calls.sort();
    assert_eq!(
        calls,
        [
            "Reload NetworkManager.service",
            "ReloadNeighbour systemd-networkd.service",
            "RestartUnit systemd-networkd.service",
        ]
    );
    // Without the files there is nothing to tell.
    node.install().await;
    let before = node.systemd.calls().len();
    node.uninstall().await;
    assert_eq!(told(node.calls_after(before)), Vec::<String>::new());
}

#[tokio::test]
async fn interrupted_wait_for_networkd_restart_is_resumed() {
    let Some(mut node) = OldNode::new() else { return };
    let (unit, file) = ("systemd-networkd.service", "etc/systemd/network/dcos.network");
    let units = node.directory.path().join("etc/systemd/system");
    fs::write(units.join(unit), "[Service]\nExecStart=/usr/sbin/it\n").unwrap();
    fs::create_dir_all(node.directory.path().join(file).parent().unwrap()).unwrap();
    node.install().await;
    node.systemd.start(unit).await.unwrap();
    fs::write(node.directory.path().join(file), "[Match]\nName=spartan\n").unwrap();
    node.systemd.behave(unit, Behaviour::NeverAnswers);
    let (before, restart) = (node.systemd.calls().len(), format!("RestartUnit {unit}"));
    let restarted = async || {
        while !node.calls_after(before).contains(&restart) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        node.world.cancellation.request();
    };
    let (ended, ()) = tokio::join!(node.try_uninstall(), restarted());
    assert_eq!(ended.expect_err("it was interrupted").exit, Exit::Interrupted);
    // The restart was asked for, so that the next run has nothing to wait for.
    node.world.cancellation = Cancellation::default();
    node.uninstall().await;
    assert!(!node.stands("/etc/systemd/network/dcos.network"));
}
