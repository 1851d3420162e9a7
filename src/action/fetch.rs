//! Fetches archives and unpacks them under a temporary name; a package gets its final name when it
//! is whole, verified and durable.

mod delivery;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::Site;
use super::journal::Journal;
use super::place::directory_objects;
use crate::dcos::build::Build;
use crate::dcos::id::PackageId;
use crate::dcos::index::Artifact;
use crate::dcos::layout;
use crate::dcos::receipt::{self, Blob, Manifest, ManifestEntry, ManifestKind, Object};
use crate::system::unpack::{Entry, Kind};
use crate::system::{digest, files};
use delivery::{Order, Whole, deliver};
use kept::kept;

pub(crate) use kept::is_whole;

pub use delivery::Damaged;

pub(crate) fn objects(site: &Site, packages: &[PackageId]) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(
        site,
        &layout::package(packages.first().context("no package is asked for")?),
    );
    objects.extend(packages.iter().map(|id| Object::Package { id: id.clone() }));
    Ok(objects)
}

/// Fetches one package, unless it is there as its manifest says.
pub(crate) async fn package(
    site: &Site,
    key: &str,
    id: &PackageId,
    artifact: Option<&Artifact>,
) -> anyhow::Result<()> {
    if kept(site, std::slice::from_ref(id)).await? {
        return Ok(());
    }
    let order = Order {
        key: key.to_owned(),
        archive: id.archive(),
        artifact: artifact.cloned(),
        staging: layout::staging(id),
        strip: None,
    };
    let wanted = id.clone();
    let whole = deliver(site, &order, move |whole| check_package(&wanted, &entries(whole))).await?;
    let id = id.clone();
    let settled = site.blocking(move |site| {
        settle(site, &id, &whole.staging, &manifest(&id, &whole, &entries(&whole), Path::new("")))
    });
    settled.await.with_context(|| format!("cannot fetch {}", order.archive))
}

/// Fetches the bootstrap archive and settles every package in it, also those that will not be
/// active.
pub(crate) async fn bootstrap(
    site: &Site,
    journal: &Journal,
    key: &str,
    id: &str,
    expected: &[PackageId],
    artifact: Option<&Artifact>,
) -> anyhow::Result<()> {
    let staging = layout::bootstrap_staging(id);
    if kept(site, expected).await? {
        return site.blocking(move |site| Ok(files::remove_tree(&site.root.at(staging))?)).await;
    }
    let order = Order {
        key: key.to_owned(),
        archive: Build::bootstrap_archive(id),
        artifact: artifact.cloned(),
        staging,
        strip: Some(PathBuf::from("packages")),
    };
    let wanted = expected.to_vec();
    let whole = deliver(site, &order, move |whole| check_bootstrap(&wanted, whole)).await?;
    let (journal, key) = (journal.clone(), key.to_owned());
    let settled = site.blocking(move |site| {
        let settled = (|| {
            let packages = by_package(&whole.unpacked.entries)?;
            // Those that nobody expected become ours too before they get a name.
            journal.begin(
                &key,
                packages.keys().map(|id| Object::Package { id: id.clone() }).collect(),
            )?;
            for (id, entries) in &packages {
                settle(
                    site,
                    id,
                    &whole.staging.join(layout::in_bootstrap_archive(id)),
                    &manifest(id, &whole, entries, &layout::in_bootstrap_archive(id)),
                )?;
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

/// Makes a package durable, writes its manifest, and gives it its final name.
fn settle(site: &Site, id: &PackageId, staging: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    if is_whole(site, id) {
        return Ok(files::remove_tree(staging)?);
    }
    // One syncfs in place of an fsync a file: on a disk the fsyncs of a package of 800 small files
    // took 30 times as long, those of 15 larger ones 11 times (docs/crash-real.md). It waits for
    // what others have written to the same file system, too, which is the price.
    site.capacity.disk.sync(staging)?;
    let directory = site.root.at(layout::MANIFESTS);
    files::make_directories(&directory, 0o700)?;
    files::place(
        &site.root.at(layout::manifest(id)),
        &serde_json::to_vec(manifest)?,
        0o600,
        site.root_owner(),
    )?;
    let place = site.root.at(layout::package(id));
    // Without a manifest it was begun by a run that was killed before the manifest was durable.
    files::remove_tree(&place)?;
    site.label(&[staging]);
    Ok(files::rename(staging, &place)?)
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
