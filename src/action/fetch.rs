//! Fetches archives and unpacks them under a temporary name in a store; a package gets its final
//! name there when it is whole, verified and durable.

mod delivery;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::Site;
use super::journal::Journal;
use super::place::directory_objects;
use crate::dcos::action_key::ActionKey;
use crate::dcos::build::Build;
use crate::dcos::id::PackageId;
use crate::dcos::index::Artifact;
use crate::dcos::layout;
use crate::dcos::receipt::{self, Blob, Manifest, ManifestEntry, ManifestKind, Object};
use crate::dcos::store;
use crate::dcos::trust::Origin;
use crate::system::root::Root;
use crate::system::unpack::{Entry, Kind};
use crate::system::{digest, files, mounts};
use delivery::{Order, Whole, deliver};
use kept::{Kept, announce, drop_others, kept, usable};

pub(crate) use kept::{archive_of, is_as_unpacked, is_whole, usable_place};

pub use delivery::Damaged;

/// The store that packages are fetched to.
pub(crate) fn store_of(site: &Site) -> &'static str {
    let at = |path: &str| site.root.resolved(path);
    let repository = at(layout::REPOSITORY);
    store::choose(|store| mounts::share_file_system(&at(store), &repository))
}

pub(crate) fn objects(site: &Site, packages: &[PackageId]) -> anyhow::Result<Vec<Object>> {
    // The store itself is part of our own directories, which are removed as a whole.
    let mut objects = directory_objects(site, Path::new(store_of(site)));
    objects.extend(packages.iter().map(|id| Object::Package { id: id.clone() }));
    Ok(objects)
}

/// Fetches one package, unless it is there as its manifest says and, where the build index names
/// its archive, came from that.
pub(crate) async fn package(
    site: &Site,
    key: &ActionKey,
    id: &PackageId,
    artifact: Option<&Artifact>,
) -> anyhow::Result<()> {
    if kept(site, std::slice::from_ref(id), artifact).await? {
        // A kill between the exchange of two trees and the end of the old one leaves that.
        let id = id.clone();
        return site.blocking(move |site| remove_stagings(&site.root, &id)).await;
    }
    let order = Order {
        key: key.clone(),
        archive: id.archive(),
        artifact: artifact.cloned(),
        staging: Some(store::staging(store_of(site), id)),
        strip: None,
    };
    let wanted = id.clone();
    let whole = deliver(site, &order, move |whole| check_package(&wanted, &entries(whole))).await?;
    let id = id.clone();
    let is_verified = artifact.is_some();
    let settled = site.blocking(move |site| {
        let manifest = manifest(&id, &whole, &entries(&whole), Path::new(""));
        settle(site, &id, &whole.staging, &manifest)?;
        announce(site, &id, Origin::Fetched, is_verified, manifest.archive_sha256);
        Ok(())
    });
    settled.await.with_context(|| format!("cannot fetch {}", order.archive))
}

/// Reads an archive of a published build to its end and returns the manifests of the packages in
/// it; writes nothing.
///
/// # Errors
/// It cannot be had, or is not what the build index says.
pub(crate) async fn examine(
    site: &Site,
    build: &Build,
    archive: &str,
) -> anyhow::Result<Vec<Manifest>> {
    let is_bootstrap = archive == Build::bootstrap_archive(&build.bootstrap_id);
    let order = Order {
        key: ActionKey::Archive(archive.to_owned()),
        archive: archive.to_owned(),
        artifact: build.artifact(archive).cloned(),
        staging: None,
        strip: is_bootstrap.then(|| PathBuf::from("packages")),
    };
    anyhow::ensure!(order.artifact.is_some(), "the build index does not name {archive}");
    let whole = deliver(site, &order, |_| Ok(())).await?;
    if is_bootstrap {
        let packages = by_package(&whole.unpacked.entries)?;
        return Ok(packages
            .iter()
            .map(|(id, entries)| manifest(id, &whole, entries, &layout::in_bootstrap_archive(id)))
            .collect());
    }
    let id = build.to_fetch().into_iter().find(|id| id.archive() == archive);
    let id = id.with_context(|| format!("{archive} is not an archive of a package"))?;
    Ok(vec![manifest(&id, &whole, &entries(&whole), Path::new(""))])
}

