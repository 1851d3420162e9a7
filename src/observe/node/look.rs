//! Looks at a node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Foreign, Node};
use crate::dcos::accounts::Accounts;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::leftovers::{self, CLASSIC_UNITS, Inside};
use crate::dcos::receipt::Object;
use crate::dcos::settings::Version;
use crate::dcos::store;
use crate::dcos::units;
use crate::observe::leftovers as left;
use crate::observe::pkgpanda_swap;
use crate::observe::records::{self, Records};
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

impl Node {
    /// Looks at the node below a root. Works without privileges as far as files can be read.
    ///
    /// # Errors
    /// Our own journal or receipt cannot be read, or is of a newer dcos-node; one that is damaged
    /// is told by the value.
    pub fn look(root: &Root) -> anyhow::Result<Node> {
        let unreadable = files::exists(&root.at(layout::OUR_STATE))
            && root
                .read(layout::JOURNAL, 0)
                .is_err_and(|e| e.source.kind() == std::io::ErrorKind::PermissionDenied);
        let Records { story, receipt, damaged } =
            if unreadable { Records::default() } else { records::look(root)? };
        let text = |path: &str| root.text(path).ok().flatten();
        let setup_is_ours = !files::exists(&root.at(layout::SETUP_UNIT))
            && !files::exists(&root.at(layout::SETUP_LINK))
            || text(layout::SETUP_UNIT).is_some_and(|text| text.contains(layout::OUR_BINARY));
        let ours = |path: &&&str| {
            setup_is_ours || ![layout::SETUP_UNIT, layout::SETUP_LINK].contains(*path)
        };
        let mut node = Node {
            active: pkgpanda_swap::packages(root, Path::new(layout::ACTIVE))?,
            whole: if unreadable { BTreeSet::new() } else { whole(root)? },
            active_names: layout::ACTIVE_NAMES
                .iter()
                .filter(|n| files::exists(&root.at(layout::active_name(n))))
                .map(|n| (*n).to_owned())
                .collect(),
            roles: root.names(layout::ROLES)?.iter().filter_map(|n| n.parse().ok()).collect(),
            wanted_units: root.names(layout::TARGET_WANTS)?,
            committed: files::exists(&root.at(layout::COMMIT_LINK)),
            traces: [
                layout::OUR_BINARY,
                layout::SETUP_UNIT,
                layout::SETUP_LINK,
                layout::OUR_STATE,
                layout::OUR_OPT,
            ]
            .iter()
            .filter(ours)
            .map(PathBuf::from)
            .filter(|p| files::exists(&root.at(p)))
            .collect(),
            foreign: Vec::new(),
            has_dcos: false,
            version: root
                .read(layout::DCOS_VERSION, 1 << 20)
                .ok()
                .flatten()
                .and_then(|t| Version::parse(&t)),
            accounts: Accounts::load(|path| root.text(path)).unwrap_or_default(),
            unreadable,
            damaged,
            setup_is_ours,
            manual_accounts: files::exists(&root.at(layout::MANUAL_HOST_USERS)),
            masked_units: masked_units(root)?,
            kept_identity: layout::IDENTITY
                .iter()
                .map(PathBuf::from)
                .filter(|p| files::exists(&root.at(p)))
                .collect(),
            story,
            receipt,
        };
        // Without our records nobody knows what of a whole node is not ours.
        if (!node.unreadable && node.damaged.is_empty()) || !node.is_whole() {
            tell_foreign(root, &mut node)?;
        }
        Ok(node)
    }
}

/// Tells what is not ours, and whether it is DC/OS'.
fn tell_foreign(root: &Root, node: &mut Node) -> anyhow::Result<()> {
    node.foreign = foreign(root, node)?;
    let signs = signs(root, node)?;
    let is_new = node.story.intent.is_none() && node.receipt.is_none();
    let obstructed = if is_new { obstructed(root)? } else { Vec::new() };
    node.has_dcos = !signs.is_empty();
    if node.foreign.is_empty() {
        node.foreign = signs;
    } else if signs.is_empty() && is_new {
        // Nothing of DC/OS: what lies in its place is somebody's, and a unit that the target wants
        // is in nobody's way.
        node.foreign.retain(|foreign| foreign.path.starts_with(layout::MESOSPHERE));
        node.foreign.iter_mut().for_each(|foreign| foreign.what = Some("not DC/OS'".to_owned()));
    }
    node.foreign.extend(obstructed);
    Ok(())
}

/// Directories that an install makes, and that may be links to others.
const DIRECTORIES: [&str; 5] = [
    layout::MESOSPHERE,
    layout::ETC_MESOSPHERE,
    layout::ROLES,
    layout::SETUP_FLAGS,
    layout::TARGET_WANTS,
];

/// Directories of DC/OS where something else is: an install could not make them, and an uninstall
/// leaves what it did not make.
fn obstructed(root: &Root) -> anyhow::Result<Vec<Foreign>> {
    let mut found = Vec::new();
    for path in DIRECTORIES {
        let what = match files::file_kind(&root.at(path))? {
            None | Some(FileKind::Directory) => continue,
            Some(FileKind::Link { .. }) if root.resolved(path).is_dir() => continue,
            Some(FileKind::Link { .. }) => "a link that leads to no directory",
            Some(FileKind::File | FileKind::Other) => "not a directory",
        };
        found.push(Foreign::new(path, what));
    }
    Ok(found)
}

