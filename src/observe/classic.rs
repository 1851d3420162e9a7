//! What a node says of itself where no receipt does, or an outdated one: a node of the classic
//! installer, or one that pkgpanda upgraded.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::accepted;
use super::node::Node;
use super::packages;
use super::verify::{self, Depth};
use crate::dcos::active_set::ActiveSet;
use crate::dcos::difference::{Aspect, Compared, Difference, Kind};
use crate::dcos::empty_files;
use crate::dcos::id::{self, PackageId};
use crate::dcos::layout;
use crate::dcos::receipt::{self, Blob, Manifest, ManifestEntry, ManifestKind};
use crate::system::digest;
use crate::system::files::{self, FileKind, Next, Place};
use crate::system::http::Address;
use crate::system::root::Root;

/// Where the build came from, as far as the node tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The serve directory (`setup-flags/repository-url`).
    pub url: Option<String>,
    /// Of the active release (`dcos-version.json`), else of the installer's download unit.
    pub bootstrap_id: Option<String>,
    /// The package list that `pkgpanda setup` would activate (`setup-flags/cluster-package-list`);
    /// an upgrade does not change it.
    pub package_list_id: Option<String>,
}

/// Longest file that is read whole.
const LONGEST: u64 = 16 << 20;
/// Paths of one kind that are named.
const NAMED: usize = 3;

/// Reads where the build came from.
pub fn origin(root: &Root) -> Origin {
    let text = |path: &str| {
        let text = root.text(path).ok().flatten()?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    let version =
        text(layout::DCOS_VERSION).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let of_release = version
        .as_ref()
        .and_then(|v| v.get("bootstrap-id")?.as_str())
        .filter(|id| id::is_build_id(id))
        .map(str::to_owned);
    let downloads = text(&layout::unit("dcos-download.service").to_string_lossy());
    let of_download = downloads.and_then(|text| {
        let ids = text.split(|c: char| !c.is_ascii_hexdigit()).find(|word| id::is_build_id(word));
        ids.map(str::to_owned)
    });
    Origin {
        url: text(layout::REPOSITORY_URL).and_then(without_credentials),
        bootstrap_id: of_release.or(of_download),
        package_list_id: text(layout::CLUSTER_PACKAGE_LIST).filter(|id| id::is_build_id(id)),
    }
}

/// An address as it may be shown and kept; what is no address of HTTP is a directory, and has no
/// credentials.
fn without_credentials(url: String) -> Option<String> {
    match Address::parse(&url) {
        Ok(address) => Some(address.to_string()),
        Err(_) => (!url.contains('@')).then_some(url),
    }
}

/// What a node of the classic installer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Everything that a whole node has and this one lacks, and what an unfinished attempt left;
    /// nothing if it is whole.
    pub problems: Vec<String>,
    /// Of a whole node, what somebody changed on purpose.
    pub modified: Vec<PathBuf>,
}

/// The problems alone.
///
/// # Errors
/// As [`judge`].
pub fn problems(root: &Root, node: &Node) -> anyhow::Result<Vec<String>> {
    Ok(judge(root, node)?.problems)
}

/// Judges a node.
///
/// # Errors
/// A directory cannot be listed.
pub fn judge(root: &Root, node: &Node) -> anyhow::Result<Judged> {
    let (mut found, mut modified) = (Vec::new(), Vec::new());
    match node.roles.as_slice() {
        [_] => {}
        [] => found.push(format!("no role in {}", layout::ROLES)),
        several => found.push(format!("{} roles in {}", several.len(), layout::ROLES)),
    }
    for (path, means) in [
        (layout::INSTALL_PROGRESS, "a swap of pkgpanda has not ended"),
        (layout::BOOTSTRAP_MARKER, "its setup has not ended"),
    ] {
        if files::exists(&root.at(path)) {
            found.push(format!("{means} ({path} is there)"));
        }
    }
    let coming = root
        .names(layout::MESOSPHERE)?
        .into_iter()
        .filter(|n| n.ends_with(layout::NEW))
        .map(|n| layout::active_name(&n));
    let units = root
        .names(layout::SYSTEM_UNITS)?
        .into_iter()
        .filter(|n| n.ends_with(".unit.new") || *n == layout::TARGET_WANTS_NAMES[1]);
    tell(
        &mut found,
        "an activation was interrupted",
        coming.chain(units.map(|n| layout::unit(&n))).collect(),
    );
    let missing =
        layout::ACTIVE_NAMES.iter().filter(|name| !node.active_names.iter().any(|n| n == *name));
    tell(&mut found, "missing", missing.map(|name| layout::active_name(name)).collect());
    let needed = [
        layout::REPOSITORY_URL.into(),
        layout::CLUSTER_PACKAGE_LIST.into(),
        layout::unit(layout::TARGET),
        layout::active_name("environment"),
    ];
    tell(
        &mut found,
        "missing or empty",
        needed.into_iter().filter(|path| is_empty(root, path)).collect(),
    );
    if !node.committed {
        found.push(format!("{} is not enabled", layout::TARGET));
    }
    if !node.active.is_empty()
        && let Some(role) = node.roles.first()
    {
        let set = packages::packages(root, &node.active).map_err(|e| format!("{e:#}"));
        match set.and_then(|packages| {
            ActiveSet::new(packages, *role)
                .map_err(|p| p.first().map(ToString::to_string).unwrap_or_default())
        }) {
            Ok(set) => modified = compare(root, node, &set, &mut found)?,
            Err(why) => found.push(why),
        }
    }
    Ok(Judged { problems: found, modified })
}

