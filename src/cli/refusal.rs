//! A command line that is not run: help and version, and what is wrong, for people and as the
//! document that every failure is.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::command::Failure;
use crate::dcos::exit::Exit;

/// What parsing came to if there is nothing to run.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Help, version, or what is wrong, as a terminal shows it.
    pub text: String,
    /// Help and version are no errors.
    pub is_error: bool,
    /// Whether `--json` was given, as far as can be told of a command line that is wrong.
    pub json: bool,
    pub(super) cause: String,
    pub(super) tip: Option<String>,
}

impl Refused {
    /// A mistake that the parser cannot know.
    pub(super) fn new(cause: String, tip: Option<String>) -> Refused {
        let tip_line = tip.as_ref().map(|tip| format!("\n  tip: {tip}\n")).unwrap_or_default();
        let text = format!("error: {cause}\n{tip_line}");
        Refused { text, is_error: true, json: false, cause, tip }
    }

    /// What is wrong, without the help that people get with it; the tip is the cure.
    pub fn failure(&self) -> Failure {
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let failure = Failure::new(Exit::Usage, anyhow::anyhow!(in_one_line(&self.cause)))
            .leaving("nothing was changed");
        match &self.tip {
            Some(tip) => failure.cured_by(in_one_line(tip)),
            None => failure,
        }
    }
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Refused {
        Refused {
            text: error.to_string(),
            is_error: error.use_stderr(),
            json: false,
            tip: tip(&error),
            cause: cause(error),
        }
    }
}

/// With another tip, before those that the parser has.
pub(super) fn with_tip(mut error: clap::Error, tip: String) -> clap::Error {
    let mut tips = vec![StyledStr::from(tip)];
    if let Some(ContextValue::StyledStrs(others)) = error.remove(ContextKind::Suggested) {
        tips.extend(others);
    }
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

/// The cause alone. The parser prints it after a fixed word, and around it what is removed here.
fn cause(mut error: clap::Error) -> String {
    use ContextKind::{Suggested, SuggestedArg, SuggestedSubcommand, SuggestedValue, Usage};
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command was given".to_owned();
    }
    for around in [Suggested, SuggestedArg, SuggestedSubcommand, SuggestedValue, Usage] {
        error.remove(around);
    }
    let without_help = Command::new("").disable_help_flag(true).disable_help_subcommand(true);
    let printed = error.with_cmd(&without_help).to_string();
    printed.strip_prefix("error: ").unwrap_or(&printed).trim().to_owned()
}

/// The first tip, in the order in which the parser prints them.
fn tip(error: &clap::Error) -> Option<String> {
    use ContextKind::{Suggested, SuggestedArg, SuggestedSubcommand, SuggestedValue};
    let similar = [
        (SuggestedSubcommand, "subcommand"),
        (SuggestedArg, "argument"),
        (SuggestedValue, "value"),
    ]
    .into_iter()
    .find_map(|(kind, word)| match error.get(kind)? {
        ContextValue::String(one) => Some(format!("a similar {word} exists: '{one}'")),
        ContextValue::Strings(all) if all.len() == 1 => {
            Some(format!("a similar {word} exists: '{}'", all.concat()))
        }
        ContextValue::Strings(all) => {
            Some(format!("some similar {word}s exist: '{}'", all.join("', '")))
        }
        _ => None,
    });
    similar.or_else(|| match error.get(Suggested)? {
        ContextValue::StyledStrs(tips) => tips.first().map(StyledStr::to_string),
        _ => None,
    })
}
