//! What stands, compared with what was installed.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::command::preflight::protection;
use crate::command::{Failure, World, trust};
use crate::dcos::difference::{Aspect, Detail, Difference, Mark};
use crate::dcos::exit::Exit;
use crate::dcos::layout;
use crate::dcos::receipt::Accepted;
use crate::dcos::role::Role;
use crate::dcos::trust::Trust;
use crate::observe::node::{Node, State};
use crate::observe::verify::{self, Depth, Findings, Manifests, Unknown};
use crate::preflight::report::Protection;
use crate::system::root::Root;
use crate::system::{files, label};

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
    /// Whether every byte of the active packages was compared with a build index when it came, or
    /// since; none for who cannot read the receipt.
    pub trust: Option<Trust>,
    /// SHA-256 of that index.
    pub index_sha256: Option<String>,
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
    /// What was changed on purpose and is as it was accepted.
    pub accepted: Vec<Accepted>,
    /// What could not be compared.
    pub unknown: Vec<Unknown>,
    /// How the kernel kept the run from changing the node.
    #[serde(flatten)]
    pub protection: Protection,
}

/// Compares whatever stands, and ends early when the time is up.
pub(in crate::command) async fn compare(
    node: Node,
    limit: Option<Duration>,
    world: &World,
) -> Result<Outcome, Failure> {
    compare_with(Manifests::new(), node, limit, world).await
}

/// The same, with these manifests in place of those that the node keeps.
pub(super) async fn compare_with(
    manifests: Manifests,
    node: Node,
    limit: Option<Duration>,
    world: &World,
) -> Result<Outcome, Failure> {
    let (state, role) = (node.state(), node.role());
    let (trust, index_sha256) =
        (trust::of_node(&node, &world.root), trust::verified_index(&node, &world.root));
    let (root, stop, began) = (world.root.clone(), world.cancellation.clone(), Instant::now());
    let findings = tokio::task::spawn_blocking(move || {
        let stop = || stop.is_requested() || limit.is_some_and(|limit| began.elapsed() >= limit);
        let mut findings = verify::look_with(&manifests, &root, &node, Depth::Full, &stop);
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
    let (differences, others): (Vec<_>, Vec<_>) =
        findings.differences.into_iter().partition(Difference::is_drift);
    let at_run_time = others.into_iter().filter(|d| d.mark == Some(Mark::RunTime)).collect();
    Ok(Outcome {
        schema: SCHEMA,
        state,
        role,
        clean: differences.is_empty(),
        trust,
        index_sha256,
        packages: findings.packages,
        paths: findings.paths,
        bytes: findings.bytes,
        differences,
        at_run_time,
        accepted: findings.accepted,
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
