use super::*;
use crate::dcos::cluster::{Ensemble, Metrics};
use crate::dcos::units;
use crate::observe::cause::{CommandLine, Fell};
use crate::observe::cluster::Answer;

fn unit(name: &str, condition: Condition, why: Option<Cause>) -> UnitReport {
    UnitReport {
        condition,
        steady: condition == Condition::Well,
        auxiliary: units::is_auxiliary(name, false),
        active_seconds: Some(60),
        why,
        ..UnitReport::of(name)
    }
}

fn waiting(name: &str, command: &str) -> UnitReport {
    unit(name, Condition::Converging, Some(polls(&format!("/opt/mesosphere/bin/{command}"))))
}

fn polls(command: &str) -> Cause {
    Cause::Polls(CommandLine(command.split(' ').map(str::to_owned).collect()))
}

fn exited() -> Option<Cause> {
    Some(Cause::Ended { result: "exit-code".into(), status: 1 })
}

fn young(fell: bool) -> Option<Cause> {
    let fell = fell.then_some(Fell { restarts: None, needed: None });
    Some(Cause::Young(3, fell))
}

fn facts(units: Vec<UnitReport>) -> Facts {
    let all = units.into_iter().chain([unit(layout::TARGET, Condition::Well, None)]).collect();
    Facts {
        role: Some(Role::Master),
        whole: true,
        units: all,
        ready: Some(Ok(())),
        ..Facts::default()
    }
}

