//! The command line: what was typed becomes a request. Nothing else knows the argument parser.

mod environment;
mod fetch;
mod fetching;
mod global;
mod install;
mod invocation;
mod looking;
mod manual;
mod preflight;
mod publish;
mod quantity;
mod refusal;
mod removal;
mod secrets;
mod skips;
mod source;
mod texts;
mod waiting;

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::recover;
use environment::Variables;
use global::Global;
use texts::completions;

pub use global::Printing;
pub use invocation::{Command, Invocation};
pub use refusal::Refused;
pub use secrets::hidden;
pub use texts::Page;

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
    Install(install::TypedInstall),
    /// Fetch and unpack the packages only, ahead of an install
    Fetch(fetch::TypedFetch),
    /// Check whether this node will work; change nothing
    Preflight(preflight::TypedPreflight),
    /// Remove DC/OS and leave the node as it was; data is kept
    Uninstall(removal::TypedUninstall),
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
    waiting::check(&matched.typed, &matched.all)?;
    let Typed { command, global } = Typed::from_arg_matches(&matched.all)?;
    let printing =
        global.printing(variables(OsStr::new("NO_COLOR")).is_some_and(|value| !value.is_empty()));
    if printing.json && printing.events.as_deref() == Some("-") {
        return Err(
            matched.refused("--json and --events - both want standard output", &["json", "events"])
        );
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
        TypedCommand::Install(typed) => typed.meaning(),
        TypedCommand::Fetch(typed) => Command::Fetch(typed.meaning()),
        TypedCommand::Preflight(typed) => typed.meaning(),
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
