//! The objects of the receipt that are no packages: files, links and directories.

use std::path::Path;

use super::findings::{Findings, told};
use super::package::{Owners, word};
use crate::dcos::difference::{Aspect, Detail, Difference, UNREAD};
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::observe::node::Node;
use crate::system::digest;
use crate::system::files::{self, FileKind, Stat};
use crate::system::root::Root;

/// What they are of.
const NODE: &str = "node files";

/// Compares each.
pub(super) fn look(
    root: &Root,
    node: &Node,
    objects: &[Object],
    owners: &Owners,
    findings: &mut Findings,
) {
    let is_adopted = node.receipt.as_ref().is_some_and(|receipt| receipt.adopted);
    // An activation by pkgpanda may have given a unit the other form.
    let is_judged = |object: &Object, findings: &Findings| {
        object.path().is_some_and(|path| findings.is_judged(&path))
    };
    for object in objects {
        if is_judged(object, findings) {
            continue;
        }
        let (path, compared) = match object {
            Object::File { path, sha256, .. } => (path, file(root, node, owners, path, sha256)),
            Object::Link { path, target, .. } => (path, link(root, owners, path, target)),
            Object::Directory { path } => {
                // What the classic installer made, it made under whatever umask root had.
                let mode = (!is_adopted).then(|| directory_mode(path));
                (
                    path,
                    directory(root, path, |stands| {
                        if is_adopted { Vec::new() } else { owners.of_root(mode, stands) }
                    }),
                )
            }
            // Whose it is, the active packages say.
            Object::StateDirectory { path, .. } => (path, directory(root, path, |_| Vec::new())),
            _ => continue,
        };
        findings.looked_at(1);
        let is_config = path.starts_with(layout::ETC) && !path.starts_with(layout::SYSTEM_UNITS);
        match compared {
            Ok(difference) => {
                difference.into_iter().for_each(|d| findings.differs(d.marked(is_config)))
            }
            Err((path, why)) => findings.unknown(path, why),
        }
    }
}

type Compared = Result<Option<Difference>, (String, String)>;

fn file(root: &Root, node: &Node, owners: &Owners, path: &Path, sha256: &str) -> Compared {
    let real = root.at(path);
    let Some(stands) = files::lstat(&real).map_err(|error| told(path, &error))? else {
        return Ok(Some(Difference::missing(path, NODE)));
    };
    let mode = mode(node, path);
    // Of what another made nobody knows how it was.
    if sha256.is_empty() && mode.is_none() {
        return Ok(None);
    }
    if stands.kind != FileKind::File {
        let detail =
            Detail { aspect: Aspect::Kind, was: "file".into(), is: word(&stands.kind).into() };
        return Ok(Difference::changed(path, NODE, vec![detail]));
    }
    let mut details = Vec::new();
    if !sha256.is_empty() {
        let is = digest::sha256_of_file(&real)
            .map_or_else(|_| UNREAD.to_owned(), |digest| digest::hex(&digest));
        details.extend(Detail::of(Aspect::Digest, sha256.to_owned(), is, String::clone));
    }
    details.extend(owners.of_root(mode, &stands));
    Ok(Difference::changed(path, NODE, details))
}

/// The mode that a file was placed with, as far as it is known: of our binary, and of node files as
/// the build says it.
fn mode(node: &Node, path: &Path) -> Option<u32> {
    if path == Path::new(layout::OUR_BINARY) {
        return Some(0o755);
    }
    let build = match (&node.story.intent, &node.receipt) {
        (Some(Intent::Install(intent)), _) => &intent.build,
        (_, receipt) => &receipt.as_ref()?.build,
    };
    // What we place instead of a file of the same name, we place with the same mode.
    build.node_files.iter().find(|file| file.path == path).map(|file| file.mode)
}

fn link(root: &Root, owners: &Owners, path: &Path, target: &Path) -> Compared {
    let Some(stands) = files::lstat(&root.at(path)).map_err(|error| told(path, &error))? else {
        return Ok(Some(Difference::missing(path, NODE)));
    };
    let mut details: Vec<Detail> = match &stands.kind {
        FileKind::Link { target: is } => {
            Detail::of(Aspect::Link, target.to_owned(), is.clone(), |path| {
                path.display().to_string()
            })
        }
        kind => Some(Detail { aspect: Aspect::Kind, was: "link".into(), is: word(kind).into() }),
    }
    .into_iter()
    .collect();
    details.extend(owners.of_root(None, &stands));
    Ok(Difference::changed(path, NODE, details))
}

/// Also a link to one: `/opt/mesosphere` may lie elsewhere.
fn directory(root: &Root, path: &Path, properties: impl Fn(&Stat) -> Vec<Detail>) -> Compared {
    let Some(stands) = files::lstat(&root.resolved(path)).map_err(|error| told(path, &error))?
    else {
        return Ok(Some(Difference::missing(path, NODE)));
    };
    let details = match &stands.kind {
        FileKind::Directory => properties(&stands),
        kind => {
            vec![Detail { aspect: Aspect::Kind, was: "directory".into(), is: word(kind).into() }]
        }
    };
    Ok(Difference::changed(path, NODE, details))
}

/// What is ours is root's alone; everything else everybody may look into.
fn directory_mode(path: &Path) -> u32 {
    if path.starts_with(layout::OUR_STATE) { 0o700 } else { 0o755 }
}