/// What is not as the active packages ask for: links, units, accounts, and what a power cut emptied
/// or lost. Returns what was changed on purpose, of a node with no other fault. Modes and owners
/// count for nothing: whatever umask root had, the installer worked under it.
fn compare(
    root: &Root,
    node: &Node,
    set: &ActiveSet,
    found: &mut Vec<String>,
) -> anyhow::Result<Vec<PathBuf>> {
    let (mut other, mut units, mut missing, mut elsewhere, mut users) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A name that is missing as a whole is told by then.
    let lost = |path: &Path| {
        let below = path
            .strip_prefix(layout::MESOSPHERE)
            .ok()
            .and_then(|below| below.iter().next())
            .and_then(|name| name.to_str());
        below.is_some_and(|name| {
            layout::ACTIVE_NAMES.contains(&name) && !node.active_names.iter().any(|n| n == name)
        })
    };
    let mut differences = verify::look(root, node, Depth::Quick, &|| false).differences;
    differences.retain(|d| is_damage(root, d) && !d.object.path().is_some_and(lost));
    let emptied = emptied(root, node, set)?;
    let is_damaged = !found.is_empty() || !emptied.is_empty();
    if !is_damaged && differences.iter().all(|d| accepted::is_modified(root, d)) {
        let mut modified: Vec<PathBuf> =
            differences.into_iter().filter_map(|d| d.object.into_path()).collect();
        modified.extend(accepted::changed_since_activation(root, node)?);
        modified.sort();
        modified.dedup();
        return Ok(modified);
    }
    for difference in differences {
        let is_there = difference.kind != Kind::Missing;
        let path = match difference.object {
            Compared::Path(path) => path,
            account @ Compared::Account { .. } => {
                users.push(account);
                continue;
            }
        };
        match () {
            () if path.starts_with(layout::TARGET_WANTS) && !is_there => missing.push(path),
            () if path.starts_with(layout::TARGET_WANTS) => elsewhere.push(path),
            () if path.starts_with(layout::SYSTEM_UNITS) => units.push(path),
            () => other.push(path),
        }
    }
    tell(found, "not as the active packages have it", other);
    tell(found, "not a copy of the package's unit", units);
    tell(found, "missing", missing);
    tell(found, "leads elsewhere", elsewhere);
    tell(found, "missing users", users);
    tell(found, "empty, as a power cut leaves files", emptied);
    Ok(Vec::new())
}

/// Whether something is missing, or is another than the active packages have it. What nobody asks
/// for may be an operator's, but a link of the active set into a package is of a file that the
/// package has lost, or of a package that is not active.
fn is_damage(root: &Root, difference: &Difference) -> bool {
    match difference.kind {
        Kind::Missing => true,
        Kind::Changed => difference.details.iter().any(|d| {
            matches!(d.aspect, Aspect::Link | Aspect::Kind | Aspect::Size | Aspect::Digest)
        }),
        Kind::Extra => {
            let kind = difference.object.path().map(|path| files::file_kind(&root.at(path)));
            matches!(
                kind,
                Some(Ok(Some(FileKind::Link { target }))) if target.starts_with(layout::REPOSITORY)
            )
        }
    }
}

