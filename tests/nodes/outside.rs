//! When the outside fails: systemd refuses, hangs or is gone, a disk is full or read-only, a
//! directory is a link or a mount point, the clock jumps. Each ends in a clear error and a state
//! from which the same command goes on, and an uninstall too.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dcos_node::command::{Failure, World, install, status, uninstall, wait};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::level::Level;
use dcos_node::dcos::role::Role;
use dcos_node::observe::residue;
use dcos_node::output::failure;
use dcos_node::output::paint::Paint;
use dcos_node::system::systemd::{
    Behaviour, Change, Error, Fake, Job, JobResult, Neighbour, Refusal, Service, Systemd, Unit,
};
use support::build::Build;
use support::image::{Image, Mounted, Said, Serve};
use support::node::{self, Node, Server};

/// How a systemd fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Refuses,
    Hangs,
    LosesTheConnection,
    IsGone,
    NeverAnswers,
}

/// A systemd whose calls fail from some call on, until it is well again.
struct Unwilling {
    fake: Fake,
    /// From which call of this member on it fails, and how; `*` is any call.
    fails: Mutex<Option<(&'static str, Manner)>>,
}

impl Unwilling {
    fn point(&self, member: &'static str, object: &str) -> Result<(), Error> {
        let mut fails = self.fails.lock().expect("no panic");
        let Some((first, manner)) = *fails else { return Ok(()) };
        if first != member && first != "*" {
            return Ok(());
        }
        // What refuses one thing may do others; what hangs or is gone does so for all that follows.
        if manner != Manner::Refuses {
            *fails = Some(("*", manner));
        }
        let refusal = |name: &str, message: &str| Refusal {
            name: format!("org.freedesktop.DBus.Error.{name}"),
            message: message.to_owned(),
        };
        let object = object.to_owned();
        Err(match manner {
            Manner::Refuses => Error::AccessDenied {
                member,
                object,
                source: refusal("AccessDenied", "SELinux policy denies access"),
            },
            Manner::Hangs => Error::Deadline { member, object, limit: Duration::from_secs(25) },
            Manner::LosesTheConnection => Error::Disconnected {
                member,
                object,
                source: refusal("Disconnected", "Broken pipe"),
            },
            Manner::IsGone => Error::NotRunning {
                bus: "/run/dbus/system_bus_socket".into(),
                bus_reason: "Connection refused".to_owned(),
                private: "/run/systemd/private".into(),
                private_reason: "Connection refused".to_owned(),
            },
            Manner::NeverAnswers => return Ok(()),
        })
    }
}

#[async_trait::async_trait]
impl Systemd for Unwilling {
    async fn version(&self) -> Result<String, Error> {
        self.point("Version", "")?;
        self.fake.version().await
    }
    async fn reload(&self) -> Result<(), Error> {
        self.point("Reload", "")?;
        self.fake.reload().await
    }
    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        self.point("AddDependencyUnitFiles", target)?;
        self.fake.add_wants(target, units).await
    }
    async fn start(&self, unit: &str) -> Result<Job, Error> {
        self.point("StartUnit", unit)?;
        self.fake.start(unit).await
    }
    async fn stop(&self, unit: &str) -> Result<Job, Error> {
        self.point("StopUnit", unit)?;
        self.fake.stop(unit).await
    }
    async fn restart(&self, unit: &str) -> Result<Job, Error> {
        self.point("RestartUnit", unit)?;
        self.fake.restart(unit).await
    }
    async fn kill_main(&self, service: &str, signal: i32) -> Result<(), Error> {
        self.point("KillUnit", service)?;
        self.fake.kill_main(service, signal).await
    }
    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error> {
        self.point("wait", &job.unit)?;
        self.fake.wait(job, limit).await
    }
    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error> {
        self.point("ListUnits", "")?;
        let never =
            matches!(*self.fails.lock().expect("no panic"), Some((_, Manner::NeverAnswers)));
        if never {
            std::future::pending::<()>().await;
        }
        self.fake.units(names).await
    }
    async fn loaded_units(&self) -> Result<Vec<Unit>, Error> {
        self.point("ListUnits", "")?;
        self.fake.loaded_units().await
    }
    async fn service(&self, name: &str) -> Result<Service, Error> {
        self.point("GetAll", name)?;
        self.fake.service(name).await
    }
    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        self.point("ResetFailedUnit", unit)?;
        self.fake.reset_failed(unit).await
    }
    async fn reload_neighbour(&self, neighbour: Neighbour) -> Result<(), Error> {
        self.point("ReloadNeighbour", neighbour.unit())?;
        self.fake.reload_neighbour(neighbour).await
    }
    async fn unset_environment(&self, names: &[String]) -> Result<(), Error> {
        self.fake.unset_environment(names).await
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        dcos_node::system::systemd::Systemd::set_environment(&self.fake, assignments).await
    }
    async fn environment(&self) -> Result<Vec<String>, Error> {
        self.fake.environment().await
    }
}

