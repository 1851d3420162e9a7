//! Colour, only where a person looks at a terminal.

use std::io::IsTerminal;

/// Whether and how to paint.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// For standard output.
    pub fn stdout(no_color: bool) -> Paint {
        Paint(!no_color && std::io::stdout().is_terminal())
    }

    /// For standard error.
    pub fn stderr(no_color: bool) -> Paint {
        Paint(!no_color && std::io::stderr().is_terminal())
    }

    /// As it should be.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Worth a look.
    pub fn doubtful(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Wrong.
    pub fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// What the eye should find.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
