//! A systemd that refuses, hangs or is gone: each failure ends in a clear error and in a state from
//! which the same command resumes; an uninstall too.

mod bench;

use std::fs;
use std::path::Path;
use std::time::Duration;

use bench::{Bench, Manner};
use dcos_node::command::{bundle, status, wait};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::level::Level;
use dcos_node::observe::residue;
use dcos_node::output::failure;
use dcos_node::output::paint::Paint;
use dcos_node::system::systemd::{Behaviour, Systemd, Unit};

/// Time limit of a wait that ends only because it is interrupted.
const PATIENCE: Duration = Duration::from_secs(600);

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
    let (ended, ()) = tokio::join!(tokio::time::timeout(PATIENCE, wait), async {
        bench.world.cancellation.request()
    });
    let failure = ended.expect("it goes on and on").expect_err("it was interrupted");
    assert_eq!(failure.exit, Exit::Interrupted, "{failure:?}");
}

#[tokio::test]
async fn interrupted_status_ends_during_a_reading() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.install().await.expect("install");
    bench.fails(Some(("ListUnits", Manner::NeverAnswers)));
    let status = status::run(status::Request::default(), &bench.world);
    let (ended, ()) = tokio::join!(tokio::time::timeout(PATIENCE, status), async {
        bench.world.cancellation.request()
    });
    let failure = ended.expect("it goes on and on").expect_err("it was interrupted");
    assert_eq!(failure.exit, Exit::Interrupted, "{failure:?}");
}

#[tokio::test]
async fn interrupted_bundle_ends_and_writes_nothing() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new();
    bench.install().await.expect("install");
    bench.fails(Some(("ListUnits", Manner::NeverAnswers)));
    let directory = tempfile::tempdir().expect("a directory");
    let request = bundle::Request { file: directory.path().to_owned(), units: Vec::new() };
    let bundle = bundle::run(&request, &bench.world);
    // A bundle gives up on each of its parts after a while: the request comes before that.
    let (ended, ()) = tokio::join!(bundle, async { bench.world.cancellation.request() });
    let failure = ended.expect_err("it was interrupted");
    assert_eq!(failure.exit, Exit::Interrupted, "{failure:?}");
    assert_eq!(fs::read_dir(directory.path()).expect("list it").count(), 0);
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
                .filter(|one| one.reason().contains("stops it"))
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
