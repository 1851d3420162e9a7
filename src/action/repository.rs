//! Moves packages from a store into the repository, and back if the install failed. Each is in one
//! of the two as a whole, whenever this is killed.

use std::os::fd::AsFd;
use std::path::Path;

use super::journal::Journal;
use super::place::{directory_objects, make_parents};
use super::{Site, fetch};
use crate::dcos::id::PackageId;
use crate::dcos::journal::Record;
use crate::dcos::receipt::Object;
use crate::dcos::{layout, store};
use crate::system::{files, unpack};

pub(crate) fn objects(site: &Site, ids: &[PackageId]) -> Vec<Object> {
    ids.first().map(|id| directory_objects(site, &layout::package(id))).unwrap_or_default()
}

/// Moves these packages into the repository, and those that came beside them in the bootstrap
/// archive. One that is there and differs is replaced.
pub(crate) fn place(site: &Site, ids: &[PackageId], begun: &[Object]) -> anyhow::Result<()> {
    let archives: Vec<String> =
        ids.iter().filter_map(|id| fetch::archive_of(&site.root, id).ok().flatten()).collect();
    let is_beside = |id: &PackageId| {
        let archive = fetch::archive_of(&site.root, id).ok().flatten();
        archive.is_some_and(|archive| archives.contains(&archive))
    };
    let others = begun.iter().filter_map(|object| match object {
        Object::Package { id } if !ids.contains(id) && is_beside(id) => Some(id),
        _ => None,
    });
    let ids: Vec<&PackageId> = ids.iter().chain(others).collect();
    let Some(first) = ids.first() else { return Ok(()) };
    make_parents(site, &layout::package(first))?;
    let mut places = Vec::new();
    for id in ids {
        let (to, staging) = (
            site.root.at(layout::package(id)),
            site.root.at(store::staging(layout::REPOSITORY, id)),
        );
        for from in layout::STORES.map(|store| site.root.at(store::package(store, id))) {
            if !files::exists(&from) {
                continue;
            }
            // A kill after the exchange of the two leaves the old one in the store.
            if files::exists(&to) && !fetch::is_as_unpacked(&site.root, id, &from)? {
                files::remove_tree(&from)?;
            } else {
                relocate(site, &from, &staging, &to)?;
            }
        }
        places.push(to);
    }
    // Also of those that a killed run has moved, which may be neither labelled nor durable.
    site.label(&places.iter().map(AsRef::as_ref).collect::<Vec<&Path>>());
    files::sync_directory(&site.root.resolved(layout::REPOSITORY))?;
    remove_empty_stores(site)
}

/// Removes stores that hold nothing.
pub(crate) fn remove_empty_stores(site: &Site) -> anyhow::Result<()> {
    for store in layout::STORES.map(|store| site.root.at(store)) {
        if files::exists(&store) && !files::remove_empty_directory(&store)? {
            files::sync_directory(&store)?;
        }
    }
    Ok(())
}

pub(crate) fn keep_objects(site: &Site) -> Vec<Object> {
    directory_objects(site, Path::new(fetch::store_of(site)))
}

/// Moves a package back into a store, for the next try. One that cannot be kept is removed.
pub(crate) async fn keep(site: &Site, journal: &Journal, id: &PackageId) -> anyhow::Result<()> {
    let package = id.clone();
    let moved = site.blocking(move |site| {
        let from = site.root.at(layout::package(&package));
        // Of a copy into the repository that was cut.
        fetch::remove_stagings(&site.root, &package)?;
        if !files::exists(&from) {
            return Ok(());
        }
        let store = fetch::store_of(site);
        let to = store::package(store, &package);
        make_parents(site, &to)?;
        let staging = store::staging(store, &package);
        relocate(site, &from, &site.root.at(staging), &site.root.at(to))
    });
    let Err(why) = moved.await else { return Ok(()) };
    site.events.warn(format!("{id} is not kept for the next try: {why:#}"));
    let object = Object::Package { id: id.clone() };
    let id = id.clone();
    site.blocking(move |site| fetch::remove(&site.root, &id)).await?;
    journal.append(Record::Undone { object })
}

/// Moves a tree to another directory: by a rename, or by a copy that is durable before it gets its
/// name. What has that name ends.
fn relocate(site: &Site, from: &Path, staging: &Path, to: &Path) -> anyhow::Result<()> {
    files::remove_tree(staging)?;
    match files::replace_tree(from, to) {
        Err(error) if error.crosses_devices() => {
            files::make_directory(staging, 0o700)?;
            unpack::copy_tree(from, files::open_directory(staging)?.as_fd())?;
            files::sync_file_system(staging)?;
            site.label(&[staging]);
            files::replace_tree(staging, to)?;
            files::remove_tree(staging)?;
        }
        moved => moved?,
    }
    Ok(files::remove_tree(from)?)
}
