//! The texts of DC/OS' units, and what an administrator added to them and to the units beside them.

use std::collections::BTreeSet;

use super::parts::Parts;
use crate::dcos::bundle::other_units;
use crate::dcos::layout;
use crate::system::root::Root;

/// Collects them.
pub(super) fn collect(parts: &mut Parts<'_>, root: &Root) {
    let names = |directory| root.names(directory).unwrap_or_default();
    let (there, wanted) = (names(layout::SYSTEM_UNITS), names(layout::TARGET_WANTS));
    let ours: BTreeSet<&String> =
        there.iter().chain(&wanted).filter(|name| is_ours(name)).collect();
    for name in ours.iter().filter(|name| !name.ends_with(".d") && !name.contains(".wants")) {
        let copy = layout::unit(name);
        // A unit that only the target knows is a link into a package.
        let path = if there.contains(*name) { copy } else { layout::wants(name) };
        parts.file(&format!("units/{name}"), root, path, false);
    }
    let others = other_units().map(|unit| -> &str { unit });
    let extended: BTreeSet<&str> =
        ours.iter().map(|name| name.trim_end_matches(".d")).chain(others).collect();
    for unit in extended {
        let directory = layout::drop_ins(unit);
        for name in
            root.names(&directory).unwrap_or_default().iter().filter(|name| name.ends_with(".conf"))
        {
            parts.file(&format!("units/{unit}.d/{name}"), root, directory.join(name), false);
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("dcos-") || name.starts_with("dcos.")
}
