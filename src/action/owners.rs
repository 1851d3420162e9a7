//! Sets the owners of what an unprivileged run placed into an image: at the first boot, when that
//! is possible.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::Site;
use crate::dcos::layout;
use crate::dcos::receipt::{Manifest, ManifestKind, Object};
use crate::system::files::{self, FileKind, Stat};

pub(crate) fn set(site: &Site, objects: &[Object]) -> anyhow::Result<()> {
    for object in objects {
        match object {
            Object::Directory { path }
            | Object::File { path, .. }
            | Object::Link { path, .. }
            | Object::StateDirectory { path, .. } => {
                let real = site.root.at(path);
                if let Some(stat) = files::lstat(&real)? {
                    files::give(&real, 0, 0, mode(&stat))?;
                }
            }
            Object::ActiveName { name, .. } => {
                for path in [layout::active_name(name), layout::new_name(name)] {
                    files::give_tree_keeping_modes(&site.root.at(path), 0, 0)?;
                }
            }
            Object::Package { id } => package(site, id)?,
            // Of the others none is a file of ours.
            _ => {}
        }
    }
    files::give_tree_keeping_modes(&site.root.at(layout::OUR_STATE), 0, 0)?;
    for top in [layout::SYSTEM_UNITS, layout::MESOSPHERE, layout::OUR_OPT, layout::OUR_STATE] {
        let real = site.root.resolved(top);
        if files::exists(&real) {
            files::sync_file_system(&real)?;
        }
    }
    Ok(())
}

/// The mode that a change of owner can lose.
fn mode(stat: &Stat) -> Option<u32> {
    matches!(stat.kind, FileKind::File | FileKind::Directory).then_some(stat.mode)
}

/// Gives the files of one package to the owners in its manifest: by name where this node has the
/// name, else by number, as tar does.
fn package(site: &Site, id: &crate::dcos::id::PackageId) -> anyhow::Result<()> {
    let Some(text) = site.root.read(layout::manifest(id), 1 << 30)? else {
        return Ok(());
    };
    let manifest: Manifest = serde_json::from_slice(&text)?;
    let accounts = site.accounts()?;
    let top = site.root.at(layout::package(id));
    for entry in &manifest.files {
        let path: PathBuf = OsString::from_vec(entry.path.bytes()).into();
        let uid = entry.owner.as_deref().and_then(|n| accounts.user_number(n)).unwrap_or(entry.uid);
        let gid =
            entry.group.as_deref().and_then(|n| accounts.group_number(n)).unwrap_or(entry.gid);
        let mode = (!matches!(entry.kind, ManifestKind::Link { .. })).then_some(entry.mode);
        files::give_below(&top, &path, uid, gid, mode)?;
    }
    Ok(())
}