/// A directory that stands for a running node whose systemd may fail.
struct Bench {
    image: Image,
    serve: Serve,
    systemd: Arc<Unwilling>,
    world: World,
}

impl Bench {
    fn new() -> Bench {
        let image = Image::new();
        let users = "dcos_tiny_files:x:60001:60001::/:/sbin/nologin\ndcos_tiny_units:x:60002:60002::/:/sbin/nologin\n";
        let groups = "dcos_tiny_files:x:60001:\n\
                      dcos_tiny_units:x:60002:\n\
                      systemd-journal:x:101:dcos_tiny_units\n";
        fs::write(image.at("etc/passwd"), format!("root:x:0:0::/root:/bin/sh\n{users}"))
            .expect("write");
        fs::write(image.at("etc/group"), format!("root:x:0:\n{groups}")).expect("write");
        fs::create_dir_all(image.at("run")).expect("make /run");
        fs::write(
            image.at("etc/systemd/system/systemd-journald.service"),
            "[Service]\nExecStart=/bin/true\n",
        )
        .expect("write");
        let systemd =
            Arc::new(Unwilling { fake: Fake::new(image.path()), fails: Mutex::new(None) });
        let world = image.world(Some(Ok(systemd.clone())));
        let build = Build::tiny().with_node_file(
            "/etc/systemd/journald.conf.d/dcos.conf",
            0o644,
            "[Journal]\nRateLimitInterval=0\n",
        );
        Bench { image, serve: Serve::of(&build), systemd, world }
    }

    fn fails(&self, how: Option<(&'static str, Manner)>) {
        *self.systemd.fails.lock().expect("no panic") = how;
    }

    async fn install(&self) -> Result<install::Outcome, Failure> {
        let request = install::Request {
            role: Role::Master,
            bootstrap_url: Some(self.serve.url().to_owned()),
            skip: Vec::new(),
            skip_all: Some("the node is a directory".to_owned()),
            wait_time_sync: None,
            reset_identity: false,
            dry_run: false,
            start: true,
            follow: true,
            restart_journald: false,
            restart_docker: false,
            fetching: dcos_node::dcos::fetching::Fetching::default(),
            require_digests: false,
        };
        let ended = install::run(&request, &self.world).await;
        if let Err(failure) = &ended {
            eprintln!(
                "--- exit {:?}\n{}",
                failure.exit,
                failure::text(failure, None, Paint::stdout(true))
            );
        }
        ended
    }

    async fn uninstall(&self) -> Result<uninstall::Outcome, Failure> {
        let ended = uninstall::run(
            &uninstall::Request { purge_data: true, yes: true, ..uninstall::Request::default() },
            &self.world,
        )
        .await;
        if let Err(failure) = &ended {
            eprintln!(
                "--- exit {:?}\n{}",
                failure.exit,
                failure::text(failure, None, Paint::stdout(true))
            );
        }
        ended
    }
}

#[tokio::test]
async fn wait_survives_a_silent_systemd() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.install().await.expect("install");
    let wait = |seconds| status::Request {
        wait: Some(wait::Wish { level: Level::Started, limit: Duration::from_secs(seconds) }),
        ..status::Request::default()
    };
    bench.fails(Some(("ListUnits", Manner::Hangs)));
    let failure = status::run(wait(1), &bench.world).await.expect_err("it never answers");
    assert_eq!(failure.exit, Exit::NotReady);
    assert!(
        failure.error.to_string().starts_with("not started after 1 s: systemd does not answer: "),
        "{failure:?}"
    );
    let recovers = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        bench.fails(None);
    };
    let (outcome, ()) = tokio::join!(status::run(wait(60), &bench.world), recovers);
    assert_eq!(outcome.expect("it answers in the end").exit(), Exit::Done);
}

