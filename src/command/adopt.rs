//! `dcos-node adopt`: a receipt for a node of the classic installer, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Failure, World, health, pkgpanda_swap};
use crate::action::{Site, ourselves};
use crate::dcos::ailment::Ailment;
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::leftovers::is_unit_of_dcos;
use crate::dcos::receipt::{self, Accepted, Object, Receipt, SCHEMA};
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::observe::health::count_restarts;
use crate::observe::lives::Lives;
use crate::observe::node::{Node, State};
use crate::observe::services;
use crate::observe::{accepted, activated, classic, leftovers};
use crate::system::files;
use crate::system::systemd::Unit;

/// What the node is now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether a receipt was written.
    pub changed: bool,
    /// What the node is.
    pub role: Role,
    /// Which DC/OS.
    pub version: Option<Version>,
    /// Active packages.
    pub packages: usize,
    /// What is not as the build and its activation made it, and counts as intact from now on.
    pub accepted: Vec<PathBuf>,
    /// What stays as the classic installer made it.
    pub left: Vec<String>,
    /// What makes the node not healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<Ailment>,
}

/// Adopts.
///
/// # Errors
/// There is no DC/OS, or it is not whole: what is wrong is named, and nothing is changed.
pub async fn run(world: &World) -> Result<Outcome, Failure> {
    if world.is_live() && !world.is_privileged() {
        return Err(Failure::new(Exit::Preflight, anyhow::anyhow!("only root can adopt a node"))
            .leaving("nothing was changed")
            .cured_by("run the same command with sudo"));
    }
    let _lock = world.lock()?;
    pkgpanda_swap::refuse_at_work(world)?;
    let node = world.node().await?;
    match (node.state(), &node.receipt) {
        (State::Installed, Some(receipt)) => {
            return Ok(Outcome {
                unhealthy: unhealthy(&node, world).await?,
                ..outcome(false, receipt)
            });
        }
        (State::Foreign, None) => {}
        (State::Clean, _) => {
            return Err(Failure::new(
                Exit::NotInstalled,
                anyhow::anyhow!("DC/OS is not installed here"),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node install ROLE"));
        }
        _ => {
            return Err(Failure::new(
                Exit::Conflict,
                anyhow::anyhow!("an install or uninstall of dcos-node is unfinished on this node"),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node recover goes on with it"));
        }
    }
    let classic::Judged { problems, modified } =
        classic::judge(&world.root, &node).map_err(unchanged)?;
    let unhealthy = unhealthy(&node, world).await?;
    let role = match (node.roles.as_slice(), problems.as_slice()) {
        ([role], []) => *role,
        _ => {
            let unfinished = pkgpanda_swap::unfinished(world).await;
            let fix = match &unfinished {
                Ok(Some(_)) => "dcos-node recover finishes the swap; then adopt again",
                Err(failure) => &failure.cure,
                Ok(None) if !node.is_whole() && !runs(world).await => {
                    "fix what is named, then adopt again; nothing of DC/OS runs here, so that \
                     dcos-node uninstall does no harm: it removes what is left"
                }
                // Never an uninstall: a node that is not whole can serve all the same.
                Ok(None) => "fix what is named, then adopt again",
            };
            return Err(refused(&problems, fix));
        }
    };
    let accepted = modified.iter().filter_map(|path| accept(path, world)).collect();
    let receipt = Receipt { accepted, ..receipt_of(&node, role, world)? };
    let site = world.site(None, &Fetching::default())?;
    record(&site, &receipt, world)?;
    Ok(Outcome { unhealthy, ..outcome(true, &receipt) })
}

fn accept(path: &Path, world: &World) -> Option<Accepted> {
    Some(Accepted {
        path: path.to_owned(),
        content: accepted::content(&world.root, path)?,
        at: world.now(),
        reason: "changed when the node was adopted".to_owned(),
    })
}

/// Brings a receipt up to what pkgpanda activated behind it: what stands counts. Nobody compared
/// that with an index.
pub(super) fn refresh(node: &Node, offered: &Build, world: &World) -> Result<(), Failure> {
    let Some(old) = node.receipt.as_ref().filter(|old| old.build.active() != node.active) else {
        return Ok(());
    };
    let mut receipt = Receipt {
        build: offered.clone(),
        version: node.version.clone(),
        trust: None,
        ..old.clone()
    };
    receipt::merge(&mut receipt.objects, standing(node, world)?);
    activated::bring_up(&world.root, node, receipt.role, &mut receipt.objects)
        .map_err(unchanged)?;
    record(&world.site(None, &Fetching::default())?, &receipt, world)
}

/// What stands of DC/OS, without packages that pkgpanda did not come to the end of: nobody knows
/// what they should be, and an uninstall finds them.
fn standing(node: &Node, world: &World) -> Result<Vec<Object>, Failure> {
    let found = leftovers::look(&world.root, node).map_err(unchanged)?;
    let is_half = |object: &Object| {
        matches!(
            object,
            Object::Package { id } if !classic::is_whole(&world.root, id)
        )
    };
    Ok(found.objects.into_iter().filter(|object| !is_half(object)).collect())
}

/// Manifests first: the receipt makes it true. Packages that are not active get theirs too: they
/// are of the inventory like the others.
fn record(site: &Site, receipt: &Receipt, world: &World) -> Result<(), Failure> {
    for object in &receipt.objects {
        let Object::Package { id } = object else { continue };
        if files::exists(&world.root.at(layout::manifest(id)))
            || !classic::is_whole(&world.root, id)
        {
            continue;
        }
        let manifest = classic::manifest(&world.root, id).map_err(unchanged)?;
        ourselves::write_manifest(site, &manifest).map_err(unchanged)?;
    }
    ourselves::write_receipt(site, receipt).map_err(unchanged)
}

fn receipt_of(node: &Node, role: Role, world: &World) -> Result<Receipt, Failure> {
    let origin = classic::origin(&world.root);
    let objects = standing(node, world)?;
    let known: BTreeSet<PackageId> = node.active.clone();
    Ok(Receipt {
        schema: SCHEMA,
        dcos_node: env!("CARGO_PKG_VERSION").to_owned(),
        installed_at: world.now(),
        adopted: true,
        role,
        build: Build {
            url: origin.url.unwrap_or_default(),
            bootstrap_id: origin.bootstrap_id.unwrap_or_default(),
            package_list_id: origin.package_list_id.unwrap_or_default(),
            bootstrap_packages: Vec::new(),
            packages: known.into_iter().collect(),
            node_files: Vec::new(),
            artifacts: Default::default(),
            index_sha256: None,
        },
        version: node.version.clone(),
        skips: Vec::new(),
        warnings: Vec::new(),
        snapshot: None,
        trust: None,
        accepted: Vec::new(),
        objects: objects
            .into_iter()
            .filter(|object| !matches!(object, Object::ResolvConf { .. }))
            .collect(),
    })
}

/// What makes the node not healthy, which is no reason to leave it without a receipt.
async fn unhealthy(node: &Node, world: &World) -> Result<Vec<Ailment>, Failure> {
    let Some(systemd) = world
        .systemd
        .clone()
        .transpose()
        .map_err(|why| unchanged(anyhow::anyhow!("systemd does not answer: {why}")))?
    else {
        return Ok(Vec::new());
    };
    let names = services::of_role(&node.wanted_units);
    let mut units = services::look(systemd.as_ref(), &names, &mut Lives::default())
        .await
        .map_err(|e| unchanged(e.into()))?;
    let root = world.root.clone();
    let counted = tokio::task::spawn_blocking(move || {
        count_restarts(&root, &mut units);
        units
    });
    Ok(health::look(node, &counted.await.unwrap_or_default(), 0, world))
}

/// Whether a unit of DC/OS runs, or may run for all that systemd says.
async fn runs(world: &World) -> bool {
    let systemd = match &world.systemd {
        None => return false,
        Some(Err(_)) => return true,
        Some(Ok(systemd)) => systemd,
    };
    let is_running = |unit: &Unit| {
        is_unit_of_dcos(&unit.name) && !["inactive", "failed"].contains(&unit.active.as_str())
    };
    systemd.loaded_units().await.map_or(true, |units| units.iter().any(is_running))
}

fn refused(problems: &[String], fix: &str) -> Failure {
    Failure::new(
        Exit::Conflict,
        anyhow::anyhow!(
            "this node is not whole, so it is not adopted:\n  {}",
            problems.join("\n  ")
        ),
    )
    .leaving("nothing was changed")
    .cured_by(fix)
}

fn unchanged(error: anyhow::Error) -> Failure {
    Failure::from(error)
        .leaving("DC/OS was not touched")
        .cured_by("see to what is named, then adopt again")
}

fn outcome(changed: bool, receipt: &Receipt) -> Outcome {
    let left = [
        "dcos-setup.service is that of the classic installer: at boot it runs pkgpanda setup, \
         which leaves a whole node alone",
        "files of packages are taken for what they should be: the classic installer wrote down no \
         digests",
    ];
    Outcome {
        changed,
        role: receipt.role,
        version: receipt.version.clone(),
        packages: receipt.build.active().len(),
        accepted: receipt.accepted.iter().map(|accepted| accepted.path.clone()).collect(),
        left: if receipt.adopted { left.map(str::to_owned).to_vec() } else { Vec::new() },
        unhealthy: Vec::new(),
    }
}
