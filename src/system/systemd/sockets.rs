//! Where systemd listens, and the connection to whichever of its sockets answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::jobs::Jobs;
use super::link::{Failure, Link, Transport};

/// Where systemd listens, and how patient we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// The system bus, tried first.
    pub bus: PathBuf,
    /// systemd's own socket, which works without a bus, for root only.
    pub private: PathBuf,
    /// The time limit of one call; `Reload` has four times as much.
    pub limit: Duration,
}

impl Default for Sockets {
    /// `/run/dbus/system_bus_socket`, `/run/systemd/private`, and 25 s, the limit of sd-bus
    /// (`sd_bus_set_method_call_timeout(3)`).
    fn default() -> Sockets {
        Sockets {
            bus: PathBuf::from("/run/dbus/system_bus_socket"),
            private: PathBuf::from("/run/systemd/private"),
            limit: Duration::from_secs(25),
        }
    }
}

/// A connection over the system bus, else over the private socket.
pub(super) async fn open(sockets: &Sockets, jobs: &Arc<Jobs>) -> Result<Link, Error> {
    let bus = match Link::open(&sockets.bus, Transport::Bus, sockets.limit, Arc::clone(jobs)).await
    {
        Ok(link) => return Ok(link),
        Err(Failure::Refused(refusal) | Failure::Lost(refusal)) => refusal,
    };
    let private =
        match Link::open(&sockets.private, Transport::Private, sockets.limit, Arc::clone(jobs))
            .await
        {
            Ok(link) => return Ok(link),
            Err(Failure::Refused(refusal) | Failure::Lost(refusal)) => refusal,
        };
    for (path, refusal) in [(&sockets.bus, &bus), (&sockets.private, &private)] {
        let denied = refusal.clone().of("connect", path.display().to_string());
        if matches!(denied, Error::AccessDenied { .. }) {
            return Err(denied);
        }
    }
    Err(Error::NotRunning {
        bus: sockets.bus.clone(),
        bus_reason: bus.to_string(),
        private: sockets.private.clone(),
        private_reason: private.to_string(),
    })
}