#[tokio::test]
async fn interrupted_wait_ends_during_a_reading() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.install().await.expect("install");
    bench.fails(Some(("ListUnits", Manner::NeverAnswers)));
    let wish = wait::Wish { level: Level::Started, limit: PATIENCE };
    let wait = status::run(
        status::Request { wait: Some(wish), ..status::Request::default() },
        &bench.world,
    );
    let (ended, ()) =
        tokio::join!(tokio::time::timeout(PATIENCE, wait), async { bench.world.stop.ask() });
    let failure = ended.expect("it goes on and on").expect_err("it was interrupted");
    assert_eq!(failure.exit, Exit::Interrupted, "{failure:?}");
}

#[tokio::test]
async fn wait_for_a_stopped_role_shows_how_to_start_it() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.install().await.expect("install");
    bench.systemd.stop("dcos.target").await.expect("stop it");
    let wish = wait::Wish { level: Level::Started, limit: Duration::from_secs(1) };
    let failure = status::run(
        status::Request { wait: Some(wish), ..status::Request::default() },
        &bench.world,
    )
    .await
    .expect_err("it is stopped");
    let text = failure::text(&failure, None, Paint::stdout(true));
    assert!(
        text.contains("its role is stopped") && text.contains("systemctl start dcos.target"),
        "{text}"
    );
}

#[tokio::test]
async fn install_with_failing_systemd_can_be_resumed() {
    if !support::is_root() {
        return;
    }
    let undisturbed = Bench::new();
    undisturbed.install().await.expect("an undisturbed install");
    let whole = undisturbed.image.tree();
    let members =
        ["AddDependencyUnitFiles", "Reload", "RestartUnit", "StartUnit", "wait", "ListUnits"];
    for (number, manner) in
        [Manner::Refuses, Manner::Hangs, Manner::LosesTheConnection, Manner::IsGone]
            .into_iter()
            .enumerate()
    {
        // What refuses one call may do the next; the other manners last, and half of the calls in
        // turn are enough.
        for (_, member) in members
            .into_iter()
            .enumerate()
            .filter(|(at, _)| manner == Manner::Refuses || at % 2 == number % 2)
        {
            let bench = Bench::new();
            let before = bench.image.tree();
            bench.fails(Some((member, manner)));
            let ended = bench.install().await;
            match ended {
                Ok(outcome) => assert!(outcome.changed, "{member} {manner:?}"),
                Err(failure) => {
                    let text = failure::text(&failure, None, Paint::stdout(true));
                    assert_eq!(failure.exit, Exit::Failed, "{member} {manner:?}");
                    assert!(
                        text.contains("systemd")
                            && text.contains("state:")
                            && text.contains("cure:"),
                        "{member} {manner:?}: {text}"
                    );
                    if failure
                        .state
                        .as_deref()
                        .is_some_and(|state| state.starts_with("the node is as it was"))
                    {
                        bench.image.is_as(&before);
                    }
                }
            }
            bench.fails(None);
            let outcome = bench
                .install()
                .await
                .unwrap_or_else(|failure| panic!("{member} {manner:?}: {failure:?}"));
            assert!(!outcome.degraded, "{member} {manner:?}");
            bench.image.equals(&whole);
            let status =
                status::run(status::Request::default(), &bench.world).await.expect("status");
            assert_eq!(status.exit(), Exit::Done, "{member} {manner:?}: {status:?}");
            bench.uninstall().await.expect("uninstall");
            bench.image.equals(&before);
        }
    }
}

