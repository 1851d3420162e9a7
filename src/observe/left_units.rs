//! Units that DC/OS left, the links to them, and what belongs to an operator among them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::found::{Found, names, object_at};
use super::node::Node;
use crate::dcos::leftovers::{self, CLASSIC_UNITS, UNIT_NEW};
use crate::dcos::receipt::{Before, Object};
use crate::dcos::{layout, units};
use crate::system::files::{self, Standing};
use crate::system::root::Root;

/// Longest unit file that is read.
const LONGEST: u64 = 4 << 20;

/// Looks at everything in the administrator's directory of units.
pub(super) fn look(root: &Root, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let packaged = packaged(root)?;
    let all = names(root, layout::SYSTEM_UNITS)?;
    let mut ours = BTreeSet::new();
    for name in &all {
        if is_ours(root, node, name, &packaged)? {
            ours.insert(name.clone());
        } else if is_masked(root, name)? && packaged.contains_key(name) {
            found.leave(layout::unit(name), "masked by an operator");
        }
    }
    for name in all.iter().filter(|name| ours.contains(*name) || name.ends_with(UNIT_NEW)) {
        // The unit and the link that run at boot go before anything else, and are no objects of our own install.
        let is_setup = layout::unit(name) == Path::new(layout::SETUP_UNIT);
        let object = if is_setup { Some(Object::Scratch { path: layout::unit(name) }) } else { object_at(root, layout::unit(name))? };
        object.into_iter().for_each(|object| found.add(object));
    }
    for name in &all {
        match name.rsplit_once('.') {
            Some((unit, "d")) if ours.contains(unit) || leftovers::is_dcos_unit(unit) => drop_ins(root, name, found)?,
            _ if layout::TARGET_WANTS_NAMES.contains(&name.as_str()) => {
                // The live one is known by our receipt, if there is one: it may have stood there before.
                if node.receipt.is_none() || layout::unit(name) != Path::new(layout::TARGET_WANTS) {
                    found.add(Object::Directory { path: layout::unit(name) });
                }
                wants(root, name, &packaged, &mut ours, found)?;
            }
            Some((_, "wants" | "requires")) => links(root, node, name, &ours, found)?,
            _ => {}
        }
    }
    if !ours.is_empty() {
        found.add(Object::Units { names: ours.into_iter().filter(|name| name != layout::TARGET).collect() });
    }
    Ok(())
}

/// Units of every package in the repository, for any role, each with the files that it may be a copy of.
fn packaged(root: &Root) -> anyhow::Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut units: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for package in names(root, layout::REPOSITORY)?.into_iter().filter(|name| leftovers::is_package(name)) {
        let top = Path::new(layout::REPOSITORY).join(package);
        let wants = names(root, &top)?.into_iter().filter(|name| name.starts_with("dcos.target.wants"));
        for directory in wants.map(|name| top.join(name)) {
            for unit in names(root, &directory)? {
                units.entry(unit.clone()).or_default().push(directory.join(unit));
            }
        }
    }
    Ok(units)
}

/// A unit is DC/OS' if it leads into `/opt/mesosphere` or if a package has it. Where the packages are gone, a name that only DC/OS gives and a text
/// that speaks of `/opt/mesosphere`, or has no byte (what a power cut leaves), must do, or that the target wants it.
fn is_ours(root: &Root, node: &Node, name: &str, packaged: &BTreeMap<String, Vec<PathBuf>>) -> anyhow::Result<bool> {
    let path = layout::unit(name);
    if !units::is_unit_name(name) || (path == Path::new(layout::SETUP_UNIT) && node.setup_is_ours) {
        return Ok(false);
    }
    let target = match files::standing(&root.at(&path))? {
        Some(Standing::File { .. }) => None,
        Some(Standing::Link { target }) => Some(target),
        _ => return Ok(false),
    };
    if let Some(target) = target {
        return Ok(target.starts_with(layout::MESOSPHERE));
    }
    if CLASSIC_UNITS.contains(&name) {
        return Ok(true);
    }
    let text = files::read(&root.at(&path), LONGEST)?.unwrap_or_default();
    if leftovers::is_dcos_unit(name) {
        let speaks = text.is_empty() || String::from_utf8_lossy(&text).contains(layout::MESOSPHERE);
        let is_wanted = node.wanted_units.iter().any(|wanted| wanted == name);
        return Ok(packaged.contains_key(name) || (packaged.is_empty() && (speaks || is_wanted)));
    }
    for copied in packaged.get(name).into_iter().flatten() {
        if files::read(&root.resolved(copied), LONGEST)?.is_some_and(|original| original == text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_masked(root: &Root, name: &str) -> anyhow::Result<bool> {
    Ok(matches!(files::standing(&root.at(layout::unit(name)))?, Some(Standing::Link { target }) if target.ends_with("dev/null")))
}

/// The links by which the target wants units: live, to come, or set aside. A unit that no package has is an operator's.
fn wants(
    root: &Root,
    directory: &str,
    packaged: &BTreeMap<String, Vec<PathBuf>>,
    ours: &mut BTreeSet<String>,
    found: &mut Found,
) -> anyhow::Result<()> {
    let top = layout::unit(directory);
    for name in names(root, &top)? {
        let path = top.join(&name);
        let leads_inside = |target: &Path| target.starts_with(layout::MESOSPHERE);
        match files::standing(&root.at(&path))? {
            Some(Standing::Link { target })
                if leads_inside(&target) || packaged.contains_key(&name) || ours.contains(&name) || leftovers::is_dcos_unit(&name) =>
            {
                found.add(Object::Link { path, target, before: Before::Absent });
                ours.insert(name);
            }
            _ => found.leave(path, "a unit of an operator, which DC/OS' target wants"),
        }
    }
    Ok(())
}

/// Links elsewhere by which a unit of DC/OS' is enabled.
fn links(root: &Root, node: &Node, directory: &str, ours: &BTreeSet<String>, found: &mut Found) -> anyhow::Result<()> {
    let top = layout::unit(directory);
    for name in names(root, &top)? {
        let path = top.join(&name);
        let Some(Standing::Link { target }) = files::standing(&root.at(&path))? else { continue };
        let is_setup = path == Path::new(layout::SETUP_LINK);
        let leads_to_ours = ours.contains(&name) || CLASSIC_UNITS.contains(&name.as_str()) || target.starts_with(layout::MESOSPHERE);
        match (is_setup, leads_to_ours) {
            (true, _) if node.setup_is_ours => {}
            (true, _) => found.add(Object::Scratch { path }),
            (false, true) => found.add(Object::Link { path, target, before: Before::Absent }),
            (false, false) => {}
        }
    }
    Ok(())
}

/// Drop-ins are an operator's: DC/OS makes none. Only links that led into `/opt/mesosphere` go, and a directory that is empty.
fn drop_ins(root: &Root, directory: &str, found: &mut Found) -> anyhow::Result<()> {
    let top = layout::unit(directory);
    for name in names(root, &top)? {
        let path = top.join(&name);
        match files::standing(&root.at(&path))? {
            Some(Standing::Link { target }) if target.starts_with(layout::MESOSPHERE) => {
                found.add(Object::Link { path, target, before: Before::Absent });
            }
            _ => found.leave(path, "a drop-in of an operator"),
        }
    }
    found.objects.push(Object::Directory { path: top });
    Ok(())
}
