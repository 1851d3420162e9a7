//! Plans an uninstall: the inventory from its end to its beginning, what a retry needs last.

use std::path::{Path, PathBuf};

use super::{Plan, network};
use crate::action::Action;
use crate::dcos::receipt::{Before, Object};
use crate::dcos::snapshot::Snapshot;
use crate::dcos::{data, layout};

/// What goes and what stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// State directories go too.
    pub purge_data: bool,
    /// The store in which whole packages stay for another try.
    pub keep_in: Option<&'static str>,
    /// The node is this machine: systemd is told.
    pub live: bool,
}

/// The commit link goes first, so that a boot in between starts nothing; then units stop, and what
/// an agent left running. Only then is it certain what they made.
pub fn stop(inventory: &[Object], units: &[String], wish: Wish) -> Plan {
    let mut plan = Plan::default();
    for object in inventory.iter().filter(|o| starts_at_boot(o)) {
        plan.then(Action::Undo { object: object.clone() });
    }
    if wish.live && !units.is_empty() {
        plan.then(Action::Stop { units: units.to_vec() });
    }
    for object in inventory.iter().filter(|o| is_scratch(o, layout::EXECUTORS_SLICE)) {
        plan.then(Action::Undo { object: object.clone() });
    }
    plan
}

/// First what [`stop`] plans; then everything else goes, newest first. What DC/OS makes while it
/// runs is not looked for where it stood `before` it.
pub fn uninstall(
    inventory: &[Object],
    units: &[String],
    wish: Wish,
    before: Option<&Snapshot>,
) -> Plan {
    let mut plan = stop(inventory, units, wish);
    if wish.keep_in.is_some() {
        // The last step of the install may have written it. While packages are kept the rest of our
        // records stay, and it would say that the node is installed.
        let receipt = Object::File {
            path: layout::RECEIPT.into(),
            sha256: String::new(),
            before: Before::Absent,
        };
        plan.then(Action::Undo { object: receipt });
    }
    let rest: Vec<&Object> = inventory
        .iter()
        .filter(|o| !starts_at_boot(o) && !is_scratch(o, layout::EXECUTORS_SLICE))
        .collect();
    let (directories, things): (Vec<&Object>, Vec<&Object>) =
        rest.into_iter().rev().partition(|o| matches!(o, Object::Directory { .. }));
    for object in
        things.iter().filter(|o| goes(o, wish) && !is_ours(o) && !matches!(o, Object::Units { .. }))
    {
        plan.then(Action::Undo { object: (*object).clone() });
    }
    if wish.keep_in.is_some() {
        for object in things.iter() {
            if let Object::Package { id } = object {
                plan.then(Action::KeepPackage { id: id.clone() });
            }
        }
    }
    if wish.live {
        // Those of the network are in the inventory if they stand: who read them is told.
        let told = [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE];
        let stood = |path: &str| {
            before.is_some_and(|before| before.paths.iter().any(|p| p == Path::new(path)))
        };
        let made = made_by_units(inventory).filter(|made| !told.contains(made) && !stood(made));
        for path in made.filter(|made| !inventory.iter().any(|o| is_scratch(o, made))) {
            plan.then(Action::Undo { object: Object::Scratch { path: path.into() } });
        }
    }
    if wish.keep_in.is_some() {
        // A state directory that a failed install made is as empty as it made it, unless a unit
        // ran: then its data stays.
        for object in &things {
            if let Object::StateDirectory { path, made: true } = object {
                plan.then(Action::Undo { object: Object::Directory { path: path.clone() } });
            }
        }
    }
    if wish.purge_data {
        // Whole places; what lies in them goes with them.
        for object in things
            .iter()
            .filter(|o| matches!(o, Object::StateDirectory { path, .. } if is_place(path)))
        {
            plan.then(Action::Undo { object: (*object).clone() });
        }
    }
    for object in things.iter().filter(|o| matches!(o, Object::Units { .. })) {
        plan.then(Action::Undo { object: (*object).clone() });
    }
    // Deepest first, in whatever order an earlier run recorded its residue; what is not empty
    // stays, with what is kept in it.
    let (ours, mut theirs): (Vec<&Object>, Vec<&Object>) =
        directories.into_iter().partition(|o| leads_to_ours(o));
    theirs.sort_by_key(|o| {
        std::cmp::Reverse(directory(o).map_or(0, |path| path.components().count()))
    });
    for object in theirs {
        plan.then(Action::Undo { object: object.clone() });
    }
    let store = wish.keep_in.filter(|_| inventory.iter().any(is_package));
    let Some(store) = store else {
        let mut directories: Vec<PathBuf> = ours.iter().filter_map(|o| directory(o)).collect();
        directories.reverse();
        plan.then(Action::RemoveOurselves { directories });
        return plan;
    };
    // Packages stay, and the journal that knows them; binary and unit go, as there is nothing to
    // recover.
    for object in things.iter().filter(|o| is_ours(o)) {
        plan.then(Action::Undo { object: (*object).clone() });
    }
    for object in ours.into_iter().filter(|o| !holds(o, layout::OUR_STATE) && !holds(o, store)) {
        plan.then(Action::Undo { object: object.clone() });
    }
    if wish.live {
        plan.then(Action::Reload);
    }
    plan
}