#[tokio::test]
async fn uninstall_with_failing_systemd_can_be_resumed() {
    if !support::is_root() {
        return;
    }
    for manner in [Manner::Refuses, Manner::Hangs, Manner::IsGone] {
        for member in ["StopUnit", "wait", "Reload", "ResetFailedUnit"] {
            let bench = Bench::new();
            let before = bench.image.tree();
            bench.install().await.expect("install");
            bench.fails(Some((member, manner)));
            if let Err(failure) = bench.uninstall().await {
                let text = failure::text(&failure, None, Paint::stdout(true));
                assert_eq!(failure.exit, Exit::Failed, "{member} {manner:?}");
                assert!(
                    text.contains("systemd") && text.contains("dcos-node uninstall goes on"),
                    "{member} {manner:?}: {text}"
                );
            }
            bench.fails(None);
            bench
                .uninstall()
                .await
                .unwrap_or_else(|failure| panic!("{member} {manner:?}: {failure:?}"));
            bench.image.equals(&before);
        }
    }
}

/// Units of DC/OS that an agent runs, and how systemd has each of them.
const RUNNING: [(&str, &str); 4] = [
    ("dcos-mesos-slave.service", "active"),
    ("dcos-rexray.service", "active"),
    ("dcos-telegraf.service", "failed"),
    ("dcos.target", "active"),
];

/// Starts these units, and then removes all files but one behind systemd's back: until it reads
/// them again, all are `loaded`.
async fn removed_behind_systemd(bench: &Bench, units: &[&str], but: &str) {
    let at = |unit: &str| bench.image.at(Path::new("etc/systemd/system").join(unit));
    bench.systemd.fake.behave("dcos-telegraf.service", Behaviour::Fails);
    for unit in units {
        fs::write(
            at(unit),
            if unit.ends_with(".target") { "[Unit]\n" } else { "[Service]\nExecStart=/bin/true\n" },
        )
        .expect("write");
        bench.systemd.start(unit).await.expect("start");
    }
    for unit in units.iter().filter(|unit| **unit != but) {
        fs::remove_file(at(unit)).expect("remove");
    }
}

#[tokio::test]
async fn units_that_outlive_their_files_are_stopped_and_unloaded() {
    if !support::is_root() {
        return;
    }
    let of_dcos = |units: Vec<Unit>| -> Vec<Unit> {
        units.into_iter().filter(|unit| unit.name.starts_with("dcos")).collect()
    };
    let all = RUNNING.map(|(unit, _)| unit);
    // One alone, too, and the target with its file.
    let each = all.iter().map(|unit| (vec![*unit], ""));
    for (units, but) in
        [(all.to_vec(), ""), (vec!["dcos.target"], "dcos.target")].into_iter().chain(each)
    {
        let bench = Bench::new();
        let before = bench.image.tree();
        removed_behind_systemd(&bench, &units, but).await;
        fs::create_dir_all(bench.image.at("run/docker/plugins")).expect("make what REX-Ray makes");
        fs::create_dir_all(bench.image.at("run/libstorage")).expect("make what REX-Ray makes");
        let left = of_dcos(bench.systemd.loaded_units().await.expect("a list"));
        assert!(
            left.len() == units.len() && left.iter().all(|unit| unit.load == "loaded"),
            "{left:?}"
        );
        let seen =
            residue::units(&bench.world.root, bench.systemd.as_ref(), &[]).await.expect("a list");
        let seen: Vec<(&str, &str)> =
            seen.iter().map(|unit| (unit.name.as_str(), unit.active.as_str())).collect();
        let wanted: Vec<_> =
            RUNNING.into_iter().filter(|(unit, _)| units.contains(unit) && *unit != but).collect();
        assert_eq!(seen, wanted);
        if but.is_empty() {
            let status =
                status::run(status::Request::default(), &bench.world).await.expect("status");
            let told: Vec<&str> = status
                .foreign
                .iter()
                .filter(|one| one.what.contains("stops it"))
                .filter_map(|one| one.path.to_str())
                .collect();
            let places: Vec<String> =
                units.iter().map(|unit| format!("/etc/systemd/system/{unit}")).collect();
            assert_eq!(told, places, "{units:?}");
        }

        assert!(bench.uninstall().await.expect("uninstall").changed, "{units:?}");
        let left = of_dcos(bench.systemd.loaded_units().await.expect("a list"));
        assert_eq!(left, Vec::<Unit>::new(), "{units:?}");
        let is_agent = units.contains(&"dcos-rexray.service");
        assert_eq!(
            (bench.image.has("run/docker"), bench.image.has("run/libstorage")),
            (!is_agent, !is_agent),
            "{units:?}"
        );
        bench.image.equals(&before);
        assert!(!bench.uninstall().await.expect("uninstall").changed, "{units:?}");
    }
}

