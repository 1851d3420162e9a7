//! Puts a setting of the kernel back, unless somebody changed it since.

use std::io::ErrorKind;

use super::Site;
use crate::dcos::{layout, network};
use crate::system::sysctl;

pub(crate) fn put_back(site: &Site, name: &str, before: &str) -> anyhow::Result<()> {
    let proc = site.root.at(layout::PROC);
    let now = sysctl::read(&proc, name)?;
    if now.is_none() || now.as_deref() != network::setting(name) {
        return Ok(());
    }
    match sysctl::write(&proc, name, before) {
        // In a container the settings are the host's.
        Err(error) if error.source.kind() == ErrorKind::ReadOnlyFilesystem => {
            site.events.warn(format!(
                "{name} stays at {}: it cannot be set in a container",
                now.unwrap_or_default()
            ));
            Ok(())
        }
        other => Ok(other?),
    }
}
