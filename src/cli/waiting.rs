//! What is waited for: the same options for install and status.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args};

use super::quantity::duration;
use super::refusal::{Refused, with_tip};
use crate::command::wait;
use crate::dcos::level::Level;

const HEADING: &str = "Waiting";

#[derive(Debug, Args)]
pub(super) struct TypedWaiting {
    /// Wait until the node is unpacked, started, node-ready (if no LEVEL is
    /// given) or cluster-ready
    #[arg(
        long,
        value_name = "LEVEL",
        help_heading = HEADING,
        value_parser = level(),
        hide_possible_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "node-ready",
        env = "DCOS_NODE_WAIT"
    )]
    wait: Option<Level>,
    /// Give up waiting after so long, with exit code 7 [default: 20m]
    #[arg(
        long,
        value_name = "DURATION",
        help_heading = HEADING,
        value_parser = duration,
        env = "DCOS_NODE_WAIT_TIMEOUT"
    )]
    wait_timeout: Option<Duration>,
}

impl TypedWaiting {
    pub(super) fn meaning(&self) -> Option<wait::Wish> {
        self.wait.map(|level| wait::Wish { level, limit: self.wait_timeout.unwrap_or(wait::LIMIT) })
    }
}

/// Named one by one, so that shells complete them.
fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::ALL.map(Level::word)).try_map(|word| word.parse::<Level>())
}

/// Refuses a limit that was typed for a wait that is nowhere. In the environment it may stand for
/// other commands.
pub(super) fn check(typed: &ArgMatches, all: &ArgMatches) -> Result<(), Refused> {
    let has = |matches: &ArgMatches, id| {
        matches.subcommand().is_some_and(|(_, options)| {
            options.try_contains_id(id).is_ok() && options.value_source(id).is_some()
        })
    };
    if has(typed, "wait_timeout") && !has(all, "wait") {
        let cause = "--wait-timeout is how long --wait waits: give --wait or --wait=LEVEL too";
        return Err(Refused::new(cause.to_owned(), None));
    }
    Ok(())
}

/// What is wrong with a command line, and how a level is given if that is what went wrong.
pub(super) fn explained(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let words = arguments.iter().map(|word| word.to_str().unwrap_or_default());
    let loose = words
        .clone()
        .zip(words.skip(1))
        .find(|(option, level)| *option == "--wait" && level.parse::<Level>().is_ok());
    match loose {
        Some((_, level)) => {
            with_tip(error, format!("a level follows an equals sign: '--wait={level}'"))
        }
        None => error,
    }
}