#[tokio::test]
async fn operator_units_and_docker_keep_running() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    removed_behind_systemd(
        &bench,
        &["dcos-rexray.service", "dcos-net.service", "dcos-telegraf.service"],
        "",
    )
    .await;
    for (unit, place) in [
        ("dcos-net.service", "usr/lib/systemd/system"),
        ("dcos-telegraf.service", "run/systemd/transient"),
    ] {
        fs::create_dir_all(bench.image.at(place)).expect("make a directory");
        fs::write(bench.image.at(place).join(unit), "[Service]\nExecStart=/bin/true\n")
            .expect("write");
    }
    fs::create_dir_all(bench.image.at("run/docker/plugins")).expect("make docker's directory");
    fs::create_dir_all(bench.image.at("run/docker/netns")).expect("make docker's directory");
    bench.uninstall().await.expect("uninstall");
    let calls = bench.systemd.fake.calls();
    let stopped: Vec<&str> = calls
        .iter()
        .filter(|call| call.member == "StopUnit")
        .map(|call| call.object.as_str())
        .collect();
    assert_eq!(stopped, ["dcos.target", "dcos-rexray.service"]);
    assert!(bench.image.has("run/docker/plugins"), "docker runs: it is docker's");
}

#[tokio::test]
async fn failing_or_unparsable_unit_is_reported_by_name() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.systemd.fake.behave("dcos-tiny.service", Behaviour::Fails);
    let outcome = bench.install().await.expect("units are no reason to fail");
    assert!(
        outcome.degraded
            && outcome
                .units
                .iter()
                .any(|unit| unit.name == "dcos-tiny.service" && unit.why.is_some()),
        "{outcome:#?}"
    );
}

#[test]
fn install_with_read_only_etc_leaves_nothing() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    let mounted = Mounted::bind(&image.at("etc"), &image.at("etc"));
    mounted.read_only(true);
    image.install(serve.url(), &[]).ends(
        1,
        &[&["/etc/", "Read-only file system"], &["state:", "the node is as it was"], &["cure:"]],
    );
    image.equals(&before);
    assert!(
        !image.has("var/lib/dcos-node") && !image.has("opt/dcos-node"),
        "something of ours is left"
    );
    mounted.read_only(false);
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    mounted.read_only(true);
    image.run(&["uninstall"]).ends(
        1,
        &[
            &["/etc/", "Read-only file system"],
            &["state:"],
            &["cure:", "dcos-node uninstall goes on"],
        ],
    );
    let status = image.run(&["status"]);
    assert!(status.out.contains("an uninstall was interrupted"), "{}", status.out);
    mounted.read_only(false);
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
    image.equals(&before);
}

