//! Whether a published build fits: bytes and inodes, counted from its index for each file system
//! that will really hold them.
//!
//! What is counted is the least that an install writes, so that what fails here cannot fit; how
//! much more it takes depends on the file system.

use std::collections::BTreeMap;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use super::storage::{among, place};
use crate::dcos::build::Build;
use crate::dcos::bytes::Bytes;
use crate::dcos::index::Content;
use crate::dcos::layout;
use crate::observe::node::Node;
use crate::observe::storage::Place;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "storage.room",
    skippable: true,
    severity: Severity::Fail,
    except: &[],
    expected: "room for everything that the build unpacks to, on each file system that will hold \
               it",
    why: "an install that fills a file system fails in the middle, and so may what else writes \
          there",
    source: "ours: sizes and numbers of files in the build index; a classic serve directory does \
             not tell them, and its install stops when a file system is full and leaves the node \
             as it was",
    cure: "make room, or give /opt/mesosphere a file system of its own",
    look: room,
}];

/// File systems that may store files in less room than they have bytes.
const COMPRESSING: [&str; 4] = ["btrfs", "zfs", "bcachefs", "f2fs"];
/// What a file system gives a file at least, in bytes.
const BLOCK: u64 = 4096;
/// What a manifest says of a member at least, in bytes.
const MANIFEST_ENTRY: u64 = 100;

/// Bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Need {
    bytes: u64,
    inodes: u64,
}

impl Need {
    fn add(&mut self, bytes: u64, inodes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.inodes = self.inodes.saturating_add(inodes);
    }
}

fn room(facts: &Facts<'_>) -> Finding {
    let Some(build) = facts.build.filter(|build| build.index_sha256.is_some()) else {
        return Finding::not_here("no build index tells how much is needed");
    };
    fits(facts.node, &needs(build, facts.node), |path| place(facts, path))
}

/// Whether there is room for the packages of a build, and for what is written down of them; nothing
/// else of it is on the node after a fetch.
pub fn for_packages(
    build: &Build,
    node: &Node,
    places: &[(String, Result<Place, String>)],
) -> Finding {
    if build.index_sha256.is_none() {
        return Finding::not_here("no build index tells how much is needed");
    }
    let mut needs = needs(build, node).to_vec();
    needs.retain(|(path, _)| [layout::REPOSITORY, layout::OUR_STATE].contains(path));
    fits(node, &needs, |path| among(places, path))
}

fn fits<'a>(
    node: &Node,
    needs: &[(&'static str, Need)],
    place: impl Fn(&str) -> Result<&'a Place, Finding>,
) -> Finding {
    let mut by_mount: BTreeMap<&str, (Need, &Place)> = BTreeMap::new();
    for (path, need) in needs {
        match place(path) {
            Err(finding) => return finding,
            Ok(place) => by_mount
                .entry(&place.mounted_at)
                .or_insert((Need::default(), place))
                .0
                .add(need.bytes, need.inodes),
        }
    }
    let told: Vec<String> =
        by_mount.values().filter(|(need, _)| *need != Need::default()).map(told).collect();
    let short =
        |inodes: bool| by_mount.values().filter(move |(need, place)| is_short(need, place, inodes));
    if told.is_empty() {
        return Finding::good("everything is there already");
    }
    let found = told.join("; ");
    if short(true).next().is_none() && short(false).next().is_none() {
        return Finding::good(found);
    }
    // Whoever cannot read our records does not know what is there already.
    let is_sure = !node.unreadable
        && (short(true).next().is_some()
            || short(false).any(|(_, place)| !COMPRESSING.contains(&place.kind.as_str())));
    if is_sure { Finding::bad(found) } else { Finding::doubtful(found) }
}

fn is_short(need: &Need, place: &Place, inodes: bool) -> bool {
    match inodes {
        true => place.free_inodes.is_some_and(|free| free < need.inodes),
        false => place.free_bytes < need.bytes,
    }
}

fn told((need, place): &(Need, &Place)) -> String {
    let inodes = place.free_inodes.map(|free| format!(" and {free} inodes")).unwrap_or_default();
    format!(
        "{} ({}) needs {} and {} inodes, {}{inodes} left",
        place.mounted_at,
        place.kind,
        Bytes(need.bytes),
        need.inodes,
        Bytes(place.free_bytes)
    )
}

/// What will be written where, without what is there already.
fn needs(build: &Build, node: &Node) -> [(&'static str, Need); 4] {
    let bootstrap = Build::bootstrap_archive(&build.bootstrap_id);
    let is_there = |id| node.whole.contains(id);
    let mut missing: Vec<(&Content, u64)> = Vec::new();
    if !build.bootstrap_packages.iter().all(is_there) {
        missing.extend(
            build
                .content(&bootstrap)
                .map(|content| (content, build.bootstrap_packages.len() as u64)),
        );
    }
    for id in build.to_fetch().iter().filter(|id| !is_there(id)) {
        missing.extend(build.content(&id.archive()).map(|content| (content, 1)));
    }
    let (mut packages, mut links, mut node_files, mut state) =
        (Need::default(), Need::default(), Need::default(), Need::default());
    for (content, count) in missing {
        packages.add(content.disk_bytes, content.members);
        state.add(content.members.saturating_mul(MANIFEST_ENTRY), count);
    }
    if node.active_names.is_empty() {
        // Short links have no block of their own.
        build
            .archives()
            .iter()
            .filter_map(|path| build.content(path))
            .for_each(|content| links.add(0, content.links));
    }
    for file in build
        .node_files
        .iter()
        .filter(|file| file.path.starts_with(layout::ETC) && !node.is_whole())
    {
        node_files.add((file.content.len() as u64).div_ceil(BLOCK) * BLOCK, 1);
    }
    [
        (layout::REPOSITORY, packages),
        (layout::MESOSPHERE, links),
        (layout::ETC, node_files),
        (layout::OUR_STATE, state),
    ]
}
