//! A file that the install placed and somebody changed since: what they wrote is kept beside it, as
//! package managers do (`.rpmsave`). Where something else took its place that stays, what stood
//! there before the install is kept so.

use std::path::{Path, PathBuf};

use super::Site;
use crate::dcos::layout;
use crate::dcos::receipt::Before;
use crate::system::digest;
use crate::system::files::{self, FileKind};

/// The longest file that is looked into; a longer one is no node file, and was changed.
const LONGEST: u64 = 16 << 20;

/// Sets a changed file aside before what was there takes its place. What DC/OS itself rewrites is
/// none, nor is a file whose content nobody recorded. Of an install that did not come to its end,
/// whose receipt is not there, nobody has changed a file: it may have stopped between two contents.
pub(crate) fn keep(site: &Site, path: &Path, sha256: &str, before: &Before) -> anyhow::Result<()> {
    let real = site.root.at(path);
    let is_installed = files::exists(&site.root.at(layout::RECEIPT));
    if !is_installed
        || sha256.is_empty()
        || layout::is_rewritten(path)
        || !matches!(files::file_kind(&real)?, Some(FileKind::File))
    {
        return Ok(());
    }
    let was = match before {
        Before::File { content, .. } => Some(content.bytes()),
        Before::Link { .. } | Before::Absent => None,
    };
    let now = files::read(&real, LONGEST).ok().flatten();
    let is_ours = now.as_ref().is_some_and(|now| digest::hex(&digest::sha256(now)) == sha256);
    if is_ours || (now.is_some() && now == was) {
        return Ok(());
    }
    let Some((saved, is_taken)) = place_beside(site, path, now.as_deref()) else { return Ok(()) };
    site.events.warn(format!(
        "{} was changed since the install; it is kept as {}",
        path.display(),
        saved.display()
    ));
    if !is_taken {
        files::rename(&real, &site.root.at(&saved))?;
    }
    Ok(())
}

/// Keeps the file that stood at a path before the install, where what stands there now is another's
/// and stays: nobody else has its content any more.
pub(crate) fn keep_older(site: &Site, path: &Path, before: &Before) -> anyhow::Result<()> {
    let real = site.root.at(path);
    files::remove_staging(&real)?;
    let Before::File { mode, uid, gid, content } = before else { return Ok(()) };
    let was = content.bytes();
    let is_back = matches!(files::file_kind(&real)?, Some(FileKind::File))
        && files::read(&real, LONGEST).ok().flatten().as_ref() == Some(&was);
    if is_back {
        return Ok(());
    }
    let Some((saved, is_taken)) = place_beside(site, path, Some(&was)) else { return Ok(()) };
    site.events.warn(format!(
        "something else stands at {} now, which is left alone; what stood there before the install \
         is kept as {}",
        path.display(),
        saved.display()
    ));
    if !is_taken {
        files::place(&site.root.at(&saved), &was, *mode, site.privileged.then_some((*uid, *gid)))?;
        site.label(&[&site.root.at(&saved)]);
    }
    Ok(())
}

/// The first name beside a path that is free, or at which an earlier uninstall kept the very same,
/// and whether it did.
fn place_beside(site: &Site, path: &Path, content: Option<&[u8]>) -> Option<(PathBuf, bool)> {
    layout::saved(path).find_map(|saved| {
        let place = site.root.at(&saved);
        let is_taken = files::exists(&place);
        let is_same = || {
            content.is_some() && files::read(&place, LONGEST).ok().flatten().as_deref() == content
        };
        (!is_taken || is_same()).then_some((saved, is_taken))
    })
}
