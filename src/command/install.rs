//! `dcos-node install ROLE`: the main job.

mod failures;
mod intent;
mod outcome;
mod request;
mod restoring;
mod reverting;

use std::collections::BTreeSet;

use super::preflight::{self, Offered};
use super::{
    Failure, World, adopt, fetching, node_files, on_node, pkgpanda_swap, trust, uninstall,
};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Action, Site};
use crate::dcos::action_key::ActionKey;
use crate::dcos::active_set::ActiveSet;
use crate::dcos::build::Build;
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::dcos::id::PackageId;
use crate::dcos::journal::{InstallIntent, Intent, Outcome as Ending, Record};
use crate::dcos::preview::Preview;
use crate::dcos::receipt::Receipt;
use crate::dcos::role::Role;
use crate::dcos::trust::Trust;
use crate::observe::node::{Node, State};
use crate::observe::pkgpanda_swap::look as unfinished_swap;
use crate::observe::{self, host, snapshot};
use crate::plan::fetch::Lengths;
use crate::plan::install::{self as plan, Circumstances, Decision, Refusal};
use crate::system::root::Root;
use failures::{goes_by_its_identity, interrupted, join, unrepaired};
use intent::{intent, set_aside};
use outcome::{FIRST_BOOT, left_of_classic, outcome, outcome_of, with_units};
use request::check_request;
use reverting::{Unfit, undo_all};

pub(super) use outcome::finished;
pub use outcome::{Outcome, and_wait, check_wish};
pub use request::Request;
pub(super) use reverting::give_up;

/// Installs.
///
/// # Errors
/// Whatever stops it, with the state in which the node is left.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    check_request(request).check_skips()?;
    let digest = world.digest()?;
    if world.is_live() && !world.is_privileged() {
        return Err(refuse_unprivileged(request, world).await);
    }
    let _lock = if request.dry_run { None } else { Some(world.lock()?) };
    let node = world.node().await?;
    let mirrors = world
        .source(request.bootstrap_url.as_deref(), &request.fetching, Some(&node))?
        .ok_or_else(fetching::no_url)?;
    let local = on_node::build(world, digest, mirrors.first().to_string()).await;
    if !request.dry_run && local.is_none() {
        fetching::splay(&request.fetching, world).await?;
    }
    let (source, offered) = match local {
        Some((server, build, settings)) => (mirrors.first(), Some((server, Ok((build, settings))))),
        None => {
            let source = fetching::first_alive(&mirrors, world).await;
            (source, preflight::offered_as_published(source, digest, world).await?)
        }
    };
    let swapped = finish_swap(request, &node, &offered, world).await?;
    let node = if swapped { world.node().await? } else { node };
    if swapped && node.story.intent.is_none() {
        let (build, settings) = fetching::readable(offered)?;
        let mut outcome = outcome_of(request.role, &build, settings.version, true);
        outcome.left.extend(left_of_classic(&node).map(str::to_owned));
        return Ok(with_units(outcome, request.start, &node, world).await);
    }
    let decision = decide(&node, request.role, &offered, &world.root)?;
    let restoring::Judged { decision, spared, missing } =
        restoring::judge(decision, &node, world).await?;
    if request.reset_identity && node.state() == State::Installed {
        return Err(goes_by_its_identity());
    }
    if let Some((_, Ok((build, _)))) = &offered
        && !matches!(decision, Some(Decision::Unchanged))
    {
        // Before the checks, which run scripts of the build.
        trust::check_digests(request.require_digests, build)?;
        if !spared.packages.is_empty() {
            trust::check_node(request.require_digests, &node, &world.root)?;
        }
        node_files::check(build, &request.allow_files, &node, &world.root)?;
    }
    if matches!(decision, Some(Decision::Unchanged)) {
        return unchanged(request, &node, fetching::readable(offered)?.0, world).await;
    }
    let report =
        preflight::check(&check_request(request), world, &node, Some(source), &offered).await?;
    if report.blocking().next().is_some() {
        return Err(preflight::stopped_by(report));
    }
    if request.strict && report.warnings().next().is_some() {
        return Err(preflight::stopped_by_warnings(report));
    }
    let (build, settings) = fetching::readable(offered)?;
    let mut intent = InstallIntent {
        fetching: fetching::kept(&request.fetching, &mirrors, world),
        ..intent(request, build, &settings, &report, set_aside(request, &node, world), spared)
    };
    for warning in &intent.warnings {
        world.events.warn(format!("{}: {}", warning.check, warning.found));
    }
    if request.dry_run {
        return Ok(Outcome {
            plan: dry_run(request, &intent, &node, world),
            ..outcome(&intent, false)
        });
    }
    if node.state() == State::Prepared && !world.is_privileged() {
        return Ok(Outcome { left: vec![FIRST_BOOT.into()], ..outcome(&intent, false) });
    }
    fetching::warn_of_digests(&intent.build, world);
    let site = world.site(Some(mirrors), &request.fetching)?;
    if matches!(decision, Some(Decision::FinishUninstall)) {
        uninstall::finish(&node, &site).await?;
    }
    let node = if matches!(decision, Some(Decision::StartOver)) {
        undo_all(&site, world).await?;
        let node = world.node().await?;
        intent.set_aside = set_aside(request, &node, world);
        node
    } else {
        node
    };
    // Before the journal, which is a change too. A node that stands already was looked at by its
    // first install, or never.
    let snapshot = match &node.receipt {
        Some(_) if !matches!(decision, Some(Decision::FinishUninstall)) => node.snapshot().cloned(),
        _ => Some(snapshot::look(&world.root, site.systemd.as_deref()).await),
    };
    let journal = Journal::open(&world.root).map_err(uninstall::without_journal)?;
    if !matches!(decision, Some(Decision::GoOn)) {
        // A node that is installed but not whole is repaired; what stood there before us is what
        // the first install saw.
        let known =
            node.receipt.as_ref().map(|receipt| receipt.objects.clone()).unwrap_or_default();
        let asked =
            Record::Asked { at: world.now(), intent: Intent::Install(Box::new(intent.clone())) };
        let seen = |snapshot| journal.append(Record::Snapshot { snapshot: Box::new(snapshot) });
        let begun = journal
            .reserve()
            .and_then(|()| snapshot.map_or(Ok(()), seen))
            .and_then(|()| journal.begin(ActionKey::Inventory, known))
            .and_then(|()| journal.append(asked));
        begun.map_err(|error| {
            journal.abandon();
            uninstall::without_journal(error)
        })?;
    }
    if let Some(mirrors) = &site.source {
        on_node::keep_index(&site, mirrors.first(), &intent.build).await;
    }
    let here = circumstances(world, &intent, request.follow).await;
    match carry_out(&intent, &site, &journal, here, world).await {
        Ok(()) if node.receipt.is_some() => {
            let outcome = finished(intent, &site, here).await;
            Ok(restoring::recounted(outcome, missing, world).await)
        }
        Ok(()) => Ok(finished(intent, &site, here).await),
        Err(action::Error::Interrupted) => Err(interrupted(request.role)),
        // A live node is never taken down because a repair failed.
        Err(error) if node.receipt.is_some() => Err(unrepaired(error, request.role)),
        Err(error) => Err(give_up(error, &intent.build, &site, &journal, world).await),
    }
}

