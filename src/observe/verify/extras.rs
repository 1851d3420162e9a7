//! What stands in a directory and should not.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use crate::system::files::{self, Error, FileKind, Next, Place, Visitor};
use crate::system::root::Root;

/// Where is looked, and what is expected.
pub(super) struct Search<'a> {
    /// The root directory of the node.
    pub root: &'a Root,
    /// The directory, as the node sees it.
    pub top: &'a Path,
    /// Whether a path is expected, which the node sees so.
    pub is_known: &'a dyn Fn(&Path) -> bool,
}

/// Tells what is below a directory and not expected, with its kind. Of a directory of that kind
/// only itself is told, unless it is one that Python makes.
pub(super) fn look(
    search: &Search<'_>,
    findings: &mut Findings,
    tell: &mut dyn FnMut(&mut Findings, &Path, &FileKind),
) {
    let real = search.root.resolved(search.top);
    let mut visitor = Looking { search, real: &real, findings, tell };
    if let Err(error) = files::walk(&real, &mut visitor) {
        visitor.unknown(&error);
    }
}

struct Looking<'a, 'b> {
    search: &'a Search<'a>,
    /// The directory, on this machine.
    real: &'a Path,
    findings: &'b mut Findings,
    tell: &'b mut dyn FnMut(&mut Findings, &Path, &FileKind),
}

impl Looking<'_, '_> {
    fn on_node(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.real).map_or(path.to_owned(), |below| self.search.top.join(below))
    }

    fn unknown(&mut self, error: &Error) {
        let path = self.on_node(&error.path).display().to_string();
        self.findings.unknown(path, error.source.to_string());
    }
}

impl Visitor for Looking<'_, '_> {
    type Error = Error;

    fn meet(&mut self, place: &Place<'_>) -> Result<Next, Error> {
        if place.path == self.real {
            return Ok(Next::Into);
        }
        let path = self.on_node(place.path);
        let is_expected = |path: &Path| path == self.search.top || (self.search.is_known)(path);
        let is_known = is_expected(&path);
        if !is_known {
            (self.tell)(self.findings, &path, &place.file_kind()?);
        }
        let is_of_python = path.ends_with("__pycache__") && path.parent().is_some_and(is_expected);
        Ok(if is_known || is_of_python { Next::Into } else { Next::Over })
    }

    fn pass_over(&mut self, error: Error) -> Result<(), Error> {
        self.unknown(&error);
        Ok(())
    }
}