#[test]
fn full_var_is_found_before_any_change() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let mut refused = 0;
    for pages in [0, 1, 2, 100, 255, 256, 257, 258, 260, 262, 265, 270, 280, 300] {
        let mounted = Mounted::memory(&image.at("var"), 4 << 20);
        fs::create_dir(image.at("var/lib")).expect("make it");
        fs::write(image.at("var/full"), vec![1; (4 << 20) - pages * 4096]).expect("fill it");
        let before = image.tree();
        let said = image.install(serve.url(), &[]);
        if said.code() == Some(0) {
            image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
            image.equals(&before);
        } else {
            refused += 1;
            said.ends(1, &[&["/var/lib/dcos", "No space left on device"], &["state:"], &["cure:"]]);
            image.is_as(&before);
            // Too little for the journal is found first; afterwards the journal has room to undo.
            let state = if pages < 256 { "nothing was changed" } else { "the node is as it was" };
            said.ends(1, &[&["state:", state]]);
            assert!(
                pages >= 256 || !image.has("var/lib/dcos-node"),
                "{pages} pages: something of ours is left"
            );
            fs::write(image.at("var/full"), "").expect("make room");
            image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
            image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
            image.equals(&before);
        }
        drop(mounted);
    }
    assert!(refused > 2, "/var was too small {refused} times only");
}

#[test]
fn opt_mesosphere_link_to_another_disk_is_kept() {
    if !support::is_root() {
        return;
    }
    for target in ["/data/mesosphere", "../data/mesosphere"] {
        let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
        fs::create_dir(image.at("data")).expect("make it");
        let _disk = Mounted::memory(&image.at("data"), 64 << 20);
        fs::create_dir(image.at("data/mesosphere")).expect("make it");
        std::os::unix::fs::symlink(target, image.at("opt/mesosphere")).expect("link");
        let before = image.tree();
        let stays = || {
            assert_eq!(
                fs::read_link(image.at("opt/mesosphere")).expect("a link"),
                Path::new(target)
            );
            fs::read_dir(image.at("data/mesosphere")).expect("it is there").count()
        };
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        assert!(stays() > 7 && image.has("data/mesosphere/active/tools"));
        image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        assert_eq!(stays(), 0);
        image.equals(&before);
        let bad = Serve::of(&Build::tiny().corrupt("units"));
        image.install(bad.url(), &[]).ends(6, &[&["state:", "the node is as it was"]]);
        assert_eq!(stays(), 1, "whole packages are kept");
        image.run(&["uninstall"]).ends(0, &[&["done:"]]);
        assert_eq!(stays(), 0);
        image.equals(&before);
    }
}

#[test]
fn opt_mesosphere_mount_point_is_kept() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    fs::create_dir(image.at("opt/mesosphere")).expect("make it");
    let _disk = Mounted::memory(&image.at("opt/mesosphere"), 64 << 20);
    let before = image.tree();
    for (build, code) in [(&Serve::of(&Build::tiny().corrupt("units")), 6), (&serve, 0)] {
        image.install(build.url(), &[]).ends(code, &[]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        image.equals(&before);
        assert!(
            Command::new("mountpoint")
                .arg("-q")
                .arg(image.at("opt/mesosphere"))
                .status()
                .expect("mountpoint")
                .success()
        );
    }
}

/// As in a container: the file cannot be replaced, only written.
#[test]
fn mounted_resolv_conf_is_restored_in_place() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let generated = "# Generated by gen_resolvconf.py. Do not edit.\nnameserver 198.51.100.1\n";
    // Shorter and longer than what DC/OS writes.
    for text in ["nameserver 192.0.2.9\n".to_owned(), "search example.org\n".repeat(20)] {
        let outside = tempfile::NamedTempFile::new().expect("a file");
        fs::write(outside.path(), &text).expect("write");
        let mounted = Mounted::bind(outside.path(), &image.at("etc/resolv.conf"));
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        fs::write(image.at("etc/resolv.conf"), generated).expect("write");
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        assert_eq!(fs::read_to_string(image.at("etc/resolv.conf")).expect("read"), text);
        drop(mounted);
    }
}

#[test]
fn missing_lock_directory_is_named_with_a_fix() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new().with("TMPDIR", "/not/there"));
    let before = image.tree();
    for command in
        [&["install", "master", "--bootstrap-url", serve.url()][..], &["uninstall"], &["recover"]]
    {
        image.run(command).ends(
            1,
            &[
                &["error:", "lock", "/not/there/"],
                &["state:", "nothing was changed"],
                &["cure:", "/not/there", "TMPDIR"],
            ],
        );
    }
    image.equals(&before);
}

