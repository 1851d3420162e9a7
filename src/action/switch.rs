//! Makes one active name live.

use super::Site;
use crate::dcos::journal::Story;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::system::files;

/// Which inode is to become live: after a kill it tells whether the exchange has happened.
pub(crate) fn objects(site: &Site, name: &str) -> anyhow::Result<Vec<Object>> {
    // Where nothing is to come, an earlier run has done it, and has said before which inode it was.
    let incoming = files::lstat(&site.root.at(layout::new_name(name)))?;
    Ok(incoming
        .map(|stat| Object::ActiveName { name: name.to_owned(), incoming: Some(stat.inode) })
        .into_iter()
        .collect())
}

/// Exchanges the new and the live name in one step where the kernel can, else in two; then the old
/// one is removed.
pub(crate) fn name(site: &Site, name: &str, story: &Story) -> anyhow::Result<()> {
    let (new, live) =
        (site.root.at(layout::new_name(name)), site.root.at(layout::active_name(name)));
    let incoming = story.objects.iter().find_map(|o| match o {
        Object::ActiveName { name: n, incoming } if n == name => *incoming,
        _ => None,
    });
    let existing = files::lstat(&live)?.map(|stat| stat.inode);
    if existing.is_some() && existing == incoming {
        // It was switched, and what is left under the new name is the old one.
        return Ok(files::remove_tree(&new)?);
    }
    anyhow::ensure!(files::exists(&new), "{} is not there", new.display());
    if existing.is_none() {
        return Ok(files::rename(&new, &live)?);
    }
    if files::exchange(&new, &live)? {
        return Ok(files::remove_tree(&new)?);
    }
    files::remove_tree(&live)?;
    Ok(files::rename(&new, &live)?)
}
