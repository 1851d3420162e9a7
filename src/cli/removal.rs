//! How much goes with an uninstall, and what it owes to the cluster.

use std::time::Duration;

use clap::Args;

use super::quantity::duration;
use crate::command::uninstall::{DRAIN_LIMIT, Request};

#[derive(Debug, Args)]
pub(super) struct TypedUninstall {
    /// Show what would be done, do nothing
    #[arg(long, env = "DCOS_NODE_DRY_RUN")]
    dry_run: bool,
    /// Remove data too: it is listed first, and asked for on a terminal
    #[arg(long, env = "DCOS_NODE_PURGE_DATA")]
    purge_data: bool,
    /// Do not ask
    #[arg(long, env = "DCOS_NODE_YES")]
    yes: bool,
    /// Let an agent leave its cluster in order first, and wait until its tasks
    /// have ended, at most so long [default: 10m]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = drain,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        env = "DCOS_NODE_DRAIN"
    )]
    drain: Option<Duration>,
    /// Refuse an agent that is registered or runs tasks: exit code 5
    #[arg(long, env = "DCOS_NODE_STRICT")]
    strict: bool,
    /// Uninstall a master even if the cluster loses its quorum
    #[arg(long, env = "DCOS_NODE_FORCE")]
    force: bool,
}

impl TypedUninstall {
    pub(super) fn meaning(self) -> Request {
        let TypedUninstall { dry_run, purge_data, yes, drain, strict, force } = self;
        Request { dry_run, purge_data, yes, strict, force, drain }
    }
}

fn drain(text: &str) -> Result<Duration, String> {
    if text.is_empty() { Ok(DRAIN_LIMIT) } else { duration(text) }
}
