//! Private keys whose beginning is cut off: the lines above the mark of their end.

use regex::Regex;

use super::rule::{REDACTED, compile};

/// A key of 4096 bits has about 50 lines of base64.
const MAX_LINES: usize = 80;

/// The rule, made once for many texts.
#[derive(Debug)]
pub(super) struct KeyEnds {
    end: Regex,
}

impl KeyEnds {
    pub(super) fn new() -> Result<KeyEnds, regex::Error> {
        Ok(KeyEnds { end: compile("-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----")? })
    }

    /// Returns the text without the keys, and how many it had.
    ///
    /// This is not a regular expression: one with so many repeated lines needs thousands of states,
    /// each tried at each byte. Here a line is read at most once, because the walk upward ends
    /// where the key before ended.
    pub(super) fn take(&self, text: &str) -> (String, usize) {
        let (mut clean, mut taken, mut rest) = (String::new(), 0, 0);
        for end in self.end.find_iter(text) {
            let above = text.get(rest..end.start()).unwrap_or_default();
            let kept = above.get(..first_line(above)).unwrap_or_default();
            // A second mark on the same line belongs to the same key.
            if taken == 0 || !kept.is_empty() || above.contains('\n') {
                clean.push_str(kept);
                clean.push_str(REDACTED);
                taken += 1;
            }
            rest = end.end();
        }
        clean.push_str(text.get(rest..).unwrap_or_default());
        (clean, taken)
    }
}

/// Returns where the lines begin that belong to a key whose end follows this text: its last line,
/// and the lines above that end as base64 does.
fn first_line(above: &str) -> usize {
    let mut from = above.rfind('\n').map_or(0, |newline| newline + 1);
    for _ in 0..MAX_LINES {
        let Some(line) = above.get(..from).and_then(|lines| lines.strip_suffix('\n')) else {
            break;
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.ends_with(|last: char| last.is_ascii_alphanumeric() || "+/=".contains(last)) {
            break;
        }
        from = line.rfind('\n').map_or(0, |newline| newline + 1);
    }
    from
}
