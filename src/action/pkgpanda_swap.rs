//! Finishes a swap that pkgpanda left unfinished. pkgpanda's own file tells of it until the end, so
//! that no journal of ours is needed, and a node that is none of ours gets no trace of us.

use std::path::Path;

use anyhow::Context;

use super::{Site, place, services, units};
use crate::dcos::layout;
use crate::dcos::pkgpanda_swap::Swap;
use crate::dcos::units::TARGET;
use crate::system::files;

/// Stops what runs, moves what is left to move, and starts the target again if it starts at boot.
/// After the `first` swap of a node it does the rest of `pkgpanda setup`, too. Called again, it
/// goes on.
///
/// # Errors
/// The disk or systemd refuses.
pub async fn finish(site: &Site, swap: &Swap, first: bool, wait: bool) -> anyhow::Result<()> {
    // Where all names are live, the units that run are the new ones.
    if site.systemd.is_some() && !swap.renames.is_empty() {
        services::stop(site, &swap.units).await?;
    }
    let left = swap.clone();
    site.blocking(move |site| move_names(site, &left)).await?;
    if first {
        site.blocking(enable).await?;
    }
    if site.systemd.is_some() {
        services::reload(site).await?;
        // An operator may have disabled it.
        if files::exists(&site.root.at(layout::COMMIT_LINK)) {
            services::start(site, layout::TARGET, wait).await?;
        }
    }
    Ok(())
}

/// Makes the target start at boot, and takes the marker away by which `pkgpanda setup` would begin
/// anew. In this order a kill leaves a node that either starts DC/OS or has the marker still.
fn enable(site: &Site) -> anyhow::Result<()> {
    let target = layout::unit(layout::TARGET);
    if site.root.text(&target)?.is_none_or(|text| text.is_empty()) {
        place::file(site, &target, 0o644, TARGET.as_bytes())?;
    }
    place::link(site, Path::new(layout::COMMIT_LINK), &target)?;
    let marker = site.root.at(layout::BOOTSTRAP_MARKER);
    files::remove_file(&marker)?;
    Ok(files::sync_directory(marker.parent().unwrap_or(Path::new(layout::MESOSPHERE)))?)
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
