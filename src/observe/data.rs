//! Data that DC/OS keeps on a node, with sizes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::node::{Foreign, Node};
use crate::dcos::data::{self, Mark, PLACES, Place, Whose};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;
use crate::system::files::{self, FileKind};
use crate::system::mount_points;
use crate::system::root::Root;
use crate::system::survey;

/// Data in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Data {
    /// As the node sees it.
    pub path: PathBuf,
    /// Bytes of its files, without those of places below it that are listed on their own, and
    /// without what another file system holds.
    pub bytes: u64,
    /// What it holds.
    pub holds: &'static str,
    /// It is a file system of its own: a purge empties it, and the mount point stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mounted: bool,
    /// Where it really lies, if that is behind a link: a purge does not follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_link: Option<PathBuf>,
    /// What it means to a later install, if it is a part of the node's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<&'static str>,
}

/// A place that stands, and what a purge would do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The place.
    pub place: &'static Place,
    /// Whose it is.
    pub whose: Whose,
    /// It was there before the install, and empty: the directory itself stays.
    pub stays_empty: bool,
    /// It is a link, and what it leads to is not touched.
    pub is_link: bool,
}

/// Whose each place with data is: this alone decides what a purge removes, what is listed, and what
/// a report says. A name that others use too is told only where DC/OS is or was.
pub fn judge(root: &Root, before: Option<&Snapshot>, dcos_was_here: bool) -> Vec<Judged> {
    let judged =
        data::whole().filter(|place| files::exists(&root.at(place.path))).map(|place| Judged {
            place,
            whose: place.whose(before, is_marked(root, place)),
            stays_empty: before.is_some_and(|before| {
                before.empty.iter().any(|path| path == Path::new(place.path))
            }),
            is_link: matches!(
                files::file_kind(&root.at(place.path)),
                Ok(Some(FileKind::Link { .. }))
            ),
        });
    judged.filter(|judged| dcos_was_here || judged.whose.is_purged()).collect()
}

/// Whether DC/OS stands on a node, or left something besides data.
pub fn dcos_was_here(root: &Root, node: &Node) -> bool {
    !node.active.is_empty()
        || !node.inventory().is_empty()
        || !node.foreign.is_empty()
        || files::exists(&root.at(layout::STATE))
}

/// Places that hold what only DC/OS makes there, though others use their names too; and those that
/// are empty.
pub fn left_and_empty(root: &Root) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let paths = |is: &dyn Fn(&&Place) -> bool| {
        data::whole().filter(is).map(|place| PathBuf::from(place.path)).collect()
    };
    let left = |place: &&Place| !place.inside.is_empty() && is_marked(root, place);
    (
        paths(&left),
        paths(&|place| entries(&root.at(place.path)).is_some_and(|names| names.is_empty())),
    )
}

/// What there is of DC/OS, in the order of the table, and then the parts of the node's identity.
pub fn look(root: &Root, node: &Node, before: Option<&Snapshot>) -> Vec<Data> {
    let judged = judge(root, before, dcos_was_here(root, node));
    let counts = |place: &Place| {
        judged
            .iter()
            .any(|j| j.whose.is_purged() && Path::new(place.path).starts_with(j.place.path))
    };
    let mut found = Vec::new();
    for place in PLACES.iter().filter(|place| files::exists(&root.at(place.path)) && counts(place))
    {
        let parts: Vec<PathBuf> = data::parts(place).map(|part| root.resolved(part.path)).collect();
        found.push(Data {
            path: place.path.into(),
            bytes: survey::size_below(&root.resolved(place.path), &parts),
            holds: place.holds,
            mounted: is_mounted(root, place.path),
            behind_link: behind_link(root, Path::new(place.path)),
            effect: None,
        });
    }
    for path in &node.kept_identity {
        found.push(Data {
            path: path.clone(),
            bytes: survey::size_below(&root.resolved(path), &[]),
            holds: "a part of the node's identity",
            mounted: false,
            behind_link: behind_link(root, path),
            effect: path.to_str().map(data::effect),
        });
    }
    found
}

/// Where a path of a place leads, if it or what is above it up to the place is a link.
fn behind_link(root: &Root, path: &Path) -> Option<PathBuf> {
    let place = data::whole().find(|place| path.starts_with(place.path))?;
    let is_link =
        |path: &&Path| matches!(files::file_kind(&root.at(path)), Ok(Some(FileKind::Link { .. })));
    path.ancestors().take_while(|path| path.starts_with(place.path)).find(is_link)?;
    Some(root.as_seen(&root.resolved(path)))
}

