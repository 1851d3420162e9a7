//! Packages that an earlier run left in the repository: used if they are still what was unpacked.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::action::Site;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::receipt::{Blob, Manifest, ManifestKind};
use crate::system::digest;
use crate::system::files::{self, FileKind};

/// A manifest of a package with some 100,000 files is below this.
const LONGEST_MANIFEST: u64 = 256 << 20;

/// Whether a package has its final name and a manifest: then it was whole and durable.
pub(crate) fn is_whole(site: &Site, id: &PackageId) -> bool {
    site.root.resolved(layout::package(id)).is_dir() && site.root.at(layout::manifest(id)).is_file()
}

/// Whether all of these are there as their manifests say. One that is not loses its manifest, and
/// so has to be fetched again; until then it stays where it is, for who may use it.
pub(super) async fn kept(site: &Site, ids: &[PackageId]) -> anyhow::Result<bool> {
    if !ids.iter().all(|id| is_whole(site, id)) {
        return Ok(false);
    }
    // Reading everything is work for a processor, like unpacking.
    let permit = site.capacity.decoders.clone().acquire_owned().await?;
    let (site, ids) = (site.clone(), ids.to_vec());
    let check = move || -> anyhow::Result<bool> {
        let _permit = permit;
        let mut whole = true;
        for id in &ids {
            if let Some(damage) = damage(&site, id)? {
                site.events.warn(format!(
                    "{id} was kept from an earlier run, but {damage}; it is fetched again"
                ));
                files::remove_file(&site.root.at(layout::manifest(id)))?;
                whole = false;
            }
        }
        Ok(whole)
    };
    tokio::task::spawn_blocking(check).await?
}

/// What of a package is not as its manifest says. Files that somebody added (Python leaves compiled
/// ones) are no damage.
fn damage(site: &Site, id: &PackageId) -> anyhow::Result<Option<String>> {
    let text = site.root.read(layout::manifest(id), LONGEST_MANIFEST)?.unwrap_or_default();
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else {
        return Ok(Some("its manifest cannot be read".to_owned()));
    };
    let package = site.root.resolved(layout::package(id));
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

fn path(blob: &Blob) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(blob.bytes()))
}
