//! The command line: what was typed becomes a request. Nothing else knows the argument parser.

mod environment;
mod fetching;
mod global;
mod looking;
mod manual;
mod publish;
mod quantity;
mod record;
mod refusal;
mod removal;
mod secrets;
mod skips;
mod texts;
mod waiting;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::{
    bundle, fetch, install, preflight, publish as publishing, recover, serve, status, uninstall,
    verify, wait,
};
use crate::dcos::role::Role;
use environment::Variables;
use fetching::{Paths, TypedFetching, paths};
use global::Global;
use quantity::duration;
use removal::TypedUninstall;
use skips::{Skips, skips};
use texts::completions;
use waiting::TypedWaiting;

pub use global::Printing;
pub use refusal::Refused;
pub use secrets::hidden;
pub use texts::Page;

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// The root directory of the node.
    pub root: PathBuf,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How to print.
    pub printing: Printing,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Install a role, and perhaps wait until it has come to a level.
    Install(install::Request, Option<wait::Wish>),
    /// Fetch and unpack, nothing else.
    Fetch(fetch::Request),
    /// Check, change nothing.
    Preflight {
        /// What to check.
        request: preflight::Request,
        /// Warnings and unknowns count.
        strict: bool,
    },
    /// Remove DC/OS.
    Uninstall(uninstall::Request),
    /// Write a receipt for a node of the classic installer.
    Adopt,
    /// Tell how the node is, perhaps after waiting for a level.
    Status(status::Request),
    /// Compare what stands with what was installed.
    Verify(verify::Request),
    /// Collect what support needs.
    Bundle(bundle::Request),
    /// Go on with what was interrupted.
    Recover(recover::Request),
    /// Give a serve directory an index and a stamped program.
    Publish(publishing::Request),
    /// Serve a directory.
    Serve(serve::Request),
    /// Tell what a check means.
    Explain(String),
    /// Tell which checks there are.
    List(Option<Role>),
    /// Print a text that was made from this very command line's definition.
    Print(String),
}

impl Invocation {
    /// Whether the command promises to change nothing, so that the kernel may hold it to that.
    pub fn must_not_write(&self) -> bool {
        match &self.command {
            Command::Install(request, _) => request.dry_run,
            Command::Uninstall(request) => request.dry_run,
            Command::Fetch(request) => request.dry_run,
            Command::Publish(request) => request.check,
            Command::Preflight { .. } => true,
            Command::Verify(request) => !request.online,
            Command::Adopt
            | Command::Status(_)
            | Command::Bundle(_)
            | Command::Recover(_)
            | Command::Explain(_)
            | Command::List(_)
            | Command::Print(_) => false,
            Command::Serve(_) => false,
        }
    }

    /// Whether the command is for the bootstrap server: then this machine is no node.
    pub fn is_for_server(&self) -> bool {
        matches!(self.command, Command::Publish(_) | Command::Serve(_))
    }

    /// The command in one line, for others who find the lock taken. Without URLs: they may hold
    /// passwords.
    pub fn words(&self) -> String {
        match (self.name(), &self.command) {
            (Some(name), Command::Install(request, _)) => {
                format!("dcos-node {name} {}", request.role)
            }
            (Some(name), _) => format!("dcos-node {name}"),
            (None, _) => "dcos-node".into(),
        }
    }
}

/// Installs, checks and removes DC/OS on a node, and survives being killed at any point
#[derive(Debug, Parser)]
#[command(
    name = "dcos-node",
    version = VERSION,
    max_term_width = 80,
    propagate_version = false,
    disable_help_subcommand = true
)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
    #[command(flatten)]
    global: Global,
}

