//! What a text has in its lines, found in time that grows with the text only: each line is read a
//! fixed number of times, whatever the lines beside it are.

use std::cell::OnceCell;
use std::collections::HashMap;

/// A text whose end has a form of its own (three quotes, the word after `<<`) has at most so many
/// lines; else what opens it is a stray one.
pub(super) const MOST_ENDED: usize = 500;

/// Where the parts of a line are.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) indent: usize,
    pub(super) column: usize,
    /// Whether this line is `name: X` of a secret.
    pub(super) is_secret: bool,
    /// Where the value begins, if this line is `value: X`.
    pub(super) value: Option<usize>,
}

/// The lines by their texts, made when the first text of many lines (`<<EOF`) is searched for its
/// end, so that many of them without an end do not read the same lines again.
pub(super) struct HereEnds<'a> {
    lines: &'a [&'a str],
    of: OnceCell<HashMap<&'a str, Vec<usize>>>,
}

impl<'a> HereEnds<'a> {
    pub(super) fn new(lines: &'a [&'a str]) -> HereEnds<'a> {
        HereEnds { lines, of: OnceCell::new() }
    }

    /// Returns the next line below that is this word.
    pub(super) fn find(&self, word: &str, index: usize) -> Option<usize> {
        let of = self.of.get_or_init(|| {
            let mut of: HashMap<&str, Vec<usize>> = HashMap::new();
            for (index, line) in self.lines.iter().enumerate() {
                count_work(line.len());
                of.entry(line.trim()).or_default().push(index);
            }
            of
        });
        let places = of.get(word)?;
        let next = places.get(places.partition_point(|place| *place <= index));
        next.copied().filter(|next| *next <= index + MOST_ENDED)
    }
}

/// Returns the value that begins here: a text in three quotes to the end of the line, a text in
/// quotes, or the rest of the line.
pub(super) fn first_value(text: &str) -> &str {
    let rest = || text.split('\r').next().unwrap_or_default();
    let kind = text.trim_start_matches(|l: char| "bfru".contains(l.to_ascii_lowercase()));
    if kind.starts_with("\"\"\"") || kind.starts_with("\'\'\'") {
        return rest();
    }
    let end = match text.as_bytes().first() {
        Some(b'\'') => text.bytes().skip(1).position(|byte| byte == b'\''),
        Some(b'"') => {
            let mut is_escaped = false;
            text.bytes().skip(1).position(|byte| {
                let is_end = byte == b'"' && !is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                is_end
            })
        }
        _ => None,
    };
    end.and_then(|end| text.get(..end + 2)).unwrap_or_else(rest)
}

/// Counts the bytes that are read, in tests only: a test compares a text with one of twice its
/// length.
pub(super) fn count_work(bytes: usize) {
    #[cfg(test)]
    WORK.with(|work| work.set(work.get() + bytes));
    #[cfg(not(test))]
    let _ = bytes;
}

#[cfg(test)]
thread_local! {
    pub(super) static WORK: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
