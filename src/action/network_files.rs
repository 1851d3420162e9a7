//! Takes away the files that keep networkd and NetworkManager from DC/OS' interfaces, and lets
//! those that run know of it.

use std::path::Path;
use std::time::Duration;

use super::{Site, services};
use crate::dcos::layout;
use crate::system::cancellation::Cancelled;
use crate::system::files;
use crate::system::systemd::{self, Neighbour};

/// How long a restart of networkd may take.
const RESTART_TIMEOUT: Duration = Duration::from_secs(90);

/// Whether the file is one of theirs.
pub(crate) fn is_one(path: &Path) -> bool {
    [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE].iter().any(|file| path == Path::new(file))
}

/// Removes the file, and tells whoever read it. That nobody can be told is no reason to leave the
/// node half clean.
pub(crate) async fn remove(site: &Site, path: &Path) -> anyhow::Result<()> {
    let real = site.root.at(path);
    site.blocking(move |_| Ok(files::remove_tree(&real)?)).await?;
    let neighbour = if path == Path::new(layout::NETWORKD_FILE) {
        Neighbour::Networkd
    } else {
        Neighbour::NetworkManager
    };
    match reload(site, neighbour).await {
        Err(error) if !error.chain().any(|cause| cause.is::<Cancelled>()) => {
            site.events.warn(format!(
                "{} is gone, but {} could not be told: {error}",
                path.display(),
                neighbour.unit()
            ));
            Ok(())
        }
        // The next run removes nothing, and asks for the reload again.
        ended => ended,
    }
}

/// One that does not run reads its files when it starts.
async fn reload(site: &Site, neighbour: Neighbour) -> anyhow::Result<()> {
    let Some(systemd) = site.systemd.as_deref() else { return Ok(()) };
    let units = systemd.units(&[neighbour.unit().to_owned()]).await?;
    if units.iter().all(|unit| unit.active != "active") {
        return Ok(());
    }
    match (systemd.reload_neighbour(neighbour).await, neighbour) {
        (Err(systemd::Error::Cancelled(cancelled)), _) => Err(cancelled.into()),
        // Before systemd 244 it cannot be told; nor where there is no bus.
        (Err(_), Neighbour::Networkd) => {
            let job = systemd.restart(neighbour.unit()).await?;
            services::wait_for(site, &job, RESTART_TIMEOUT).await?.map(drop)?;
            Ok(())
        }
        (reloaded, _) => Ok(reloaded?),
    }
}
