//! Makes state directories below `/var/lib/dcos`.

use super::Site;
use super::place::{directory_objects, make_parents};
use crate::dcos::active_set::StateDirectory;
use crate::dcos::receipt::Object;
use crate::system::files;

pub(crate) fn objects(site: &Site, directory: &StateDirectory) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, &directory.path);
    objects.push(Object::StateDirectory {
        path: directory.path.clone(),
        made: !site.root.resolved(&directory.path).exists(),
    });
    Ok(objects)
}

/// Makes the directory and gives it, with all below it, to its user; the group is not changed
/// (`chown -R USER`, as pkgpanda does).
pub(crate) fn make(site: &Site, directory: &StateDirectory) -> anyhow::Result<()> {
    make_parents(site, &directory.path)?;
    let real = site.root.at(&directory.path);
    files::make_directory(&real, 0o755)?;
    if let (true, Some(owner)) = (site.privileged, &directory.owner) {
        let uid = site
            .accounts()?
            .user_number(owner)
            .ok_or_else(|| anyhow::anyhow!("the user {owner} does not exist"))?;
        files::give_tree(&real, uid)?;
    }
    // Not what is in it: its owner could exchange a path below while restorecon works on it.
    site.label_itself(&real);
    // One that an earlier install left has files in it, which have other owners now.
    match files::names(&real)? {
        Some(names) if !names.is_empty() => files::sync_file_system(&real)?,
        _ => files::sync_directory(&real)?,
    }
    Ok(files::sync_directory(real.parent().unwrap_or(&real))?)
}
