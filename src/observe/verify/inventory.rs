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
use crate::system::root::Root;
use crate::system::stat::{self, Kind};

/// What they are of.
const NODE: &str = "node files";

/// Compares each.
pub(super) fn look(root: &Root, node: &Node, owners: &Owners, findings: &mut Findings) {
    for object in node.inventory() {
        let (path, compared) = match &object {
            Object::File { path, sha256, .. } => (path, file(root, node, owners, path, sha256)),
            Object::Link { path, target, .. } => (path, link(root, path, target)),
            Object::Directory { path } => (path, directory(root, path)),
            Object::StateDirectory { path, .. } => (path, directory(root, path)),
            _ => continue,
        };
        findings.looked_at(1);
        let is_config = path.starts_with(layout::ETC) && !path.starts_with(layout::SYSTEM_UNITS);
        match compared {
            Ok(difference) => difference.into_iter().for_each(|d| findings.differs(d.marked(is_config))),
            Err((path, why)) => findings.unknown(path, why),
        }
    }
}

type Compared = Result<Option<Difference>, (String, String)>;

fn file(root: &Root, node: &Node, owners: &Owners, path: &Path, sha256: &str) -> Compared {
    let real = root.at(path);
    let Some(stands) = stat::look(&real).map_err(|error| told(path, &error))? else {
        return Ok(Some(Difference::missing(path, NODE)));
    };
    // Of what another made nobody knows how it was.
    if sha256.is_empty() {
        return Ok(None);
    }
    if stands.kind != Kind::File {
        let detail = Detail { aspect: Aspect::Kind, was: "file".into(), is: word(&stands.kind).into() };
        return Ok(Difference::changed(path, NODE, vec![detail]));
    }
    let is = digest::sha256_of_file(&real).map_or_else(|_| UNREAD.to_owned(), |digest| digest::hex(&digest));
    let mut details: Vec<Detail> = Detail::of(Aspect::Digest, sha256.to_owned(), is, String::clone).into_iter().collect();
    if let Some(mode) = mode(node, path) {
        details.extend(Detail::of(Aspect::Mode, mode, stands.mode, |mode| format!("{mode:04o}")));
    }
    if owners.set {
        details.extend(Detail::of(Aspect::User, 0, stands.uid, u32::to_string));
        details.extend(Detail::of(Aspect::Group, 0, stands.gid, u32::to_string));
    }
    Ok(Difference::changed(path, NODE, details))
}

/// The mode that a node file was placed with, as far as the build says it.
fn mode(node: &Node, path: &Path) -> Option<u32> {
    let build = match (&node.story.intent, &node.receipt) {
        (Some(Intent::Install(intent)), _) => &intent.build,
        (_, receipt) => &receipt.as_ref()?.build,
    };
    // What we place instead of a file of the same name, we place with the same mode.
    build.node_files.iter().find(|file| file.path == path).map(|file| file.mode)
}

fn link(root: &Root, path: &Path, target: &Path) -> Compared {
    let detail = match stat::look(&root.at(path)).map_err(|error| told(path, &error))?.map(|stands| stands.kind) {
        None => return Ok(Some(Difference::missing(path, NODE))),
        Some(Kind::Link(is)) => Detail::of(Aspect::Link, target.to_owned(), is, |path| path.display().to_string()),
        Some(kind) => Some(Detail { aspect: Aspect::Kind, was: "link".into(), is: word(&kind).into() }),
    };
    Ok(Difference::changed(path, NODE, detail.into_iter().collect()))
}

/// Also a link to one: `/opt/mesosphere` may lie elsewhere.
fn directory(root: &Root, path: &Path) -> Compared {
    let detail = match stat::look(&root.resolved(path)).map_err(|error| told(path, &error))?.map(|stands| stands.kind) {
        None => return Ok(Some(Difference::missing(path, NODE))),
        Some(Kind::Directory) => None,
        Some(kind) => Some(Detail { aspect: Aspect::Kind, was: "directory".into(), is: word(&kind).into() }),
    };
    Ok(Difference::changed(path, NODE, detail.into_iter().collect()))
}