/// What is wanted of the packages in a bootstrap archive.
pub(crate) struct InBootstrap<'a> {
    /// These must be in it.
    pub expected: &'a [PackageId],
    /// These stay as they stand on the node.
    pub spared: &'a BTreeSet<PackageId>,
}

/// Fetches the bootstrap archive and settles every package in it that is not spared, also those
/// that will not be active.
pub(crate) async fn bootstrap(
    site: &Site,
    journal: &Journal,
    key: &ActionKey,
    id: &str,
    InBootstrap { expected, spared }: InBootstrap<'_>,
    artifact: Option<&Artifact>,
) -> anyhow::Result<()> {
    let staging = store::bootstrap_staging(store_of(site), id);
    if kept(site, expected, artifact).await? {
        return site.blocking(move |site| Ok(files::remove_tree(&site.root.at(staging))?)).await;
    }
    let order = Order {
        key: key.clone(),
        archive: Build::bootstrap_archive(id),
        artifact: artifact.cloned(),
        staging: Some(staging),
        strip: Some(PathBuf::from("packages")),
    };
    let wanted = expected.to_vec();
    let whole = deliver(site, &order, move |whole| check_bootstrap(&wanted, whole)).await?;
    let (journal, key, artifact) = (journal.clone(), key.clone(), artifact.cloned());
    let spared = spared.clone();
    let settled = site.blocking(move |site| {
        let settled = (|| {
            let packages = by_package(&whole.unpacked.entries)?;
            // Those that nobody expected become ours too before they get a name.
            journal.begin(
                key,
                packages.keys().map(|id| Object::Package { id: id.clone() }).collect(),
            )?;
            for (id, entries) in packages.iter().filter(|(id, _)| !spared.contains(id)) {
                let inside = layout::in_bootstrap_archive(id);
                let staging = whole.staging.join(&inside);
                match usable(&site.root, id, artifact.as_ref())? {
                    // What is right stays, for who may use it.
                    Kept::Usable { place, .. } => {
                        files::remove_tree(&staging)?;
                        drop_others(&site.root, id, &place)?;
                    }
                    _ => {
                        let manifest = manifest(id, &whole, entries, &inside);
                        settle(site, id, &staging, &manifest)?;
                        let sha256 = manifest.archive_sha256;
                        announce(site, id, Origin::Fetched, artifact.is_some(), sha256);
                    }
                }
            }
            anyhow::Ok(())
        })();
        let removed = files::remove_tree(&whole.staging).map_err(anyhow::Error::from);
        settled.and(removed)
    });
    settled.await.with_context(|| format!("cannot fetch {}", order.archive))
}

fn entries(whole: &Whole) -> Vec<&Entry> {
    whole.unpacked.entries.iter().collect()
}

fn check_bootstrap(expected: &[PackageId], whole: &Whole) -> anyhow::Result<()> {
    let packages = by_package(&whole.unpacked.entries)?;
    let missing: Vec<String> =
        expected.iter().filter(|id| !packages.contains_key(id)).map(ToString::to_string).collect();
    anyhow::ensure!(missing.is_empty(), "it does not contain {}", missing.join(", "));
    packages.iter().try_for_each(|(id, entries)| check_package(id, entries))
}

/// A package that pkgpanda could not load is refused before it gets a name.
fn check_package(id: &PackageId, entries: &[&Entry]) -> anyhow::Result<()> {
    let has = entries.iter().any(|e| {
        e.path.ends_with("pkginfo.json")
            && e.path.components().count() <= 2
            && matches!(e.kind, Kind::File { .. })
    });
    anyhow::ensure!(has, "{id} has no pkginfo.json");
    Ok(())
}

