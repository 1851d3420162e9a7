//! How far a node has come, and what holds it up: judged in the order of DC/OS' own chain, in which each link waits for the one before.

use serde::Serialize;

use super::chain::{self, Link, Obstacle, obstacle};
use super::checks::{self, Checks};
use super::cluster::{self, Cluster};
use super::node::Node;
use super::others;
use super::services::{Condition, UnitReport};
use crate::dcos::cluster::{FailedCheck, Member};
use crate::dcos::layout;
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::system::root::Root;

/// What was seen; what was not looked at, because something before it does not hold, is none.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the node is.
    pub role: Option<Role>,
    /// All files are in their places.
    pub whole: bool,
    /// What DC/OS' check-time would find wrong.
    pub clock_fault: Option<String>,
    /// The units of the role, and the target.
    pub units: Vec<UnitReport>,
    /// Whether the node's own DNS answers.
    pub ready: Option<Result<(), String>>,
    /// What DC/OS' own checks found; none where the build has none.
    pub checks: Option<checks::Found>,
    /// The cluster.
    pub cluster: Option<Cluster>,
}

/// How far the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The highest level that is reached; none for a node that is not whole.
    pub level: Option<Level>,
    /// What holds it up, the first cause first.
    pub obstacles: Vec<Obstacle>,
    /// All masters, as this master's Exhibitor has them, or their ZooKeepers where Exhibitor's word is not worth much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Member>,
}

/// Looks at what is above the units, as far as `wanted` asks for it and what is below holds.
pub async fn look(
    root: &Root,
    node: &Node,
    units: Vec<UnitReport>,
    clock_fault: Option<String>,
    wanted: Level,
    checks: &mut Checks,
) -> Facts {
    let mut facts = Facts { role: node.role(), whole: node.is_whole(), clock_fault, units, ..Facts::default() };
    let Some(role) = facts.role.filter(|_| wanted >= Level::NodeReady && judge(&facts, Level::Started).level == Some(Level::Started))
    else {
        return facts;
    };
    let cluster = async || Cluster::look(root, role, node.version.as_ref()).await;
    // Where no name resolves, each of both takes seconds.
    let wished = async { if wanted >= Level::ClusterReady { Some(cluster().await) } else { None } };
    let (ready, wished) = tokio::join!(cluster::ready(), wished);
    (facts.ready, facts.cluster) = (Some(ready), wished);
    if judge(&facts, Level::NodeReady).level == Some(Level::NodeReady) {
        facts.checks = checks.run(root).await;
    } else if facts.cluster.is_none() {
        // On the way up the masters are what everything waits for.
        facts.cluster = Some(cluster().await);
    }
    facts
}

/// Judges; what `looked` did not ask for is not held against the node, nor counted for it.
pub fn judge(facts: &Facts, looked: Level) -> Readiness {
    let mut obstacles = started(facts);
    if looked >= Level::NodeReady {
        obstacles.extend(node_ready(facts));
    }
    if looked >= Level::ClusterReady {
        let above =
            facts.cluster.iter().flat_map(|cluster| others::cluster_ready(&facts.units, facts.role.unwrap_or(Role::Master), cluster));
        let above: Vec<Obstacle> = above.filter(|o| obstacles.iter().all(|below| below.text != o.text)).collect();
        obstacles.extend(above);
        if facts.cluster.is_none() && obstacles.is_empty() {
            obstacles.push(obstacle(Link::Rest, Level::ClusterReady, None, "the cluster was not looked at"));
        }
    }
    // What is only young is no cause of anything, and who polls for another unit is none beside that one.
    obstacles.sort_by_key(|o| (is_young(facts, o), o.link, is_borrowed(facts, o), is_active(facts, o), o.level));
    let reached = Level::ALL.into_iter().filter(|level| *level <= looked);
    let level = reached.take_while(|level| obstacles.iter().all(|o| o.level > *level)).last();
    let masters = facts.cluster.as_ref().and_then(Cluster::masters).map(|masters| masters.members.clone());
    Readiness { level, obstacles, masters: masters.unwrap_or_default() }
}

/// The unit that an obstacle is about, where it is about how that unit is: it may stand there for another reason, as dcos-net for a name.
fn about<'a>(facts: &'a Facts, obstacle: &Obstacle) -> Option<&'a UnitReport> {
    let unit = facts.units.iter().find(|unit| Some(&unit.name) == obstacle.unit.as_ref())?;
    (unwell(unit).as_ref() == Some(&obstacle.text)).then_some(unit)
}

/// Active for too short a time to be trusted.
fn is_active(facts: &Facts, obstacle: &Obstacle) -> bool {
    about(facts, obstacle).is_some_and(|unit| unit.condition == Condition::Well)
}

/// The same, and not known to have fallen.
fn is_young(facts: &Facts, obstacle: &Obstacle) -> bool {
    about(facts, obstacle).is_some_and(|unit| unit.condition == Condition::Well && !unit.fell)
}

/// Whether a unit stands at its place in the chain only because it waits for what belongs there.
fn is_borrowed(facts: &Facts, obstacle: &Obstacle) -> bool {
    let awaited = |unit: &UnitReport| Link::awaited_by(unit).is_some_and(|link| link == Link::Rest || link != Link::of(&unit.name));
    about(facts, obstacle).is_some_and(awaited)
}

