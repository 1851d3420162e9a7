//! What holds a node up that other nodes have to bring: the masters, one that leads, a place in the
//! cluster.

use super::chain::{self, Concern, Link, Obstacle, obstacle};
use super::cluster::{Answer, Cluster, Disunion};
use super::services::UnitReport;
use crate::dcos::cluster::LEADER;
use crate::dcos::level::Level;
use crate::dcos::role::Role;
use crate::dcos::units::EXHIBITOR;

/// What units of this node wait for, and other nodes have to bring: masters, and one that leads. Of
/// a node whose units wait for nobody it is no part: what runs there is not held up by others.
pub(super) fn awaited(units: &[UnitReport], role: Role, cluster: &Cluster) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let causes = || units.iter().filter_map(|unit| unit.why.as_ref());
    let has_quorum = cluster.masters().is_some_and(|masters| masters.has_quorum());
    if !has_quorum || causes().any(|cause| cause.waits_in(BOOTSTRAP)) {
        found.extend(disunion(cluster, Level::NodeReady));
    }
    if causes().any(|cause| cause.waits_for(LEADER)) {
        found.extend(leaderless(units, role, cluster, Level::NodeReady));
    }
    found
}

/// The program in `ExecStartPre` that waits for the masters (`packages/bootstrap`).
const BOOTSTRAP: &str = "bootstrap";

fn disunion(cluster: &Cluster, level: Level) -> Option<Obstacle> {
    let disunion = cluster.disunion()?;
    let told = "see to the masters that are missing; until most of them serve, no other part of \
                DC/OS can start";
    // What this node's own Exhibitor lacks is in its own log.
    let lacks_masters = matches!(disunion, Disunion::Missing(_) | Disunion::Fewer { .. });
    Some(Obstacle {
        cure: lacks_masters.then(|| told.to_owned()),
        ..obstacle(Concern::Masters, Link::Exhibitor, level, Some(EXHIBITOR), disunion.to_string())
    })
}

fn leaderless(
    units: &[UnitReport],
    role: Role,
    cluster: &Cluster,
    level: Level,
) -> Option<Obstacle> {
    let why = cluster.leader.as_ref().err()?;
    let text = format!("no master leads, as far as this node can tell ({LEADER}): {why}");
    Some(obstacle(Concern::Leader, Link::Dns, level, Some(chain::leader(role, units)), text))
}

/// What keeps a node from being one of its cluster.
pub(super) fn cluster_ready(units: &[UnitReport], role: Role, cluster: &Cluster) -> Vec<Obstacle> {
    let level = Level::ClusterReady;
    let mesos = |text: String| {
        let link = if role == Role::Master { Link::MesosMaster } else { Link::Rest };
        obstacle(Concern::Mesos, link, level, Some(chain::mesos(role)), text)
    };
    let joined = match role {
        Role::Master => {
            ("registrar/log/recovered", "the registry of the masters is not recovered yet")
        }
        Role::Slave | Role::SlavePublic => {
            ("slave/registered", "this agent is not registered with the masters yet")
        }
    };
    let mut found: Vec<Obstacle> = disunion(cluster, level).into_iter().collect();
    match &cluster.mesos {
        Answer::Silent(why) => found.push(mesos(why.to_string())),
        Answer::Told(metrics) if !metrics.is(joined.0) => found.push(mesos(joined.1.into())),
        _ => {}
    }
    found.extend(leaderless(units, role, cluster, level));
    if let Some(why) = cluster.admin_router.silence() {
        found.push(obstacle(
            Concern::AdminRouter,
            Link::Rest,
            level,
            Some(chain::admin_router(role)),
            format!("Admin Router does not answer: {why}"),
        ));
    }
    found
}
