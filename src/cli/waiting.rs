//! What is waited for: the same options for install and status.

use std::time::Duration;

use clap::Args;

use super::quantity::duration;
use crate::command::wait;
use crate::dcos::level::{Level, UnknownLevel};

const HEADING: &str = "Waiting";

#[derive(Debug, Args)]
pub(super) struct TypedWaiting {
    /// Wait until the node is started, node-ready (if no LEVEL is given) or
    /// cluster-ready
    #[arg(long, value_name = "LEVEL", help_heading = HEADING, value_parser = level, num_args = 0..=1, require_equals = true, default_missing_value = "node-ready", env = "DCOS_NODE_WAIT")]
    wait: Option<Level>,
    /// Give up waiting after so long, with exit code 7 [default: 20m]
    #[arg(long, value_name = "DURATION", help_heading = HEADING, value_parser = duration, env = "DCOS_NODE_WAIT_TIMEOUT")]
    wait_timeout: Option<Duration>,
}

impl TypedWaiting {
    pub(super) fn meaning(&self) -> Option<wait::Wish> {
        self.wait.map(|level| wait::Wish { level, limit: self.wait_timeout.unwrap_or(wait::LIMIT) })
    }
}

fn level(word: &str) -> Result<Level, String> {
    word.parse().map_err(|e: UnknownLevel| e.to_string())
}
