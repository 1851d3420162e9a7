//! The options of `preflight`.

use std::path::PathBuf;

use clap::Args;

use super::invocation::Command;
use super::source::{Source, role};
use crate::command::preflight::Request;
use crate::dcos::role::Role;

#[derive(Debug, Args)]
pub(super) struct TypedPreflight {
    /// The role that the node will have
    #[arg(value_parser = role(), hide_possible_values = true)]
    role: Option<Role>,
    #[command(flatten)]
    source: Source,
    /// Refuse a build that has no digests
    #[arg(long, env = "DCOS_NODE_REQUIRE_DIGESTS")]
    require_digests: bool,
    /// List the checks, with their severity for the role; look at nothing
    #[arg(long)]
    list: bool,
    /// Try this ip-detect script instead of the build's
    #[arg(long, value_name = "FILE", env = "DCOS_NODE_IP_DETECT")]
    ip_detect: Option<PathBuf>,
}

impl TypedPreflight {
    pub(super) fn meaning(self) -> Command {
        if self.list {
            return Command::List(self.role);
        }
        Command::Preflight {
            request: Request {
                role: self.role,
                skip: self.source.skips(),
                bootstrap_url: self.source.bootstrap_url,
                skip_all: None,
                wait_time_sync: self.source.wait_time_sync,
                ip_detect: None,
                reset_identity: false,
                require_digests: self.require_digests,
            },
            strict: self.source.strict,
            ip_detect: self.ip_detect,
        }
    }
}