fn masked_units(root: &Root) -> anyhow::Result<Vec<String>> {
    let is_masked = |name: &String| match files::file_kind(&root.at(layout::unit(name))) {
        Ok(Some(FileKind::Link { target })) => units::is_mask(&target),
        _ => false,
    };
    let names = root.names(layout::SYSTEM_UNITS)?.into_iter();
    Ok(names.filter(|name| leftovers::is_unit_of_dcos(name) && is_masked(name)).collect())
}

fn whole(root: &Root) -> anyhow::Result<BTreeSet<PackageId>> {
    let manifests = root.names(layout::MANIFESTS)?;
    let ids =
        manifests.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<PackageId>().ok());
    Ok(ids.filter(|id| root.first_directory(store::places(id)).is_some()).collect())
}

/// What stands where DC/OS belongs although no journal or receipt of ours knows of it.
fn foreign(root: &Root, node: &Node) -> anyhow::Result<Vec<Foreign>> {
    let inventory = node.known();
    let mut found = Vec::new();
    let knows_name = |name: &str| match leftovers::inside(name) {
        Inside::Active(name) => inventory
            .iter()
            .any(|o| matches!(o, Object::ActiveName { name: ours, .. } if name == ours)),
        // On a node of ours, pkgpanda has set these aside.
        Inside::Scratch => node.receipt.is_some() || leftovers::is_staging(name),
        Inside::Known => node.receipt.is_some() || ["packages", "lost+found"].contains(&name),
        Inside::Unknown => false,
    };
    let unknown = root.names(layout::MESOSPHERE)?.into_iter().filter(|name| !knows_name(name));
    found.extend(unknown.map(|name| Foreign { path: layout::active_name(&name), what: None }));
    let mut add = |path: PathBuf, what: &str| found.push(Foreign::new(path, what));
    for name in root.names(layout::REPOSITORY)? {
        let id = name.parse::<PackageId>();
        // On a node of ours, pkgpanda has fetched the others.
        let is_ours = |id| {
            node.receipt.is_some()
                || inventory
                    .iter()
                    .any(|o| matches!(o, Object::Package { id: ours } if *ours == id))
        };
        let staging = name.starts_with('.') && name.ends_with(".tmp");
        if !id.is_ok_and(is_ours) && !staging {
            add(PathBuf::from(layout::REPOSITORY).join(&name), "a package that is not ours");
        }
    }
    let knows_path = |path: &Path| {
        inventory.iter().any(|o| {
            matches!(
                o,
                Object::File { path: ours, .. }
                | Object::Link { path: ours, .. }
                | Object::Scratch { path: ours }
                    if ours == path
            )
        })
    };
    for role in root.names(layout::ROLES)? {
        let path = PathBuf::from(layout::ROLES).join(role);
        if !knows_path(&path) {
            add(path, "a role that is not ours");
        }
    }
    for unit in root.names(layout::TARGET_WANTS)? {
        if !knows_path(&layout::wants(&unit))
            && inventory.iter().all(|o| !matches!(o, Object::Units { .. }))
        {
            add(layout::wants(&unit), "a unit that is not ours");
        }
    }
    let classic = CLASSIC_UNITS
        .iter()
        .map(|u| layout::unit(u))
        .filter(|u| u != std::path::Path::new(layout::SETUP_UNIT) || !node.setup_is_ours);
    for unit in classic.filter(|u| files::exists(&root.at(u)) && !knows_path(u)) {
        add(unit, "of the classic installer");
    }
    Ok(found)
}

/// What only DC/OS makes and no record of ours knows of, on a node that has no receipt and no
/// journal of ours: exactly what makes an uninstall one of DC/OS. Accounts alone are no DC/OS.
fn signs(root: &Root, node: &Node) -> anyhow::Result<Vec<Foreign>> {
    if node.story.intent.is_some() || node.receipt.is_some() {
        return Ok(Vec::new());
    }
    if node.unreadable {
        return Ok(node.foreign.clone());
    }
    let found = match left::look(root, node) {
        // Who may not look into a directory of DC/OS' knows by its being there.
        Err(error) if !node.foreign.is_empty() && is_refused(&error) => {
            return Ok(node.foreign.clone());
        }
        found => found?,
    };
    let known = node.known();
    let of_dcos =
        found.signs.iter().filter(|object| !known.iter().any(|ours| ours.same_place(object)));
    // A fetch of ours that was killed left no more than a place to unpack in.
    let is_staging = |path: &Path| {
        path.to_string_lossy().ends_with(".tmp") && path.starts_with(layout::REPOSITORY)
    };
    let paths = of_dcos.filter(|object| match object {
        Object::Account { .. } | Object::Units { .. } => false,
        Object::Scratch { path } => !is_staging(path),
        _ => true,
    });
    Ok(paths.filter_map(Object::path).map(|path| Foreign::new(path, "of DC/OS")).collect())
}

fn is_refused(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
}
