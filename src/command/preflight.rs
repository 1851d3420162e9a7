//! `dcos-node preflight`: will this node work? Changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Failure, World, explain, on_node, time_sync, trust};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::role::Role;
use crate::dcos::settings::Settings;
use crate::observe;
use crate::observe::host::{Host, Outside};
use crate::observe::node::Node;
use crate::observe::server::{Limits, Server};
use crate::preflight::report::{
    Check, MissingPiece, Protection, Report, ScriptView, Scripts, Sealed,
};
use crate::preflight::server::ANOTHER_BUILD;
use crate::preflight::{self, Facts};
use crate::system::cancellation::Cancelled;
use crate::system::confine::View;
use crate::system::seal::{self, Seal};
use crate::system::source::{Mirrors, Source};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The role that the node will have.
    pub role: Option<Role>,
    /// Where the build is.
    pub bootstrap_url: Option<String>,
    /// Checks that the operator takes responsibility for, with reasons.
    pub skip: Vec<(String, String)>,
    /// A reason for skipping every check that fails and can be skipped.
    pub skip_all: Option<String>,
    /// How long a clock that is not synchronised is waited for.
    pub wait_time_sync: Option<Duration>,
    /// The text of an ip-detect script instead of the build's.
    pub ip_detect: Option<Vec<u8>>,
    /// What an earlier install kept of the node's identity is set aside.
    pub reset_identity: bool,
    /// Refuse a build without digests before anything of it is run.
    pub require_digests: bool,
}

/// The report, and how it is judged.
#[derive(Debug)]
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// Warnings and unknowns count.
    pub strict: bool,
}

impl Request {
    /// A skip must name a check that there is and that an install can do without.
    pub(super) fn check_skips(&self) -> Result<(), Failure> {
        for (asked, _) in &self.skip {
            let why = match preflight::find(asked) {
                Some(rule) if rule.skippable => continue,
                Some(_) => format!(
                    "the check {asked} cannot be skipped: an install cannot work without it"
                ),
                None => return Err(explain::unknown(asked)),
            };
            let skippable: Vec<&str> =
                preflight::table().filter(|rule| rule.skippable).map(|rule| rule.id).collect();
            return Err(Failure::new(Exit::Usage, anyhow::anyhow!(why))
                .leaving("nothing was changed")
                .cured_by(format!("these can be skipped: {}", skippable.join(", "))));
        }
        Ok(())
    }
}

/// Runs all checks.
///
/// # Errors
/// Our own records on the node cannot be read, or the request makes no sense.
pub async fn run(request: &Request, world: &World) -> Result<Report, Failure> {
    request.check_skips()?;
    let digest = world.digest()?;
    let node = world.node().await?;
    let source =
        world.source(request.bootstrap_url.as_deref(), &Fetching::default(), Some(&node))?;
    let source = source.as_ref().map(Mirrors::first);
    let local = match source {
        Some(source) => on_node::build(world, digest, source.to_string()).await,
        None => None,
    };
    let build = match local {
        Some((server, build, settings)) => Some((server, Ok((build, settings)))),
        None => offered(source, digest, world).await?,
    };
    if let Some((_, Ok((build, _)))) = &build {
        trust::check_digests(request.require_digests, build)?;
    }
    check(request, world, &node, source, &build).await
}

/// What offers the build, and the build or why it cannot be read. None if no server is known.
pub(super) type Offered = Option<(Server, Result<(Build, Settings), observe::build::Error>)>;

/// Looks at the server, and reads the build and its settings. With a digest no other build counts
/// than the one whose index has it.
///
/// # Errors
/// A signal: nothing was changed.
pub(super) async fn offered(
    source: Option<&Source>,
    digest: Option<&str>,
    world: &World,
) -> Result<Offered, Failure> {
    let Some(source) = source else { return Ok(None) };
    let limits = Limits::default();
    let look = world.cancellation.or(Server::look(source, digest, &limits));
    look.await.map(Some).map_err(interrupted)
}

/// What a signal ends before anything was changed.
pub(super) fn interrupted(error: Cancelled) -> Failure {
    Failure::new(Exit::Interrupted, error)
        .leaving("nothing was changed")
        .cured_by("run the same command again")
}

/// As [`offered`]; refuses a build that is provably not the one that was published.
pub(super) async fn offered_as_published(
    source: &Source,
    digest: Option<&str>,
    world: &World,
) -> Result<Offered, Failure> {
    match offered(Some(source), digest, world).await? {
        Some((_, Err(error))) if error.is_integrity() => Err(Failure::new(Exit::Integrity, error)
            .leaving("nothing was changed")
            .cured_by(ANOTHER_BUILD)),
        other => Ok(other),
    }
}

