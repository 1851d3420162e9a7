//! Makes one active name live.

use super::Site;
use crate::dcos::journal::Story;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::{files, kernel};

/// Which inode is to become live: after a kill it tells whether the exchange has happened.
pub(crate) fn objects(site: &Site, name: &str) -> anyhow::Result<Vec<Object>> {
    // Where nothing is to come, an earlier run has done it, and has said before which inode it was.
    let incoming = files::inode(&site.root.at(layout::new_name(name)))?;
    Ok(incoming.map(|inode| Object::ActiveName { name: name.to_owned(), incoming: Some(inode) }).into_iter().collect())
}

/// Exchanges the new and the live name in one step where the kernel can, else in two; then the old one is removed.
pub(crate) fn name(site: &Site, name: &str, story: &Story) -> anyhow::Result<()> {
    let (new, live) = (site.root.at(layout::new_name(name)), site.root.at(layout::active_name(name)));
    let incoming = story.objects.iter().find_map(|o| match o {
        Object::ActiveName { name: n, incoming } if n == name => *incoming,
        _ => None,
    });
    let standing = files::inode(&live)?;
    if standing.is_some() && standing == incoming {
        // It was switched, and what is left under the new name is the old one.
        return Ok(files::remove_tree(&new)?);
    }
    anyhow::ensure!(files::exists(&new), "{} is not there", new.display());
    if standing.is_none() {
        return Ok(files::rename(&new, &live)?);
    }
    let directory = files::open_directory(live.parent().unwrap_or(&live))?;
    let new_name = format!("{name}{}", layout::NEW);
    match kernel::rename_exchange(&directory, new_name.as_ref(), &directory, name.as_ref()) {
        Ok(()) => {
            files::sync_directory(live.parent().unwrap_or(&live))?;
            Ok(files::remove_tree(&new)?)
        }
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOSYS | nix::libc::EINVAL)) => {
            files::remove_tree(&live)?;
            Ok(files::rename(&new, &live)?)
        }
        Err(error) => Err(anyhow::Error::from(error).context(format!("cannot exchange {} and {}", new.display(), live.display()))),
    }
}
