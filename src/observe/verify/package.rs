//! One package against its manifest.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::extras::{self, Search};
use super::findings::{Depth, Findings, told};
use crate::dcos::accounts::Accounts;
use crate::dcos::difference::{Aspect, Detail, Difference, UNREAD};
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::receipt::{Blob, Manifest, ManifestEntry, ManifestKind};
use crate::system::files::{self, Below, Error, FileKind, Place, Stat};
use crate::system::root::Root;
use crate::system::{cores, digest};

/// Packages whose files are the cluster's configuration.
const CONFIGURATION: [&str; 2] = ["dcos-config", "dcos-metadata"];
/// The most that a quick look reads of one package.
const QUICK: u64 = 16 << 20;

/// Who should own things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners<'a> {
    /// The node's accounts.
    pub accounts: &'a Accounts,
    /// Whether owners have been set at all.
    pub set: bool,
}

impl Owners<'_> {
    /// The owner by number, or by name where the name came to the node later.
    pub(super) fn compare(&self, entry: &ManifestEntry, stands: &Stat) -> Vec<Detail> {
        if !self.set {
            return Vec::new();
        }
        let user = [
            Some(entry.uid),
            entry.owner.as_deref().and_then(|name| self.accounts.user_number(name)),
        ];
        let group = [
            Some(entry.gid),
            entry.group.as_deref().and_then(|name| self.accounts.group_number(name)),
        ];
        let detail = |aspect, was: u32, is: u32, fits: bool| {
            Detail::of(aspect, was, if fits { was } else { is }, u32::to_string)
        };
        let user = detail(Aspect::User, entry.uid, stands.uid, user.contains(&Some(stands.uid)));
        user.into_iter()
            .chain(detail(Aspect::Group, entry.gid, stands.gid, group.contains(&Some(stands.gid))))
            .collect()
    }
}

impl Owners<'_> {
    /// What is another than root made it: the mode, where one is known, and the owners.
    pub(super) fn of_root(&self, mode: Option<u32>, stands: &Stat) -> Vec<Detail> {
        let mode = mode.filter(|_| !matches!(stands.kind, FileKind::Link { .. }));
        let mode = mode.and_then(|mode| Detail::of(Aspect::Mode, mode, stands.mode, mode_word));
        let user = Detail::of(Aspect::User, 0, stands.uid, u32::to_string).filter(|_| self.set);
        let group = Detail::of(Aspect::Group, 0, stands.gid, u32::to_string).filter(|_| self.set);
        mode.into_iter().chain(user).chain(group).collect()
    }
}

/// Permission bits as `chmod` has them.
pub(super) fn mode_word(mode: &u32) -> String {
    format!("{mode:04o}")
}

/// What all files of one package are compared with.
struct Comparison<'a> {
    /// The directory of the package.
    below: Below,
    id: &'a PackageId,
    owners: &'a Owners<'a>,
    depth: Depth,
    /// Contents by path, for further names of a file.
    contents: BTreeMap<Vec<u8>, (u64, &'a str)>,
    /// When the manifest was written: after the last file of the package.
    written: SystemTime,
    /// How much may still be read.
    left: AtomicU64,
    read: AtomicU64,
}

/// Compares a package with its manifest, and looks for what is not in that.
pub(super) fn look(
    root: &Root,
    id: &PackageId,
    instead: Option<&Manifest>,
    owners: &Owners,
    depth: Depth,
    no_manifests: bool,
    findings: &mut Findings,
) {
    if !files::exists(&root.at(layout::package(id))) {
        return findings.differs(Difference::missing(layout::package(id), id.to_string()));
    }
    if no_manifests {
        return;
    }
    let (manifest, written) = match instead {
        Some(manifest) => (Cow::Borrowed(manifest), SystemTime::UNIX_EPOCH),
        None => match manifest(root, id) {
            Ok((manifest, written)) => (Cow::Owned(manifest), written),
            Err(why) => return findings.unknown(id.to_string(), why),
        },
    };
    let contents = manifest.files.iter().filter_map(|entry| match &entry.kind {
        ManifestKind::File { size, sha256 } => Some((entry.path.bytes(), (*size, sha256.as_str()))),
        _ => None,
    });
    let left = AtomicU64::new(if depth == Depth::Quick { QUICK } else { u64::MAX });
    let below = match Below::open(&root.resolved(layout::package(id))) {
        Ok(below) => below,
        Err(error) => return findings.unknown(id.to_string(), error.source.to_string()),
    };
    let comparison = Comparison {
        below,
        id,
        owners,
        depth,
        contents: contents.collect(),
        written,
        left,
        read: AtomicU64::new(0),
    };
    let is_config = CONFIGURATION.contains(&id.name());
    for compared in cores::on_all(&manifest.files, |entry| comparison.entry(entry)) {
        match compared {
            Ok(difference) => {
                difference.into_iter().for_each(|d| findings.differs(d.marked(is_config)))
            }
            Err((path, why)) => findings.unknown(path, why),
        }
    }
    findings.packages += 1;
    findings.looked_at(manifest.files.len());
    findings.bytes += comparison.read.load(Ordering::Relaxed);
    let known: BTreeSet<PathBuf> =
        manifest.files.iter().map(|entry| path_of(&entry.path)).collect();
    let top = layout::package(id);
    let is_known = |path: &Path| path.strip_prefix(&top).is_ok_and(|below| known.contains(below));
    let search = Search { root, top: &top, is_known: &is_known };
    extras::look(&search, findings, &mut |findings, path, _| {
        findings.differs(Difference::extra(path, id.to_string()).marked(is_config));
    });
}

