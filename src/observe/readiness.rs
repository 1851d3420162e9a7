//! How far a node has come, and what holds it up: judged in the order of DC/OS' own chain, in which each link waits for the one before.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::cluster::{self, Answer, Cluster};
use super::node::Node;
use super::services::{Condition, UnitReport};
use crate::dcos::cluster::{FailedCheck, LEADER, Member, Mode, failed_checks};
use crate::dcos::layout;
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::dcos::units;
use crate::system::process;
use crate::system::root::Root;

/// The checks of a node with dozens of units take long on a busy one (`components`, 30 s).
const CHECKS_LIMIT: Duration = Duration::from_secs(90);

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
    pub checks: Option<Result<Vec<FailedCheck>, String>>,
    /// The cluster.
    pub cluster: Option<Cluster>,
}

/// A link in the chain (`docs/systemd-rules.md` of dcos/dcos): what comes first is the cause of what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Files and target.
    Install,
    /// check-time.
    Clock,
    /// dcos-net, which answers `ready.spartan`.
    Net,
    /// Exhibitor, and the masters that it waits for.
    Exhibitor,
    /// mesos-master.
    MesosMaster,
    /// mesos-dns, which knows `leader.mesos`.
    Dns,
    /// Everything that waits for these.
    Rest,
}

/// Something that holds the node up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// Where in the chain.
    pub link: Link,
    /// The level that is not reached because of it.
    pub level: Level,
    /// The unit, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// For people, in one line.
    pub text: String,
}

/// How far the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The highest level that is reached; none for a node that is not whole.
    pub level: Option<Level>,
    /// What holds it up, the first cause first.
    pub obstacles: Vec<Obstacle>,
    /// All masters, as this master's Exhibitor has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Member>,
}

/// Looks at what is above the units, as far as `wanted` asks for it and what is below holds.
pub async fn look(root: &Root, node: &Node, units: Vec<UnitReport>, clock_fault: Option<String>, wanted: Level) -> Facts {
    let mut facts = Facts { role: node.role(), whole: node.is_whole(), clock_fault, units, ..Facts::default() };
    let Some(role) = facts.role.filter(|_| wanted >= Level::NodeReady && judge(&facts, Level::Started).level == Some(Level::Started))
    else {
        return facts;
    };
    facts.ready = Some(cluster::ready().await);
    if judge(&facts, Level::NodeReady).level == Some(Level::NodeReady) {
        facts.checks = checks(root).await;
    }
    // Also while the node is not ready: on the way up the masters are what everything waits for.
    if wanted >= Level::ClusterReady || role == Role::Master {
        facts.cluster = Some(Cluster::look(root, role, node.version.as_ref()).await);
    }
    facts
}

/// DC/OS' own poststart checks; none where there is no runner.
async fn checks(root: &Root) -> Option<Result<Vec<FailedCheck>, String>> {
    let program = layout::CHECK_RUNNERS.iter().map(|path| root.resolved(path)).find(|path| path.is_file())?;
    let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let command = process::Command {
        program: program.clone(),
        args: ["check", "node-poststart"].map(OsString::from).to_vec(),
        env: vec![set("PATH", layout::PROGRAM_PATH), set("LD_LIBRARY_PATH", layout::LIBRARIES)],
    };
    Some(match process::run(&command, CHECKS_LIMIT).await {
        Ok(output) => failed_checks(&output.stdout.bytes).map_err(|why| format!("{}: {why}", name_of(&program))),
        Err(error) => Err(error.to_string()),
    })
}

fn name_of(program: &Path) -> String {
    program.file_name().map_or_else(|| PathBuf::from(program), PathBuf::from).display().to_string()
}

