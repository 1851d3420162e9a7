//! Whether the node files of a build may be written on this node.

use std::path::PathBuf;

use super::Failure;
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::node_places;
use crate::observe::node::{Foreign, Node, State};
use crate::plan::install::Refusal;
use crate::system::root::Root;
use crate::system::{files, strangers};

/// Refuses node files outside of the places of every release, but for those that are allowed, and
/// a place where somebody else than root put something.
///
/// # Errors
/// It is refused.
pub(super) fn check(
    build: &Build,
    allowed: &[PathBuf],
    node: &Node,
    root: &Root,
) -> Result<(), Failure> {
    check_places(build, allowed)?;
    if node.state() == State::Installed {
        return Ok(());
    }
    let strange = |path: &PathBuf| {
        let what = strangers::put_there(root, path)?;
        Some(Foreign::new(path, what))
    };
    let foreign: Vec<Foreign> =
        build.node_files.iter().filter_map(|file| strange(&file.path)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let missing = foreign.iter().find(|foreign| !files::exists(&root.at(&foreign.path)));
    let cure = missing.map(|missing| {
        format!("give the directory of {} to root, and close it to others", missing.path.display())
    });
    let refusal = Refusal::Strange(foreign);
    let cure = cure.unwrap_or_else(|| refusal.cure());
    Err(Failure::new(Exit::Conflict, refusal).leaving("nothing was changed").cured_by(cure))
}

/// Refuses node files outside of the places of every release, but for those that are allowed.
///
/// # Errors
/// It is refused.
pub(super) fn check_places(build: &Build, allowed: &[PathBuf]) -> Result<(), Failure> {
    let unusual = node_places::unusual(build, allowed);
    let Some(first) = unusual.first() else { return Ok(()) };
    let names: Vec<String> = unusual.iter().map(|path| path.display().to_string()).collect();
    Err(Failure::new(
        Exit::Integrity,
        anyhow::anyhow!(
            "the build would write where no release of DC/OS writes: {}",
            names.join(", ")
        ),
    )
    .leaving("nothing was changed")
    .cured_by(format!(
        "look at dcos_install.sh on the bootstrap server; if it is right: --allow-file {}",
        first.display()
    )))
}
