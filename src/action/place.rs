//! Places files and links, and records what stood there.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Site;
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Blob, Object};
use crate::system::digest;
use crate::system::files::{self, FileKind, Stat};
use crate::system::root::Root;
use crate::system::strangers;

/// Longest file that is kept as what stood there before; node files are short texts.
const LONGEST_BEFORE: u64 = 1 << 20;

pub(crate) fn file_objects(
    site: &Site,
    path: &Path,
    content: &[u8],
) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, path);
    objects.push(Object::File {
        path: path.to_owned(),
        sha256: digest::hex(&digest::sha256(content)),
        before: before(site, path)?,
    });
    Ok(objects)
}

pub(crate) fn file(site: &Site, path: &Path, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    make_parents(site, path)?;
    let real = site.root.at(path);
    files::place(&real, content, mode, site.root_owner())?;
    site.label(&[&real]);
    Ok(())
}

pub(crate) fn link_objects(site: &Site, path: &Path, target: &Path) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, path);
    objects.push(Object::Link {
        path: path.to_owned(),
        target: target.to_owned(),
        before: before(site, path)?,
    });
    Ok(objects)
}

pub(crate) fn link(site: &Site, path: &Path, target: &Path) -> anyhow::Result<()> {
    make_parents(site, path)?;
    let real = site.root.at(path);
    files::place_link(&real, target)?;
    site.label(&[&real]);
    Ok(())
}

/// Our binary replaces nothing but an older one of ours, so what stood there is not kept.
pub(crate) fn binary_objects(site: &Site) -> anyhow::Result<Vec<Object>> {
    let path = PathBuf::from(layout::OUR_BINARY);
    let mut objects = directory_objects(site, &path);
    objects.push(Object::File { path, sha256: String::new(), before: Before::Absent });
    Ok(objects)
}

pub(crate) fn binary(site: &Site) -> anyhow::Result<()> {
    let path = Path::new(layout::OUR_BINARY);
    let real = site.root.at(path);
    let content = files::read(Path::new(layout::OWN_PROGRAM), 512 << 20)?
        .with_context(|| format!("cannot read our own binary through {}", layout::OWN_PROGRAM))?;
    if files::read(&real, 512 << 20).ok().flatten().is_some_and(|placed| placed == content) {
        return Ok(());
    }
    file(site, path, 0o755, &content)
}

/// The directories that placing something here would make.
pub(crate) fn directory_objects(site: &Site, path: &Path) -> Vec<Object> {
    directory_objects_below(&site.root, path)
}

pub(super) fn directory_objects_below(root: &Root, path: &Path) -> Vec<Object> {
    let parents: Vec<&Path> = path.ancestors().skip(1).filter(|p| p.parent().is_some()).collect();
    let missing = parents.into_iter().rev().filter(|p| !root.resolved(p).exists());
    missing.map(|p| Object::Directory { path: p.to_owned() }).collect()
}

pub(crate) fn make_parents(site: &Site, path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().unwrap_or(path);
    let made = files::make_directories(&site.root.resolved(parent), 0o755)?;
    let made: Vec<&Path> = made.iter().map(PathBuf::as_path).collect();
    if !made.is_empty() {
        site.label(&made);
    }
    Ok(())
}

/// What stands at a path that we are about to replace.
///
/// # Errors
/// It is something that cannot be put back: a directory, a device, a very long file.
pub(crate) fn before(site: &Site, path: &Path) -> anyhow::Result<Before> {
    let real = site.root.at(path);
    if let Some(why) = strangers::put_there(&site.root, path) {
        anyhow::bail!("{} is {why}; move it away", path.display());
    }
    let Some(Stat { kind, mode, uid, gid, .. }) = files::lstat(&real)? else {
        return Ok(Before::Absent);
    };
    if strangers::is_open(&site.root, path).unwrap_or(true) {
        let content = strangers::read(&site.root, path, LONGEST_BEFORE)?.unwrap_or_default();
        return Ok(Before::File { mode, uid, gid, content: Blob::new(content) });
    }
    Ok(match kind {
        FileKind::Link { target } => {
            let resolved = site.root.read(path, LONGEST_BEFORE).ok().flatten().map(Blob::new);
            Before::Link { target, resolved }
        }
        FileKind::File => Before::File {
            mode,
            uid,
            gid,
            content: Blob::new(files::read(&real, LONGEST_BEFORE)?.unwrap_or_default()),
        },
        FileKind::Directory | FileKind::Other => {
            anyhow::bail!("{} is neither a file nor a link; move it away", path.display())
        }
    })
}
