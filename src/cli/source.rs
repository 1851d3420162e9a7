//! Where a build is, and how its checks count: the options of `install` and `preflight`.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::quantity::duration;
use super::skips::{Skips, skips};
use crate::dcos::role::Role;

#[derive(Debug, Args)]
pub(super) struct Source {
    /// Where the build is: http(s)://..., file:///... or a directory
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    pub(super) bootstrap_url: Option<String>,
    /// Take responsibility for a check; the reason is kept. Repeatable
    #[arg(long, value_name = "CHECK=REASON", value_parser = skips, env = "DCOS_NODE_SKIP")]
    pub(super) skip: Vec<Skips>,
    /// Wait so long for a synchronised clock: 30s, 15m or 1h
    #[arg(long, value_name = "DURATION", value_parser = duration, env = "DCOS_NODE_WAIT_TIME_SYNC")]
    pub(super) wait_time_sync: Option<Duration>,
    /// Warnings and unknowns count: exit code 4
    #[arg(long, env = "DCOS_NODE_STRICT")]
    pub(super) strict: bool,
}

impl Source {
    pub(super) fn skips(&self) -> Vec<(String, String)> {
        self.skip.iter().flat_map(|skips| skips.0.clone()).collect()
    }
}

/// Named one by one, so that shells complete them.
pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::word)).try_map(|word| word.parse::<Role>())
}