/// Judges; what `looked` did not ask for is not held against the node, nor counted for it.
pub fn judge(facts: &Facts, looked: Level) -> Readiness {
    let mut obstacles = started(facts);
    if looked >= Level::NodeReady {
        obstacles.extend(node_ready(facts));
    }
    if looked >= Level::ClusterReady {
        obstacles.extend(facts.cluster.iter().flat_map(|cluster| cluster_ready(facts, cluster)));
        if facts.cluster.is_none() && obstacles.is_empty() {
            obstacles.push(obstacle(Link::Rest, Level::ClusterReady, None, "the cluster was not looked at"));
        }
    }
    // A unit that is only young is no cause of anything: it is told if there is nothing else.
    obstacles.sort_by_key(|o| (is_young(facts, o), o.link, o.level));
    let reached = Level::ALL.into_iter().filter(|level| *level <= looked);
    let level = reached.take_while(|level| obstacles.iter().all(|o| o.level > *level)).last();
    let told = facts.cluster.as_ref().and_then(|c| c.exhibitor.as_ref()).and_then(Answer::told);
    Readiness { level, obstacles, masters: told.map(|e| e.members.clone()).unwrap_or_default() }
}

/// Active for too short a time to be trusted, and not known to have fallen.
fn is_young(facts: &Facts, obstacle: &Obstacle) -> bool {
    let unit = facts.units.iter().find(|unit| Some(&unit.name) == obstacle.unit.as_ref());
    // The same unit may stand here for another reason: dcos-net, for a name that it does not answer.
    unit.is_some_and(|u| u.condition == Condition::Well && u.restarts.unwrap_or(0) == 0 && unwell(u).as_ref() == Some(&obstacle.text))
}

fn obstacle(link: Link, level: Level, unit: Option<&str>, text: impl Into<String>) -> Obstacle {
    Obstacle { link, level, unit: unit.map(str::to_owned), text: text.into() }
}

fn started(facts: &Facts) -> Vec<Obstacle> {
    if !facts.whole {
        return vec![obstacle(Link::Install, Level::Unpacked, None, "the install is not finished")];
    }
    match facts.units.iter().find(|u| u.name == layout::TARGET) {
        Some(target) if target.active == "active" => Vec::new(),
        Some(target) => vec![obstacle(Link::Install, Level::Started, Some(layout::TARGET), format!("the target is {}", target.active))],
        None => vec![obstacle(Link::Install, Level::Started, Some(layout::TARGET), "the target was not looked at")],
    }
}

fn node_ready(facts: &Facts) -> Vec<Obstacle> {
    let level = Level::NodeReady;
    let mut found = Vec::new();
    if let Some(fault) = &facts.clock_fault {
        found.push(obstacle(Link::Clock, level, None, fault.clone()));
    }
    if let Some(Err(why)) = &facts.ready {
        found.push(obstacle(Link::Net, level, Some("dcos-net.service"), why.clone()));
    }
    for unit in facts.units.iter().filter(|u| u.name != layout::TARGET && !units::is_auxiliary(&u.name)) {
        if let Some(text) = unwell(unit) {
            found.push(obstacle(link_of(unit), level, Some(&unit.name), text));
        }
    }
    match &facts.checks {
        Some(Ok(failed)) => {
            let text = |check: &FailedCheck| format!("the check {} does not pass: {}", check.name, one_line(&check.output));
            found.extend(failed.iter().map(|check| obstacle(Link::Rest, level, None, text(check))));
        }
        Some(Err(why)) => found.push(obstacle(Link::Rest, level, None, format!("the node's own checks could not run: {why}"))),
        None => {}
    }
    found
}

fn unwell(unit: &UnitReport) -> Option<String> {
    match (unit.condition, unit.steady) {
        (Condition::Well, true) | (Condition::AuxiliaryFailed, _) => None,
        (Condition::Well, false) => {
            let seconds = unit.active_seconds.unwrap_or_default();
            let again = unit.restarts.filter(|n| *n > 0).map(|n| format!(", and was restarted {n} times")).unwrap_or_default();
            Some(format!("is active for only {seconds} s{again}"))
        }
        _ => Some(unit.why.clone().unwrap_or_else(|| format!("is {} ({})", unit.active, unit.sub))),
    }
}

/// By what a unit is, unless it fails in check-time itself.
fn link_of(unit: &UnitReport) -> Link {
    if unit.why.as_ref().is_some_and(|why| why.contains("check-time")) {
        return Link::Clock;
    }
    match unit.name.split('.').next().unwrap_or_default() {
        "dcos-net" | "dcos-net-watchdog" | "dcos-spartan" | "dcos-navstar" | "dcos-gen-resolvconf" => Link::Net,
        "dcos-exhibitor" => Link::Exhibitor,
        "dcos-mesos-master" => Link::MesosMaster,
        "dcos-mesos-dns" => Link::Dns,
        _ => Link::Rest,
    }
}

