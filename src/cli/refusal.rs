//! A command line that is not run: help and version, and what is wrong, for people and as the
//! document that every failure is.

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
    pub(super) fn new(text: String, is_error: bool) -> Refused {
        Refused { text, is_error, json: false }
    }

    /// What is wrong, without the help that people get with it; the tip is the cure.
    pub fn failure(&self) -> Failure {
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut paragraphs = self.text.split("\n\n");
        let error = paragraphs
            .next()
            .and_then(|first| first.strip_prefix("error: "))
            .map_or("no command was given".to_owned(), in_one_line);
        let failure =
            Failure::new(Exit::Usage, anyhow::anyhow!(error)).leaving("nothing was changed");
        match paragraphs.find_map(|paragraph| paragraph.trim_start().strip_prefix("tip: ")) {
            Some(tip) => failure.cured_by(in_one_line(tip)),
            None => failure,
        }
    }
}