#[test]
fn records_with_future_times_do_not_stop_commands() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    for stamp in ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z"] {
        let live = image.at("opt/mesosphere/etc").display().to_string();
        let fault = format!("kill Rename 1 {live}.new -> {live}");
        let killed = Command::new(env!("CARGO_BIN_EXE_dcos-node"))
            .args(["install", "master", "--bootstrap-url", serve.url(), "--root"])
            .arg(image.path())
            .env("DCOS_NODE_FAULT", fault)
            .output()
            .expect("run");
        assert_eq!(
            killed.status.code(),
            None,
            "it was not killed: {}",
            String::from_utf8_lossy(&killed.stderr)
        );
        stamped(&image.at("var/lib/dcos-node/journal"), stamp);
        image.run(&["status"]).ends(7, &[&["interrupted"]]);
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        stamped(&image.at("var/lib/dcos-node/receipt.json"), stamp);
        image.run(&["status"]).ends(0, &[&["installed:", stamp]]);
        image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        image.equals(&before);
    }
}

/// Gives every moment in a file of ours another time.
fn stamped(file: &Path, stamp: &str) {
    let text = fs::read_to_string(file).expect("a file of ours");
    let year = "\"20";
    let mut changed = String::new();
    let mut times = 0;
    for (at, part) in text.split(year).enumerate() {
        let is_stamp = at > 0
            && part.as_bytes().get(17) == Some(&b'Z')
            && part.as_bytes().get(2) == Some(&b'-');
        match (at, is_stamp) {
            (0, _) => changed.push_str(part),
            (_, true) => {
                times += 1;
                changed.push('"');
                changed.push_str(stamp);
                changed.push_str(&part[18..]);
            }
            (_, false) => {
                changed.push_str(year);
                changed.push_str(part);
            }
        }
    }
    assert!(times > 0, "{} has no moment", file.display());
    fs::write(file, changed).expect("write");
}

#[test]
fn wall_clock_is_used_only_for_time_stamps() {
    // Everything that waits does so by the monotonic clock (`Instant`, `tokio::time`): a wall clock
    // that is set cannot make it end early or never. Of a file that may still be written to,
    // `publish` keeps no stamp.
    let allowed = [
        "command/bundle.rs",
        "command/world.rs",
        "observe/server.rs",
        "output/follow.rs",
        "system/fingerprint.rs",
    ];
    let (src, mut found) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    let mut todo = vec![src.clone()];
    while let Some(place) = todo.pop() {
        if place.is_dir() {
            todo.extend(
                fs::read_dir(&place).expect("list").map(|entry| entry.expect("entry").path()),
            );
            continue;
        }
        let text = fs::read_to_string(&place).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if ["SystemTime::now", "CLOCK_REALTIME", "UtcDateTime::now"]
            .iter()
            .any(|wall| code.contains(wall))
        {
            found.push(place.strip_prefix(&src).expect("below").display().to_string());
        }
    }
    found.sort();
    assert_eq!(found, allowed, "the wall clock is read elsewhere: is it for a stamp only?");
}

#[test]
fn install_without_systemd_is_refused_but_an_image_works() {
    if !node::available() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let machine = Node::switched_off("nosystemd");
    machine.install_binary();
    machine.copy_in(serve.path(), "/srv/build");
    let inside = |command: &[&str]| {
        let chroot = ["--mount", "--pid", "--fork", "--mount-proc", "--root"];
        Said::of(
            Command::new("unshare")
                .args(chroot)
                .arg(machine.root())
                .args(command)
                .output()
                .expect("unshare"),
        )
    };
    let refused =
        inside(&["/usr/local/bin/dcos-node", "install", "master", "--bootstrap-url", "/srv/build"]);
    refused.ends(
        3,
        &[&["error:", "systemd.running"], &["cure:", "--root"], &["state:", "nothing was changed"]],
    );
    assert!(
        !machine.has("/opt/mesosphere")
            && !machine.has("/opt/dcos-node")
            && !machine.has("/var/lib/dcos-node")
    );
    inside(&["/usr/local/bin/dcos-node", "uninstall"]).ends(0, &[&["not installed"]]);
    let image = inside(&[
        "sh",
        "-c",
        "mkdir -p /image/etc && echo systemd-journal:x:101: >/image/etc/group && touch \
         /image/etc/passwd && /usr/local/bin/dcos-node install master --root /image \
         --bootstrap-url /srv/build",
    ]);
    image.ends(0, &[&["done:"]]);
}

