//! `verify --online`: an installed node against the published archives of its build.

use futures_util::stream::{self, StreamExt};

use super::comparison::{Outcome, compare_with};
use crate::action::{Site, capacity, fetch, ourselves};
use crate::command::{Failure, World, fetching};
use crate::dcos::build::Build;
use crate::dcos::difference::{Aspect, Detail, Difference};
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::Intent;
use crate::dcos::layout;
use crate::dcos::receipt::{Manifest, Receipt};
use crate::dcos::role::Role;
use crate::dcos::trust::TrustRecord;
use crate::observe;
use crate::observe::node::Node;
use crate::observe::verify::{Manifests, Unknown};
use crate::system::digest;
use crate::system::lock::Lock;
use crate::system::root::Root;

/// Longest node file that is compared.
const LONGEST: u64 = 16 << 20;

/// What recording the trust takes: root, and nobody else at work.
pub(super) fn begin(world: &World) -> Result<Lock, Failure> {
    if world.is_live() && !world.is_privileged() {
        return Err(Failure::new(
            Exit::Preflight,
            anyhow::anyhow!("only root can record that a node was verified"),
        )
        .leaving("nothing was changed")
        .cured_by("run the same command with sudo; without --online it works for every user"));
    }
    world.lock()
}

/// Compares, and records the trust if every byte of the packages and of the node files is as
/// published.
pub(super) async fn compare(
    bootstrap_url: Option<&str>,
    node: Node,
    world: &World,
) -> Result<Outcome, Failure> {
    let Some(receipt) = node.receipt.clone().filter(|_| node.story.intent.is_none()) else {
        return Err(without_receipt(&node));
    };
    let fetching = Fetching::default();
    let mirrors =
        world.source(bootstrap_url, &fetching, Some(&node))?.ok_or_else(fetching::no_url)?;
    let source = fetching::first_alive(&mirrors, world).await.clone();
    let known = [world.digest()?.map(str::to_owned), receipt.build.index_sha256.clone()];
    let known: Vec<String> = known.into_iter().flatten().collect();
    let build = observe::build::published(&source, &node.active, &known).await.map_err(unread)?;
    let Some(build) = build else {
        let mut outcome = compare_with(Manifests::new(), node, None, world).await?;
        let why = format!("{source} has no published index of the packages that are installed");
        outcome.unknown.push(Unknown { what: "build index".into(), why });
        return Ok(outcome);
    };
    let site = world.site(Some(mirrors), &fetching)?;
    let published = manifests(&site, &build, &node).await?;
    let (root, role) = (world.root.clone(), receipt.role);
    let mut outcome = compare_with(published.clone(), node, None, world).await?;
    for difference in node_files(&root, &build, role) {
        if outcome.differences.iter().all(|known| known.object != difference.object) {
            outcome.differences.push(difference);
        }
    }
    outcome.clean = outcome.differences.is_empty();
    if world.cancellation.is_requested() || !is_as_published(&outcome, &build) {
        return Ok(outcome);
    }
    let record = TrustRecord::of(&build, |id| {
        published.get(id).map(|manifest| manifest.archive_sha256.clone())
    });
    (outcome.trust, outcome.index_sha256) = (Some(record.trust()), record.index_sha256.clone());
    self::record(&site, published, Receipt { trust: Some(record), ..receipt }).map_err(
        |error| {
            Failure::from(error)
                .leaving("everything is as published, but that could not be recorded")
                .cured_by(format!("see that {} can be written", layout::OUR_STATE))
        },
    )?;
    Ok(outcome)
}

/// The manifests of the active packages, read out of the archives of the build.
async fn manifests(site: &Site, build: &Build, node: &Node) -> Result<Manifests, Failure> {
    let archives = build.archives();
    let read = archives.iter().map(|archive| fetch::examine(site, build, archive));
    let mut read = stream::iter(read).buffer_unordered(capacity::processors());
    let mut manifests = Manifests::new();
    while let Some(examined) = read.next().await {
        let examined: Vec<Manifest> = examined.map_err(|error| {
            let is_damaged = error.chain().any(|cause| cause.is::<fetch::Damaged>());
            let exit = if is_damaged { Exit::Integrity } else { Exit::Failed };
            Failure::new(exit, error.context("the archives of the build cannot be compared"))
                .leaving("nothing was changed")
                .cured_by("see to the bootstrap server, then run the same command again")
        })?;
        if site.cancellation.is_requested() {
            break;
        }
        let active = examined.into_iter().filter(|manifest| node.active.contains(&manifest.id));
        manifests.extend(active.map(|manifest| (manifest.id.clone(), manifest)));
    }
    Ok(manifests)
}

/// The node files of the index that are not on the node as it says. Those of our own units, and of
/// what DC/OS writes at every start, are others.
fn node_files(root: &Root, build: &Build, role: Role) -> Vec<Difference> {
    let ours = [layout::unit("dcos-download.service"), layout::SETUP_UNIT.into()];
    let is_written = |path: &std::path::Path| {
        role != Role::Master && path == std::path::Path::new(layout::REXRAY_SETTINGS)
    };
    let compared = build
        .node_files
        .iter()
        .filter(|file| !ours.contains(&file.path) && !is_written(&file.path));
    compared
        .filter_map(|file| match root.read(&file.path, LONGEST) {
            Ok(Some(text)) if text == file.content.as_bytes() => None,
            Ok(None) => Some(Difference::missing(file.path.clone(), "node files")),
            found => {
                let sha256 = |text: &[u8]| digest::hex(&digest::sha256(text));
                let is = found.ok().flatten().map_or_else(|| "?".to_owned(), |text| sha256(&text));
                let was = sha256(file.content.as_bytes());
                let detail = Detail { aspect: Aspect::Digest, was, is };
                Difference::changed(file.path.clone(), "node files", vec![detail])
            }
        })
        .collect()
}

/// Whether all that the index names is on the node as published, and active so. What an operator
/// changed elsewhere does not count.
fn is_as_published(outcome: &Outcome, build: &Build) -> bool {
    let counts = |difference: &&Difference| {
        let object = &difference.object;
        object.is_below(layout::MESOSPHERE)
            || object.is_below(layout::SYSTEM_UNITS)
            || build.node_files.iter().any(|file| object.path() == Some(&file.path))
    };
    outcome.unknown.is_empty() && !outcome.differences.iter().any(|d| counts(&d))
}

/// The manifests first: the receipt makes it true.
fn record(site: &Site, manifests: Manifests, receipt: Receipt) -> anyhow::Result<()> {
    for manifest in manifests.values() {
        ourselves::write_manifest(site, manifest)?;
    }
    ourselves::write_receipt(site, &receipt)
}

fn without_receipt(node: &Node) -> Failure {
    let (what, cure) = match &node.story.intent {
        Some(Intent::Install(_) | Intent::Uninstall { .. }) => (
            "the install of this node is not finished, so there is no receipt to record trust in",
            "boot the image, or dcos-node recover; then verify it",
        ),
        None => (
            "dcos-node did not install this node, so there is no receipt to record trust in",
            "dcos-node adopt writes one; then verify it",
        ),
    };
    Failure::new(Exit::Conflict, anyhow::anyhow!(what))
        .leaving("nothing was changed")
        .cured_by(cure)
}

fn unread(error: observe::build::Error) -> Failure {
    Failure::new(Exit::Failed, error)
        .leaving("nothing was changed")
        .cured_by("see to the bootstrap server, or give its address with --bootstrap-url")
}
