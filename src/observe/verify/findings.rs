//! What a comparison found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dcos::difference::{Detail, Difference, Kind, Mark};
use crate::dcos::receipt::Accepted;
use crate::dcos::run_time;
use crate::system::files;

/// How closely files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Size, time and link; what was written since it was installed is read, as far as that is
    /// little.
    Quick,
    /// Every byte.
    Full,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// All that differs, sorted by path.
    pub differences: Vec<Difference>,
    /// What could not be compared.
    pub unknown: Vec<Unknown>,
    /// Packages that were compared.
    pub packages: usize,
    /// Files, directories and links that were compared.
    pub paths: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Somebody asked to stop before the end.
    pub stopped: bool,
    /// Changes that were accepted and are still as they were then.
    pub accepted: Vec<Accepted>,
    /// How each path differs, to look it up.
    by_path: BTreeMap<PathBuf, Kind>,
    /// Compared with the active packages, so that no record counts any more.
    judged: BTreeSet<PathBuf>,
}

/// Something that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// A path, or the id of a package.
    pub what: String,
    /// Why, in one line.
    pub why: String,
}

impl Findings {
    /// Notes a difference, unless one of the same path or account is noted already.
    pub(super) fn differs(&mut self, mut difference: Difference) {
        if run_time::change_of(&difference).is_some() {
            difference.mark = Some(Mark::RunTime);
        }
        let is_known = match difference.object.path() {
            Some(path) => self.by_path.contains_key(path),
            None => self.differences.iter().any(|known| known.object == difference.object),
        };
        if is_known {
            return;
        }
        if let Some(path) = difference.object.path() {
            self.by_path.insert(path.to_owned(), difference.kind);
        }
        self.differences.push(difference);
    }

    /// Notes what cannot be compared.
    pub(super) fn unknown(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unknown.push(Unknown { what: what.into(), why: why.into() });
    }

    /// Whether a path, or a directory above it, is known to be there though it should not, or not
    /// to be there though it should.
    pub(super) fn is(&self, kind: Kind, path: &Path) -> bool {
        path.ancestors().any(|above| self.by_path.get(above) == Some(&kind))
    }

    /// Adds a property that differs to what is known of its path.
    pub fn detail(&mut self, path: &Path, of: &str, detail: Detail) {
        match self.differences.iter_mut().find(|known| known.object.path() == Some(path)) {
            Some(known) => {
                known.details.push(detail);
                // What DC/OS changed does not explain this as well.
                if known.mark == Some(Mark::RunTime) && run_time::change_of(known).is_none() {
                    known.mark = None;
                }
            }
            None => Difference::changed(path, of, vec![detail])
                .into_iter()
                .for_each(|d| self.differs(d)),
        }
    }

    /// Notes a change that is as it was accepted: its content is no difference any more.
    pub(super) fn accept(&mut self, accepted: Accepted) {
        let content =
            |d: &&mut Difference| d.object.path() == Some(&accepted.path) && d.is_of_content();
        if let Some(known) = self.differences.iter_mut().find(content) {
            known.mark = Some(Mark::Accepted);
        }
        self.accepted.push(accepted);
    }

    /// Notes that a path was compared with what the active packages ask for.
    pub(super) fn judged(&mut self, path: PathBuf) {
        self.judged.insert(path);
    }

    /// Whether it was.
    pub(super) fn is_judged(&self, path: &Path) -> bool {
        self.judged.contains(path)
    }

    /// Paths that a comparison looked at.
    pub(super) fn looked_at(&mut self, paths: usize) {
        self.paths += paths as u64;
    }
}

/// An error in one line.
pub(super) fn told(path: &Path, error: &files::Error) -> (String, String) {
    (path.display().to_string(), error.source.to_string())
}
