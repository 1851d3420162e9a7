//! `dcos-node install ROLE`: the main job.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::preflight::{self, Offered};
use super::world::parallel;
use super::{Failure, World, uninstall};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Action, Site};
use crate::dcos::active_set::ActiveSet;
use crate::dcos::build::Build;
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::dcos::id::PackageId;
use crate::dcos::journal::{InstallIntent, Intent, Outcome as Ending, Record};
use crate::dcos::layout;
use crate::dcos::preview::Preview;
use crate::dcos::receipt::{Object, Skip};
use crate::dcos::role::Role;
use crate::dcos::settings::{Settings, Version};
use crate::observe::node::{Node, State};
use crate::observe::services::{self, UnitReport};
use crate::observe::{self, host};
use crate::plan::install::{self as plan, Circumstances, Decision};
use crate::preflight::report::{Check, Protection, Report};
use crate::system::label;
use crate::system::root::Root;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the node will be.
    pub role: Role,
    /// Where the build is.
    pub bootstrap_url: Option<String>,
    /// Checks that the operator takes responsibility for, with reasons.
    pub skip: Vec<(String, String)>,
    /// A reason for skipping every check that fails and can be skipped.
    pub skip_all: Option<String>,
    /// How long a clock that is not synchronised is waited for.
    pub wait_time_sync: Option<Duration>,
    /// Only show what would be done.
    pub dry_run: bool,
    /// Whether the target is started at the end.
    pub start: bool,
    /// Whether the jobs of the start are followed.
    pub follow: bool,
    /// Restart journald even if docker runs containers.
    pub restart_journald: bool,
    /// Restart docker.
    pub restart_docker: bool,
    /// Only run the checks, as `dcos_install.sh --preflight-only`.
    pub preflight_only: bool,
    /// Refuse a build without digests.
    pub require_digests: bool,
    /// Set aside what an earlier install kept of the node's identity.
    pub reset_identity: bool,
}

/// How the node is now.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// Some units failed although the target is active.
    pub degraded: bool,
    /// What the node is.
    pub role: Role,
    /// Which DC/OS.
    pub version: Option<Version>,
    /// Where it came from.
    pub bootstrap_url: String,
    /// The bootstrap id of the build.
    pub bootstrap_id: String,
    /// The package list of the build.
    pub package_list_id: String,
    /// How many packages are active.
    pub packages: usize,
    /// Units that are not well (yet).
    pub units: Vec<UnitReport>,
    /// What is left for later: the first boot of an image, a restart of journald.
    pub left: Vec<String>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Preview>,
    /// With `--dry-run`: how it was kept from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// What an unprivileged run cannot do.
const FIRST_BOOT: &str = "owners, accounts and the start of the role: the first boot of this image sees to them";