/// Everything from the first durable trace to the receipt. Called again, it goes on.
pub(super) async fn carry_out(
    intent: &InstallIntent,
    site: &Site,
    journal: &Journal,
    here: Circumstances,
    world: &World,
) -> action::Result<()> {
    let packages = plan::packages(intent, &fetching::lengths(site, &intent.build).await);
    site.events.send(Event::Planned { actions: packages.preview() });
    run_actions(&packages.batches, site, journal, site.capacity.actions()).await?;
    trust::record(&site.root, &intent.build, &intent.spared)?;
    let set = validate(intent, site).await?;
    let node = {
        let root = site.root.clone();
        tokio::task::spawn_blocking(move || Node::look(&root))
            .await
            .map_err(anyhow::Error::from)
            .and_then(|n| n)
    };
    let node = node.map_err(|source| action::Error::Failed {
        what: "cannot look at the node".into(),
        source,
    })?;
    let activation = plan::activation(intent, &set, &node.accounts, node.manual_accounts, here)
        .map_err(|obstacles| action::Error::Failed {
            what: "the build cannot be activated on this node".into(),
            source: anyhow::anyhow!(join(&obstacles)),
        })?;
    if plan::leaves_journald(intent, here) {
        site.events.warn(format!(
            "docker runs {} containers, so journald is not restarted; its new setting applies at \
             the next boot (--restart-journald restarts it now)",
            here.running_containers
        ));
    }
    site.events.send(Event::Planned { actions: activation.preview() });
    run_actions(&activation.batches, site, journal, 1).await?;
    fetching::drop_unused(site, journal).await?;
    if !here.privileged {
        // The first boot of the image goes on from here, with the journal as it is.
        return Ok(());
    }
    let receipt = Receipt {
        trust: Some(trust::record(&site.root, &intent.build, &intent.spared)?),
        accepted: restoring::accepted(&node, world),
        ..plan::receipt(intent, env!("CARGO_PKG_VERSION"), &world.now())
    };
    run_actions(&[vec![Action::WriteReceipt { receipt: Box::new(receipt) }]], site, journal, 1)
        .await?;
    journal
        .finish(Ending::Installed, Vec::new())
        .map_err(|source| action::Error::Failed { what: "cannot close the journal".into(), source })
}