/// Units that cannot work: one does not parse, one ends at once again and again until it is given
/// up, one takes its time, and waits for that.
fn with_bad_units() -> Build {
    let unit = |build: Build, name: &str, service: &str| {
        let text = format!("[Unit]\nDescription=tiny: {name}\n\n[Service]\n{service}\n");
        build.with_file(
            "units",
            &format!("dcos.target.wants/dcos-tiny-{name}.service"),
            0o644,
            text,
        )
    };
    let build = unit(Build::tiny(), "relative", "ExecStart=bin/nothing here");
    // At its third try it ends as one that is not tried again: how it stands then does not depend
    // on when it is looked at.
    let third =
        "echo no good >&2; echo >>/run/tries; [ $$(wc -l </run/tries) = 3 ] && exit 1; exit 2";
    let ending = format!(
        "Restart=always\nRestartSec=1\nRestartPreventExitStatus=1\nExecStart=/bin/sh -c '{third}'"
    );
    let build = unit(build, "ending", &ending);
    let given_up =
        "until systemctl is-failed -q dcos-tiny-ending.service; do sleep 0.2; done; sleep 5";
    unit(
        build,
        "slow",
        &format!(
            "TimeoutStartSec=infinity\nExecStartPre=/bin/sh -c '{given_up}'\nExecStart=/bin/sleep \
             infinity"
        ),
    )
}

/// For an install beside which systemd starts itself anew all the time.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn daemon_reexec_is_survived_and_bad_units_show_a_reason() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    with_bad_units().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("outside").knowing(&server);
    node.install_binary();
    let install =
        [&["dcos-node", "install", "master", "--bootstrap-url", server.url()], node::LACKS]
            .concat();
    let reexec = "while [ ! -e /var/lib/dcos-node/receipt.json ]; do systemctl daemon-reexec; \
                  sleep 0.3; done";
    let reexecs = node.start(&["sh", "-c", reexec]);
    let outcome = node.run_within(PATIENCE, &install);
    eprintln!("{outcome}");
    outcome.succeeds();
    reexecs.finish_within(PATIENCE).succeeds();
    outcome
        .succeeds()
        .stdout_has("degraded:")
        .stdout_has("dcos-tiny-relative.service")
        .stdout_has("dcos-tiny-ending.service");
    outcome.stderr_has("help:   dcos-node bundle");
    // Why, in systemd's words and the unit's own; and how to see it where the journal has no more:
    // a systemd that starts itself anew tells the journal nothing.
    outcome
        .stdout_has("bad unit file setting")
        .stdout_has("systemd-analyze verify dcos-tiny-relative.service");
    outcome
        .stdout_has("no good")
        .stdout_has("exited with status 1")
        .stdout_lacks("dcos-tiny-slow.service");
    node.run(&["systemctl", "is-active", "dcos.target", "dcos-tiny-slow.service"]).succeeds();
    node.run(&["systemctl", "daemon-reload"]).succeeds();
    let status = node::eventually(|| {
        let status = node.run(&["dcos-node", "status"]);
        if status.stdout().contains("absolute path") { Ok(status) } else { Err(status.to_string()) }
    });
    eprintln!("{status}");
    status
        .succeeds()
        .stdout_has("dcos-tiny-relative.service")
        .stderr_has("help:   dcos-node bundle");
    node.run(&["dcos-node", "uninstall"]).succeeds();
}