fn started(facts: &Facts) -> Vec<Obstacle> {
    if !facts.whole {
        return vec![obstacle(Link::Install, Level::Unpacked, None, "the install is not finished")];
    }
    match facts.units.iter().find(|u| u.name == layout::TARGET) {
        Some(target) if target.active == "active" => Vec::new(),
        Some(target) => vec![Obstacle {
            cure: (target.active == "inactive").then(|| format!("systemctl start {}", layout::TARGET)),
            ..obstacle(Link::Install, Level::Started, Some(layout::TARGET), format!("the target is {}", target.active))
        }],
        None => vec![obstacle(Link::Install, Level::Started, Some(layout::TARGET), "the target was not looked at")],
    }
}

fn node_ready(facts: &Facts) -> Vec<Obstacle> {
    let level = Level::NodeReady;
    let mut found = Vec::new();
    if let Some(fault) = &facts.clock_fault {
        found.push(obstacle(Link::Clock, level, Some(chain::net(&facts.units)), fault.clone()));
    }
    let mut is_net_well = true;
    for unit in facts.units.iter().filter(|u| u.name != layout::TARGET && !u.auxiliary) {
        if let Some(text) = unwell(unit) {
            let link = Link::awaited_by(unit).unwrap_or(Link::of(&unit.name));
            is_net_well &= Link::of(&unit.name) != Link::Net || unit.condition == Condition::Well;
            found.push(Obstacle { cure: unit.cure.clone(), ..obstacle(link, level, Some(&unit.name), text) });
        }
    }
    // Of a dcos-net that does not run it is no news that it does not answer.
    if let (Some(Err(why)), true) = (&facts.ready, is_net_well) {
        found.push(obstacle(Link::Net, level, Some(chain::net(&facts.units)), why.clone()));
    }
    let role = facts.role.unwrap_or(Role::Master);
    if let Some(cluster) = facts.cluster.as_ref().filter(|_| !found.is_empty()) {
        found.extend(others::awaited(&facts.units, role, cluster));
    }
    match &facts.checks {
        Some(Ok(failed)) => found.extend(failed.iter().map(|check| failed_check(check, role, &facts.units))),
        Some(Err(why)) => found.push(obstacle(Link::Rest, level, None, format!("the node's own checks could not run: {why}"))),
        None => {}
    }
    found
}

fn failed_check(check: &FailedCheck, role: Role, units: &[UnitReport]) -> Obstacle {
    let (link, unit) = chain::of_check(&check.name, role, units);
    obstacle(link, Level::NodeReady, unit, format!("the check {} does not pass: {}", check.name, one_line(&check.output)))
}

fn unwell(unit: &UnitReport) -> Option<String> {
    if unit.is_settled() || unit.condition == Condition::AuxiliaryFailed {
        return None;
    }
    Some(unit.why.clone().unwrap_or_else(|| format!("is {} ({})", unit.active, unit.sub)))
}

fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing").trim();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::cluster::{Ensemble, Metrics};
    use crate::dcos::units;
    use crate::observe::cluster::Answer;

    fn unit(name: &str, condition: Condition, why: Option<&str>) -> UnitReport {
        UnitReport {
            name: name.into(),
            description: String::new(),
            active: "active".into(),
            sub: "running".into(),
            condition,
            steady: condition == Condition::Well,
            fell: false,
            auxiliary: units::is_auxiliary(name, false),
            active_seconds: Some(60),
            restarts: None,
            why: why.map(str::to_owned),
            cure: None,
            log: Vec::new(),
        }
    }

    fn waiting(name: &str, command: &str) -> UnitReport {
        unit(name, Condition::Converging, Some(&format!("waits: /opt/mesosphere/bin/{command} does not succeed yet")))
    }

    fn facts(units: Vec<UnitReport>) -> Facts {
        let all = units.into_iter().chain([unit(layout::TARGET, Condition::Well, None)]).collect();
        Facts { role: Some(Role::Master), whole: true, units: all, ready: Some(Ok(())), ..Facts::default() }
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
        THREE.replacen(r#"3,"description":"serving","hostname":"10.0.0.2"#, r#"1,"description":"down","hostname":"10.0.0.2"#, 1)
    }

    /// Link and unit of each obstacle, in order.
    fn told(facts: &Facts, level: Level) -> Vec<(Link, String)> {
        let name = |unit: Option<String>| unit.unwrap_or_default().trim_end_matches(".service").trim_start_matches("dcos-").to_owned();
        judge(facts, level).obstacles.into_iter().map(|o| (o.link, name(o.unit))).collect()
    }

    #[test]
    fn the_first_cause_is_the_first_link_that_does_not_hold() {
        let mut facts = facts(vec![
            waiting("dcos-cosmos.service", "ping -c1 leader.mesos"),
            waiting("dcos-exhibitor.service", "check-time"),
            waiting("dcos-mesos-master.service", "ping -c1 ready.spartan"),
            waiting("dcos-net.service", "dcos-net-setup modprobe ip_vs_wlc"),
            unit("dcos-marathon.service", Condition::Failed, Some("its program exited with status 1")),
        ]);
        facts.ready = Some(Err("no".into()));
        let expected =
            [(Link::Clock, "exhibitor"), (Link::Net, "net"), (Link::Net, "mesos-master"), (Link::Dns, "cosmos"), (Link::Rest, "marathon")];
        assert_eq!(told(&facts, Level::NodeReady), expected.map(|(link, unit)| (link, unit.to_owned())));
        assert_eq!(judge(&facts, Level::NodeReady).level, Some(Level::Started));
    }

    #[test]
    fn a_silent_name_server_is_told_where_its_unit_is_well() {
        let mut facts = facts(vec![UnitReport {
            steady: false,
            why: Some("is active for only 3 s".into()),
            ..unit("dcos-net.service", Condition::Well, None)
        }]);
        facts.ready = Some(Err("cannot resolve ready.spartan".into()));
        let texts: Vec<String> = judge(&facts, Level::NodeReady).obstacles.into_iter().map(|o| o.text).collect();
        assert_eq!(texts, ["cannot resolve ready.spartan", "is active for only 3 s"]);
    }

    #[test]
    fn before_a_quorum_a_master_waits_for_masters_and_a_ready_node_for_nobody() {
        let none = THREE.replace("\"code\":3", "\"code\":1").replace("true", "false");
        let mut seen = facts(vec![waiting("dcos-mesos-master.service", "bootstrap dcos-mesos-master")]);
        seen.cluster = Some(cluster(&none));
        let first = judge(&seen, Level::NodeReady).obstacles.remove(0);
        assert_eq!((first.link, first.text.as_str()), (Link::Exhibitor, "waiting for masters: 10.0.0.1, 10.0.0.2, 10.0.0.3"));
        assert!(first.cure.unwrap().starts_with("see to the masters that are missing"));
        // Exhibitor of 1.12 has everything wait for all masters, quorum or not.
        seen.cluster = Some(cluster(&without_second()));
        assert_eq!(judge(&seen, Level::NodeReady).obstacles[0].text, "waiting for masters: 10.0.0.2");
        // A program that fails by itself is the cause, whatever another master does.
        let mut broken = facts(vec![unit("dcos-marathon.service", Condition::Failed, Some("its program exited with status 1"))]);
        broken.cluster = Some(cluster(&without_second()));
        assert_eq!(told(&broken, Level::NodeReady), [(Link::Rest, "marathon".to_owned())]);
        let mut ready = facts(Vec::new());
        ready.cluster = Some(cluster(&none));
        assert_eq!(judge(&ready, Level::NodeReady).level, Some(Level::NodeReady));
    }

    #[test]
    fn who_leads_is_asked_where_units_wait_for_a_leader() {
        let mut seen = facts(vec![waiting("dcos-adminrouter-agent.service", "ping -c1 leader.mesos")]);
        seen.role = Some(Role::Slave);
        seen.cluster = Some(Cluster { exhibitor: None, leader: Err("no answer".into()), ..cluster(THREE) });
        assert_eq!(told(&seen, Level::NodeReady), [(Link::Dns, "net".to_owned()), (Link::Dns, "adminrouter-agent".to_owned())]);
    }

    #[test]
    fn a_unit_that_keeps_falling_is_not_ready_although_it_is_active() {
        let young = |name: &str, fell: bool| UnitReport {
            steady: false,
            fell,
            why: Some("is active for only 3 s".into()),
            ..unit(name, Condition::Well, None)
        };
        let seen = facts(vec![young("dcos-a.service", false), young("dcos-b.service", true)]);
        assert_eq!(judge(&seen, Level::NodeReady).level, Some(Level::Started));
        // Also where systemd counts no restarts.
        assert_eq!(told(&seen, Level::NodeReady), [(Link::Rest, "b".to_owned()), (Link::Rest, "a".to_owned())]);
    }

    #[test]
    fn a_failed_telemetry_unit_holds_nothing_up() {
        let facts = facts(vec![
            unit("dcos-signal.service", Condition::AuxiliaryFailed, Some("its program exited with status 1")),
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
                Some("waits: /bin/bash -c test -S /run/dcos/telegraf/dcos_statsd.sock does not succeed yet"),
            ),
            UnitReport { auxiliary: false, ..unit("dcos-telegraf.service", Condition::Failed, Some("its program exited with status 1")) },
        ]);
        seen.role = Some(Role::Slave);
        assert_eq!(told(&seen, Level::NodeReady), [(Link::Rest, "telegraf".to_owned()), (Link::Rest, "mesos-slave".to_owned())]);
    }

    #[test]
    fn a_master_waits_for_masters_by_name() {
        let mut seen = facts(Vec::new());
        seen.cluster = Some(cluster(THREE));
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
        seen.cluster = Some(cluster(&without_second()));
        let readiness = judge(&seen, Level::ClusterReady);
        assert_eq!((readiness.level, readiness.obstacles[0].text.as_str()), (Some(Level::NodeReady), "waiting for masters: 10.0.0.2"));
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
}
