//! Packages that an earlier run left in the repository or in a store: used if they are still what
//! was unpacked, and, where a build index names their archives, were unpacked from one of those.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::action::Site;
use crate::dcos::event::Event;
use crate::dcos::id::PackageId;
use crate::dcos::index::Artifact;
use crate::dcos::layout;
use crate::dcos::receipt::{self, Blob, Manifest, ManifestKind};
use crate::dcos::store;
use crate::dcos::trust::{Origin, Trust};
use crate::system::digest;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// What there is of a package.
pub(super) enum Kept {
    /// Nothing that was ever whole.
    Absent,
    /// It is as it was unpacked, and may be used.
    Usable {
        /// SHA-256 of its archive; empty where nobody knows.
        archive: String,
        /// Where it is, as the node sees it.
        place: PathBuf,
    },
    /// It is whole, but nobody knows whether it is what the build index names.
    OfOtherOrigin,
    /// It is not as it was unpacked.
    Damaged(String),
}

/// Whether a package has its final name and a manifest: then it was whole and durable.
pub(crate) fn is_whole(root: &Root, id: &PackageId) -> bool {
    root.first_directory(store::places(id)).is_some() && root.at(layout::manifest(id)).is_file()
}

/// SHA-256 of the archive that a package was unpacked from, as its manifest says; none where nobody
/// knows.
///
/// # Errors
/// The manifest cannot be read.
pub(crate) fn archive_of(root: &Root, id: &PackageId) -> anyhow::Result<Option<String>> {
    let text = root.read(layout::manifest(id), receipt::LONGEST_MANIFEST)?;
    Ok(text.and_then(|text| Manifest::archive_in(&text, id)))
}

/// The manifest of a package; none if there is none that can be understood.
fn manifest(root: &Root, id: &PackageId) -> anyhow::Result<Option<Manifest>> {
    let text = root.read(layout::manifest(id), receipt::LONGEST_MANIFEST)?.unwrap_or_default();
    Ok(serde_json::from_slice::<Manifest>(&text).ok().filter(|manifest| manifest.id == *id))
}

/// Whether all of these are there and may be used. One that is damaged loses its manifest, and so
/// has to be fetched again; until then it stays where it is, for who may use it, and so does one of
/// another origin.
pub(super) async fn kept(
    site: &Site,
    ids: &[PackageId],
    artifact: Option<&Artifact>,
) -> anyhow::Result<bool> {
    if !ids.iter().all(|id| is_whole(&site.root, id)) {
        return Ok(false);
    }
    // Reading everything is work for a processor, like unpacking.
    let permit = site.capacity.decoders.clone().acquire_owned().await?;
    let (site, ids, artifact) = (site.clone(), ids.to_vec(), artifact.cloned());
    let check = move || -> anyhow::Result<bool> {
        let _permit = permit;
        let mut usable_ones = Vec::new();
        for id in &ids {
            match usable(&site.root, id, artifact.as_ref())? {
                Kept::Usable { archive, place } => {
                    drop_others(&site.root, id, &place)?;
                    usable_ones.push((id, archive));
                }
                Kept::Absent => {}
                Kept::OfOtherOrigin => site.events.warn(format!(
                    "{id} was kept from an earlier run, but not from an archive that the build \
                     index names; it is fetched again"
                )),
                Kept::Damaged(damage) => {
                    site.events.warn(format!(
                        "{id} was kept from an earlier run, but {damage}; it is fetched again"
                    ));
                    files::remove_file(&site.root.at(layout::manifest(id)))?;
                }
            }
        }
        if usable_ones.len() < ids.len() {
            return Ok(false);
        }
        let is_verified = artifact.is_some();
        let origin = if is_verified { Origin::KeptVerified } else { Origin::KeptUnverified };
        for (id, archive) in usable_ones {
            announce(&site, id, origin, is_verified, archive);
        }
        Ok(true)
    };
    tokio::task::spawn_blocking(check).await?
}

/// Reports and notes how a package came to the node.
pub(super) fn announce(
    site: &Site,
    id: &PackageId,
    origin: Origin,
    is_verified: bool,
    archive: String,
) {
    let trust = if is_verified { Trust::Verified } else { Trust::Unverified };
    site.capacity.note_origin(id, origin);
    site.events.send(Event::Package {
        id: id.clone(),
        origin,
        trust,
        archive_sha256: Some(archive).filter(|sha256| !sha256.is_empty()),
    });
}