/// All packages are read and judged together before anything is switched.
async fn validate(intent: &InstallIntent, site: &Site) -> action::Result<ActiveSet> {
    let (root, ids, role): (_, BTreeSet<PackageId>, _) =
        (site.root.clone(), intent.build.active(), intent.role);
    let read = tokio::task::spawn_blocking(move || -> anyhow::Result<ActiveSet> {
        let packages = observe::packages::packages(&root, &ids)?;
        ActiveSet::new(packages, role).map_err(|problems| anyhow::anyhow!(join(&problems)))
    });
    let set = read.await.map_err(anyhow::Error::from).and_then(|set| set);
    let unfit = |why: anyhow::Error| Unfit(format!("{why:#}"));
    set.map_err(|why| action::Error::Integrity {
        what: "the packages of this build cannot be active together".into(),
        source: unfit(why).into(),
    })
}

/// What the outside of an activation is like.
pub(super) async fn circumstances(
    world: &World,
    intent: &InstallIntent,
    follow: bool,
) -> Circumstances {
    let docker = host::docker(&world.root).await;
    Circumstances {
        live: world.is_live(),
        privileged: world.is_privileged(),
        follow,
        running_containers: docker.map_or(0, |d| d.running_containers),
        placed_unprivileged: intent.placed_unprivileged,
    }
}

/// The same role and build stand already: nothing is touched, nothing restarted. A receipt that is
/// older than what stands is brought up to it.
async fn unchanged(
    request: &Request,
    node: &Node,
    build: Build,
    world: &World,
) -> Result<Outcome, Failure> {
    trust::check_node(request.require_digests, node, &world.root)?;
    let trust = trust::of_node(node, &world.root);
    if build.index_sha256.is_some() && trust != Some(Trust::Verified) {
        world.events.warn(format!(
            "the installed build was not compared with a build index (trust: unverified); {} \
             compares it",
            trust::HOW_TO_VERIFY
        ));
    }
    if !request.dry_run {
        adopt::refresh(node, &build, world)?;
    }
    let outcome = outcome_of(request.role, &build, node.version.clone(), false);
    let index_sha256 = trust::verified_index(node, &world.root);
    let outcome = Outcome { packages: node.active.len(), trust, index_sha256, ..outcome };
    Ok(with_units(outcome, request.start, node, world).await)
}

/// Whether a swap to this very build, which pkgpanda left unfinished on a node of this role, was
/// finished.
async fn finish_swap(
    request: &Request,
    node: &Node,
    offered: &Offered,
    world: &World,
) -> Result<bool, Failure> {
    match offered {
        Some((_, Ok((build, _)))) if node.role() == Some(request.role) && !request.dry_run => {
            pkgpanda_swap::finish_same(world, &build.active(), request.follow).await
        }
        _ => Ok(false),
    }
}

/// Judged before the checks: a conflict is a better answer than a failed check, and an installed
/// node needs none. A build that cannot be read may be the one that a swap of pkgpanda leads to;
/// all else that stands there is against any.
fn decide(
    node: &Node,
    role: Role,
    offered: &Offered,
    root: &Root,
) -> Result<Option<Decision>, Failure> {
    let refused = |refusal: Refusal| {
        let cure = refusal.cure();
        Failure::new(Exit::Conflict, refusal).leaving("nothing was changed").cured_by(cure)
    };
    match offered {
        Some((_, Ok((build, _)))) => match plan::decide(node, role, build) {
            Decision::Refuse(refusal) => Err(refused(refusal)),
            decision => Ok(Some(decision)),
        },
        _ if matches!(unfinished_swap(root), Ok(None)) => {
            plan::conflict(node, role).map_or(Ok(None), |refusal| Err(refused(refusal)))
        }
        _ => Ok(None),
    }
}

fn dry_run(request: &Request, intent: &InstallIntent, node: &Node, world: &World) -> Vec<Preview> {
    let mut preview = plan::packages(intent, &Lengths::new()).preview();
    let packages = observe::packages::packages(&world.root, &intent.build.active());
    let here = Circumstances {
        live: world.is_live(),
        privileged: world.is_privileged(),
        follow: request.follow,
        running_containers: 0,
        placed_unprivileged: false,
    };
    match packages.ok().and_then(|p| ActiveSet::new(p, intent.role).ok()) {
        Some(set) => preview.extend(
            plan::activation(intent, &set, &node.accounts, node.manual_accounts, here)
                .map(|p| p.preview())
                .unwrap_or_default(),
        ),
        None => preview.push(Preview {
            key: ActionKey::Activation,
            text: "judge all packages together, place node files, accounts, state directories and \
                   units, switch the active names, start dcos.target"
                .into(),
        }),
    }
    preview
}

async fn refuse_unprivileged(request: &Request, world: &World) -> Failure {
    match preflight::run(&check_request(request), world).await {
        Ok(report) => preflight::stopped_by(report),
        Err(failure) => failure,
    }
}
