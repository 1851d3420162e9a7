//! What a Mesos agent on this node runs, by itself and by the leading master.

use std::net::SocketAddr;

use super::cluster::{self, Answer};
use crate::dcos::cluster::{MESOS_AGENT_PORT, MESOS_MASTER_PORT};
use crate::dcos::work::{AGENT_STATE, MASTER_AGENTS, REGISTERED, TASK_COUNTS, Work, is_registered};
use crate::system::http::neighbour::Credentials;
use crate::system::root::Root;

/// Longest answer that is read: the state of an agent tells of finished tasks too.
const LONGEST: u64 = 64 << 20;

/// The agent of this node.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Whether the masters count on it: the leader's word, else its own; none if neither can be had.
    pub registered: Option<bool>,
    /// What it runs.
    pub work: Answer<Work>,
}

/// Asks the agent, and the leading master about it.
pub async fn look(root: &Root) -> Agent {
    let address = cluster::address(root);
    let open = Credentials::default();
    let url = format!("http://{}{AGENT_STATE}", SocketAddr::new(address, MESOS_AGENT_PORT));
    let (state, metrics, leader) =
        tokio::join!(cluster::ask(&url, &open, LONGEST, Work::parse), cluster::mesos(address, false), cluster::leader());
    let counted = || metrics.told().map(|metrics| Work { tasks: metrics.count(&TASK_COUNTS), ..Work::default() });
    let work = match (state, counted()) {
        (Answer::Told(work), _) | (_, Some(work)) => Answer::Told(work),
        (silent, None) => silent,
    };
    let id = work.told().and_then(|work| work.id.clone());
    let leaders_word = match leader {
        Ok(leader) => {
            let of = id.as_ref().map(|id| format!("?slave_id={id}")).unwrap_or_default();
            let url = format!("http://{}{MASTER_AGENTS}{of}", SocketAddr::new(leader, MESOS_MASTER_PORT));
            let known = |text: &[u8]| is_registered(text, id.as_deref(), &address.to_string());
            cluster::ask(&url, &open, LONGEST, known).await.told().copied()
        }
        Err(_) => None,
    };
    Agent { registered: leaders_word.or_else(|| metrics.told().map(|metrics| metrics.is(REGISTERED))), work }
}
