//! `dcos-node preflight`: will this node work? Changes nothing.

use super::{Failure, World};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::role::Role;
use crate::dcos::settings::Settings;
use crate::observe;
use crate::observe::host::{Host, Outside};
use crate::observe::node::Node;
use crate::preflight::report::Report;
use crate::preflight::{self, Facts};
use crate::system::files;
use crate::system::source::Source;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The role that the node will have.
    pub role: Option<Role>,
    /// Where the build is.
    pub bootstrap_url: Option<String>,
    /// Checks that the operator takes responsibility for, with reasons.
    pub skip: Vec<(String, String)>,
    /// A reason for skipping every check that can be skipped.
    pub skip_all: Option<String>,
    /// An ip-detect script instead of the build's.
    pub ip_detect: Option<std::path::PathBuf>,
    /// What an earlier install kept of the node's identity is set aside.
    pub reset_identity: bool,
}

impl Request {
    /// All checks that are skipped, with the reasons.
    pub(super) fn skips(&self) -> Vec<(String, String)> {
        let all = |reason: &String| {
            let reason = reason.clone();
            preflight::table().filter(|rule| rule.skippable).map(move |rule| (rule.id.to_owned(), reason.clone()))
        };
        let all = self.skip_all.iter().flat_map(all);
        self.skip.iter().cloned().chain(all).collect()
    }

    /// A skip must name a check that there is and that an install can do without.
    pub(super) fn check_skips(&self) -> Result<(), Failure> {
        for (asked, _) in &self.skip {
            let why = match preflight::table().find(|rule| rule.id == asked) {
                Some(rule) if rule.skippable => continue,
                Some(_) => format!("the check {asked} cannot be skipped: an install cannot work without it"),
                None => format!("there is no check {asked}"),
            };
            let skippable: Vec<&str> = preflight::table().filter(|rule| rule.skippable).map(|rule| rule.id).collect();
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
    world.check_root()?;
    request.check_skips()?;
    let node = world.node().await?;
    let source = world.source(request.bootstrap_url.as_deref(), Some(&node))?;
    let build = offered(source.as_ref()).await;
    check(request, world, &node, source.as_ref(), &build).await
}

/// What a server offers, or why it cannot be read. None if no server is known.
pub(super) type Offered = Option<Result<(Build, Settings), observe::build::Error>>;

/// Reads the build and its settings.
pub(super) async fn offered(source: Option<&Source>) -> Offered {
    let source = source?;
    let look = async {
        let build = observe::build::build(source).await?;
        let settings = observe::build::settings(source, &build).await?;
        Ok((build, settings))
    };
    Some(look.await)
}

/// Collects the facts and judges them.
pub(super) async fn check(
    request: &Request,
    world: &World,
    node: &Node,
    source: Option<&Source>,
    offered: &Offered,
) -> Result<Report, Failure> {
    let (settings, server) = match offered {
        None => (Settings::default(), None),
        Some(Ok((build, settings))) => {
            let version = settings.version.as_ref().map_or_else(|| "a build".to_owned(), |v| format!("DC/OS {}", v.version));
            (settings.clone(), Some(Ok(format!("{version} with {} packages at {}", build.active().len(), build.url))))
        }
        Some(Err(error)) => (Settings::default(), Some(Err(chain(error)))),
    };
    let script = match &request.ip_detect {
        Some(path) => files::read(path, 1 << 20).map_err(|e| Failure::new(Exit::Usage, e))?,
        None => None,
    };
    let (root, clock) = (&world.root, world.clock.as_ref());
    let outside = Outside { root, systemd: world.systemd.as_ref(), clock, settings: &settings, ip_detect: script.as_deref() };
    let host = Host::look(outside, source, server).await;
    let facts =
        Facts { host: &host, node, settings: &settings, role: request.role, live: world.is_live(), reset_identity: request.reset_identity };
    Ok(preflight::judge(&facts, &request.skips()))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error repeats its source.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}
