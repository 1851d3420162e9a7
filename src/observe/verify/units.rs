//! The units of the active set, in the form of every release or in that of 1.10: the links that
//! make the target want them, what else it wants, and settings that were put beside units.

use std::collections::BTreeSet;
use std::path::Path;

use super::findings::Findings;
use super::package::Owners;
use super::text::{LONGEST, TEXT, content};
use crate::dcos::active_set::ActiveSet;
use crate::dcos::difference::{Aspect, Detail, Difference, Kind};
use crate::dcos::layout;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// What a unit is of.
const UNITS: &str = "units";

/// Compares each unit of the set, and looks for others.
pub(super) fn compare(root: &Root, set: &ActiveSet, owners: &Owners, findings: &mut Findings) {
    let units = set.units();
    let names: BTreeSet<&str> = units.iter().map(|(name, _)| name.as_str()).collect();
    for (name, source) in &units {
        findings.looked_at(2);
        unit(root, name, source, owners, findings);
        wants(root, name, source, findings);
        findings.judged(layout::unit(name));
        findings.judged(layout::wants(name));
        for file in root.names(layout::drop_ins(name)).unwrap_or_default() {
            findings.differs(
                Difference::extra(layout::drop_ins(name).join(file), "drop-ins").marked(true),
            );
        }
    }
    for name in root.names(layout::TARGET_WANTS).unwrap_or_default() {
        // The loss of a package's unit is told already.
        let is_of_unit = |path: &Path| path.file_name() == Some(name.as_ref());
        let is_left = || {
            findings
                .differences
                .iter()
                .any(|d| d.kind == Kind::Missing && d.object.path().is_some_and(is_of_unit))
        };
        if !names.contains(name.as_str()) && !is_left() {
            findings.differs(Difference::extra(Path::new(layout::TARGET_WANTS).join(name), UNITS));
        }
    }
}

/// A copy of the package's unit, or a link that ends at it.
fn unit(root: &Root, name: &str, source: &Path, owners: &Owners, findings: &mut Findings) {
    let path = layout::unit(name);
    if let Ok(Some(stands)) = files::lstat(&root.at(&path))
        && matches!(stands.kind, FileKind::Link { .. })
        && ends_at(root, &path, source)
    {
        let details = owners.of_root(None, &stands);
        return Difference::changed(path, UNITS, details)
            .into_iter()
            .for_each(|d| findings.differs(d));
    }
    match root.read(source, LONGEST) {
        // The loss of the source is told already, and the unit itself may be well.
        Ok(None) | Err(_) if files::exists(&root.at(&path)) => {}
        Ok(None) | Err(_) => findings.differs(Difference::missing(path, UNITS)),
        // It is copied with its mode.
        Ok(text) => {
            let mode = files::lstat(&root.resolved(source))
                .ok()
                .flatten()
                .map_or(TEXT, |source| source.mode);
            content(root, path, text, mode, owners, UNITS, findings);
        }
    }
}

/// The link by which the target wants a unit.
fn wants(root: &Root, name: &str, source: &Path, findings: &mut Findings) {
    let path = layout::wants(name);
    let target = match files::lstat(&root.at(&path)) {
        Ok(Some(files::Stat { kind: FileKind::Link { target }, .. })) => target,
        Ok(_) => return findings.differs(Difference::missing(path, UNITS)),
        Err(error) => return findings.unknown(path.display().to_string(), error.to_string()),
    };
    if target != layout::unit(name) && !ends_at(root, &path, source) {
        let details =
            Detail::of(Aspect::Link, layout::unit(name), target, |path| path.display().to_string());
        Difference::changed(path, UNITS, details.into_iter().collect())
            .into_iter()
            .for_each(|d| findings.differs(d));
    }
}

/// Whether a link ends at the file of a package.
fn ends_at(root: &Root, link: &Path, source: &Path) -> bool {
    root.resolved(link) == root.resolved(source)
}
