//! Failures that more than one step of an install ends with.

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
