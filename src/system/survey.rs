//! What lies below a directory: who owns it, and how much it is.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{FileKind, Stat, lstat};

/// What a search for owners came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned<K> {
    /// By the owner the first path and how many there are.
    pub by: BTreeMap<K, (PathBuf, usize)>,
    /// It ended before everything was seen.
    pub stopped: bool,
}

/// What owners of interest own at or below a directory; `key` gets the numbers of the user and of
/// the group. Links are not followed; what is skipped is left out, what cannot be listed is passed
/// over, and after so many paths it ends. A directory that is seen again, through another mount, is
/// not.
pub fn owned_below<K: Ord>(
    top: &Path,
    skipped: &[PathBuf],
    most: usize,
    key: &dyn Fn(u32, u32) -> Option<K>,
) -> Owned<K> {
    let (mut by, mut seen): (BTreeMap<K, (PathBuf, usize)>, _) = (BTreeMap::new(), HashSet::new());
    let (mut open, mut looked_at) = (vec![top.to_owned()], 0);
    while let Some(path) = open.pop() {
        if skipped.contains(&path) {
            continue;
        }
        let Ok(Some(stat)) = lstat(&path) else { continue };
        if stat.kind == FileKind::Directory && !seen.insert((stat.device, stat.inode)) {
            continue;
        }
        looked_at += 1;
        if looked_at > most {
            return Owned { by, stopped: true };
        }
        if let Some(owner) = key(stat.uid, stat.gid) {
            by.entry(owner).or_insert_with(|| (path.clone(), 0)).1 += 1;
        }
        if stat.kind == FileKind::Directory {
            let mut names: Vec<PathBuf> = fs::read_dir(&path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            names.sort_by(|a, b| b.cmp(a));
            open.extend(names);
        }
    }
    Owned { by, stopped: false }
}

/// Bytes of all files below a path, links not followed, other file systems and what is skipped left
/// out; nothing there, or not to be listed by us, is nothing.
pub fn size_below(path: &Path, skipped: &[PathBuf]) -> u64 {
    let Ok(Some(Stat { device, .. })) = lstat(path) else { return 0 };
    let (mut open, mut size) = (vec![path.to_owned()], 0_u64);
    while let Some(path) = open.pop() {
        if skipped.contains(&path) {
            continue;
        }
        let Ok(Some(stat)) = lstat(&path) else { continue };
        if stat.kind == FileKind::File {
            // A sparse file has any length.
            size = size.saturating_add(stat.size);
        } else if stat.kind == FileKind::Directory && stat.device == device {
            open.extend(
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()),
            );
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survey_counts_owned_files_without_skipped_ones() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["a/one", "a/two", "b/three"] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "abc").unwrap();
        }
        assert_eq!(
            ["", "a/one", "c"].map(|path| size_below(
                &directory.path().join(path),
                &[directory.path().join("b")]
            )),
            [6, 3, 0]
        );
        let me = lstat(directory.path()).unwrap().unwrap().uid;
        let skipped = [directory.path().join("b")];
        let owned = |most, who| {
            owned_below(directory.path(), &skipped, most, &move |user, _| {
                (user == who).then_some(user)
            })
        };
        assert_eq!(
            owned(4, me),
            Owned { by: BTreeMap::from([(me, (directory.path().to_owned(), 4))]), stopped: false }
        );
        assert_eq!(
            owned(3, me),
            Owned { by: BTreeMap::from([(me, (directory.path().to_owned(), 3))]), stopped: true }
        );
        assert!(owned(4, me + 1).by.is_empty());
    }
}