/// Sorts the members of a bootstrap archive by package.
fn by_package(entries: &[Entry]) -> anyhow::Result<BTreeMap<PackageId, Vec<&Entry>>> {
    let mut packages: BTreeMap<PackageId, Vec<&Entry>> = BTreeMap::new();
    let mut strange = BTreeSet::new();
    for entry in entries {
        let Some(Component::Normal(first)) = entry.path.components().next() else { continue };
        match first.to_string_lossy().parse::<PackageId>() {
            Ok(id) => packages.entry(id).or_default().push(entry),
            Err(error) => drop(strange.insert(error.to_string())),
        }
    }
    anyhow::ensure!(
        strange.is_empty(),
        "packages/ holds what is no package: {}",
        strange.into_iter().collect::<Vec<_>>().join("; ")
    );
    Ok(packages)
}

/// Removes every trace of a package.
pub(crate) fn remove(root: &Root, id: &PackageId) -> anyhow::Result<()> {
    store::places(id).try_for_each(|place| files::remove_tree(&root.at(place)))?;
    remove_stagings(root, id)?;
    let manifest = root.at(layout::manifest(id));
    files::remove_file(&manifest)?;
    if let Some(manifests) = manifest.parent().filter(|p| p.is_dir()) {
        files::sync_directory(manifests)?;
    }
    Ok(())
}

/// Removes what was not whole yet of a package.
pub(super) fn remove_stagings(root: &Root, id: &PackageId) -> anyhow::Result<()> {
    store::stagings(id).try_for_each(|staging| Ok(files::remove_tree(&root.at(staging))?))
}

/// Makes a package durable, gives it its final name in the store, and writes its manifest. One that
/// is there under that name and may not be used is exchanged for it in one step where the kernel
/// can. It is labelled when it gets its place in the repository.
fn settle(site: &Site, id: &PackageId, staging: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    // One syncfs in place of an fsync a file: on a disk the fsyncs of a package of 800 small files
    // took 30 times as long, those of 15 larger ones 11 times (docs/crash-real.md). It waits for
    // what others have written to the same file system, too, which is the price.
    site.capacity.disk.sync(staging)?;
    files::replace_tree(staging, &site.root.at(store::package(store_of(site), id)))?;
    // Last, so that what an archive of the index gave is never said of what was there before: a
    // kill in between leaves the files without a manifest, or beside that of other files.
    let directory = site.root.at(layout::MANIFESTS);
    files::make_directories(&directory, 0o700)?;
    files::place(
        &site.root.at(layout::manifest(id)),
        &serde_json::to_vec(manifest)?,
        0o600,
        site.root_owner(),
    )?;
    Ok(files::remove_tree(staging)?)
}

fn manifest(id: &PackageId, whole: &Whole, entries: &[&Entry], below: &Path) -> Manifest {
    let blob = |path: &Path| Blob::new(path.as_os_str().as_bytes().to_vec());
    let strip = |path: &Path| path.strip_prefix(below).map_or_else(|_| blob(path), blob);
    let files = entries.iter().map(|entry| ManifestEntry {
        path: strip(&entry.path),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        owner: entry.owner.clone(),
        group: entry.group.clone(),
        kind: match &entry.kind {
            Kind::File { size, sha256 } => {
                ManifestKind::File { size: *size, sha256: digest::hex(sha256) }
            }
            Kind::Directory => ManifestKind::Directory,
            Kind::Symlink { target } => ManifestKind::Link { target: blob(target) },
            Kind::Hardlink { to } => ManifestKind::Hardlink { to: strip(to) },
        },
    });
    Manifest {
        schema: receipt::SCHEMA,
        id: id.clone(),
        archive_sha256: digest::hex(&whole.sha256),
        archive_bytes: whole.bytes,
        files: files.collect(),
    }
}