/// Version, commit and target.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("DCOS_NODE_COMMIT"),
    ", ",
    env!("DCOS_NODE_TARGET"),
    ")"
);

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Install DC/OS: master, slave or slave_public
    Install(TypedInstall),
    /// Fetch and unpack the packages only, ahead of an install
    Fetch(TypedFetch),
    /// Check whether this node will work; change nothing
    Preflight(TypedPreflight),
    /// Remove DC/OS and leave the node as it was; data is kept
    Uninstall(TypedUninstall),
    /// Take over a node of dcos_install.sh; only a receipt is written
    Adopt,
    /// Tell what this node is and how its units are
    Status(looking::TypedStatus),
    /// Compare every byte with what was installed; change nothing
    #[command(after_help = looking::LEGEND)]
    Verify(looking::TypedVerify),
    /// Write one file for support, with known secrets taken out
    Bundle(looking::TypedBundle),
    /// Go on with what was interrupted
    Recover {
        /// Run by dcos-setup.service: never fails, never waits for jobs
        #[arg(long, hide = true)]
        at_boot: bool,
    },
    /// On the bootstrap server: give a build digests and a dcos-node of its own
    Publish(publish::TypedPublish),
    /// On the bootstrap server: serve a directory over HTTP
    Serve(publish::TypedServe),
    /// Tell what a check means, where DC/OS asks for it, and the cure
    Explain {
        /// The id of a check; preflight --list shows all
        check: String,
    },
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
struct Source {
    /// Where the build is: http(s)://..., file:///... or a directory
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    bootstrap_url: Option<String>,
    /// Take responsibility for a check; the reason is kept. Repeatable
    #[arg(long, value_name = "CHECK=REASON", value_parser = skips, env = "DCOS_NODE_SKIP")]
    skip: Vec<Skips>,
    /// Wait so long for a synchronised clock: 30s, 15m or 1h
    #[arg(long, value_name = "DURATION", value_parser = duration, env = "DCOS_NODE_WAIT_TIME_SYNC")]
    wait_time_sync: Option<Duration>,
    /// Warnings and unknowns count: exit code 4
    #[arg(long, env = "DCOS_NODE_STRICT")]
    strict: bool,
}

/// Options that that script has too, so that automation changes one word.
const CLASSIC: &str = "As dcos_install.sh";

#[derive(Debug, Args)]
struct TypedInstall {
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

#[derive(Debug, Args)]
struct TypedFetch {
    /// Where the build is: http(s)://..., file:///... or a directory
    #[arg(long, value_name = "URL", env = "DCOS_NODE_BOOTSTRAP_URL")]
    bootstrap_url: Option<String>,
    #[command(flatten)]
    fetching: TypedFetching,
    /// Refuse a build that has no digests
    #[arg(long, env = "DCOS_NODE_REQUIRE_DIGESTS")]
    require_digests: bool,
    /// Show what would be done, do nothing
    #[arg(long, env = "DCOS_NODE_DRY_RUN")]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct TypedPreflight {
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

impl Source {
    fn skips(&self) -> Vec<(String, String)> {
        self.skip.iter().flat_map(|skips| skips.0.clone()).collect()
    }
}

/// Named one by one, so that shells complete them.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::word)).try_map(|word| word.parse::<Role>())
}

/// Understands a command line.
///
/// # Errors
/// Help and version texts, and everything that is wrong with the command line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Refused> {
    parse_with(arguments, &|variable| std::env::var_os(variable))
}

fn parse_with(
    arguments: impl IntoIterator<Item = OsString>,
    variables: Variables<'_>,
) -> Result<Invocation, Refused> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = environment::wants_json(&arguments, variables);
    understood(&arguments, variables).map_err(|refused| Refused { json, ..refused })
}

