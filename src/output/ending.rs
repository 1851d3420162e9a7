//! The end of a run: its result or its failure is printed, and says how the process exits.

use std::io;

use super::failure::{help, text};
use super::paint::Paint;
use super::show::Show;
use super::{complaint, json};
use crate::command::Failure;
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;

/// What a command came to.
pub type Ended = Result<Box<dyn Show>, Failure>;

/// The command that collects what support needs, where it is worth running: `bundle`, wherever a
/// command ended otherwise than hoped for, by a failure or with a result.
pub fn offered(ended: &Ended, bundle: Option<String>) -> Option<String> {
    let is_for_support = match ended {
        Ok(outcome) => outcome.is_for_support(),
        Err(failure) => failure.exit.is_for_support(),
    };
    bundle.filter(|_| is_for_support)
}

/// The last event of a run.
pub fn event(ended: &Ended, offered: Option<String>, seconds: u64) -> Event {
    let failure = ended.as_ref().err();
    let exit = ended.as_ref().map_or_else(|failure| failure.exit, |outcome| outcome.exit());
    Event::Ended {
        exit,
        code: exit.code(),
        error: failure.map(|failure| format!("{:#}", failure.error)),
        state: failure.and_then(|failure| failure.state.clone()),
        cure: failure.map(|failure| failure.cure.clone()),
        help: offered,
        seconds,
    }
}

/// Prints what came of it and returns how to exit.
pub fn conclude(ended: &Ended, offered: Option<&str>, as_json: bool, no_color: bool) -> Exit {
    match ended {
        Ok(outcome) => {
            let printed = outcome.print(as_json, Paint::stdout(no_color));
            offered.into_iter().for_each(|command| complaint(&help(command)));
            after_output(printed, outcome.exit(), no_color)
        }
        Err(failure) => {
            let printed = if as_json { json(&failure.report(offered)) } else { Ok(()) };
            complaint(&text(failure, offered, Paint::stderr(no_color)));
            after_output(printed, failure.exit, no_color)
        }
    }
}

/// Prints help and version, which are a result, or why a command line is refused (with `failure`):
/// to people and, if they asked for it, to programs.
pub fn refuse(refusal: &str, failure: Option<&Failure>, as_json: bool) -> Exit {
    let Some(failure) = failure else {
        return after_output(super::text(refusal), Exit::Done, false);
    };
    let printed = if as_json { json(&failure.report(None)) } else { Ok(()) };
    complaint(refusal);
    after_output(printed, failure.exit, false)
}

/// How to exit when the result was printed, or could not be: who waits for it must not take an
/// empty file for one. What was done stays done, and is said here.
fn after_output(printed: io::Result<()>, exit: Exit, no_color: bool) -> Exit {
    let Err(error) = printed else { return exit };
    let state = match exit {
        Exit::Done => "what was asked is done, and nothing else failed".to_owned(),
        exit => format!(
            "the command itself ended with exit code {} ({}), which stays",
            exit.code(),
            exit.word()
        ),
    };
    let failure = Failure::new(
        Exit::Failed,
        anyhow::Error::new(error).context("cannot write the result to standard output"),
    );
    let failure = failure
        .leaving(state)
        .cured_by("see to where standard output goes; the same command tells how it stands now");
    complaint(&text(&failure, None, Paint::stderr(no_color)));
    if exit == Exit::Done { Exit::Failed } else { exit }
}
