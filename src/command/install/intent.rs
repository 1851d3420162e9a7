//! What an install records of its request before it changes anything.

use std::path::PathBuf;

use super::request::Request;
use crate::command::World;
use crate::dcos::build::Build;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::InstallIntent;
use crate::dcos::layout;
use crate::dcos::receipt::{CheckWarning, Skip};
use crate::dcos::settings::Settings;
use crate::dcos::spared::Spared;
use crate::observe::node::Node;
use crate::preflight::report::{Check, Report, Verdict};

/// The intent of a request, with what the checks found.
pub(super) fn intent(
    request: &Request,
    build: Build,
    settings: &Settings,
    report: &Report,
    set_aside: Vec<(PathBuf, PathBuf)>,
    spared: Spared,
) -> InstallIntent {
    let skip = |check: &Check| {
        check.skipped_because.clone().map(|reason| Skip { check: check.id.to_owned(), reason })
    };
    InstallIntent {
        role: request.role,
        build,
        version: settings.version.clone(),
        start: request.start,
        restart_journald: request.restart_journald,
        restart_docker: request.restart_docker,
        placed_unprivileged: !nix::unistd::geteuid().is_root(),
        skips: report.checks.iter().filter_map(skip).collect(),
        warnings: report.warnings().map(warning).collect(),
        set_aside,
        allow_files: request.allow_files.clone(),
        fetching: Fetching::default(),
        spared,
    }
}

fn warning(check: &Check) -> CheckWarning {
    CheckWarning {
        check: check.id.to_owned(),
        unknown: check.verdict == Verdict::Unknown,
        found: check.found.clone(),
        cure: check.cure.clone(),
    }
}

/// What `--reset-identity` moves, and where to: names with the time in them, so that nothing set
/// aside earlier is in the way.
pub(super) fn set_aside(request: &Request, node: &Node, world: &World) -> Vec<(PathBuf, PathBuf)> {
    let kept = node.kept_identity.iter().filter(|_| request.reset_identity);
    kept.map(|path| (path.clone(), layout::set_aside(path, &world.now()))).collect()
}
