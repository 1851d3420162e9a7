//! Units that DC/OS left, the links to them, and what belongs to an operator among them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::found::{Found, is_removable, object_at};
use super::node::Node;
use crate::dcos::leftovers::{self, CLASSIC_UNITS, UNIT_NEW};
use crate::dcos::receipt::{Before, Object};
use crate::dcos::{layout, units};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// Why a mask stays.
const MASKED: &str = "masked by an operator";

/// Longest unit file that is read.
const LONGEST: u64 = 4 << 20;

/// Looks at everything in the administrator's directory of units, and at what an operator put
/// beside it.
pub(super) fn look(root: &Root, node: &Node, found: &mut Found) -> anyhow::Result<()> {
    let packaged = packaged(root)?;
    let all = root.names(layout::SYSTEM_UNITS)?;
    let mut ours = ours(root, node, &all, &packaged, found)?;
    for name in all.iter().filter(|name| ours.contains(*name) || name.ends_with(UNIT_NEW)) {
        // The unit and the link that run at boot go before anything else, and are no objects of our
        // own install.
        let is_setup = layout::unit(name) == Path::new(layout::SETUP_UNIT);
        let object = if is_setup {
            Some(Object::Scratch { path: layout::unit(name) })
        } else {
            object_at(root, layout::unit(name))?
        };
        object.into_iter().for_each(|object| found.add(object));
    }
    for name in &all {
        match name.rsplit_once('.') {
            Some((unit, "d")) if ours.contains(unit) || leftovers::is_unit_of_dcos(unit) => {
                drop_ins(root, layout::unit(name), found)?
            }
            _ if layout::TARGET_WANTS_NAMES.contains(&name.as_str()) => {
                let known = found.signs.len();
                let directory = Object::Directory { path: layout::unit(name) };
                let at = found.objects.len();
                let is_empty = wants(root, name, &packaged, &mut ours, found)?;
                // The live one is known by our receipt, if there is one: it may have stood there
                // before. With nothing but an operator's links it is no sign.
                let goes = is_removable(root, &layout::unit(name))?;
                if goes
                    && (node.receipt.is_none()
                        || layout::unit(name) != Path::new(layout::TARGET_WANTS))
                {
                    found.objects.insert(at, directory.clone());
                    found
                        .signs
                        .extend((is_empty || found.signs.len() > known).then_some(directory));
                }
            }
            Some((_, "wants" | "requires")) => links(root, node, name, &ours, found)?,
            _ => {}
        }
    }
    elsewhere(root, &ours, found)?;
    if !ours.is_empty() {
        found.add(Object::Units { names: ours.into_iter().collect() });
    }
    Ok(())
}

/// Units of every package in the repository, for any role, each with the files that it may be a
/// copy of.
fn packaged(root: &Root) -> anyhow::Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut units: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for package in
        root.names(layout::REPOSITORY)?.into_iter().filter(|name| leftovers::is_package(name))
    {
        let top = Path::new(layout::REPOSITORY).join(package);
        let wants =
            root.names(&top)?.into_iter().filter(|name| name.starts_with("dcos.target.wants"));
        for directory in wants.map(|name| top.join(name)) {
            for unit in root.names(&directory)? {
                units.entry(unit.clone()).or_default().push(directory.join(unit));
            }
        }
    }
    Ok(units)
}

/// The units that are DC/OS'. What is only named like them, or is masked, is an operator's and
/// told.
fn ours(
    root: &Root,
    node: &Node,
    all: &[String],
    packaged: &BTreeMap<String, Vec<PathBuf>>,
    found: &mut Found,
) -> anyhow::Result<BTreeSet<String>> {
    let mut ours = BTreeSet::new();
    for name in all {
        if is_ours(root, node, name, packaged)? {
            ours.insert(name.clone());
        }
    }
    let inventory = node.inventory();
    let is_recorded = |path: &Path| {
        inventory.iter().any(|o| {
            matches!(
                o,
                Object::File { path: p, .. } | Object::Link { path: p, .. } if p == path
            )
        })
    };
    for name in all
        .iter()
        .filter(|name| !ours.contains(*name) && units::is_unit_name(name))
        .cloned()
        .collect::<Vec<_>>()
    {
        let path = layout::unit(&name);
        let is_setup = path == Path::new(layout::SETUP_UNIT);
        let text = root.text(&path).ok().flatten().unwrap_or_default();
        if is_masked(root, &path)? {
            if packaged.contains_key(&name) || leftovers::is_unit_of_dcos(&name) {
                found.leave(path, MASKED);
            }
        } else if leftovers::looks_like_dcos(&name) && !is_setup && !is_recorded(&path) {
            // A socket or timer of a unit of DC/OS' goes with it, whatever its own name is.
            if leftovers::started_by(&name, &text).iter().any(|started| ours.contains(started)) {
                ours.insert(name);
            } else {
                found.leave(
                    path,
                    "named like a unit of DC/OS, but no package and no release has it",
                );
            }
        }
    }
    Ok(ours)
}

