//! What a node knows of where its packages came from.

use super::Failure;
use crate::action::{self, fetch};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::id::PackageId;
use crate::dcos::journal::Intent;
use crate::dcos::spared::Spared;
use crate::dcos::trust::{PackageTrust, Trust, TrustRecord};
use crate::observe::activated;
use crate::observe::node::{Node, State};
use crate::system::root::Root;

/// How a node that was not compared with an index gets compared.
pub(super) const HOW_TO_VERIFY: &str = "dcos-node verify --online";

/// The trust in a build whose packages are on the node, by their manifests.
///
/// # Errors
/// A package of a published build that this install places did not come from an archive that its
/// index names.
pub(super) fn record(root: &Root, build: &Build, spared: &Spared) -> action::Result<TrustRecord> {
    let record = TrustRecord::of(build, |id| fetch::archive_of(root, id).ok().flatten());
    let is_other = |(id, package): &(&PackageId, &PackageTrust)| {
        package.trust == Trust::Unverified && !spared.has_package(id)
    };
    let others: Vec<String> =
        record.packages.iter().filter(is_other).map(|(id, _)| id.to_string()).collect();
    if build.index_sha256.is_some() && !others.is_empty() {
        return Err(action::Error::Integrity {
            what: "packages on the node are not those that the build index names".into(),
            source: anyhow::anyhow!("{}", others.join(", ")),
        });
    }
    Ok(record)
}

/// SHA-256 of the build index that all of an installed or prepared node was compared with; none
/// where it was not.
pub(super) fn verified_index(node: &Node, root: &Root) -> Option<String> {
    match (node.state(), &node.story.intent, &node.receipt) {
        (State::Installed, _, Some(receipt)) if activated::since(node).is_nothing() => {
            receipt.verified_index().map(str::to_owned)
        }
        (State::Prepared, Some(Intent::Install(intent)), _) => {
            record(root, &intent.build, &intent.spared).ok()?.index_sha256
        }
        _ => None,
    }
}

/// The trust in what is installed or prepared; none on another node, and for who cannot read its
/// records.
pub(super) fn of_node(node: &Node, root: &Root) -> Option<Trust> {
    match node.state() {
        _ if node.unreadable => None,
        State::Installed | State::Prepared | State::Foreign => {
            Some(match verified_index(node, root) {
                Some(_) => Trust::Verified,
                None => Trust::Unverified,
            })
        }
        State::Clean | State::Installing | State::Uninstalling => None,
    }
}

/// Refuses a node that is to be verified, if the operator wants that, and is not.
///
/// # Errors
/// It is refused.
pub(super) fn check_node(required: bool, node: &Node, root: &Root) -> Result<(), Failure> {
    if !required || of_node(node, root) == Some(Trust::Verified) {
        return Ok(());
    }
    let failure = Failure::new(
        Exit::Integrity,
        anyhow::anyhow!(
            "digests are required, and what is installed was not compared with a build index \
             (trust: unverified)"
        ),
    )
    .leaving("nothing was changed");
    Err(failure.cured_by(format!(
        "{HOW_TO_VERIFY} compares it with the published index of its build; then the same command \
         succeeds"
    )))
}

/// A build without digests is refused, if the operator wants that.
///
/// # Errors
/// It is refused.
pub(super) fn check_digests(required: bool, build: &Build) -> Result<(), Failure> {
    if !required || build.index_sha256.is_some() {
        return Ok(());
    }
    let text = format!("{} is a classic serve directory: it has no digests", build.url);
    let failure =
        Failure::new(Exit::Integrity, anyhow::anyhow!(text)).leaving("nothing was changed");
    Err(failure.cured_by("on the bootstrap server: dcos-node publish DIR, then take its dcos-node"))
}