/// Installs.
///
/// # Errors
/// Whatever stops it, with the state in which the node is left.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    world.check_root()?;
    check_request(request).check_skips()?;
    if world.is_live() && !world.is_privileged() {
        return Err(refuse_unprivileged(request, world).await);
    }
    let _lock = if request.dry_run || request.preflight_only { None } else { Some(world.lock()?) };
    let node = world.node().await?;
    let source = world.source(request.bootstrap_url.as_deref(), Some(&node))?.ok_or_else(no_url)?;
    let offered = preflight::offered(Some(&source)).await;
    let decision = decide(&node, request.role, &offered)?;
    if request.reset_identity && node.state() == State::Installed {
        return Err(goes_by_its_identity(request.role));
    }
    if matches!(decision, Some(Decision::Unchanged)) {
        return unchanged(request.role, &node, world).await;
    }
    let report = preflight::check(&check_request(request), world, &node, Some(&source), &offered).await?;
    if report.blocking().next().is_some() {
        return Err(preflight::stopped_by(report));
    }
    let (build, settings) = readable(offered)?;
    if request.require_digests {
        return Err(Failure::new(Exit::Integrity, anyhow::anyhow!("{source} is a classic serve directory: it has no digests"))
            .leaving("nothing was changed"));
    }
    let intent = intent(request, build, &settings, &report, set_aside(request, &node, world));
    if request.dry_run || request.preflight_only {
        return Ok(Outcome { plan: dry_run(request, &intent, &node, world), ..outcome(&intent, false) });
    }
    if node.state() == State::Prepared && !world.is_privileged() {
        return Ok(Outcome { left: vec![FIRST_BOOT.into()], ..outcome(&intent, false) });
    }
    world.events.warn("this build has no digests: its packages are installed as they come from the server");
    let site = world.site(Some(source))?;
    if matches!(decision, Some(Decision::FinishUninstall)) {
        uninstall::finish(&node, &site).await?;
    }
    let journal = Journal::open(&world.root).map_err(uninstall::without_journal)?;
    if !matches!(decision, Some(Decision::GoOn)) {
        // A node that is installed but not whole is repaired; what stood there before us is what the first install saw.
        let known = node.receipt.as_ref().map(|receipt| receipt.objects.clone()).unwrap_or_default();
        let asked = Record::Asked { at: world.now(), intent: Intent::Install(Box::new(intent.clone())) };
        let begun = journal.reserve().and_then(|()| journal.begin("inventory", known)).and_then(|()| journal.append(asked));
        begun.map_err(|error| {
            journal.abandon();
            uninstall::without_journal(error)
        })?;
    }
    let here = circumstances(world, &intent, request.follow).await;
    match carry_out(&intent, &site, &journal, here, world).await {
        Ok(()) => Ok(finished(intent, &site, here).await),
        Err(action::Error::Interrupted) => Err(interrupted(request.role)),
        // A live node is never taken down because a repair failed.
        Err(error) if node.receipt.is_some() => Err(unrepaired(error, request.role)),
        Err(error) => Err(give_up(error, &site, &journal, world).await),
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
    let packages = plan::packages(intent);
    site.events.send(Event::Planned { actions: packages.preview() });
    run_actions(&packages.batches, site, journal, parallel()).await?;
    let set = validate(intent, site).await?;
    let node = {
        let root = site.root.clone();
        tokio::task::spawn_blocking(move || Node::look(&root)).await.map_err(anyhow::Error::from).and_then(|n| n)
    };
    let node = node.map_err(|source| action::Error::Failed { what: "cannot look at the node".into(), source })?;
    let activation = plan::activation(intent, &set, &node.accounts, node.manual_accounts, here).map_err(|obstacles| {
        action::Error::Failed { what: "the build cannot be activated on this node".into(), source: anyhow::anyhow!(join(&obstacles)) }
    })?;
    if plan::leaves_journald(intent, here) {
        site.events.warn(format!("docker runs {} containers, so journald is not restarted; its new setting applies at the next boot (--restart-journald restarts it now)", here.running_containers));
    }
    site.events.send(Event::Planned { actions: activation.preview() });
    run_actions(&activation.batches, site, journal, parallel()).await?;
    if !here.privileged {
        // The first boot of the image goes on from here, with the journal as it is.
        return Ok(());
    }
    let receipt = plan::receipt(intent, env!("CARGO_PKG_VERSION"), &world.now());
    run_actions(&[vec![Action::WriteReceipt { receipt: Box::new(receipt) }]], site, journal, 1).await?;
    journal
        .finish(Ending::Installed, Vec::new())
        .map_err(|source| action::Error::Failed { what: "cannot close the journal".into(), source })
}

