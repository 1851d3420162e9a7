//! Keeps `/etc/resolv.conf` as it was before DC/OS, and puts it back.

use std::path::Path;

use super::{Site, place};
use crate::dcos::layout::{IMMUTABLE_MARK, OUR_STATE, RESOLV_CONF, RESOLV_CONF_TMP};
use crate::dcos::receipt::{Before, Object};
use crate::dcos::resolv_conf::is_generated;
use crate::system::overwrite::overwrite;
use crate::system::{files, immutable, mount_points};

/// What DC/OS wrote is not worth keeping: it points at resolvers that go with it.
pub(crate) fn objects(site: &Site) -> anyhow::Result<Vec<Object>> {
    let before = place::before(site, Path::new(RESOLV_CONF))?;
    let generated = match &before {
        Before::File { content, .. } => is_generated(&content.bytes()),
        Before::Link { resolved, .. } => {
            resolved.as_ref().is_some_and(|text| is_generated(&text.bytes()))
        }
        Before::Absent => false,
    };
    if generated {
        site.events.warn(format!(
            "{RESOLV_CONF} was already written by DC/OS: what stood there before is not known, and \
             an uninstall can only give it the resolvers that DC/OS asks"
        ));
    }
    Ok(if generated { Vec::new() } else { vec![Object::ResolvConf { before }] })
}

/// Puts the old one back, only if what stands there now is DC/OS' own. A file that nobody may
/// change is made one again, also by the next run if this one is killed in between, and one that is
/// a mount point is written in place.
pub(crate) fn restore(site: &Site, before: &Before) -> anyhow::Result<()> {
    let path = Path::new(RESOLV_CONF);
    files::remove_file(&site.root.at(RESOLV_CONF_TMP))?;
    let now = site.root.read(path, 1 << 20)?;
    let (real, mark) = (site.root.at(path), site.root.at(IMMUTABLE_MARK));
    if now.as_deref().is_some_and(is_generated) {
        if immutable::is_set(&real)? {
            files::make_directories(&site.root.at(OUR_STATE), 0o700)?;
            files::place(&mark, b"", 0o600, None)?;
            immutable::lift(&real)?;
        }
        match mount_points::at_or_below(&real)? {
            Some(_) => write_in_place(site, &real, before)?,
            None => restore_path(site, path, before)?,
        }
    }
    if files::exists(&mark) {
        immutable::set(&real)?;
        files::remove_file(&mark)?;
    }
    Ok(())
}

/// Another file is mounted over it, which cannot be replaced or made a link.
fn write_in_place(site: &Site, real: &Path, before: &Before) -> anyhow::Result<()> {
    let content = match before {
        Before::File { content, .. } | Before::Link { resolved: Some(content), .. } => {
            content.bytes()
        }
        Before::Link { .. } | Before::Absent => {
            site.events.warn(format!(
                "{RESOLV_CONF} is a mount point and cannot be made what it was; it is left without \
                 name servers"
            ));
            Vec::new()
        }
    };
    Ok(overwrite(real, &content)?)
}

/// Puts back whatever stood at a path.
pub(crate) fn restore_path(site: &Site, path: &Path, before: &Before) -> anyhow::Result<()> {
    let real = site.root.at(path);
    files::remove_staging(&real)?;
    match before {
        Before::Absent => files::remove_file(&real)?,
        Before::Link { target, .. } => files::place_link(&real, target)?,
        Before::File { mode, uid, gid, content } => {
            let owner = site.privileged.then_some((*uid, *gid));
            files::place(&real, &content.bytes(), *mode, owner)?;
        }
    }
    if let Some(parent) = real.parent().filter(|p| p.exists()) {
        files::sync_directory(parent)?;
    }
    if files::exists(&real) {
        site.label(&[&real]);
    }
    Ok(())
}
