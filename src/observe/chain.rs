//! DC/OS' own chain, in which each link waits for the one before: what comes first in it is the
//! cause of what comes later.

use serde::Serialize;

use super::services::UnitReport;
use crate::dcos::cluster::{LEADER, READY};
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::dcos::units::STATSD_SOCKET;

/// A link in the chain (`docs/systemd-rules.md` of dcos/dcos).
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
    /// What it is about.
    #[serde(skip)]
    pub concern: Concern,
    /// For people, in one line.
    pub text: String,
    /// What to do about it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// What an obstacle is about: two obstacles of one concern are one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Whether the install is finished and the target is active.
    Install,
    /// systemd, which does not answer.
    Systemd,
    /// The clock.
    Clock,
    /// How a unit is, not only what it has to do with.
    Unit(String),
    /// The answer of this node's DNS.
    NameServer,
    /// One of DC/OS' own checks.
    Check(String),
    /// DC/OS' own checks, which could not run.
    CheckRunner,
    /// The masters and how many of them serve.
    Masters,
    /// The leading master.
    Leader,
    /// Mesos on this node.
    Mesos,
    /// Admin Router on this node.
    AdminRouter,
    /// The cluster, which was not looked at.
    Cluster,
}

impl Obstacle {
    /// Whether the role is down and nothing starts it.
    pub fn is_stopped(&self) -> bool {
        self.link == Link::Install && self.cure.is_some()
    }
}

/// An obstacle for which no fix is known.
pub fn obstacle(
    concern: Concern,
    link: Link,
    level: Level,
    unit: Option<&str>,
    text: impl Into<String>,
) -> Obstacle {
    Obstacle { link, level, unit: unit.map(str::to_owned), concern, text: text.into(), cure: None }
}

/// What Marathon's leader is called, which Admin Router waits for.
const MARATHON: &str = "marathon.mesos";

impl Link {
    /// Where a unit stands in the chain by its name.
    pub(super) fn of(name: &str) -> Link {
        match name.split('.').next().unwrap_or_default() {
            "dcos-net"
            | "dcos-net-watchdog"
            | "dcos-spartan"
            | "dcos-navstar"
            | "dcos-gen-resolvconf" => Link::Net,
            "dcos-exhibitor" => Link::Exhibitor,
            "dcos-mesos-master" => Link::MesosMaster,
            "dcos-mesos-dns" => Link::Dns,
            _ => Link::Rest,
        }
    }

    /// The link that a unit polls for in vain, by the command that fails; none for a unit that
    /// waits for nobody.
    pub(super) fn awaited_by(unit: &UnitReport) -> Option<Link> {
        let why = unit.why.as_ref()?;
        let names = [
            ("check-time", Link::Clock),
            (READY, Link::Net),
            (LEADER, Link::Dns),
            (MARATHON, Link::Dns),
            // What telegraf makes: the agent is not the one to look at.
            (STATSD_SOCKET, Link::Rest),
        ];
        names.into_iter().find(|(name, _)| why.waits_for(name)).map(|(_, link)| link)
    }
}

/// The unit that answers for this node's DNS, which everything waits for.
const NET: &str = "dcos-net.service";
/// The same in 1.10.
const SPARTAN: &str = "dcos-spartan.service";
/// The unit that knows who leads, on a master.
pub(super) const MESOS_DNS: &str = "dcos-mesos-dns.service";
/// The unit that runs Mesos on a master.
pub(super) const MESOS_MASTER: &str = "dcos-mesos-master.service";

/// Who answers for this node's DNS, of the units that it has.
pub(super) fn net(units: &[UnitReport]) -> &'static str {
    if units.iter().any(|unit| unit.name == SPARTAN) { SPARTAN } else { NET }
}

/// Who answers for `leader.mesos`: on an agent its own DNS, which asks the masters.
pub(super) fn leader(role: Role, units: &[UnitReport]) -> &'static str {
    if role == Role::Master { MESOS_DNS } else { net(units) }
}

/// The unit of Mesos.
pub(super) fn mesos(role: Role) -> &'static str {
    match role {
        Role::Master => MESOS_MASTER,
        Role::Slave => "dcos-mesos-slave.service",
        Role::SlavePublic => "dcos-mesos-slave-public.service",
    }
}

/// The unit of Admin Router.
pub(super) fn admin_router(role: Role) -> &'static str {
    if role == Role::Master { "dcos-adminrouter.service" } else { "dcos-adminrouter-agent.service" }
}

/// The link and the unit that a check of DC/OS' own is about, where it is about one
/// (`gen/calc.py`).
pub(super) fn of_check(
    name: &str,
    role: Role,
    units: &[UnitReport],
) -> (Link, Option<&'static str>) {
    match name {
        "clock_sync" => (Link::Clock, Some(net(units))),
        "mesos_master_replog_synchronized" => (Link::MesosMaster, Some(MESOS_MASTER)),
        "mesos_agent_registered_with_masters" => (Link::Rest, Some(mesos(role))),
        "cockroachdb_replication" => (Link::Rest, Some("dcos-cockroach.service")),
        _ => (Link::Rest, None),
    }
}
