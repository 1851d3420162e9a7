//! Archives that were being downloaded when the classic installer or pkgpanda was killed.

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
    for name in
        root.names(layout::TMP)?.into_iter().filter(|name| leftovers::is_temporary_archive(name))
    {
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
