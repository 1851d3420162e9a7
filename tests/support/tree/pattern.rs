//! Shell patterns of the two kinds that records and tables use.

/// True if `*` (anything, `/` too) and `?` (one character) can be filled in so that the pattern is
/// the text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| matches(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut left = text.chars();
            left.next().is_some_and(|it| wanted == '?' || wanted == it)
                && matches(rest.as_str(), left.as_str())
        }
    }
}
