//! Colour, only where a person looks at a terminal.

use std::ffi::OsStr;
use std::io::IsTerminal;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Whether this stream is a terminal that takes colours and can be drawn on. One of `TERM=dumb`,
/// such as Emacs, or without `TERM`, such as one that `ssh -tt` makes for a build server, shows
/// every byte as it comes: it is told what a file would be.
pub(super) fn can_draw(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && takes_sequences(std::env::var_os("TERM").as_deref())
}

fn takes_sequences(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether and how to paint.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// For standard output.
    pub fn stdout(no_color: bool) -> Paint {
        Paint::on(&std::io::stdout(), no_color)
    }

    /// For standard error.
    pub fn stderr(no_color: bool) -> Paint {
        Paint::on(&std::io::stderr(), no_color)
    }

    /// `NO_COLOR` and its like are respected (anstream).
    fn on(stream: &(impl IsTerminal + RawStream), no_color: bool) -> Paint {
        let is_wanted = AutoStream::choice(stream) != ColorChoice::Never;
        Paint(!no_color && can_draw(stream) && is_wanted)
    }

    /// Healthy, done.
    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Worth a look.
    pub fn doubtful(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// Wrong.
    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// What the eye should find.
    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumb_or_unknown_terminal_gets_no_escape_sequences() {
        let takes = |term: Option<&str>| takes_sequences(term.map(OsStr::new));
        assert!(!takes(None) && !takes(Some("")) && !takes(Some("dumb")));
        assert!(takes(Some("xterm-256color")) && takes(Some("linux")));
    }
}