/// Collects the facts and judges them.
pub(super) async fn check(
    request: &Request,
    world: &World,
    node: &Node,
    source: Option<&Source>,
    offered: &Offered,
) -> Result<Report, Failure> {
    let build = offered.as_ref().and_then(|(_, read)| read.as_ref().ok());
    let settings = build.map(|(_, settings)| settings.clone()).unwrap_or_default();
    // A build that has its time check switched off needs no such wait.
    if let Some(limit) =
        request.wait_time_sync.filter(|_| world.is_live() && settings.check_time != Some(false))
    {
        time_sync::wait(limit, world).await?;
    }
    let mut server = offered.as_ref().map(|(server, _)| server.clone());
    let artifacts = async {
        if let (Some(server), Some(source), Some((build, _))) = (&mut server, source, build)
            && !server.is_not_needed
        {
            server.look_at_artifacts(source, build, &Limits::default()).await;
        }
        server
    };
    let (root, clock) = (&world.root, world.clock.as_ref());
    let outside = Outside {
        root,
        systemd: world.systemd.as_ref(),
        clock,
        settings: &settings,
        ip_detect: request.ip_detect.as_deref(),
    };
    let is_needed = offered.as_ref().is_none_or(|(server, _)| !server.is_not_needed);
    let source = source.filter(|_| is_needed);
    let look = world.cancellation.or(Host::look(outside, source, artifacts));
    let host = look.await.map_err(interrupted)?;
    let (role, live, reset_identity) = (request.role, world.is_live(), request.reset_identity);
    let build = build.map(|(build, _)| build);
    let kept = match build {
        Some(build) => kept_packages(world, build).await,
        None => BTreeMap::new(),
    };
    let facts = Facts {
        host: &host,
        node,
        settings: &settings,
        build,
        kept: &kept,
        role,
        live,
        reset_identity,
    };
    let (protection, scripts) = (protection(), scripts(&host));
    let mut report = Report { protection, scripts, ..preflight::judge(&facts, &request.skip) };
    if let Some(reason) = &request.skip_all {
        report.skip_what_failed(reason);
    }
    Ok(report)
}

/// The packages of the build that are on the node and that an install takes for verified.
pub(super) async fn kept_packages(
    world: &World,
    build: &Build,
) -> BTreeMap<PackageId, &'static str> {
    let (root, build) = (world.root.clone(), build.clone());
    let look = move || observe::kept_packages::look(&root, &build);
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// How the detection scripts were confined; none if none was started. All of them are confined in
/// the same way.
fn scripts(host: &Host) -> Option<Scripts> {
    let confinement = host.identity.runs().find_map(|run| run.confinement.as_ref())?;
    let missing = confinement.missing.iter().map(|missing| MissingPiece {
        piece: missing.piece.as_str(),
        because: missing.because.clone(),
    });
    let view = match confinement.view {
        View::CopyOnWrite => ScriptView::CopyOnWrite,
        View::ReadOnly => ScriptView::ReadOnly,
        View::PrivateDirectory => ScriptView::PrivateDirectory,
    };
    Some(Scripts { view, missing: missing.collect() })
}

/// How the kernel keeps this process from writing.
pub(super) fn protection() -> Protection {
    let (sealed, why) = match seal::in_force() {
        None => return Protection::default(),
        Some(Seal::MountNamespace) => (Sealed::MountNamespace, None),
        Some(Seal::Landlock) => (Sealed::Landlock, None),
        Some(Seal::NotEnforced(why)) => (Sealed::NotEnforced, Some(why.clone())),
    };
    Protection { sealed: Some(sealed), not_enforced_because: why }
}

/// Judges a node that has DC/OS by what can be had without the network and without running
/// anything.
pub(super) async fn judge_again(world: &World, node: &Node) -> Report {
    let host = Host::look_alone(&world.root, world.systemd.as_ref(), world.clock.as_ref()).await;
    let active =
        |member: &str| world.root.read(layout::active_name(member), 1 << 20).ok().flatten();
    let settings = Settings::read(active);
    let (role, live) = (node.role(), world.is_live());
    let facts = Facts {
        host: &host,
        node,
        settings: &settings,
        build: None,
        kept: &BTreeMap::new(),
        role,
        live,
        reset_identity: false,
    };
    preflight::judge(&facts, &[])
}

/// The end of a command that a check stops.
pub(super) fn stopped_by(report: Report) -> Failure {
    let checks: Vec<&Check> = report.blocking().collect();
    let failure = stopped(Exit::Preflight, "this node is not ready", &checks);
    Failure { report: Some(Box::new(report)), ..failure }
}

/// The end of a command that warnings stop, because of `--strict`.
pub(super) fn stopped_by_warnings(report: Report) -> Failure {
    let checks: Vec<&Check> = report.warnings().collect();
    let failure = stopped(Exit::Warnings, "--strict allows no warning", &checks);
    Failure { report: Some(Box::new(report)), ..failure }
}

fn stopped(exit: Exit, why: &str, checks: &[&Check]) -> Failure {
    let ids: Vec<&str> = checks.iter().map(|check| check.id).collect();
    let text = format!("{why}: {}", ids.join(", "));
    // The report below describes each of several.
    let error = match checks {
        [only] => anyhow::anyhow!(only.found.clone()).context(text),
        _ => anyhow::anyhow!(text),
    };
    let failure = Failure::new(exit, error).leaving("nothing was changed");
    match checks.first().and_then(|check| check.cure.clone()) {
        Some(cure) => failure.cured_by(cure),
        None => failure,
    }
}
