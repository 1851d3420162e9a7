//! How the result of each command is printed.

use std::io;

use super::paint::Paint;
use super::{bundle, explain, json, outcome, preflight, publish, status, text, verify};
use crate::command::{self, Outcome};

/// A result that is printed to standard output.
pub trait Show: Outcome {
    /// Prints it for people, or as one JSON document.
    ///
    /// # Errors
    /// Standard output does not take it.
    fn print(&self, as_json: bool, paint: Paint) -> io::Result<()>;
}

macro_rules! show {
    ($($outcome:ty: $text:path,)*) => {
        $(impl Show for $outcome {
            fn print(&self, as_json: bool, paint: Paint) -> io::Result<()> {
                if as_json { json(self) } else { text(&$text(self, paint)) }
            }
        })*
    };
}

show! {
    command::adopt::Outcome: outcome::adopt,
    command::bundle::Outcome: bundle::text,
    command::explain::List: explain::list,
    command::explain::Outcome: explain::text,
    command::fetch::Outcome: outcome::fetch,
    command::install::Outcome: outcome::install,
    command::publish::Outcome: publish::text,
    command::recover::Outcome: outcome::recover,
    command::status::Outcome: status::text,
    command::uninstall::Outcome: outcome::uninstall,
    command::verify::Outcome: verify::text,
}

impl Show for command::preflight::Outcome {
    fn print(&self, as_json: bool, paint: Paint) -> io::Result<()> {
        if as_json { json(&self.report) } else { text(&preflight::text(&self.report, paint)) }
    }
}

impl Show for command::serve::Outcome {
    fn print(&self, as_json: bool, _: Paint) -> io::Result<()> {
        // The lines of the log were the document.
        if as_json { Ok(()) } else { text(&publish::served(self)) }
    }
}

impl Show for String {
    fn print(&self, _: bool, _: Paint) -> io::Result<()> {
        text(self)
    }
}
