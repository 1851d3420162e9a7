//! Texts of servers and errors, as far as they are shown.

/// Longest text that is taken from a server or an error.
pub(super) const LONGEST_TEXT: usize = 300;

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error repeats its source.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}

/// At most one line, and nothing that a terminal would obey.
pub(super) fn brief(text: &str) -> String {
    let mut line: String =
        text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        line.push_str("...");
    }
    line
}
