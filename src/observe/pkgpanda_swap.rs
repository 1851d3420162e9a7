//! Looks whether pkgpanda left a swap, or the setup after its first one, unfinished.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::pkgpanda_swap::{self, Present, Swap};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// A swap that pkgpanda left unfinished.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// What is left to do.
    pub swap: Swap,
    /// The packages that will be active.
    pub packages: BTreeSet<PackageId>,
    /// It is the first one of a node: `pkgpanda setup` enables and starts the target after it, and
    /// removes its marker last (`pkgpanda/actions.py`, setup).
    pub is_first: bool,
}

/// What pkgpanda left unfinished; nothing on most nodes.
///
/// # Errors
/// There is a swap, and it cannot be finished.
pub fn look(root: &Root) -> anyhow::Result<Option<Unfinished>> {
    let has = |path: &Path| files::exists(&root.at(path));
    let is_first = has(Path::new(layout::BOOTSTRAP_MARKER));
    let Some(progress) = root.read(layout::INSTALL_PROGRESS, 1 << 20)? else {
        return if is_first { unended_setup(root) } else { Ok(None) };
    };
    let wants = Path::new(layout::TARGET_WANTS);
    let (new_wants, old_wants) = (pkgpanda_swap::new_form(wants), pkgpanda_swap::old_form(wants));
    let is_switched = !has(&new_wants);
    let mut old_units = root.names(&old_wants)?;
    if !is_switched {
        old_units.extend(root.names(wants)?);
    }
    let present = Present {
        paths: pkgpanda_swap::paths().into_iter().filter(|path| has(path)).collect(),
        units: root.names(Path::new(layout::SYSTEM_UNITS))?,
        old_units,
        new_units: root.names(if is_switched { wants } else { &new_wants })?,
    };
    let swap = Swap::read(&progress, &present)?;
    let active = layout::active_name("active");
    let new_active = pkgpanda_swap::new_form(&active);
    let packages = packages(root, if has(&new_active) { &new_active } else { &active })?;
    Ok(Some(Unfinished { swap, packages, is_first }))
}

/// A first swap that came to its end, with what comes after it still to do. Before it there are no
/// units: the names that live then are those of the bootstrap archive.
fn unended_setup(root: &Root) -> anyhow::Result<Option<Unfinished>> {
    let units = root.names(layout::TARGET_WANTS)?;
    let is_live = pkgpanda_swap::names().all(|name| files::exists(&root.at(name)));
    let is_building = root.names(layout::MESOSPHERE)?.iter().any(|n| n.ends_with(layout::NEW))
        || files::exists(&root.at(pkgpanda_swap::new_form(Path::new(layout::TARGET_WANTS))));
    if units.is_empty() || !is_live || is_building {
        return Ok(None);
    }
    let packages = packages(root, &layout::active_name("active"))?;
    let swap = Swap { renames: Vec::new(), superseded_units: Vec::new(), units };
    Ok(Some(Unfinished { swap, packages, is_first: true }))
}

/// The packages that a directory of links leads to.
///
/// # Errors
/// It cannot be read.
pub fn packages(root: &Root, active: &Path) -> anyhow::Result<BTreeSet<PackageId>> {
    let mut packages = BTreeSet::new();
    for name in root.names(active)? {
        if let Some(FileKind::Link { target }) = files::file_kind(&root.at(active.join(name)))? {
            packages.extend(
                target.file_name().and_then(|id| id.to_string_lossy().parse::<PackageId>().ok()),
            );
        }
    }
    Ok(packages)
}

/// What changes the packages of a node of the classic installer.
const CHANGING: [&[u8]; 2] = [b"pkgpanda", b"dcos_node_upgrade.sh"];

/// The number of a process that is pkgpanda, not its web interface, or the upgrade that runs it:
/// what it does is not unfinished yet.
pub fn at_work(root: &Root) -> Option<u32> {
    let proc = root.resolved(layout::PROC);
    let numbers = files::names(&proc).ok().flatten()?;
    numbers.iter().filter_map(|name| name.to_str()?.parse().ok()).find(|number: &u32| {
        let words = files::read(&proc.join(number.to_string()).join("cmdline"), 1 << 20)
            .ok()
            .flatten()
            .unwrap_or_default();
        let is_one = |word: &[u8]| {
            word.rsplit(|byte| *byte == b'/').next().is_some_and(|name| CHANGING.contains(&name))
        };
        words.split(|byte| *byte == 0).take(3).any(is_one)
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::*;

    #[test]
    fn running_pkgpanda_is_found_but_not_its_web_interface() {
        let directory = tempfile::tempdir().unwrap();
        let runs = |number: &str, words: &str| {
            let process = directory.path().join("proc").join(number);
            std::fs::create_dir_all(&process).unwrap();
            std::fs::write(process.join("cmdline"), words.replace(' ', "\0")).unwrap();
        };
        let root = Root::new(directory.path());
        runs("41", "/opt/mesosphere/bin/python3 /opt/mesosphere/bin/gunicorn pkgpanda.http:app");
        runs("self", "pkgpanda activate");
        assert_eq!(at_work(&root), None);
        runs("42", "python3 /opt/mesosphere/bin/pkgpanda activate mesos--1");
        assert_eq!(at_work(&root), Some(42));
        std::fs::remove_dir_all(directory.path().join("proc/42")).unwrap();
        runs("43", "bash /tmp/dcos_node_upgrade.sh");
        assert_eq!(at_work(&root), Some(43));
    }
}
