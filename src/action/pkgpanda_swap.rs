//! Finishes a swap that pkgpanda left unfinished. pkgpanda's own file tells of it until the end, so
//! that no journal of ours is needed, and a node that is none of ours gets no trace of us.

use std::path::Path;

use anyhow::Context;

use super::{Site, services, units};
use crate::dcos::layout;
use crate::dcos::pkgpanda_swap::Swap;
use crate::system::files;

/// Stops what runs, moves what is left to move, and starts the target again if it starts at boot.
/// Called again, it goes on.
///
/// # Errors
/// The disk or systemd refuses.
pub async fn finish(site: &Site, swap: &Swap, wait: bool) -> anyhow::Result<()> {
    if site.systemd.is_some() {
        services::stop(site, &swap.units).await?;
    }
    let left = swap.clone();
    site.blocking(move |site| move_names(site, &left)).await?;
    if site.systemd.is_some() {
        services::reload(site).await?;
        // Without the link it was the very first activation, and `pkgpanda setup` has more to do
        // before anything starts.
        if files::exists(&site.root.at(layout::COMMIT_LINK)) {
            services::start(site, layout::TARGET, wait).await?;
        }
    }
    Ok(())
}

fn move_names(site: &Site, swap: &Swap) -> anyhow::Result<()> {
    for (from, to) in &swap.renames {
        let (from, to) = (site.root.at(from), site.root.at(to));
        if !to.is_file() {
            files::remove_tree(&to)?;
        }
        files::rename(&from, &to)?;
        site.label(&[&to]);
    }
    for unit in &swap.superseded_units {
        files::remove_file(&site.root.at(unit))?;
    }
    units::link_wanted(site)?;
    // pkgpanda syncs nothing of what it built.
    files::sync_file_system(&site.root.resolved(layout::MESOSPHERE))?;
    files::sync_file_system(&site.root.resolved(layout::SYSTEM_UNITS))?;
    let progress = site.root.at(layout::INSTALL_PROGRESS);
    files::remove_file(&progress)?;
    files::sync_directory(progress.parent().unwrap_or(Path::new(layout::MESOSPHERE)))
        .context("the swap is finished, but")
}
