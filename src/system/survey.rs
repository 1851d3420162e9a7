//! What lies below a directory: who owns it, and how much it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What users of interest own at or below a directory: by the user's number the first path and how many there are. Links are not followed, other file
/// systems and what is skipped are left out, and what cannot be listed is passed over.
pub fn owned_below(top: &Path, skipped: &[PathBuf], is_of_interest: &dyn Fn(u32) -> bool) -> BTreeMap<u32, (PathBuf, usize)> {
    let mut owned: BTreeMap<u32, (PathBuf, usize)> = BTreeMap::new();
    let Ok(device) = fs::symlink_metadata(top).map(|about| about.dev()) else { return owned };
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.dev() != device || skipped.contains(&path) {
            continue;
        }
        if is_of_interest(about.uid()) {
            owned.entry(about.uid()).or_insert_with(|| (path.clone(), 0)).1 += 1;
        }
        if about.is_dir() {
            let mut names: Vec<PathBuf> = fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            names.sort_by(|a, b| b.cmp(a));
            open.extend(names);
        }
    }
    owned
}

/// Bytes of all files below a path, links not followed, other file systems and what is skipped left out; nothing there, or not to be listed by us, is
/// nothing.
pub fn size_below(path: &Path, skipped: &[PathBuf]) -> u64 {
    let Ok(device) = fs::symlink_metadata(path).map(|about| about.dev()) else { return 0 };
    let (mut open, mut size) = (vec![path.to_owned()], 0_u64);
    while let Some(path) = open.pop() {
        let Some(about) = fs::symlink_metadata(&path).ok().filter(|_| !skipped.contains(&path)) else { continue };
        if about.is_file() {
            // A sparse file has any length.
            size = size.saturating_add(about.len());
        } else if about.is_dir() && about.dev() == device {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owned_is_counted_and_what_is_skipped_is_not() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["a/one", "a/two", "b/three"] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "abc").unwrap();
        }
        assert_eq!(["", "a/one", "c"].map(|path| size_below(&directory.path().join(path), &[directory.path().join("b")])), [6, 3, 0]);
        let me = fs::metadata(directory.path()).unwrap().uid();
        let owned = owned_below(directory.path(), &[directory.path().join("b")], &|number| number == me);
        assert_eq!(owned, BTreeMap::from([(me, (directory.path().to_owned(), 4))]));
        assert!(owned_below(directory.path(), &[], &|number| number != me).is_empty());
    }
}
