//! Account files that no program can replace: each change gives them a new file by its name.

use std::path::Path;

use crate::dcos::layout;
use crate::system::root::Root;
use crate::system::{files, immutable, mount_points};

/// Why a file cannot be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// `chattr +i`.
    Immutable,
    /// A file of another place is mounted there.
    MountPoint,
}

/// Looks at the four files and at their directory. What cannot be looked at is no obstacle.
pub fn look(root: &Root) -> Vec<(&'static str, Obstacle)> {
    let is_immutable = immutable::is_set(&root.resolved(layout::ETC)).is_ok_and(|is_set| is_set);
    let directory = is_immutable.then_some((layout::ETC, Obstacle::Immutable));
    let files = layout::ACCOUNT_FILES
        .into_iter()
        .filter_map(|path| Some((path, obstacle(&root.resolved(path))?)));
    directory.into_iter().chain(files).collect()
}

fn obstacle(path: &Path) -> Option<Obstacle> {
    if !files::exists(path) {
        return None;
    }
    if mount_points::at_or_below(path).ok().flatten().is_some() {
        return Some(Obstacle::MountPoint);
    }
    immutable::is_set(path).ok()?.then_some(Obstacle::Immutable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::kernel::{self, IMMUTABLE};

    #[test]
    fn immutable_directory_is_an_obstacle() {
        let image = tempfile::tempdir_in("/var/tmp").unwrap();
        let root = Root::new(image.path());
        let etc = image.path().join("etc");
        files::make_directory(&etc, 0o755).unwrap();
        files::place(&etc.join("passwd"), b"", 0o644, None).unwrap();
        assert_eq!(look(&root), []);
        let directory = files::open_directory(&etc).unwrap();
        let Ok(flags) = kernel::inode_flags(&directory) else { panic!("/var/tmp has no flags") };
        if kernel::set_inode_flags(&directory, flags | IMMUTABLE).is_err() {
            // Without the capability nothing more can be shown.
            return;
        }
        let found = look(&root);
        kernel::set_inode_flags(&directory, flags).unwrap();
        assert_eq!(found, [(layout::ETC, Obstacle::Immutable)]);
    }
}