/// Where a package is that came from an archive that the build index names, and has every byte of
/// it; none if there is no such package.
///
/// # Errors
/// The disk.
pub(crate) fn usable_place(
    root: &Root,
    id: &PackageId,
    artifact: &Artifact,
) -> anyhow::Result<Option<PathBuf>> {
    Ok(match usable(root, id, Some(artifact))? {
        Kept::Usable { place, .. } => Some(place),
        _ => None,
    })
}

/// Removes what the stores have of a package besides the one that is used.
pub(super) fn drop_others(root: &Root, id: &PackageId, used: &Path) -> Result<(), files::Error> {
    let others = layout::STORES.map(|store| store::package(store, id));
    others
        .iter()
        .filter(|other| *other != used)
        .try_for_each(|other| files::remove_tree(&root.at(other)))
}

/// Whether a directory holds what the manifest of a package says.
///
/// # Errors
/// The disk.
pub(crate) fn is_as_unpacked(root: &Root, id: &PackageId, place: &Path) -> anyhow::Result<bool> {
    match manifest(root, id)? {
        Some(manifest) => Ok(damage(place, &manifest)?.is_none()),
        None => Ok(false),
    }
}

/// Judges what there is of a package, in the repository first. With an artifact of the build index
/// it counts only if it came from that, and has nothing in it that did not.
pub(super) fn usable(
    root: &Root,
    id: &PackageId,
    artifact: Option<&Artifact>,
) -> anyhow::Result<Kept> {
    if !is_whole(root, id) {
        return Ok(Kept::Absent);
    }
    let Some(manifest) = manifest(root, id)? else {
        return Ok(Kept::Damaged("its manifest cannot be read".to_owned()));
    };
    let is_named = |artifact: &Artifact| artifact.digests().contains(&&*manifest.archive_sha256);
    if !artifact.is_none_or(is_named) {
        return Ok(Kept::OfOtherOrigin);
    }
    let mut first = None;
    for place in store::places(id) {
        let real = root.resolved(&place);
        if !real.is_dir() {
            continue;
        }
        let damage = match damage(&real, &manifest)? {
            None if artifact.is_some() => added(&real, &manifest)?,
            damage => damage,
        };
        let Some(damage) = damage else {
            return Ok(Kept::Usable { archive: manifest.archive_sha256, place });
        };
        first.get_or_insert(damage);
    }
    Ok(first.map_or(Kept::Absent, Kept::Damaged))
}

/// What of a package is not as its manifest says.
fn damage(package: &Path, manifest: &Manifest) -> anyhow::Result<Option<String>> {
    for entry in &manifest.files {
        let path = path(&entry.path);
        let real = package.join(&path);
        // Names come from our own manifest, which only root can write, and links in a package are
        // not followed by what is looked at here.
        let same = match (&entry.kind, files::lstat(&real)?) {
            (ManifestKind::File { size, sha256 }, Some(stat)) => {
                stat.kind == FileKind::File
                    && *size == stat.size
                    && entry.mode == stat.mode
                    && digest::sha256_of_file(&real)
                        .is_ok_and(|found| digest::hex(&found) == *sha256)
            }
            (ManifestKind::Hardlink { to }, Some(stat)) => {
                files::lstat(&package.join(self::path(to)))?
                    .is_some_and(|other| other.inode == stat.inode)
            }
            (ManifestKind::Directory, Some(stat)) => stat.kind == FileKind::Directory,
            (ManifestKind::Link { target }, Some(stat)) => {
                stat.kind == FileKind::Link { target: self::path(target) }
            }
            (_, None) => false,
        };
        if !same {
            return Ok(Some(format!("{} in it is not what was unpacked", path.display())));
        }
    }
    Ok(None)
}

/// What is in a package and not in its manifest: an active set would link to it. What Python
/// compiled for itself is no such thing.
fn added(package: &Path, manifest: &Manifest) -> anyhow::Result<Option<String>> {
    let known: BTreeSet<PathBuf> =
        manifest.files.iter().map(|entry| path(&entry.path).components().collect()).collect();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for name in files::names(&package.join(&below))?.unwrap_or_default() {
            let path = below.join(&name);
            let is_directory =
                files::lstat(&package.join(&path))?.is_some_and(|s| s.kind == FileKind::Directory);
            let is_compiled = name == "__pycache__"
                || path.extension().is_some_and(|extension| extension == "pyc");
            if !known.contains(&path) && !is_compiled {
                return Ok(Some(format!("{} in it was added since", path.display())));
            }
            if is_directory {
                open.push(path);
            }
        }
    }
    Ok(None)
}

fn path(blob: &Blob) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(blob.bytes()))
}