fn understood(arguments: &[OsString], variables: Variables<'_>) -> Result<Invocation, Refused> {
    let matched = environment::matched(&definition(), arguments, variables)?;
    let typed = waiting::check(&matched.typed, &matched.all)
        .and_then(|()| Typed::from_arg_matches(&matched.all));
    let Typed { command, global } =
        typed.map_err(|e| Refused::new(e.to_string(), e.use_stderr()))?;
    let printing =
        global.printing(variables(OsStr::new("NO_COLOR")).is_some_and(|value| !value.is_empty()));
    if printing.json && printing.events.as_deref() == Some("-") {
        return Err(matched.refused(
            "error: --json and --events - both want standard output\n",
            &["json", "events"],
        ));
    }
    Ok(Invocation {
        command: meaning(command),
        root: global.root,
        ca_file: global.ca_file,
        printing,
    })
}

fn meaning(typed: TypedCommand) -> Command {
    match typed {
        // The script's flag asks for the report, and for nothing that an install does.
        TypedCommand::Install(typed) if typed.preflight_only => Command::Preflight {
            request: preflight::Request {
                role: Some(typed.role),
                skip: typed.source.skips(),
                bootstrap_url: typed.source.bootstrap_url,
                skip_all: None,
                wait_time_sync: typed.source.wait_time_sync,
                ip_detect: None,
                reset_identity: typed.reset_identity,
                require_digests: typed.require_digests,
            },
            strict: typed.source.strict,
        },
        TypedCommand::Install(typed) => Command::Install(
            install::Request {
                role: typed.role,
                skip: typed.source.skips(),
                bootstrap_url: typed.source.bootstrap_url,
                skip_all: typed.disable_preflight.then(|| "--disable-preflight".into()),
                wait_time_sync: typed.source.wait_time_sync,
                dry_run: typed.dry_run,
                start: !typed.no_start,
                follow: !typed.no_block_dcos_setup,
                restart_journald: typed.restart_journald,
                restart_docker: typed.restart_docker,
                strict: typed.source.strict,
                require_digests: typed.require_digests,
                allow_files: typed.allow_file.into_iter().flat_map(|paths| paths.0).collect(),
                reset_identity: typed.reset_identity,
                fetching: typed.fetching.meaning(),
            },
            typed.waiting.meaning(),
        ),
        TypedCommand::Fetch(typed) => Command::Fetch(fetch::Request {
            bootstrap_url: typed.bootstrap_url,
            fetching: typed.fetching.meaning(),
            require_digests: typed.require_digests,
            dry_run: typed.dry_run,
        }),
        TypedCommand::Preflight(typed) if typed.list => Command::List(typed.role),
        TypedCommand::Preflight(typed) => Command::Preflight {
            request: preflight::Request {
                role: typed.role,
                skip: typed.source.skips(),
                bootstrap_url: typed.source.bootstrap_url,
                skip_all: None,
                wait_time_sync: typed.source.wait_time_sync,
                ip_detect: typed.ip_detect,
                reset_identity: false,
                require_digests: typed.require_digests,
            },
            strict: typed.source.strict,
        },
        TypedCommand::Uninstall(typed) => Command::Uninstall(typed.meaning()),
        TypedCommand::Adopt => Command::Adopt,
        TypedCommand::Status(typed) => Command::Status(typed.meaning()),
        TypedCommand::Verify(typed) => Command::Verify(typed.meaning()),
        TypedCommand::Bundle(typed) => Command::Bundle(typed.meaning()),
        TypedCommand::Recover { at_boot } => {
            Command::Recover(recover::Request { at_boot, ..recover::Request::default() })
        }
        TypedCommand::Publish(typed) => Command::Publish(typed.into()),
        TypedCommand::Serve(typed) => Command::Serve(typed.into()),
        TypedCommand::Explain { check } => Command::Explain(check),
        TypedCommand::Completions { shell } => Command::Print(completions(definition(), shell)),
        TypedCommand::Man => Command::Print(manual().into_iter().map(|page| page.text).collect()),
    }
}

/// The command line as it is understood and told.
fn definition() -> clap::Command {
    texts::with_examples(Typed::command())
}

/// The manual: a page for the program and one for every subcommand.
pub fn manual() -> Vec<Page> {
    texts::manual(definition())
}

#[cfg(test)]
mod tests;
