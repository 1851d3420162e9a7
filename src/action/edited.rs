//! A file that the install placed and somebody changed since: what they wrote is kept beside it, as package managers do (`.rpmsave`).

use std::path::Path;

use super::Site;
use crate::dcos::layout;
use crate::dcos::receipt::Before;
use crate::system::digest;
use crate::system::files::{self, Standing};

/// The longest file that is looked into; a longer one is no node file, and was changed.
const LONGEST: u64 = 16 << 20;

/// Sets a changed file aside before what was there takes its place. What DC/OS itself rewrites is none, nor is a file whose content nobody recorded. Of an install
/// that did not come to its end, whose receipt is not there, nobody has changed a file: it may have stopped between two contents.
pub(crate) fn keep(site: &Site, path: &Path, sha256: &str, before: &Before) -> anyhow::Result<()> {
    let real = site.root.at(path);
    let is_installed = files::exists(&site.root.at(layout::RECEIPT));
    if !is_installed || sha256.is_empty() || layout::is_rewritten(path) || !matches!(files::standing(&real)?, Some(Standing::File { .. })) {
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
    for saved in layout::saved(path) {
        let place = site.root.at(&saved);
        let is_taken = files::exists(&place);
        // An earlier uninstall may have kept the very same.
        if is_taken && (now.is_none() || files::read(&place, LONGEST).ok().flatten() != now) {
            continue;
        }
        site.events.warn(format!("{} was changed since the install; it is kept as {}", path.display(), saved.display()));
        if !is_taken {
            files::rename(&real, &place)?;
        }
        break;
    }
    Ok(())
}