/// Programs, libraries and units of the active packages in which nothing is, though something was.
/// Other files may be empty from the beginning, modules of Python for one; of a package with a
/// manifest the comparison told what is shorter than it was.
fn emptied(root: &Root, node: &Node, set: &ActiveSet) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for package in set.packages.iter().filter(|package| !node.whole.contains(&package.id)) {
        for member in package.members.iter().filter(|member| !member.directory) {
            let below = Path::new(&member.top).join(&member.path);
            let path = layout::package(&package.id).join(&below);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_program = |mode: u32| member.top.starts_with("bin") && mode & 0o111 != 0;
            let is_library = name.ends_with(".so") || name.contains(".so.");
            let is_unit = member.top.starts_with("dcos.target.wants");
            let stands = files::lstat(&root.at(&path))?;
            let is_empty = stands.is_some_and(|stands| {
                stands.kind == FileKind::File
                    && stands.size == 0
                    && (is_program(stands.mode) || is_library || is_unit)
            });
            if is_empty && !empty_files::may_be_empty(package.id.name(), &below) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn tell(found: &mut Vec<String>, what: &str, all: Vec<impl Into<Compared>>) {
    if all.is_empty() {
        return;
    }
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<String> =
        all.into_iter().take(NAMED).map(|object| object.into().to_string()).collect();
    found.push(format!("{what}: {}{more}", named.join(", ")));
}

fn is_empty(root: &Root, path: &Path) -> bool {
    root.read(path, LONGEST).is_ok_and(|text| text.is_none_or(|text| text.is_empty()))
}

/// Whether a package has its final name, and what pkgpanda loads it by: it unpacks into `ID_tmp`,
/// which could be the name of a package too.
pub fn is_whole(root: &Root, id: &PackageId) -> bool {
    let information = root.resolved(layout::package(id)).join("pkginfo.json");
    !id.version().ends_with("_tmp")
        && matches!(files::file_kind(&information), Ok(Some(FileKind::File)))
}

/// A manifest of a package as it stands. Its archive is not known: neither its length nor its
/// digest.
///
/// # Errors
/// A file cannot be read.
pub fn manifest(root: &Root, id: &PackageId) -> anyhow::Result<Manifest> {
    let mut files = Vec::new();
    let top = root.resolved(layout::package(id));
    files::walk(&top, &mut |place: &Place<'_>| -> anyhow::Result<Next> {
        let below = place.path.strip_prefix(&top).unwrap_or(place.path);
        if !below.as_os_str().is_empty() {
            files.push(entry(place, below)?);
        }
        Ok(Next::Into)
    })?;
    Ok(Manifest {
        schema: receipt::SCHEMA,
        id: id.clone(),
        archive_sha256: String::new(),
        archive_bytes: 0,
        files,
    })
}

/// What was met, as it is now; `below` is its path in the package.
fn entry(place: &Place<'_>, below: &Path) -> anyhow::Result<ManifestEntry> {
    let blob = |path: &Path| Blob::new(path.as_os_str().as_bytes().to_vec());
    let shown = place.shown();
    // Later it is compared by its path.
    anyhow::ensure!(place.has_usable_path(), "{} is longer than a path may be", shown.display());
    let kind = match place.file_kind()? {
        FileKind::File => {
            let (size, sha256) = digest::of_open_file(place.open_file()?)
                .with_context(|| format!("cannot read {}", shown.display()))?;
            ManifestKind::File { size, sha256: digest::hex(&sha256) }
        }
        FileKind::Link { target } => ManifestKind::Link { target: blob(&target) },
        FileKind::Directory => ManifestKind::Directory,
        FileKind::Other => {
            anyhow::bail!("{} is not a file, directory or link", shown.display())
        }
    };
    Ok(ManifestEntry {
        path: blob(below),
        mode: place.stat.st_mode & 0o7777,
        uid: place.stat.st_uid,
        gid: place.stat.st_gid,
        owner: None,
        group: None,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_origin_is_shown_without_credentials() {
        let directory = tempfile::tempdir().unwrap();
        let flag = directory.path().join(layout::REPOSITORY_URL.trim_start_matches('/'));
        files::make_directories(flag.parent().unwrap(), 0o755).unwrap();
        for (text, told) in [
            ("http://boot:80/x\n", Some("http://boot/x")),
            ("https://u:S3CRET@boot/x?token=S3CRET\n", Some("https://boot/x?...")),
            ("file:///opt/serve\n", Some("file:///opt/serve")),
            ("ftp://u:S3CRET@boot/x\n", None),
            ("\n", None),
        ] {
            files::place(&flag, text.as_bytes(), 0o644, None).unwrap();
            assert_eq!(origin(&Root::new(directory.path())).url.as_deref(), told, "{text}");
        }
    }
}
