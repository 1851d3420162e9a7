//! Ends what Mesos' agent leaves running when it is stopped: executors live outside of its unit, so
//! that they outlive a restart of it. Without an agent they would hold their sandboxes for a
//! quarter of an hour, and then end by themselves.

use std::path::Path;

use super::{Site, services};
use crate::dcos::{layout, units};
use crate::system::{control_groups, files, systemd};

/// Ends the executors, stops their slice, and removes its file.
pub(crate) async fn remove(site: &Site, slice: &Path) -> anyhow::Result<()> {
    let file = site.root.at(slice);
    if !files::exists(&file) {
        return Ok(());
    }
    if site.root.is_live() {
        site.blocking(end).await?;
    }
    if let Some(systemd) = &site.systemd {
        match systemd.stop(units::EXECUTORS).await {
            Ok(job) => drop(services::wait_for(site, &job, site.patience).await??),
            Err(systemd::Error::NoSuchUnit { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    site.blocking(move |_| Ok(files::remove_file(&file)?)).await?;
    match &site.systemd {
        Some(systemd) => Ok(systemd.reload().await?),
        None => Ok(()),
    }
}

fn end(site: &Site) -> anyhow::Result<()> {
    let left =
        control_groups::end(&site.root.at(layout::PROC), &site.cancellation, units::is_of_task)?;
    anyhow::ensure!(left == 0, "{left} processes of tasks do not end");
    Ok(())
}
