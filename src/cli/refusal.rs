//! A command line that is not run: help and version, and what is wrong, for people and as the document that every failure is.

use std::ffi::OsString;

use crate::command::Failure;
use crate::dcos::exit::Exit;

/// What parsing came to if there is nothing to run.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Help, version, or what is wrong.
    pub text: String,
    /// Help and version are no errors.
    pub is_error: bool,
    /// Whether `--json` was given, as far as can be told of a command line that is wrong.
    pub json: bool,
}

impl Refused {
    pub(super) fn new(text: String, is_error: bool, definition: &clap::Command, arguments: &[OsString]) -> Refused {
        Refused { text, is_error, json: wants_json(definition, arguments) }
    }

    /// What is wrong, without the help that people get with it; the tip is the cure.
    pub fn failure(&self) -> Failure {
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut paragraphs = self.text.split("\n\n");
        let error =
            paragraphs.next().and_then(|first| first.strip_prefix("error: ")).map_or("no command was given".to_owned(), in_one_line);
        let failure = Failure::new(Exit::Usage, anyhow::anyhow!(error)).leaving("nothing was changed");
        match paragraphs.find_map(|paragraph| paragraph.trim_start().strip_prefix("tip: ")) {
            Some(tip) => failure.cured_by(in_one_line(tip)),
            None => failure,
        }
    }
}

/// Asks for that one flag and its environment form alone, which the rest of the line cannot spoil.
fn wants_json(definition: &clap::Command, arguments: &[OsString]) -> bool {
    let given = arguments.iter().skip(1).take_while(|word| *word != "--").find(|word| *word == "--json");
    let Some(flag) = definition.get_arguments().find(|argument| argument.get_id() == "json") else { return false };
    let matches = clap::Command::new("dcos-node").no_binary_name(true).arg(flag.clone()).try_get_matches_from(given);
    matches.is_ok_and(|matches| matches.get_flag("json"))
}
