//! Failures that more than one step of an install ends with.

use std::path::Path;

use crate::action;
use crate::command::Failure;
use crate::dcos::exit::Exit;
use crate::dcos::role::Role;

pub(super) fn goes_by_its_identity() -> Failure {
    Failure::new(
        Exit::Conflict,
        anyhow::anyhow!(
            "--reset-identity is for a new install; this node is installed, and its cluster knows \
             it by its identity"
        ),
    )
    .leaving("nothing was changed")
    .cured_by("leave out --reset-identity")
}

/// What an operator changed or added is never replaced without a word.
pub(super) fn changed_things_in_the_way(paths: &[&Path]) -> Failure {
    let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    Failure::new(
        Exit::Conflict,
        anyhow::anyhow!(
            "files are missing, and restoring them would replace what was changed or added \
             beside them: {}",
            join(&named)
        ),
    )
    .leaving("nothing was changed")
    .cured_by("move what is named elsewhere, then run the same command again")
}

pub(super) fn unrepaired(error: action::Error, role: Role) -> Failure {
    Failure::new(Exit::Failed, error)
        .leaving("the node is installed, but what was missing on it could not be put back")
        .cured_by(format!("remove the cause; dcos-node install {role} goes on"))
}

pub(super) fn interrupted(role: Role) -> Failure {
    Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted"))
        .leaving("the install is half done and goes on at the next boot")
        .cured_by(format!("dcos-node install {role} goes on now"))
}

/// The first of them, and how many there are besides: two packages that hold the same files have
/// hundreds.
pub(super) fn join<T: ToString>(problems: &[T]) -> String {
    let mut texts: Vec<String> = problems.iter().take(8).map(ToString::to_string).collect();
    if problems.len() > texts.len() {
        texts.push(format!("and {} more", problems.len() - texts.len()));
    }
    texts.join("; ")
}
