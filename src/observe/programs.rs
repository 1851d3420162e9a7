//! Which programs of the distribution the node has.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dcos::{commands, layout};
use crate::system::program;
use crate::system::root::Root;

/// Programs by name, and those that units name by their path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Those of [`commands::all`] that are in one of the usual directories or in our own `PATH`.
    pub found: BTreeSet<String>,
    /// Paths of `layout::PROGRAMS_OF_UNITS` and `layout::PROGRAMS_OF_CLASSIC_UNITS` that are not
    /// there.
    pub missing_paths: BTreeSet<String>,
}

/// Looks for them on this machine.
pub fn look(root: &Root) -> Programs {
    let path = format!(
        "{}:{}:{}",
        std::env::var("PATH").unwrap_or_default(),
        layout::USUAL_PATH,
        layout::PROGRAM_PATH
    );
    let found =
        commands::all().filter(|name| program::find(name, &path).is_some()).map(str::to_owned);
    let by_path = layout::PROGRAMS_OF_UNITS.iter().chain(&layout::PROGRAMS_OF_CLASSIC_UNITS);
    let missing = by_path
        .filter(|path| !Path::new(&root.resolved(path)).is_file())
        .map(|path| (*path).to_owned());
    Programs { found: found.collect(), missing_paths: missing.collect() }
}
