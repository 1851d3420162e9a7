//! Whether a published build fits: bytes and inodes, counted from its index for each file system
//! that will really hold them.
//!
//! What is counted is the least that an install writes, so that what fails here cannot fit; how
//! much more it takes depends on the file system.

use std::collections::BTreeMap;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use super::storage::among;
use crate::dcos::build::Build;
use crate::dcos::bytes::Bytes;
use crate::dcos::id::PackageId;
use crate::dcos::journal::ROOM;
use crate::dcos::{layout, store};
use crate::observe::node::Node;
use crate::observe::storage::{Place, Places};

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
    let Some(places) = &facts.host.storage else {
        return Finding::not_here("the node is a directory");
    };
    let packages = match packages(build, facts.kept, places) {
        Err(finding) => return finding,
        Ok(needs) => needs,
    };
    let rest = rest(build, facts.node, facts.host.program_bytes);
    fits(facts.node, &[&packages[..], &rest].concat(), places)
}

/// Whether there is room for the packages of a build, which an install will move to the repository,
/// and for what is written down of them; nothing else of it is on the node after a fetch.
pub fn for_packages(
    build: &Build,
    node: &Node,
    kept: &BTreeMap<PackageId, &'static str>,
    places: &Places,
) -> Finding {
    if build.index_sha256.is_none() {
        return Finding::not_here("no build index tells how much is needed");
    }
    match packages(build, kept, places) {
        Err(finding) => finding,
        Ok(needs) => fits(node, &needs, places),
    }
}

fn fits(node: &Node, needs: &[(&'static str, Need)], places: &Places) -> Finding {
    let mut by_file_system: Vec<(Need, &Place)> = Vec::new();
    for (path, Need { bytes, inodes }) in needs {
        let place = match among(places, path) {
            Err(finding) => return finding,
            Ok(place) => place,
        };
        match by_file_system.iter_mut().find(|(_, known)| share_file_system(known, place)) {
            Some((need, _)) => need.add(*bytes, *inodes),
            None => by_file_system.push((Need { bytes: *bytes, inodes: *inodes }, place)),
        }
    }
    let told: Vec<String> =
        by_file_system.iter().filter(|(need, _)| *need != Need::default()).map(told).collect();
    let short = |inodes: bool| {
        by_file_system.iter().filter(move |(need, place)| is_short(need, place, inodes))
    };
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

/// Two mounts may show the same file system, and two subvolumes of one have different devices.
fn share_file_system(one: &Place, other: &Place) -> bool {
    one.device == other.device || one.mounted_at == other.mounted_at
}

/// What the packages of a build need that are not in their places. Those that are missing are
/// unpacked in a store; from a store on another file system they are copied to the repository.
fn packages(
    build: &Build,
    kept: &BTreeMap<PackageId, &'static str>,
    places: &Places,
) -> Result<[(&'static str, Need); 3], Finding> {
    let repository = among(places, layout::REPOSITORY)?;
    // What holds each store.
    let [state, opt] = [layout::OUR_STATE, layout::OUR_OPT];
    let parent = |store: &str| if store == layout::STATE_STORE { state } else { opt };
    let (state_place, opt_place) = (among(places, state)?, among(places, opt)?);
    let shares = |store: &str| {
        let place = if parent(store) == state { state_place } else { opt_place };
        place.device == repository.device
    };
    let new = store::choose(shares);
    let is_moved = |directory: &str| directory == layout::REPOSITORY || shares(directory);
    let (mut unpacked, mut copied, mut manifests) =
        (Need::default(), Need::default(), Need::default());
    for (path, ids) in archives(build) {
        let Some(content) = build.content(&path) else { continue };
        let directories: Vec<Option<&str>> = ids.iter().map(|id| kept.get(id).copied()).collect();
        if directories.contains(&None) {
            unpacked.add(content.disk_bytes, content.members);
            manifests.add(content.members.saturating_mul(MANIFEST_ENTRY), ids.len() as u64);
        }
        // How much of an archive is one of its packages is not known.
        if !directories.iter().any(|directory| is_moved(directory.unwrap_or(new))) {
            copied.add(content.disk_bytes, content.members);
        }
    }
    Ok([(parent(new), unpacked), (layout::REPOSITORY, copied), (state, manifests)])
}

/// The archives of a build and the packages in each.
fn archives(build: &Build) -> Vec<(String, Vec<PackageId>)> {
    let bootstrap = Build::bootstrap_archive(&build.bootstrap_id);
    let others = build.to_fetch().into_iter().map(|id| (id.archive(), vec![id]));
    [(bootstrap, build.bootstrap_packages.clone())].into_iter().chain(others).collect()
}

/// What an install writes besides the packages, as far as it is not on the node.
fn rest(build: &Build, node: &Node, program_bytes: u64) -> [(&'static str, Need); 4] {
    let [mut links, mut node_files, mut state, mut program] = [Need::default(); 4];
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
        node_files.add(blocks(file.content.len() as u64), 1);
    }
    if node.story.intent.is_none() {
        state.add(ROOM.into(), 1);
    }
    if program_bytes > 0 {
        program.add(blocks(program_bytes), 1);
    }
    [
        (layout::MESOSPHERE, links),
        (layout::ETC, node_files),
        (layout::OUR_STATE, state),
        (layout::OUR_OPT, program),
    ]
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}