fn is_package(object: &Object) -> bool {
    matches!(object, Object::Package { .. })
}

/// What units made while they ran. calico's and REX-Ray's is another's where DC/OS did not bring
/// them.
pub fn made_by_units(inventory: &[Object]) -> impl Iterator<Item = &'static str> {
    let (calico, rexray) = (network::brings_calico(inventory), brings_rexray(inventory));
    let is_anothers = move |made: &str| match made {
        layout::CALICO_RUN => !calico,
        layout::LIBSTORAGE_RUN => !rexray,
        _ => false,
    };
    layout::MADE_BY_UNITS.into_iter().filter(move |made| !is_anothers(made))
}

/// Whether REX-Ray runs as a unit of DC/OS (on agents).
pub fn brings_rexray(inventory: &[Object]) -> bool {
    inventory.iter().any(|object| {
        matches!(
            object,
            Object::Units { names } if names.iter().any(|name| name == layout::REXRAY)
        )
    })
}

/// Everything that a plan undoes.
pub fn undone(plan: &Plan) -> Vec<Object> {
    let objects = plan.batches.iter().flatten().filter_map(|action| match action {
        Action::Undo { object } => Some(object.clone()),
        _ => None,
    });
    objects.collect()
}

/// Takes off the end of a plan what removes our own traces: a retry needs them if something else is
/// left.
pub fn without_ourselves(mut plan: Plan) -> (Plan, Plan) {
    let at = plan
        .batches
        .iter()
        .position(|batch| batch.iter().any(|a| matches!(a, Action::RemoveOurselves { .. })));
    let ourselves = plan.batches.split_off(at.unwrap_or(plan.batches.len()));
    (plan, Plan { batches: ourselves })
}

fn goes(object: &Object, wish: Wish) -> bool {
    match object {
        Object::Package { .. } => wish.keep_in.is_none(),
        // Purged as whole trees, below; kept otherwise.
        Object::StateDirectory { .. } => false,
        _ => true,
    }
}

/// What starts DC/OS at the next boot: the commit point, and what the classic installer enabled.
/// Our own link is needed until the end.
fn starts_at_boot(object: &Object) -> bool {
    is_scratch(object, layout::SETUP_LINK)
        || matches!(object, Object::Link { path, .. } if path == Path::new(layout::COMMIT_LINK))
}

fn is_scratch(object: &Object, at: &str) -> bool {
    matches!(object, Object::Scratch { path } if path == Path::new(at))
}

/// Whether a purge removes it as a whole.
fn is_place(path: &Path) -> bool {
    data::whole().any(|place| path == Path::new(place.path))
}

/// Binary, unit and link of ours: a retry needs them until the end.
fn is_ours(object: &Object) -> bool {
    matches!(
        object,
        Object::File { path, .. } | Object::Link { path, .. }
            if [layout::OUR_BINARY, layout::SETUP_UNIT, layout::SETUP_LINK]
                .iter()
                .any(|ours| path == Path::new(ours))
    )
}

/// Directories that hold our own traces until the end.
fn leads_to_ours(object: &Object) -> bool {
    [layout::OUR_BINARY, layout::SETUP_UNIT, layout::SETUP_LINK, layout::OUR_STATE]
        .iter()
        .any(|ours| holds(object, ours))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_made_by_units_are_removed_unless_they_are_earlier() {
        let wish = Wish { purge_data: false, keep_in: None, live: true };
        let before = Snapshot {
            paths: ["/run/mesos", "/run/calico", "/run/libstorage"].map(PathBuf::from).into(),
            ..Snapshot::default()
        };
        let brought = [Object::Units {
            names: vec!["dcos-calico-bird.service".into(), "dcos-rexray.service".into()],
        }];
        let removed = |before| -> Vec<PathBuf> {
            undone(&uninstall(&brought, &[], wish, before))
                .iter()
                .filter_map(Object::path)
                .collect()
        };
        let (all, some) = (removed(None), removed(Some(&before)));
        let stood: Vec<&PathBuf> = all.iter().filter(|path| !some.contains(path)).collect();
        assert_eq!(stood, ["/run/mesos", "/run/calico", "/run/libstorage"].map(Path::new));
        let anothers = ["/run/calico", "/run/libstorage"].map(PathBuf::from);
        assert!(
            !undone(&uninstall(&[], &[], wish, None))
                .iter()
                .filter_map(Object::path)
                .any(|path| anothers.contains(&path)),
            "another calico's, another REX-Ray's"
        );
    }
}
