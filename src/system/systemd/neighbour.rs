//! How networkd and NetworkManager are told to read their files again.

use std::time::Duration;

use tokio::time::timeout;

use super::error::Refusal;
use super::link::{Failure, Link, Target};
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
            Neighbour::Networkd => {
                let manager =
                    Target("/org/freedesktop/network1", "org.freedesktop.network1.Manager");
                link.call_at("org.freedesktop.network1", manager, "Reload", &()).await
            }
            Neighbour::NetworkManager => {
                let manager =
                    Target("/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager");
                // No flags: everything is read again (`NMManagerReloadFlags`).
                link.call_at("org.freedesktop.NetworkManager", manager, "Reload", &(0_u32,)).await
            }
        }
    };
    match timeout(limit, answer).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Failure::Refused(refusal) | Failure::Lost(refusal))) => {
            Err(refusal.of(MEMBER, unit))
        }
        Err(_) => Err(Refusal::local(format!("no answer within {limit:?}")).of(MEMBER, unit)),
    }
}
