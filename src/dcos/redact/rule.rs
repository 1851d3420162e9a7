//! What the rules are made of.

use regex::{Captures, Regex, RegexBuilder};

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// A word as shells and programs write it: in quotes, in escaped quotes, in quotes whose end is cut
/// off, or bare.
pub(super) const VALUE: &str = r#""(?:[^"\\]|\\.)*"|\\+"[^"]*"|'[^']*'|"[^\r\n]*|[^\s"]+"#;
/// Bytes of memory that the automaton of one rule may use.
const MAX_AUTOMATON: usize = 16 << 20;
/// What comes in place of a shape.
#[derive(Debug)]
pub(super) enum Instead {
    /// This, with its groups.
    Text(&'static str),
    /// What this makes of it; nothing if it is no secret after all.
    Judged(fn(&Captures<'_>) -> Option<String>),
}

/// Makes a regular expression that stays fast on any text. A word boundary of Unicode has no
/// automaton, so that of ASCII is used; the letters of Unicode need thousands of states, so every
/// character that is not ASCII counts as a letter. Both find a secret in more places, not in fewer.
/// The automaton has enough memory for the many names.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let pattern =
        pattern.replace(r"\b", r"(?-u:\b)").replace(r"\w", r"[0-9A-Za-z_\x{80}-\x{10FFFF}]");
    RegexBuilder::new(&pattern).dfa_size_limit(MAX_AUTOMATON).build()
}

pub(super) fn group<'t>(found: &Captures<'t>, index: usize) -> &'t str {
    found.get(index).map_or("", |found| found.as_str())
}

/// The value without its quotes.
pub(super) fn bare(value: &str) -> &str {
    value.trim_matches(['\\', '"', '\''])
}

/// Whether a value has letters and digits, as words do not.
pub(super) fn is_mixed(value: &str) -> bool {
    let value = bare(value);
    let has = |is: fn(char) -> bool| value.contains(is);
    value.len() >= 6
        && has(|l| l.is_ascii_digit())
        && has(|l| l.is_alphabetic())
        && !value.starts_with('/')
}