fn cluster_ready(facts: &Facts, cluster: &Cluster) -> Vec<Obstacle> {
    let level = Level::ClusterReady;
    let mut found = Vec::new();
    let mut add = |link, unit, text: String| found.push(obstacle(link, level, unit, text));
    if facts.role == Some(Role::Master) {
        if let Some(text) = ensemble(cluster) {
            add(Link::Exhibitor, Some("dcos-exhibitor.service"), text);
        }
        match &cluster.mesos {
            Answer::Silent(why) => add(Link::MesosMaster, Some("dcos-mesos-master.service"), why.clone()),
            Answer::Told(metrics) if !metrics.is("registrar/log/recovered") => {
                add(Link::MesosMaster, Some("dcos-mesos-master.service"), "the registry of the masters is not recovered yet".into());
            }
            _ => {}
        }
    } else {
        match &cluster.mesos {
            Answer::Silent(why) => add(Link::Rest, None, why.clone()),
            Answer::Told(metrics) if !metrics.is("slave/registered") => {
                add(Link::Rest, None, "this agent is not registered with the masters yet".into());
            }
            _ => {}
        }
    }
    if let Err(why) = &cluster.leader {
        add(Link::Dns, None, format!("no master leads, as far as this node can tell ({LEADER}): {why}"));
    }
    if let Some(why) = cluster.admin_router.silence() {
        add(Link::Rest, None, format!("Admin Router does not answer: {why}"));
    }
    found
}

/// What keeps the masters from being one cluster. ZooKeeper's own word counts where it was asked for.
fn ensemble(cluster: &Cluster) -> Option<String> {
    if !cluster.zookeepers.is_empty() {
        let missing: BTreeSet<&str> = cluster.zookeepers.iter().filter(|k| k.mode.is_none()).map(|k| k.host.as_str()).collect();
        let leaders = cluster.zookeepers.iter().filter(|k| matches!(k.mode, Some(Mode::Leader | Mode::Standalone))).count();
        return waiting_for(missing.iter().map(ToString::to_string).collect(), leaders);
    }
    match cluster.exhibitor.as_ref()? {
        Answer::Locked => None,
        Answer::Silent(why) => Some(why.clone()),
        Answer::Told(ensemble) => {
            let expected = cluster.masters.unwrap_or(ensemble.members.len());
            if ensemble.is_converged(expected) {
                return None;
            }
            if ensemble.missing().is_empty() && ensemble.members.len() < expected {
                return Some(format!("waiting for masters: Exhibitor knows {} of {expected}", ensemble.members.len()));
            }
            waiting_for(ensemble.missing(), ensemble.leaders())
        }
    }
}

fn waiting_for(missing: Vec<String>, leaders: usize) -> Option<String> {
    match (missing.is_empty(), leaders) {
        (false, _) => Some(format!("waiting for masters: {}", missing.join(", "))),
        (true, 1) => None,
        (true, n) => Some(format!("{n} of the masters lead; it should be one")),
    }
}

fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing").trim();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::cluster::{Ensemble, Metrics};
    use crate::observe::cluster::Keeper;

    fn unit(name: &str, condition: Condition, why: Option<&str>) -> UnitReport {
        UnitReport {
            name: name.into(),
            description: String::new(),
            active: "active".into(),
            sub: "running".into(),
            condition,
            steady: condition == Condition::Well,
            active_seconds: Some(60),
            restarts: None,
            why: why.map(str::to_owned),
            log: Vec::new(),
        }
    }

    fn facts(units: Vec<UnitReport>) -> Facts {
        let all = units.into_iter().chain([unit(layout::TARGET, Condition::Well, None)]).collect();
        Facts { role: Some(Role::Master), whole: true, units: all, ready: Some(Ok(())), ..Facts::default() }
    }

    fn cluster(states: &str) -> Cluster {
        Cluster {
            address: [10, 0, 0, 1].into(),
            masters: Some(3),
            exhibitor: Some(Answer::Told(Ensemble::parse(states.as_bytes()).unwrap())),
            zookeepers: Vec::new(),
            mesos: Answer::Told(Metrics::parse(br#"{"registrar/log/recovered":1.0}"#).unwrap()),
            leader: Ok([10, 0, 0, 1].into()),
            admin_router: Answer::Locked,
        }
    }

    const THREE: &str = r#"[{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true},
        {"code":3,"description":"serving","hostname":"10.0.0.2","isLeader":false},
        {"code":3,"description":"serving","hostname":"10.0.0.3","isLeader":false}]"#;

    #[test]
    fn the_first_cause_is_the_first_link_that_does_not_hold() {
        let mut facts = facts(vec![
            unit("dcos-marathon.service", Condition::Converging, Some("waits: /bin/ping -c1 leader.mesos does not succeed yet")),
            unit("dcos-exhibitor.service", Condition::Converging, Some("waits: /opt/mesosphere/bin/check-time does not succeed yet")),
            unit("dcos-net.service", Condition::Converging, Some("is starting")),
        ]);
        facts.ready = Some(Err("no".into()));
        let links: Vec<Link> = judge(&facts, Level::NodeReady).obstacles.iter().map(|o| o.link).collect();
        assert_eq!(links, [Link::Clock, Link::Net, Link::Net, Link::Rest]);
        assert_eq!(judge(&facts, Level::NodeReady).level, Some(Level::Started));
    }

    #[test]
    fn a_unit_that_keeps_falling_is_not_ready_although_it_is_active() {
        let falling =
            UnitReport { steady: false, active_seconds: Some(3), restarts: Some(14), ..unit("dcos-x.service", Condition::Well, None) };
        let readiness = judge(&facts(vec![falling]), Level::NodeReady);
        assert_eq!(readiness.level, Some(Level::Started));
        assert_eq!(readiness.obstacles[0].text, "is active for only 3 s, and was restarted 14 times");
    }

    #[test]
    fn a_failed_telemetry_unit_holds_nothing_up() {
        let facts = facts(vec![unit("dcos-signal.service", Condition::AuxiliaryFailed, Some("its program exited with status 1"))]);
        assert_eq!(judge(&facts, Level::NodeReady).level, Some(Level::NodeReady));
    }

    #[test]
    fn a_master_waits_for_masters_by_name() {
        let mut seen = facts(Vec::new());
        seen.cluster = Some(cluster(THREE));
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
        seen.cluster = Some(cluster(&THREE.replacen(
            r#"3,"description":"serving","hostname":"10.0.0.2"#,
            r#"1,"description":"down","hostname":"10.0.0.2"#,
            1,
        )));
        let readiness = judge(&seen, Level::ClusterReady);
        assert_eq!((readiness.level, readiness.obstacles[0].text.as_str()), (Some(Level::NodeReady), "waiting for masters: 10.0.0.2"));
    }

    #[test]
    fn where_exhibitor_may_lie_zookeeper_is_believed() {
        let mut seen = facts(Vec::new());
        let keeper = |host: &str, mode| Keeper { host: host.into(), mode };
        let mut liar = cluster(&THREE.replace("\"code\":3", "\"code\":1"));
        liar.zookeepers = vec![keeper("10.0.0.1", Some(Mode::Leader)), keeper("10.0.0.2", Some(Mode::Follower))];
        seen.cluster = Some(liar.clone());
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
        liar.zookeepers[1].mode = None;
        seen.cluster = Some(liar);
        assert_eq!(judge(&seen, Level::ClusterReady).obstacles[0].text, "waiting for masters: 10.0.0.2");
    }

    #[test]
    fn an_agent_is_ready_when_it_is_registered() {
        let mut seen = Facts { role: Some(Role::Slave), ..facts(Vec::new()) };
        let mut here = Cluster { exhibitor: None, ..cluster(THREE) };
        here.mesos = Answer::Told(Metrics::parse(br#"{"slave/registered":0.0}"#).unwrap());
        seen.cluster = Some(here.clone());
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::NodeReady));
        here.mesos = Answer::Told(Metrics::parse(br#"{"slave/registered":1.0}"#).unwrap());
        seen.cluster = Some(here.clone());
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
        // In a strict security mode Mesos asks for a token: it lives, and more cannot be known.
        here.mesos = Answer::Locked;
        seen.cluster = Some(here);
        assert_eq!(judge(&seen, Level::ClusterReady).level, Some(Level::ClusterReady));
    }
}
