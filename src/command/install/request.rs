//! What an install was asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::preflight;
use crate::dcos::fetching::Fetching;
use crate::dcos::role::Role;

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
    /// Stop at warnings of the checks too.
    pub strict: bool,
    /// Refuse a build without digests.
    pub require_digests: bool,
    /// Node files outside of the usual places that may be written.
    pub allow_files: Vec<PathBuf>,
    /// Set aside what an earlier install kept of the node's identity.
    pub reset_identity: bool,
    /// From where else, how fast and how many at once.
    pub fetching: Fetching,
}

/// What its checks are asked for.
pub(super) fn check_request(request: &Request) -> preflight::Request {
    preflight::Request {
        role: Some(request.role),
        bootstrap_url: request.bootstrap_url.clone(),
        skip: request.skip.clone(),
        skip_all: request.skip_all.clone(),
        wait_time_sync: request.wait_time_sync,
        ip_detect: None,
        reset_identity: request.reset_identity,
        require_digests: request.require_digests,
    }
}