/// All packages are read and judged together before anything is switched.
async fn validate(intent: &InstallIntent, site: &Site) -> action::Result<ActiveSet> {
    let (root, ids, role): (_, BTreeSet<PackageId>, _) = (site.root.clone(), intent.build.active(), intent.role);
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

/// Packages that are whole but do not fit together. Which of them is wrong is not known, so that none is kept: the server is asked again for all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfit(String);

/// The install failed: the node becomes as it was, and what was verified is kept for the next try.
pub(super) async fn give_up(error: action::Error, site: &Site, journal: &Journal, world: &World) -> Failure {
    let (exit, cure) = match &error {
        action::Error::Integrity { .. } => (Exit::Integrity, "put the right archives on the server, then run the same command again"),
        _ => (Exit::Failed, "remove the cause and run the same command again"),
    };
    let keep_packages = !matches!(&error, action::Error::Integrity { source, .. } if source.is::<Unfit>());
    let error = anyhow::Error::from(error);
    site.events.warn("the install failed; the node is being made as it was");
    match uninstall::turn_round(site, journal, world.now(), keep_packages).await {
        Ok(kept) => {
            let kept = kept.iter().filter(|o| matches!(o, Object::Package { .. })).count();
            let state = if kept == 0 {
                "the node is as it was".to_owned()
            } else {
                format!("the node is as it was; {kept} unpacked packages are kept for the next try (dcos-node uninstall removes them)")
            };
            Failure::new(exit, error).leaving(state).cured_by(cure)
        }
        Err(second) => Failure::new(exit, error)
            .leaving(format!("the node could not be made as it was: {:#}", anyhow::Error::from(second)))
            .cured_by("remove the cause; then the same command installs, and dcos-node uninstall makes the node clean"),
    }
}

/// What the outside of an activation is like.
pub(super) async fn circumstances(world: &World, intent: &InstallIntent, follow: bool) -> Circumstances {
    let docker = host::docker(&world.root).await;
    Circumstances {
        live: world.is_live(),
        privileged: world.is_privileged(),
        follow,
        running_containers: docker.map_or(0, |d| d.running_containers),
        placed_unprivileged: intent.placed_unprivileged,
    }
}

/// The end of an install that went well: how the units are.
pub(super) async fn finished(intent: InstallIntent, site: &Site, here: Circumstances) -> Outcome {
    let mut outcome = outcome(&intent, true);
    if !here.privileged {
        outcome.left.push(FIRST_BOOT.into());
    }
    if plan::leaves_journald(&intent, here) {
        outcome.left.push("the journald setting: it applies at the next boot".into());
    }
    if !here.live && label::is_configured(&site.root) {
        outcome.left.push("SELinux labels: put an empty file /.autorelabel into the image, so that its first boot sets them".into());
    }
    if let (Some(systemd), true) = (&site.systemd, intent.start) {
        let root = site.root.clone();
        let wanted = tokio::task::spawn_blocking(move || Node::look(&root).map(|n| n.wanted_units)).await;
        let wanted = wanted.ok().and_then(Result::ok).unwrap_or_default();
        match services::look(systemd.as_ref(), &wanted).await {
            Ok(reports) => set_units(&mut outcome, reports, site.root.clone()).await,
            Err(error) => site.events.warn(format!("the units could not be looked at: {error}")),
        }
    }
    outcome
}

async fn set_units(outcome: &mut Outcome, mut reports: Vec<UnitReport>, root: Root) {
    outcome.degraded = services::is_degraded(&reports);
    reports.retain(|r| r.condition != services::Condition::Well);
    let with_logs = tokio::task::spawn_blocking(move || {
        services::add_logs(&root, &mut reports);
        reports
    });
    outcome.units = with_logs.await.unwrap_or_default();
}

fn outcome(intent: &InstallIntent, changed: bool) -> Outcome {
    Outcome {
        changed,
        degraded: false,
        role: intent.role,
        version: intent.version.clone(),
        bootstrap_url: intent.build.url.clone(),
        bootstrap_id: intent.build.bootstrap_id.clone(),
        package_list_id: intent.build.package_list_id.clone(),
        packages: intent.build.active().len(),
        units: Vec::new(),
        left: Vec::new(),
        plan: Vec::new(),
        protection: preflight::protection(),
    }
}

/// The same role and build stand already: nothing is touched, nothing restarted.
async fn unchanged(role: Role, node: &Node, world: &World) -> Result<Outcome, Failure> {
    let receipt = node.receipt.as_ref().ok_or_else(|| Failure::from(anyhow::anyhow!("the node has no receipt")))?;
    let mut outcome = Outcome {
        changed: false,
        degraded: false,
        role,
        version: receipt.version.clone(),
        bootstrap_url: receipt.build.url.clone(),
        bootstrap_id: receipt.build.bootstrap_id.clone(),
        package_list_id: receipt.build.package_list_id.clone(),
        packages: node.active.len(),
        units: Vec::new(),
        left: Vec::new(),
        plan: Vec::new(),
        protection: preflight::protection(),
    };
    if let Some(Ok(systemd)) = &world.systemd
        && let Ok(reports) = services::look(systemd.as_ref(), &node.wanted_units).await
    {
        set_units(&mut outcome, reports, world.root.clone()).await;
    }
    Ok(outcome)
}

/// Judged before the checks: a conflict is a better answer than a failed check, and an installed node needs none.
fn decide(node: &Node, role: Role, offered: &Offered) -> Result<Option<Decision>, Failure> {
    let Some((_, Ok((build, _)))) = offered else { return Ok(None) };
    match plan::decide(node, role, build) {
        Decision::Refuse(refusal) => {
            let cure = refusal.cure();
            Err(Failure::new(Exit::Conflict, refusal).leaving("nothing was changed").cured_by(cure))
        }
        decision => Ok(Some(decision)),
    }
}

fn dry_run(request: &Request, intent: &InstallIntent, node: &Node, world: &World) -> Vec<Preview> {
    let mut preview = plan::packages(intent).preview();
    let packages = observe::packages::packages(&world.root, &intent.build.active());
    let here = Circumstances {
        live: world.is_live(),
        privileged: world.is_privileged(),
        follow: request.follow,
        running_containers: 0,
        placed_unprivileged: false,
    };
    match packages.ok().and_then(|p| ActiveSet::new(p, intent.role).ok()) {
        Some(set) => preview.extend(plan::activation(intent, &set, &node.accounts, node.manual_accounts, here).map(|p| p.preview()).unwrap_or_default()),
        None => preview.push(Preview { key: "activation".into(), text: "judge all packages together, place node files, accounts, state directories and units, switch the active names, start dcos.target".into() }),
    }
    preview
}

fn intent(request: &Request, build: Build, settings: &Settings, report: &Report, set_aside: Vec<(PathBuf, PathBuf)>) -> InstallIntent {
    let skip = |check: &Check| check.skipped_because.clone().map(|reason| Skip { check: check.id.to_owned(), reason });
    InstallIntent {
        role: request.role,
        build,
        version: settings.version.clone(),
        start: request.start,
        restart_journald: request.restart_journald,
        restart_docker: request.restart_docker,
        placed_unprivileged: !nix::unistd::geteuid().is_root(),
        skips: report.checks.iter().filter_map(skip).collect(),
        set_aside,
    }
}

/// What `--reset-identity` moves, and where to: names with the time in them, so that nothing set aside earlier is in the way.
fn set_aside(request: &Request, node: &Node, world: &World) -> Vec<(PathBuf, PathBuf)> {
    let kept = node.kept_identity.iter().filter(|_| request.reset_identity);
    kept.map(|path| (path.clone(), layout::set_aside(path, &world.now()))).collect()
}

fn goes_by_its_identity(role: Role) -> Failure {
    Failure::new(Exit::Conflict, anyhow::anyhow!("this node is installed and goes by its identity: it cannot be reset"))
        .leaving("nothing was changed")
        .cured_by(format!("dcos-node uninstall, then dcos-node install {role} --reset-identity"))
}

fn check_request(request: &Request) -> preflight::Request {
    preflight::Request {
        role: Some(request.role),
        bootstrap_url: request.bootstrap_url.clone(),
        skip: request.skip.clone(),
        skip_all: request.skip_all.clone(),
        wait_time_sync: request.wait_time_sync,
        ip_detect: None,
        reset_identity: request.reset_identity,
    }
}

async fn refuse_unprivileged(request: &Request, world: &World) -> Failure {
    match preflight::run(&check_request(request), world).await {
        Ok(report) => preflight::stopped_by(report),
        Err(failure) => failure,
    }
}

fn readable(offered: Offered) -> Result<(Build, Settings), Failure> {
    match offered {
        Some((_, Ok(read))) => Ok(read),
        Some((_, Err(error))) => Err(Failure::new(Exit::Failed, error).leaving("nothing was changed")),
        None => Err(no_url()),
    }
}

fn no_url() -> Failure {
    Failure::new(Exit::Usage, anyhow::anyhow!("it is not known where the build is"))
        .leaving("nothing was changed")
        .cured_by("give --bootstrap-url URL, or set DCOS_NODE_BOOTSTRAP_URL")
}

fn unrepaired(error: action::Error, role: Role) -> Failure {
    Failure::new(Exit::Failed, error)
        .leaving("the node is installed, but what was missing on it could not be put back")
        .cured_by(format!("remove the cause; dcos-node install {role} goes on"))
}

fn interrupted(role: Role) -> Failure {
    Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted"))
        .leaving("the install is half done and goes on at the next boot")
        .cured_by(format!("dcos-node install {role} goes on now; dcos-node uninstall makes the node clean"))
}

/// The first of them, and how many there are besides: two packages that hold the same files have hundreds.
fn join<T: ToString>(problems: &[T]) -> String {
    let mut texts: Vec<String> = problems.iter().take(8).map(ToString::to_string).collect();
    if problems.len() > texts.len() {
        texts.push(format!("and {} more", problems.len() - texts.len()));
    }
    texts.join("; ")
}
