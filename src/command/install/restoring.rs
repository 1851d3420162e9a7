//! What an install has to restore on a node that runs its build already, and what it leaves as it
//! stands.

use std::collections::BTreeSet;
use std::path::Path;

use super::failures::changed_things_in_the_way;
use super::outcome::Outcome;
use crate::command::{Failure, World};
use crate::dcos::ailment::Ailment;
use crate::dcos::difference::{Difference, Kind, Mark};
use crate::dcos::id::PackageId;
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::receipt::{Accepted, Object};
use crate::dcos::spared::Spared;
use crate::observe::accepted;
use crate::observe::node::{Node, State};
use crate::observe::pkgpanda_swap;
use crate::observe::verify::{self, Depth};
use crate::plan::install::Decision;

/// What an install does on a node, with what of it is to be restored.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What to do.
    pub decision: Option<Decision>,
    /// What stays as it stands.
    pub spared: Spared,
    /// What is missing: paths, and names of accounts.
    pub missing: Vec<String>,
}

/// Judges once more a node for which there is a decision: what is missing on it is restored.
///
/// # Errors
/// What an operator changed is where missing things have to come.
pub(super) async fn judge(
    decision: Option<Decision>,
    node: &Node,
    world: &World,
) -> Result<Judged, Failure> {
    let stands = node.state() == State::Installed && node.receipt.is_some();
    let spared = match (&decision, &node.story.intent) {
        (Some(Decision::Unchanged | Decision::Fresh), _) if stands && is_settled(world) => {
            let found = differences(node.clone(), world).await;
            let missing: Vec<&Difference> = found.iter().filter(|d| is_missing(d)).collect();
            if !missing.is_empty() {
                return Ok(Judged {
                    decision: Some(Decision::Fresh),
                    spared: spared(node, &missing, &found)?,
                    missing: missing.iter().map(|d| d.object.to_string()).collect(),
                });
            }
            Spared::default()
        }
        (Some(Decision::GoOn | Decision::Fresh), Some(Intent::Install(begun))) => {
            begun.spared.clone()
        }
        _ => Spared::default(),
    };
    Ok(Judged { decision, spared, missing: Vec::new() })
}

/// In the middle of a swap nothing is where it belongs.
fn is_settled(world: &World) -> bool {
    matches!(pkgpanda_swap::look(&world.root), Ok(None))
}

/// The same outcome, with what was restored and what is missing still.
pub(super) async fn recounted(outcome: Outcome, missing: Vec<String>, world: &World) -> Outcome {
    let Ok(node) = world.node().await else { return outcome };
    let still = differences(node, world).await;
    let still: BTreeSet<String> =
        still.iter().filter(|d| is_missing(d)).map(|d| d.object.to_string()).collect();
    let ailment = (!still.is_empty()).then_some(Ailment::Missing { count: still.len() });
    Outcome {
        restored: missing.into_iter().filter(|what| !still.contains(what)).collect(),
        unhealthy: outcome.unhealthy.into_iter().chain(ailment).collect(),
        ..outcome
    }
}

/// Changes that were accepted and still stand.
pub(super) fn accepted(node: &Node, world: &World) -> Vec<Accepted> {
    let accepted = node.receipt.iter().flat_map(|receipt| receipt.accepted.iter());
    accepted.filter(|accepted| accepted::holds(&world.root, accepted)).cloned().collect()
}

async fn differences(node: Node, world: &World) -> Vec<Difference> {
    let (root, stop) = (world.root.clone(), world.cancellation.clone());
    let looked = tokio::task::spawn_blocking(move || {
        verify::look(&root, &node, Depth::Quick, &|| stop.is_requested()).differences
    });
    looked.await.unwrap_or_default()
}

fn is_missing(difference: &Difference) -> bool {
    difference.kind == Kind::Missing && difference.is_drift()
}

/// What stays as it stands. Of what an operator changed or added nothing is replaced.
fn spared(node: &Node, missing: &[&Difference], found: &[Difference]) -> Result<Spared, Failure> {
    let broken: BTreeSet<PackageId> =
        missing.iter().filter_map(|difference| difference.of.parse().ok()).collect();
    let of_receipt = node.receipt.iter().flat_map(|receipt| &receipt.objects);
    let known = of_receipt.filter_map(|object| match object {
        Object::Package { id } => Some(id),
        _ => None,
    });
    let active_set =
        !missing.iter().any(|difference| difference.object.path().is_some_and(is_of_active_set));
    let is_replaced = |path: &Path| {
        broken.iter().any(|id| path.starts_with(layout::package(id)))
            || (!active_set && is_of_active_set(path))
    };
    let of_operator = found.iter().filter(|difference| is_of_operator(difference));
    let (replaced, stay): (Vec<&Difference>, Vec<&Difference>) =
        of_operator.partition(|difference| difference.object.path().is_some_and(is_replaced));
    if !replaced.is_empty() {
        let paths: Vec<&Path> =
            replaced.iter().filter_map(|difference| difference.object.path()).collect();
        return Err(changed_things_in_the_way(&paths));
    }
    Ok(Spared {
        packages: node
            .active
            .iter()
            .chain(known)
            .filter(|id| !broken.contains(*id))
            .cloned()
            .collect(),
        paths: stay
            .iter()
            .filter_map(|difference| difference.object.path())
            .map(Path::to_owned)
            .collect(),
        active_set,
    })
}

/// Whether an operator changed or added it; what DC/OS itself changes is not meant.
fn is_of_operator(difference: &Difference) -> bool {
    difference.object.path().is_some()
        && difference.mark != Some(Mark::RunTime)
        && match difference.kind {
            Kind::Changed => difference.is_of_content() && !difference.is_unread(),
            Kind::Extra => true,
            Kind::Missing => false,
        }
}

fn is_of_active_set(path: &Path) -> bool {
    layout::ACTIVE_NAMES.iter().any(|name| path.starts_with(layout::active_name(name)))
}
