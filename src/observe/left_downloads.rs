//! Temporary files of what was killed: archives that the classic installer or pkgpanda was
//! downloading, answers of Mesos that a unit was about to archive.

use std::path::{Path, PathBuf};

use super::found::{Found, object_at};
use crate::dcos::receipt::Object;
use crate::dcos::{layout, leftovers};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// The archive that `dcos-download.service` writes goes; what only may be pkgpanda's is told.
pub(super) fn look(root: &Root, found: &mut Found) -> anyhow::Result<()> {
    let unit = root.text(layout::unit(leftovers::DOWNLOAD))?.unwrap_or_default();
    if let Some(path) = leftovers::download_of(&unit).map(PathBuf::from) {
        found
            .objects
            .extend(object_at(root, path)?.filter(|object| matches!(object, Object::File { .. })));
    }
    let temporary = root.names(layout::TMP)?;
    for name in temporary.iter().filter(|name| leftovers::is_mesos_state(name)) {
        found.objects.extend(object_at(root, Path::new(layout::TMP).join(name))?);
    }
    for name in temporary.iter().filter(|name| leftovers::is_temporary_archive(name)) {
        let path = Path::new(layout::TMP).join(name);
        let stat = files::lstat(&root.at(&path))?;
        if stat.is_some_and(|stat| stat.kind == FileKind::File && stat.uid == 0) {
            found.leave(
                path,
                "perhaps a package that pkgpanda was downloading when it was killed: remove it by \
                 hand if it is",
            );
        }
    }
    Ok(())
}