fn cluster(states: &str) -> Cluster {
    Cluster {
        address: [10, 0, 0, 1].into(),
        expected: Some(3),
        exhibitor: Some(Answer::Told(Ensemble::parse(states.as_bytes()).unwrap())),
        exhibitor_may_lie: false,
        zookeepers: None,
        mesos: Answer::Told(Metrics::parse(br#"{"registrar/log/recovered":1.0}"#).unwrap()),
        leader: Ok([10, 0, 0, 1].into()),
        admin_router: Answer::Locked,
    }
}

const THREE: &str = r#"[{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true},
    {"code":3,"description":"serving","hostname":"10.0.0.2","isLeader":false},
    {"code":3,"description":"serving","hostname":"10.0.0.3","isLeader":false}]"#;

fn without_second() -> String {
    THREE.replacen(
        r#"3,"description":"serving","hostname":"10.0.0.2"#,
        r#"1,"description":"down","hostname":"10.0.0.2"#,
        1,
    )
}

/// Link and unit of each obstacle, in order.
fn told(facts: &Facts, level: Level) -> Vec<(Link, String)> {
    let name = |unit: Option<String>| {
        unit.unwrap_or_default().trim_end_matches(".service").trim_start_matches("dcos-").to_owned()
    };
    judge(facts, level).obstacles.into_iter().map(|o| (o.link, name(o.unit))).collect()
}

#[test]
fn first_cause_is_the_first_broken_dependency() {
    let mut facts = facts(vec![
        waiting("dcos-cosmos.service", "ping -c1 leader.mesos"),
        waiting("dcos-exhibitor.service", "check-time"),
        waiting("dcos-mesos-master.service", "ping -c1 ready.spartan"),
        waiting("dcos-net.service", "dcos-net-setup modprobe ip_vs_wlc"),
        unit("dcos-marathon.service", Condition::Failed, exited()),
    ]);
    facts.ready = Some(Err("no".into()));
    let expected = [
        (Link::Clock, "exhibitor"),
        (Link::Net, "net"),
        (Link::Net, "mesos-master"),
        (Link::Dns, "cosmos"),
        (Link::Rest, "marathon"),
    ];
    assert_eq!(
        told(&facts, Level::NodeReady),
        expected.map(|(link, unit)| (link, unit.to_owned()))
    );
    assert_eq!(judge(&facts, Level::NodeReady).level, Some(Level::Started));
}

#[test]
fn silent_name_server_is_reported_if_its_unit_is_healthy() {
    let mut facts = facts(vec![UnitReport {
        steady: false,
        why: young(false),
        ..unit("dcos-net.service", Condition::Well, None)
    }]);
    facts.ready = Some(Err("cannot resolve ready.spartan".into()));
    let texts: Vec<String> =
        judge(&facts, Level::NodeReady).obstacles.into_iter().map(|o| o.text).collect();
    assert_eq!(texts, ["cannot resolve ready.spartan", "is active for only 3 s"]);
}

#[test]
fn master_without_quorum_waits_for_other_masters() {
    let none = THREE.replace("\"code\":3", "\"code\":1").replace("true", "false");
    let mut seen = facts(vec![waiting("dcos-mesos-master.service", "bootstrap dcos-mesos-master")]);
    seen.cluster = Some(cluster(&none));
    let first = judge(&seen, Level::NodeReady).obstacles.remove(0);
    assert_eq!(
        (first.link, first.text.as_str()),
        (Link::Exhibitor, "waiting for masters: 10.0.0.1, 10.0.0.2, 10.0.0.3")
    );
    assert!(first.cure.unwrap().starts_with("see to the masters that are missing"));
    // Exhibitor of 1.12 has everything wait for all masters, quorum or not.
    seen.cluster = Some(cluster(&without_second()));
    assert_eq!(judge(&seen, Level::NodeReady).obstacles[0].text, "waiting for masters: 10.0.0.2");
    // A program that fails by itself is the cause, whatever another master does.
    let mut broken = facts(vec![unit("dcos-marathon.service", Condition::Failed, exited())]);
    broken.cluster = Some(cluster(&without_second()));
    assert_eq!(told(&broken, Level::NodeReady), [(Link::Rest, "marathon".to_owned())]);
    let mut ready = facts(Vec::new());
    ready.cluster = Some(cluster(&none));
    assert_eq!(judge(&ready, Level::NodeReady).level, Some(Level::NodeReady));
}

#[test]
fn leader_is_queried_if_units_wait_for_one() {
    let mut seen = facts(vec![waiting("dcos-adminrouter-agent.service", "ping -c1 leader.mesos")]);
    seen.role = Some(Role::Slave);
    seen.cluster =
        Some(Cluster { exhibitor: None, leader: Err("no answer".into()), ..cluster(THREE) });
    assert_eq!(
        told(&seen, Level::NodeReady),
        [(Link::Dns, "net".to_owned()), (Link::Dns, "adminrouter-agent".to_owned())]
    );
}

#[test]
fn unit_whose_error_names_a_link_does_not_wait_for_it() {
    let error = Cause::UnitFileRejected("Unknown command leader.mesos /bootstrap x".into());
    let mut seen = facts(vec![unit("dcos-cosmos.service", Condition::Failed, Some(error))]);
    seen.cluster = Some(Cluster { leader: Err("no answer".into()), ..cluster(&without_second()) });
    assert_eq!(told(&seen, Level::NodeReady), [(Link::Rest, "cosmos".to_owned())]);
}

#[test]
fn unit_that_keeps_failing_is_not_ready_while_active() {
    let report = |name: &str, fell: bool| UnitReport {
        steady: false,
        fell,
        why: young(fell),
        ..unit(name, Condition::Well, None)
    };
    let seen = facts(vec![report("dcos-a.service", false), report("dcos-b.service", true)]);
    assert_eq!(judge(&seen, Level::NodeReady).level, Some(Level::Started));
    // Also where systemd counts no restarts.
    assert_eq!(
        told(&seen, Level::NodeReady),
        [(Link::Rest, "b".to_owned()), (Link::Rest, "a".to_owned())]
    );
}

#[test]
fn a_failed_telemetry_unit_holds_nothing_up() {
    let facts = facts(vec![
        unit("dcos-signal.service", Condition::AuxiliaryFailed, exited()),
        waiting("dcos-telegraf.service", "ping -c1 leader.mesos"),
    ]);
    assert_eq!(judge(&facts, Level::NodeReady).level, Some(Level::NodeReady));
}

#[test]
fn the_agent_that_waits_for_telegraf_is_not_the_cause() {
    let mut seen = facts(vec![
        unit(
            "dcos-mesos-slave.service",
            Condition::Converging,
            Some(polls("/bin/bash -c test -S /run/dcos/telegraf/dcos_statsd.sock")),
        ),
        UnitReport {
            auxiliary: false,
            ..unit("dcos-telegraf.service", Condition::Failed, exited())
        },
    ]);
    seen.role = Some(Role::Slave);
    assert_eq!(
        told(&seen, Level::NodeReady),
        [(Link::Rest, "telegraf".to_owned()), (Link::Rest, "mesos-slave".to_owned())]
    );
}

#[test]
fn a_master_waits_for_masters_by_name() {
    let mut seen = facts(Vec::new());
    seen.cluster = Some(cluster(THREE));
    assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
    seen.cluster = Some(cluster(&without_second()));
    let readiness = judge(&seen, Level::ClusterReady);
    assert_eq!(
        (readiness.level, readiness.obstacles[0].text.as_str()),
        (Some(Level::NodeReady), "waiting for masters: 10.0.0.2")
    );
}

#[test]
fn an_agent_is_ready_when_it_is_registered() {
    let mut seen = Facts { role: Some(Role::Slave), ..facts(Vec::new()) };
    let mut here = Cluster { exhibitor: None, ..cluster(THREE) };
    here.mesos = Answer::Told(Metrics::parse(br#"{"slave/registered":0.0}"#).unwrap());
    seen.cluster = Some(here.clone());
    assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::NodeReady));
    assert_eq!(told(&seen, Level::ClusterReady), [(Link::Rest, "mesos-slave".to_owned())]);
    here.mesos = Answer::Told(Metrics::parse(br#"{"slave/registered":1.0}"#).unwrap());
    seen.cluster = Some(here.clone());
    assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
    // In a strict security mode Mesos asks for a token: it lives, and more cannot be known.
    here.mesos = Answer::Locked;
    seen.cluster = Some(here);
    assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
}
