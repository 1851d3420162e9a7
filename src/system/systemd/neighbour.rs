//! How networkd and NetworkManager are told to read their files again.

use std::time::Duration;

use tokio::time::timeout;

use super::error::Refusal;
use super::interfaces::{NetworkManagerProxy, NetworkdProxy};
use super::link::{Failure, Link, call_failure};
use super::{Error, Neighbour};

/// The member, of both.
pub(super) const MEMBER: &str = "ReloadNeighbour";

/// Calls `Reload` of the daemon, which both have.
pub(super) async fn reload(
    link: &Link,
    neighbour: Neighbour,
    limit: Duration,
) -> Result<(), Error> {
    let unit = neighbour.unit();
    let answer = async {
        match neighbour {
            Neighbour::Networkd => NetworkdProxy::new(link.connection()).await?.reload().await,
            Neighbour::NetworkManager => {
                NetworkManagerProxy::new(link.connection()).await?.reload(0).await
            }
        }
    };
    match timeout(limit, answer).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let (Failure::Refused(refusal) | Failure::Lost(refusal)) = call_failure(error);
            Err(refusal.of(MEMBER, unit))
        }
        Err(_) => Err(Refusal::local(format!("no answer within {limit:?}")).of(MEMBER, unit)),
    }
}
