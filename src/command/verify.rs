//! `dcos-node verify`: whether everything still stands as it was installed. Changes nothing; works
//! without privileges as far as files can be read.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::preflight::protection;
use super::{Failure, World, pkgpanda_swap};
use crate::dcos::difference::{Aspect, Detail, Difference, Mark};
use crate::dcos::exit::Exit;
use crate::dcos::layout;
use crate::dcos::role::Role;
use crate::observe::node::{Node, State};
use crate::observe::verify::{self, Depth, Findings};
use crate::preflight::report::Protection;
use crate::system::root::Root;
use crate::system::{files, label};

pub use crate::observe::verify::Unknown;

/// The schema of the JSON form (docs/verify-schema.md).
pub const SCHEMA: u32 = 1;

/// How what stands compares with what was installed.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How the node stands.
    pub state: State,
    /// What it is.
    pub role: Option<Role>,
    /// Whether nothing differs, as far as it could be compared.
    pub clean: bool,
    /// Packages that were compared with their manifests.
    pub packages: usize,
    /// Files, directories, links and accounts that were compared.
    pub paths: u64,
    /// Bytes that were read for it.
    pub bytes: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What differs because DC/OS itself writes it while it runs.
    pub at_run_time: Vec<Difference>,
    /// What could not be compared.
    pub unknown: Vec<Unknown>,
    /// How the kernel kept the run from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// Compares everything, every byte.
///
/// # Errors
/// There is no DC/OS, or its install or uninstall is unfinished; a signal.
pub async fn run(world: &World) -> Result<Outcome, Failure> {
    world.check_root()?;
    let node = world.node().await?;
    match node.state() {
        State::Clean => {
            return Err(Failure::new(
                Exit::NotInstalled,
                anyhow::anyhow!("DC/OS is not installed here"),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node install ROLE"));
        }
        State::Installing | State::Uninstalling => {
            return Err(Failure::new(
                Exit::NotReady,
                anyhow::anyhow!(
                    "an install or uninstall is unfinished, so nothing can be compared yet"
                ),
            )
            .leaving("nothing was changed")
            .cured_by("dcos-node recover goes on with it; dcos-node status tells more"));
        }
        State::Installed | State::Prepared | State::Foreign => {}
    }
    if pkgpanda_swap::unfinished(world).await?.is_some() {
        return Err(Failure::new(
            Exit::NotReady,
            anyhow::anyhow!("pkgpanda left a swap half done, so nothing can be compared yet"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node recover finishes it"));
    }
    let outcome = compare(node, None, world).await?;
    match world.cancellation.is_requested() {
        true => Err(Failure::new(
            Exit::Interrupted,
            anyhow::anyhow!("interrupted before everything was compared"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node verify compares everything anew")),
        false => Ok(outcome),
    }
}

/// Compares whatever stands, and ends early when the time is up.
pub(super) async fn compare(
    node: Node,
    limit: Option<Duration>,
    world: &World,
) -> Result<Outcome, Failure> {
    let (state, role) = (node.state(), node.role());
    let (root, stop, began) = (world.root.clone(), world.cancellation.clone(), Instant::now());
    let findings = tokio::task::spawn_blocking(move || {
        let stop = || stop.is_requested() || limit.is_some_and(|limit| began.elapsed() >= limit);
        let mut findings = verify::look(&root, &node, Depth::Full, &stop);
        if findings.stopped {
            findings.unknown.push(Unknown {
                what: "the rest".into(),
                why: "it was stopped before everything was compared".into(),
            });
            return findings;
        }
        labels(&mut findings, &root);
        findings
    });
    let findings = findings.await.map_err(anyhow::Error::from)?;
    let (at_run_time, differences): (Vec<_>, Vec<_>) =
        findings.differences.into_iter().partition(|d| d.mark == Some(Mark::RunTime));
    Ok(Outcome {
        schema: SCHEMA,
        state,
        role,
        clean: differences.is_empty(),
        packages: findings.packages,
        paths: findings.paths,
        bytes: findings.bytes,
        differences,
        at_run_time,
        unknown: findings.unknown,
        protection: protection(),
    })
}

/// What of the labels the policy has otherwise.
fn labels(findings: &mut Findings, root: &Root) {
    if !root.is_live() {
        return;
    }
    let tops = [
        layout::MESOSPHERE,
        layout::ETC_MESOSPHERE,
        layout::OUR_OPT,
        layout::OUR_STATE,
        layout::SYSTEM_UNITS,
    ];
    let paths: Vec<&Path> = tops.iter().map(Path::new).filter(|path| files::exists(path)).collect();
    match label::differing(root, &paths) {
        Ok(labels) => labels.into_iter().for_each(|differing| {
            let detail = Detail { aspect: Aspect::Label, was: differing.policy, is: differing.is };
            findings.detail(&differing.path, "labels", detail);
        }),
        Err(error) => {
            findings.unknown.push(Unknown { what: "SELinux labels".into(), why: error.to_string() })
        }
    }
}

impl Outcome {
    /// What `verify` exits with: what could not be compared is no proof.
    pub fn exit(&self) -> Exit {
        // A file that only could not be read is not known to differ.
        match self.differences.iter().all(Difference::is_unread) {
            false => Exit::Integrity,
            true if !self.unknown.is_empty() || !self.differences.is_empty() => Exit::Warnings,
            true => Exit::Done,
        }
    }
}