fn path_of(blob: &Blob) -> PathBuf {
    OsString::from_vec(blob.bytes()).into()
}

fn manifest(root: &Root, id: &PackageId) -> Result<(Manifest, SystemTime), String> {
    let path = root.at(layout::manifest(id));
    let none = || "there is no manifest of it: dcos-node did not unpack it".to_owned();
    let text = files::read(&path, 1 << 30)
        .map_err(|error| format!("{error}: {}", error.source))?
        .ok_or_else(none)?;
    let manifest = serde_json::from_slice(&text)
        .map_err(|error| format!("its manifest cannot be read: {error}"))?;
    let written = files::lstat(&path)
        .map_err(|error| format!("{error}: {}", error.source))?
        .ok_or_else(none)?
        .modified;
    Ok((manifest, written))
}

impl Comparison<'_> {
    fn entry(&self, entry: &ManifestEntry) -> Result<Option<Difference>, (String, String)> {
        let below = path_of(&entry.path);
        let path = layout::package(self.id).join(&below);
        let compared = self.below.look(&below, |place| self.place(entry, place));
        match compared.and_then(Option::transpose).map_err(|error| told(&path, &error))? {
            Some(details) => Ok(Difference::changed(path, self.id.to_string(), details)),
            None => Ok(Some(Difference::missing(path, self.id.to_string()))),
        }
    }

    /// How an entry differs.
    fn place(&self, entry: &ManifestEntry, place: &Place<'_>) -> Result<Vec<Detail>, Error> {
        let stands = place.to_stat()?;
        let mut details = self.content(entry, &stands, place);
        if self.depth == Depth::Full {
            if !matches!(stands.kind, FileKind::Link { .. }) {
                details.extend(Detail::of(Aspect::Mode, entry.mode, stands.mode, mode_word));
            }
            details.extend(self.owners.compare(entry, &stands));
            let is_file = stands.kind == FileKind::File;
            if is_file && place.open_file().is_ok_and(|file| files::has_capabilities(&file)) {
                details.push(Detail {
                    aspect: Aspect::Capabilities,
                    was: "none".into(),
                    is: "some".into(),
                });
            }
        }
        Ok(details)
    }

    /// Kind, size and content.
    fn content(&self, entry: &ManifestEntry, stands: &Stat, place: &Place<'_>) -> Vec<Detail> {
        let was = match &entry.kind {
            ManifestKind::File { .. } | ManifestKind::Hardlink { .. } => "file",
            ManifestKind::Directory => "directory",
            ManifestKind::Link { .. } => "link",
        };
        match (&entry.kind, &stands.kind) {
            (ManifestKind::File { size, sha256 }, FileKind::File) => {
                self.bytes(*size, sha256, stands, place)
            }
            (ManifestKind::Hardlink { to }, FileKind::File) => match self.contents.get(&to.bytes())
            {
                Some((size, sha256)) => self.bytes(*size, sha256, stands, place),
                None => Vec::new(),
            },
            (ManifestKind::Directory, FileKind::Directory) => Vec::new(),
            (ManifestKind::Link { target }, FileKind::Link { target: is }) => {
                Detail::of(Aspect::Link, path_of(target), is.clone(), |path| {
                    path.display().to_string()
                })
                .into_iter()
                .collect()
            }
            (_, kind) => {
                vec![Detail { aspect: Aspect::Kind, was: was.into(), is: word(kind).into() }]
            }
        }
    }

    fn bytes(&self, size: u64, sha256: &str, stands: &Stat, place: &Place<'_>) -> Vec<Detail> {
        let mut details: Vec<Detail> =
            Detail::of(Aspect::Size, size, stands.size, u64::to_string).into_iter().collect();
        let is_newer = stands.modified > self.written;
        // Another length says enough for a quick look, and a file that nobody wrote since has the
        // content that it had.
        if self.depth == Depth::Quick && (!details.is_empty() || !is_newer) {
            return details;
        }
        if !self.may_read(stands.size) {
            details.push(Detail {
                aspect: Aspect::Time,
                was: "before".into(),
                is: "written since".into(),
            });
            return details;
        }
        let digest = place.open_file().ok().and_then(|file| digest::of_open_file(file).ok());
        let is = digest.map_or_else(|| UNREAD.to_owned(), |(_, digest)| digest::hex(&digest));
        let differs = Detail::of(Aspect::Digest, sha256.to_owned(), is, String::clone);
        if differs.is_some() && is_newer {
            details.push(Detail {
                aspect: Aspect::Time,
                was: "before".into(),
                is: "written since".into(),
            });
        }
        details.extend(differs);
        details
    }

    /// Takes from what may be read.
    fn may_read(&self, bytes: u64) -> bool {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .is_ok();
        if taken {
            self.read.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }
}

pub(super) fn word(kind: &FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link { .. } => "link",
        FileKind::Other => "socket, pipe or device",
    }
}
