//! Compares what stands on a node with what was installed: packages with their manifests,
//! everything else with the receipt and with what the active packages ask for. Looks only.

mod extras;
mod findings;
mod inventory;
mod links;
mod package;
mod text;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Node, State};
use super::{accepted, activated};
use crate::dcos::id::PackageId;
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::receipt::{Manifest, Object};
use crate::system::root::Root;

pub use findings::{Depth, Findings, Unknown};
use package::Owners;

/// Compares everything; `stop` is asked between packages. Blocks, and for [`Depth::Full`] reads
/// every file.
pub fn look(root: &Root, node: &Node, depth: Depth, stop: &dyn Fn() -> bool) -> Findings {
    look_with(&Manifests::new(), root, node, depth, stop)
}

/// Manifests by package.
pub type Manifests = BTreeMap<PackageId, Manifest>;

/// The same, with these manifests in place of those that the node keeps.
pub fn look_with(
    manifests: &Manifests,
    root: &Root,
    node: &Node,
    depth: Depth,
    stop: &dyn Fn() -> bool,
) -> Findings {
    let mut findings = Findings::default();
    // An image that was filled without privileges gets owners and accounts at its first boot.
    let unowned = node.state() == State::Prepared
        || matches!(&node.story.intent, Some(Intent::Install(i)) if i.placed_unprivileged);
    let owners = Owners { accounts: &node.accounts, set: !unowned };
    if node.unreadable {
        findings.unknown(layout::OUR_STATE, "only root may read the receipt and the manifests");
    }
    // What pkgpanda took away or replaced since is no loss.
    let objects = activated::inventory(root, node);
    for id in packages(node, &objects) {
        if stop() {
            findings.stopped = true;
            return findings;
        }
        let manifest = manifests.get(&id);
        package::look(root, &id, manifest, &owners, depth, node.unreadable, &mut findings);
    }
    links::look(root, node, &owners, &mut findings);
    inventory::look(root, node, &objects, &owners, &mut findings);
    let accepted = node.receipt.iter().flat_map(|receipt| receipt.accepted.iter().cloned());
    for accepted in accepted.filter(|accepted| accepted::holds(root, accepted)) {
        findings.accept(accepted);
    }
    findings.differences.sort_by(|a, b| a.object.cmp(&b.object));
    findings
}

/// What should stand: the active packages, and those of the receipt.
fn packages(node: &Node, objects: &[Object]) -> BTreeSet<PackageId> {
    let of_receipt = objects.iter().filter_map(|object| match object {
        Object::Package { id } => Some(id.clone()),
        _ => None,
    });
    of_receipt.chain(node.active.iter().cloned()).collect()
}
