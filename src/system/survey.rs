//! What lies below a directory: who owns it, and how much it is.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::files::{Error, Next, Place, Visitor, walk};

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
    let (mut owned, mut seen, mut looked_at) =
        (Owned { by: BTreeMap::new(), stopped: false }, HashSet::new(), 0);
    let look = |place: &Place<'_>| {
        let stat = &place.stat;
        if skipped.iter().any(|skipped| skipped == place.path)
            || (place.is_directory() && !seen.insert((stat.st_dev, stat.st_ino)))
        {
            return Next::Over;
        }
        looked_at += 1;
        if looked_at > most {
            owned.stopped = true;
            return Next::End;
        }
        if let Some(owner) = key(stat.st_uid, stat.st_gid) {
            owned.by.entry(owner).or_insert_with(|| (place.shown().into_owned(), 0)).1 += 1;
        }
        Next::Into
    };
    // One that was moved meanwhile ends the search: not everything was seen.
    let ended = walk(top, &mut Survey(look));
    Owned { stopped: owned.stopped || ended.is_err(), ..owned }
}

/// Bytes of all files below a path, links not followed, other file systems and what is skipped left
/// out; nothing there, or not to be listed by us, is nothing.
pub fn size_below(path: &Path, skipped: &[PathBuf]) -> u64 {
    let (mut device, mut size) = (None, 0_u64);
    let look = |place: &Place<'_>| {
        if skipped.iter().any(|skipped| skipped == place.path) {
            return Next::Over;
        }
        if place.is_file() {
            // A sparse file has any length.
            size = size.saturating_add(u64::try_from(place.stat.st_size).unwrap_or_default());
        }
        if place.stat.st_dev == *device.get_or_insert(place.stat.st_dev) {
            Next::Into
        } else {
            Next::Over
        }
    };
    // What was seen before a directory was moved meanwhile counts.
    let _ = walk(path, &mut Survey(look));
    size
}

/// Looks only, and passes over what cannot be listed.
struct Survey<F>(F);

impl<F: FnMut(&Place<'_>) -> Next> Visitor for Survey<F> {
    type Error = Error;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Error> {
        Ok((self.0)(place))
    }

    fn pass_over(&mut self, _: Error) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::system::files::lstat;

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
