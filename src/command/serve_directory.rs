//! The directory that `serve` and `publish` are given: it must be one that
//! `dcos_generate_config.sh` wrote for nodes, because everything in it is handed out.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::dcos::build::BOOTSTRAP_LATEST;
use crate::dcos::exit::Exit;
use crate::dcos::index::INDEX;

/// The directory that `dcos_generate_config.sh` writes below its own one, `genconf`, which also has
/// the operator's `config.yaml` and `ssh_key`.
const SERVE: &str = "serve";

/// Returns the absolute path of a directory that has a build.
///
/// # Errors
/// The directory has no build. If its subdirectory `serve` has one,
/// the fix names that.
pub(super) fn resolve(asked: &Path, command: &str) -> Result<PathBuf, Failure> {
    let refused = |why: String| {
        Failure::new(Exit::Usage, anyhow::anyhow!("{} {why}", asked.display()))
            .leaving("nothing was changed")
            .cured_by("name the directory that dcos_generate_config.sh wrote: genconf/serve")
    };
    let directory = std::path::absolute(asked)
        .map_err(|error| refused(format!("is not a usable path: {error}")))?;
    if has_build(&directory) {
        return Ok(directory);
    }
    let failure =
        refused(format!("has no build of DC/OS: neither {INDEX} nor {BOOTSTRAP_LATEST} is in it"));
    Err(if has_build(&directory.join(SERVE)) {
        failure.cured_by(format!("dcos-node {command} {}", asked.join(SERVE).display()))
    } else {
        failure
    })
}

/// A published build has its index, a classic one the file that names its bootstrap archive. Nodes
/// ask for one of them first.
fn has_build(directory: &Path) -> bool {
    [INDEX, BOOTSTRAP_LATEST].iter().any(|name| directory.join(name).is_file())
}
