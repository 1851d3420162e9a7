//! The options of `install`.

use clap::Args;

use super::fetching::{Paths, TypedFetching, paths};
use super::invocation::Command;
use super::source::{Source, role};
use super::waiting::TypedWaiting;
use crate::command::{install, preflight};
use crate::dcos::role::Role;

/// Options that `dcos_install.sh` has too, so that automation changes one word.
const CLASSIC: &str = "As dcos_install.sh";

#[derive(Debug, Args)]
pub(super) struct TypedInstall {
    /// What the node will be: master, slave or slave_public
    #[arg(value_parser = role(), hide_possible_values = true)]
    role: Role,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    fetching: TypedFetching,
    #[command(flatten)]
    waiting: TypedWaiting,
    /// Let the build write a file outside of the usual places. Repeatable
    #[arg(
        long,
        value_name = "PATH",
        value_parser = paths,
        env = "DCOS_NODE_ALLOW_FILE"
    )]
    allow_file: Vec<Paths>,
    /// Show what would be done, do nothing
    #[arg(long, env = "DCOS_NODE_DRY_RUN")]
    dry_run: bool,
    /// Do not start the role now; it starts at the next boot
    #[arg(long, env = "DCOS_NODE_NO_START")]
    no_start: bool,
    /// Restart journald even while docker runs containers
    #[arg(long, env = "DCOS_NODE_RESTART_JOURNALD")]
    restart_journald: bool,
    /// Restart docker
    #[arg(long, env = "DCOS_NODE_RESTART_DOCKER")]
    restart_docker: bool,
    /// Set aside what an earlier install kept of the node's identity
    #[arg(long, env = "DCOS_NODE_RESET_IDENTITY")]
    reset_identity: bool,
    /// Refuse a build that has no digests
    #[arg(long, env = "DCOS_NODE_REQUIRE_DIGESTS")]
    require_digests: bool,
    /// Skip every check that fails and can be
    #[arg(short = 'd', long, help_heading = CLASSIC, env = "DCOS_NODE_DISABLE_PREFLIGHT")]
    disable_preflight: bool,
    /// Only run the checks
    #[arg(
        short = 'p',
        long,
        help_heading = CLASSIC,
        conflicts_with = "disable_preflight",
        env = "DCOS_NODE_PREFLIGHT_ONLY"
    )]
    preflight_only: bool,
    /// Do not wait for the jobs of the start
    #[arg(long, help_heading = CLASSIC, env = "DCOS_NODE_NO_BLOCK_DCOS_SETUP")]
    no_block_dcos_setup: bool,
}

impl TypedInstall {
    pub(super) fn meaning(self) -> Command {
        // The script's flag asks for the report, and for nothing that an install does.
        if self.preflight_only {
            return Command::Preflight {
                request: preflight::Request {
                    role: Some(self.role),
                    skip: self.source.skips(),
                    bootstrap_url: self.source.bootstrap_url,
                    skip_all: None,
                    wait_time_sync: self.source.wait_time_sync,
                    ip_detect: None,
                    reset_identity: self.reset_identity,
                    require_digests: self.require_digests,
                },
                strict: self.source.strict,
                ip_detect: None,
            };
        }
        Command::Install(
            install::Request {
                role: self.role,
                skip: self.source.skips(),
                bootstrap_url: self.source.bootstrap_url,
                skip_all: self.disable_preflight.then(|| "--disable-preflight".into()),
                wait_time_sync: self.source.wait_time_sync,
                dry_run: self.dry_run,
                start: !self.no_start,
                follow: !self.no_block_dcos_setup,
                restart_journald: self.restart_journald,
                restart_docker: self.restart_docker,
                strict: self.source.strict,
                require_digests: self.require_digests,
                allow_files: self.allow_file.into_iter().flat_map(|paths| paths.0).collect(),
                reset_identity: self.reset_identity,
                fetching: self.fetching.meaning(),
            },
            self.waiting.meaning(),
        )
    }
}
