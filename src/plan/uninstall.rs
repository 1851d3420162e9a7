//! Plans an uninstall: the inventory from its end to its beginning, what a retry needs last.

use std::path::{Path, PathBuf};

use super::Plan;
use crate::action::Action;
use crate::dcos::layout;
use crate::dcos::receipt::{Before, Object};

/// What goes and what stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// State directories go too.
    pub purge_data: bool,
    /// Verified packages stay for another try.
    pub keep_packages: bool,
    /// The node is this machine: systemd is told.
    pub live: bool,
}

/// The commit link goes first, so that a boot in between starts nothing; then units stop; then everything else goes, newest first.
pub fn uninstall(inventory: &[Object], units: &[String], wish: Wish) -> Plan {
    let mut plan = Plan::default();
    let (commit, rest): (Vec<&Object>, Vec<&Object>) = inventory.iter().partition(|o| is_link(o, layout::COMMIT_LINK));
    for object in commit {
        plan.then(Action::Undo { object: object.clone() });
    }
    if wish.live && !units.is_empty() {
        plan.then(Action::Stop { units: units.to_vec() });
    }
    if wish.keep_packages {
        // The last step of the install may have written it. While packages are kept the rest of our records stay, and it would say that the node is installed.
        let receipt = Object::File { path: layout::RECEIPT.into(), sha256: String::new(), before: Before::Absent };
        plan.then(Action::Undo { object: receipt });
    }
    let (directories, things): (Vec<&Object>, Vec<&Object>) = rest.into_iter().rev().partition(|o| matches!(o, Object::Directory { .. }));
    for object in things.iter().filter(|o| goes(o, wish) && !is_ours(o) && !matches!(o, Object::Units { .. })) {
        plan.then(Action::Undo { object: (*object).clone() });
    }
    if wish.keep_packages {
        // A failed install takes back the state directories that it made. What a unit has written there since is data, and stays.
        for path in things.iter().filter_map(|o| made_state_directory(o)) {
            plan.then(Action::Undo { object: Object::Directory { path: path.to_owned() } });
        }
    }
    if wish.live {
        for path in layout::MADE_BY_UNITS {
            plan.then(Action::Undo { object: Object::Scratch { path: path.into() } });
        }
    }
    if wish.purge_data {
        for path in [layout::STATE, layout::MESOS_STATE] {
            plan.then(Action::Undo { object: Object::StateDirectory { path: path.into(), made: true } });
        }
    }
    for object in things.iter().filter(|o| matches!(o, Object::Units { .. })) {
        plan.then(Action::Undo { object: (*object).clone() });
    }
    // Deepest first; what is not empty stays, with what is kept in it.
    let (ours, theirs): (Vec<&Object>, Vec<&Object>) = directories.into_iter().partition(|o| leads_to_ours(o));
    let keeps = wish.keep_packages && inventory.iter().any(|o| matches!(o, Object::Package { .. }));
    for object in theirs.into_iter().filter(|o| !(keeps && holds(o, layout::REPOSITORY))) {
        plan.then(Action::Undo { object: object.clone() });
    }
    if !keeps {
        let mut directories: Vec<PathBuf> = ours.iter().filter_map(|o| directory(o)).collect();
        directories.reverse();
        plan.then(Action::RemoveOurselves { directories });
    } else {
        // Packages stay, and the journal that knows them; binary and unit go, as there is nothing to recover.
        for object in things.iter().filter(|o| is_ours(o)) {
            plan.then(Action::Undo { object: (*object).clone() });
        }
        for object in ours.into_iter().filter(|o| !holds(o, layout::OUR_STATE) && !holds(o, layout::REPOSITORY)) {
            plan.then(Action::Undo { object: object.clone() });
        }
        if wish.live {
            plan.then(Action::Reload);
        }
    }
    plan
}

fn goes(object: &Object, wish: Wish) -> bool {
    match object {
        Object::Package { .. } => !wish.keep_packages,
        // Purged as whole trees, below; kept otherwise.
        Object::StateDirectory { .. } => false,
        _ => true,
    }
}

fn made_state_directory(object: &Object) -> Option<&Path> {
    match object {
        Object::StateDirectory { path, made: true } => Some(path),
        _ => None,
    }
}

fn is_link(object: &Object, at: &str) -> bool {
    matches!(object, Object::Link { path, .. } if path == Path::new(at))
}

/// Binary, unit and link of ours: a retry needs them until the end.
fn is_ours(object: &Object) -> bool {
    matches!(object, Object::File { path, .. } | Object::Link { path, .. } if [layout::OUR_BINARY, layout::SETUP_UNIT, layout::SETUP_LINK].iter().any(|ours| path == Path::new(ours)))
}

/// Directories that hold our own traces until the end.
fn leads_to_ours(object: &Object) -> bool {
    [layout::OUR_BINARY, layout::SETUP_UNIT, layout::SETUP_LINK, layout::OUR_STATE].iter().any(|ours| holds(object, ours))
}

fn holds(object: &Object, what: &str) -> bool {
    matches!(object, Object::Directory { path } if Path::new(what).starts_with(path))
}

fn directory(object: &Object) -> Option<PathBuf> {
    match object {
        Object::Directory { path } => Some(path.clone()),
        _ => None,
    }
}
