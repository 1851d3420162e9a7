//! The clock, and which time daemon keeps it.

use std::sync::Arc;

use crate::dcos::units::TIME_DAEMONS;
use crate::system::clock::Clock;
use crate::system::systemd::Systemd;

pub use crate::system::clock::ClockState;

/// Those of which there may be one for each interface.
const TEMPLATES: [&str; 2] = ["ptp4l@", "phc2sys@"];

/// The clock, and who keeps it.
#[derive(Clone, Debug)]
pub struct Time {
    /// What `adjtimex(2)` says, or why it says nothing.
    pub clock: Result<ClockState, String>,
    /// The time daemons that systemd knows of, running or failed; or why systemd could not be
    /// asked.
    pub daemons: Result<Vec<Daemon>, String>,
}

/// The unit of a time daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// The name of the unit, for example `chronyd.service`.
    pub unit: String,
    /// Whether it runs; else it failed.
    pub runs: bool,
}

impl Time {
    /// Looks at the clock and at the units; `systemd` is none for a node that is a directory.
    pub async fn look(
        systemd: Option<&Result<Arc<dyn Systemd>, String>>,
        clock: &dyn Clock,
    ) -> Time {
        let daemons = match systemd {
            Some(Ok(systemd)) => daemons(systemd.as_ref()).await,
            Some(Err(why)) => Err(why.clone()),
            None => Err("the node is a directory".to_owned()),
        };
        Time {
            clock: clock.state().map_err(|e| format!("cannot read the clock's state: {e}")),
            daemons,
        }
    }
}

/// What is up or failed is in systemd's memory under its first name, so that no daemon comes twice,
/// as `chrony.service` and its other name.
async fn daemons(systemd: &dyn Systemd) -> Result<Vec<Daemon>, String> {
    let units = systemd.loaded_units().await.map_err(|e| e.to_string())?;
    let keeps_time = |name: &str| {
        TIME_DAEMONS.contains(&name) || TEMPLATES.iter().any(|template| name.starts_with(template))
    };
    let daemon = |unit: crate::system::systemd::Unit| {
        let runs = matches!(unit.active.as_str(), "active" | "reloading" | "activating");
        (keeps_time(&unit.name) && (runs || unit.active == "failed"))
            .then_some(Daemon { unit: unit.name, runs })
    };
    Ok(units.into_iter().filter_map(daemon).collect())
}