/// Data that lies behind links in what a purge removes: the links go with it, and what they lead to
/// stays.
pub fn behind_purged_links(root: &Root, judged: &[Judged]) -> Vec<Foreign> {
    let mut found = Vec::new();
    for place in judged
        .iter()
        .filter(|judged| judged.whose.is_purged() && !judged.is_link)
        .map(|judged| Path::new(judged.place.path))
    {
        let mut open = vec![(place.to_owned(), 0)];
        while let Some((directory, depth)) = open.pop() {
            for path in entries(&root.at(&directory))
                .unwrap_or_default()
                .into_iter()
                .map(|name| directory.join(name))
            {
                let real = root.resolved(&path);
                match files::file_kind(&root.at(&path)) {
                    Ok(Some(FileKind::Directory)) if depth < DEEPEST_LINK => {
                        open.push((path, depth + 1))
                    }
                    Ok(Some(FileKind::Link { .. }))
                        if real.is_dir() && !real.starts_with(root.resolved(place)) =>
                    {
                        let what = format!(
                            "data of DC/OS, behind the link {}: a purge removes the link, and this \
                             stays",
                            path.display()
                        );
                        found.push(Foreign::new(root.as_seen(&real), what));
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

/// Disks that Mesos offers to services whole: what those keep there is theirs.
pub fn mount_disks(root: &Root) -> Vec<Foreign> {
    let (directory, begins) = layout::MOUNT_DISKS;
    let points = mount_points::all_at_or_below(&root.at(directory)).unwrap_or_default();
    let disks = points.into_iter().map(|point| root.as_seen(&point)).filter(|point| {
        point.parent() == Some(Path::new(directory))
            && point.file_name().is_some_and(|name| name.as_bytes().starts_with(begins.as_bytes()))
    });
    let what = "a disk that Mesos offers to services; what they keep on it is never removed";
    disks.map(|path| Foreign::new(path, what)).collect()
}

/// How deep below a place an operator may have put a link to a larger disk:
/// `/var/lib/dcos/exhibitor/zookeeper`, `/var/lib/mesos/slave`. What is deeper is DC/OS' own.
const DEEPEST_LINK: usize = 1;

/// What a purge removes: whole places. A link is an operator's, and what it leads to is not
/// touched.
pub fn to_purge(judged: &[Judged]) -> impl Iterator<Item = Object> {
    let going = judged.iter().filter(|judged| judged.whose.is_purged() && !judged.is_link);
    going.map(|judged| Object::StateDirectory {
        path: judged.place.path.into(),
        made: !judged.stays_empty,
    })
}

/// What stays, and why.
pub fn foreign(judged: &[Judged]) -> impl Iterator<Item = Foreign> {
    let why = |judged: &Judged| match judged.whose {
        _ if judged.is_link => Some("a link; what it leads to is not removed"),
        Whose::Before => Some("it was there before the install"),
        Whose::Untold => Some(
            "others use this name too, and nothing in it shows that it is DC/OS'; remove it by \
             hand if it is",
        ),
        Whose::Dcos | Whose::New => None,
    };
    judged.iter().filter_map(move |judged| Some(Foreign::new(judged.place.path, why(judged)?)))
}

/// Whether the place itself is a mount point; a table that cannot be read tells of none.
fn is_mounted(root: &Root, path: &str) -> bool {
    let real = mount_points::real(&root.at(path));
    real.is_some_and(|real| {
        mount_points::all_at_or_below(&real).is_ok_and(|points| points.contains(&real))
    })
}

/// Whether there is something in a place, and all of it is what DC/OS makes there.
fn is_marked(root: &Root, place: &Place) -> bool {
    // A place that is a link holds what is behind it.
    let (real, mut open, mut known) = (root.resolved(place.path), vec![PathBuf::new()], 0);
    while let Some(below) = open.pop() {
        for name in entries(&real.join(&below)).unwrap_or_default() {
            match place.mark(&below.join(&name)) {
                Mark::Dcos => known += 1,
                Mark::Below => open.push(below.join(name)),
                Mark::Shared => {}
                Mark::Other => return false,
            }
        }
    }
    known > 0
}

/// The names in a directory; none if it is no directory. A file system of its own may have
/// `lost+found`.
fn entries(real: &Path) -> Option<Vec<OsString>> {
    let names = files::names(real).ok().flatten()?;
    Some(names.into_iter().filter(|name| name != "lost+found").collect())
}
