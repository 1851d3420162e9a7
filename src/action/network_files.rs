//! Takes away the files that keep networkd and NetworkManager from DC/OS' interfaces, and lets
//! those that run know of it.

use std::path::Path;
use std::time::Duration;

use super::Site;
use crate::dcos::layout;
use crate::system::files;
use crate::system::systemd::{self, Neighbour, Systemd};

/// How long a restart of networkd may take.
const RESTART: Duration = Duration::from_secs(90);

/// Whether the file is one of theirs.
pub(crate) fn is_one(path: &Path) -> bool {
    [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE].iter().any(|file| path == Path::new(file))
}

/// Removes the file, and tells whoever read it. That nobody can be told is no reason to leave the
/// node half clean.
pub(crate) async fn remove(site: &Site, path: &Path) -> anyhow::Result<()> {
    let real = site.root.at(path);
    site.blocking(move |_| Ok(files::remove_tree(&real)?)).await?;
    let Some(systemd) = site.systemd.as_deref() else { return Ok(()) };
    let neighbour = if path == Path::new(layout::NETWORKD_FILE) {
        Neighbour::Networkd
    } else {
        Neighbour::NetworkManager
    };
    if let Err(error) = tell(systemd, neighbour).await {
        site.events.warn(format!(
            "{} is gone, but {} could not be told: {error}",
            path.display(),
            neighbour.unit()
        ));
    }
    Ok(())
}

/// One that does not run reads its files when it starts.
async fn tell(systemd: &dyn Systemd, neighbour: Neighbour) -> Result<(), systemd::Error> {
    let units = systemd.units(&[neighbour.unit().to_owned()]).await?;
    if units.iter().all(|unit| unit.active != "active") {
        return Ok(());
    }
    match (systemd.reload_neighbour(neighbour).await, neighbour) {
        // Before systemd 244 it cannot be told; nor where there is no bus.
        (Err(_), Neighbour::Networkd) => {
            let job = systemd.restart(neighbour.unit()).await?;
            systemd.wait(&job, RESTART).await.map(drop)
        }
        (told, _) => told,
    }
}
