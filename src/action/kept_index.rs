//! Keeps the index of a published build beside its packages, so that an install needs no server.

use super::Site;
use crate::dcos::layout;
use crate::system::files;

/// Writes the text of the index with this SHA-256, and removes those of other builds.
pub(crate) fn write(site: &Site, sha256: &str, text: &[u8]) -> anyhow::Result<()> {
    let place = site.root.at(layout::kept_index(sha256));
    let directory = site.root.at(layout::KEPT_INDEX);
    files::make_directories(&directory, 0o700)?;
    for name in files::names(&directory)?.unwrap_or_default() {
        let other = directory.join(name);
        if other != place {
            files::remove_file(&other)?;
        }
    }
    Ok(files::place(&place, text, 0o600, site.root_owner())?)
}
