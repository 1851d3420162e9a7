//! What a Mesos agent on this node runs, by itself and by the leading master.

use std::net::{IpAddr, SocketAddr};

use super::cluster::{self, Answer, BEFORE_GOING};
use crate::dcos::cluster::{MESOS_AGENT_PORT, MESOS_MASTER_PORT};
use crate::dcos::layout;
use crate::dcos::work::{
    AGENT_STATE, MASTER_AGENTS, REGISTERED, TASK_COUNTS, Work, is_listed, is_registered,
};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// Longest answer that is read: the state of an agent tells of finished tasks too.
const LONGEST: u64 = 64 << 20;

/// The agent of this node.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its id, by itself or by what it keeps; none before it was registered.
    pub id: Option<String>,
    /// Whether the masters count on it: the leader's word, else its own; none if neither can be
    /// had.
    pub registered: Option<bool>,
    /// What it runs.
    pub work: Answer<Work>,
}

/// Asks the agent, and the leading master about it.
pub async fn look(root: &Root) -> Agent {
    let address = cluster::address(root);
    let state = format!("{}{AGENT_STATE}", SocketAddr::new(address, MESOS_AGENT_PORT));
    let (state, metrics, leader) = tokio::join!(
        cluster::ask_either(&state, LONGEST, BEFORE_GOING, Work::parse),
        cluster::mesos(address, false, BEFORE_GOING),
        cluster::leader()
    );
    let counted = || {
        metrics.told().map(|metrics| Work { tasks: metrics.count(&TASK_COUNTS), ..Work::default() })
    };
    let work = match (state, counted()) {
        (Answer::Told(work), _) | (_, Some(work)) => Answer::Told(work),
        (silent, None) => silent,
    };
    let id = work.told().and_then(|work| work.id.clone()).or_else(|| kept_id(root));
    let known = |text: &[u8]| is_registered(text, id.as_deref(), &address.to_string());
    let leaders_word = match leader {
        Ok(leader) => ask_master(leader, id.as_deref(), known).await,
        Err(_) => None,
    };
    let registered = leaders_word.or_else(|| metrics.told().map(|metrics| metrics.is(REGISTERED)));
    Agent { id, registered, work }
}

/// Asks the masters about an agent that does not run; none if it never was one.
pub async fn look_for_stopped(root: &Root) -> Option<Agent> {
    let id = kept_id(root)?;
    // Without its own name server a node may know them by their addresses.
    let masters = match cluster::leader().await {
        Ok(leader) => vec![leader],
        Err(_) => cluster::master_list(root)
            .unwrap_or_default()
            .iter()
            .filter_map(|host| host.parse().ok())
            .collect(),
    };
    let mut registered = None;
    for master in masters {
        // Only the leading one answers.
        registered =
            registered.or(ask_master(master, Some(&id), |text| is_listed(text, &id)).await);
    }
    Some(Agent { id: Some(id), registered, work: Answer::Silent("it does not run".into()) })
}

async fn ask_master(
    master: IpAddr,
    id: Option<&str>,
    read: impl Fn(&[u8]) -> Option<bool>,
) -> Option<bool> {
    let of = id.map(|id| format!("?slave_id={id}")).unwrap_or_default();
    let place = format!("{}{MASTER_AGENTS}{of}", SocketAddr::new(master, MESOS_MASTER_PORT));
    cluster::ask_either(&place, LONGEST, BEFORE_GOING, read).await.told().copied()
}

/// The id that the agent would come back under.
fn kept_id(root: &Root) -> Option<String> {
    match files::file_kind(&root.resolved(layout::LATEST_AGENT)).ok()?? {
        FileKind::Link { target } => target.file_name()?.to_str().map(str::to_owned),
        _ => None,
    }
}
