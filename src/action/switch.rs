//! Makes one active name live.

use super::Site;
use crate::dcos::layout;
use crate::system::{files, kernel};

/// Exchanges the new and the live name in one step where the kernel can, else in two renames; then the old one is removed.
pub(crate) fn name(site: &Site, name: &str) -> anyhow::Result<()> {
    let (new, live) = (site.root.at(layout::new_name(name)), site.root.at(layout::active_name(name)));
    if !files::exists(&new) {
        anyhow::ensure!(files::exists(&live), "neither {} nor {} is there", new.display(), live.display());
        return Ok(());
    }
    if files::exists(&live) {
        let directory = files::open_directory(live.parent().unwrap_or(&live))?;
        let (new_name, live_name) = (format!("{name}{}", layout::NEW), name);
        if let Err(error) = kernel::rename_exchange(&directory, new_name.as_ref(), &directory, live_name.as_ref()) {
            anyhow::ensure!(
                matches!(error.raw_os_error(), Some(nix::libc::ENOSYS | nix::libc::EINVAL)),
                "cannot exchange {} and {}: {error}",
                new.display(),
                live.display()
            );
            files::remove_tree(&live)?;
            files::rename(&new, &live)?;
        } else {
            files::sync_directory(live.parent().unwrap_or(&live))?;
        }
        files::remove_tree(&new)?;
        return Ok(());
    }
    Ok(files::rename(&new, &live)?)
}