/// A unit is DC/OS' if it leads into `/opt/mesosphere`, if a package has it, or if it has a name of
/// DC/OS' own and the packages are gone.
fn is_ours(
    root: &Root,
    node: &Node,
    name: &str,
    packaged: &BTreeMap<String, Vec<PathBuf>>,
) -> anyhow::Result<bool> {
    let path = layout::unit(name);
    if !units::is_unit_name(name) || (path == Path::new(layout::SETUP_UNIT) && node.setup_is_ours) {
        return Ok(false);
    }
    match files::file_kind(&root.at(&path))? {
        Some(FileKind::File) => {}
        // `/opt/mesosphere` may be a link itself, and pkgpanda writes what is at its end.
        Some(FileKind::Link { target }) => {
            let real = root.as_seen(&root.resolved(layout::MESOSPHERE));
            return Ok(target.starts_with(layout::MESOSPHERE) || target.starts_with(real));
        }
        _ => return Ok(false),
    }
    // It stood there before an install of ours, which put none of its own in its place.
    let stood = node.snapshot().is_some_and(|before| before.units.iter().any(|unit| unit == name));
    if leftovers::is_unit_of_dcos(name) {
        return Ok(!stood || packaged.contains_key(name));
    }
    if leftovers::looks_like_dcos(name) {
        return Ok(packaged.contains_key(name));
    }
    let text = root.read(&path, LONGEST)?.unwrap_or_default();
    for copied in packaged.get(name).into_iter().flatten() {
        if root.read(copied, LONGEST)?.is_some_and(|original| original == text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_masked(root: &Root, path: &Path) -> anyhow::Result<bool> {
    Ok(matches!(
        files::file_kind(&root.at(path))?,
        Some(FileKind::Link { target }) if units::is_mask(&target)
    ))
}

/// What an operator put into the other places for units: drop-ins, masks, and units in the place of
/// DC/OS' own. A later install would meet them.
fn elsewhere(root: &Root, ours: &BTreeSet<String>, found: &mut Found) -> anyhow::Result<()> {
    let is_dcos = |unit: &str| ours.contains(unit) || leftovers::is_unit_of_dcos(unit);
    for top in layout::MORE_SYSTEM_UNITS.map(Path::new) {
        for name in root.names(top)? {
            match name.rsplit_once('.') {
                Some((unit, "d")) if is_dcos(unit) => drop_ins(root, top.join(&name), found)?,
                _ if !is_dcos(&name) => {}
                _ if is_masked(root, &top.join(&name))? => found.leave(top.join(&name), MASKED),
                _ => found
                    .leave(top.join(&name), "a unit of an operator, in the place of DC/OS' own"),
            }
        }
    }
    Ok(())
}

/// The links by which the target wants units: live, to come, or set aside. A unit that no package
/// has is an operator's. Says whether there is none.
fn wants(
    root: &Root,
    directory: &str,
    packaged: &BTreeMap<String, Vec<PathBuf>>,
    ours: &mut BTreeSet<String>,
    found: &mut Found,
) -> anyhow::Result<bool> {
    let top = layout::unit(directory);
    let all = root.names(&top)?;
    let is_empty = all.is_empty();
    for name in all {
        let path = top.join(&name);
        let leads_inside = |target: &Path| target.starts_with(layout::MESOSPHERE);
        let is_gone = |name: &str| {
            leftovers::is_unit_of_dcos(name) && !files::exists(&root.at(layout::unit(name)))
        };
        match files::file_kind(&root.at(&path))? {
            Some(FileKind::Link { target })
                if leads_inside(&target)
                    || packaged.contains_key(&name)
                    || ours.contains(&name)
                    || is_gone(&name) =>
            {
                found.add(Object::Link { path, target, before: Before::Absent });
                ours.insert(name);
            }
            _ => found.leave(path, "a unit of an operator, which DC/OS' target wants"),
        }
    }
    Ok(is_empty)
}

/// Links elsewhere by which a unit of DC/OS' is enabled.
fn links(
    root: &Root,
    node: &Node,
    directory: &str,
    ours: &BTreeSet<String>,
    found: &mut Found,
) -> anyhow::Result<()> {
    let top = layout::unit(directory);
    for name in root.names(&top)? {
        let path = top.join(&name);
        let Some(FileKind::Link { target }) = files::file_kind(&root.at(&path))? else { continue };
        let is_setup = path == Path::new(layout::SETUP_LINK);
        let leads_to_ours = ours.contains(&name)
            || CLASSIC_UNITS.contains(&name.as_str())
            || target.starts_with(layout::MESOSPHERE);
        match (is_setup, leads_to_ours) {
            (true, _) if node.setup_is_ours => {}
            (true, _) => found.add(Object::Scratch { path }),
            (false, true) => found.add(Object::Link { path, target, before: Before::Absent }),
            (false, false) => {}
        }
    }
    Ok(())
}

/// Drop-ins are an operator's: DC/OS makes none. Only links that led into `/opt/mesosphere` go, and
/// a directory that is empty.
fn drop_ins(root: &Root, top: PathBuf, found: &mut Found) -> anyhow::Result<()> {
    for name in root.names(&top)? {
        let path = top.join(&name);
        match files::file_kind(&root.at(&path))? {
            Some(FileKind::Link { target }) if target.starts_with(layout::MESOSPHERE) => {
                found.add(Object::Link { path, target, before: Before::Absent });
            }
            _ => found.leave(path, "a drop-in of an operator"),
        }
    }
    found.objects.push(Object::Directory { path: top });
    Ok(())
}
