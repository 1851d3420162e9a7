//! Tokens of a source, without comments and tests.

use std::collections::BTreeSet;

use super::{Kind, Token};

/// Text into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < characters.len() {
        let (kind, end, inside) = next(&characters, at);
        let written = |range: std::ops::Range<usize>| characters[range].iter().collect::<String>();
        if let Some(kind) = kind {
            tokens.push(Token { line, kind, text: written(inside) });
        }
        line += characters[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// The lines with a part of a literal that cannot be broken: a raw one, or one that has the line
/// breaks of its value.
pub fn lines_of_unbreakable_literals(text: &str) -> BTreeSet<usize> {
    let characters: Vec<char> = text.chars().collect();
    let (mut lines, mut at, mut line) = (BTreeSet::new(), 0, 1);
    while at < characters.len() {
        let (kind, end, _) = next(&characters, at);
        let written = &characters[at..end];
        let breaks = written.iter().filter(|c| **c == '\n').count();
        if kind == Some(Kind::Text) {
            let is_raw = written.iter().take_while(|c| **c != '"').any(|c| *c == 'r');
            let has_own_breaks = written.windows(2).any(|two| two[1] == '\n' && two[0] != '\\');
            if is_raw || has_own_breaks {
                lines.extend(line..=line + breaks);
            }
        }
        line += breaks;
        at = end;
    }
    lines
}

/// What begins at a place: its kind (none for what is no code), its end, and the part of it that
/// counts.
fn next(text: &[char], at: usize) -> (Option<Kind>, usize, std::ops::Range<usize>) {
    let peek = |offset: usize| text.get(at + offset).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let run = |from: usize| from + text[from..].iter().take_while(|c| is_word(**c)).count();
    match peek(0) {
        c if c.is_whitespace() => (None, at + 1, 0..0),
        '/' if peek(1) == '/' => {
            (None, at + text[at..].iter().take_while(|c| **c != '\n').count(), 0..0)
        }
        '/' if peek(1) == '*' => (None, comment_end(text, at), 0..0),
        '"' => string(text, at, 0, false),
        '\'' if peek(1) == '\\' => {
            let close = (at + 3..text.len()).find(|i| text[*i] == '\'').unwrap_or(text.len() - 1);
            (Some(Kind::Other), close + 1, at..close + 1)
        }
        '\'' if peek(2) == '\'' => (Some(Kind::Other), at + 3, at..at + 3),
        '\'' => (Some(Kind::Other), run(at + 1), at..run(at + 1)),
        c if c.is_ascii_digit() => (Some(Kind::Other), run(at), at..run(at)),
        c if is_word(c) => {
            let end = run(at);
            let prefix: String = text[at..end].iter().collect();
            let hashes = text[end..].iter().take_while(|c| **c == '#').count();
            let quoted = text.get(end + hashes) == Some(&'"');
            match prefix.as_str() {
                "r" | "br" | "cr" if quoted => string(text, end, hashes, true),
                "b" | "c" if quoted && hashes == 0 => string(text, end, 0, false),
                // A byte, `b'x'`.
                "b" if text.get(end) == Some(&'\'') => {
                    let (_, close, _) = next(text, end);
                    (Some(Kind::Other), close, at..close)
                }
                // A raw identifier, `r#type`.
                "r" if hashes == 1 => (Some(Kind::Word), run(end + 1), end + 1..run(end + 1)),
                _ => (Some(Kind::Word), end, at..end),
            }
        }
        ':' if peek(1) == ':' => (Some(Kind::Sign), at + 2, at..at + 2),
        _ => (Some(Kind::Sign), at + 1, at..at + 1),
    }
}

/// Block comments nest.
fn comment_end(text: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A string literal whose quote, or the hashes before it, is at `from`.
fn string(
    text: &[char],
    from: usize,
    hashes: usize,
    raw: bool,
) -> (Option<Kind>, usize, std::ops::Range<usize>) {
    let open = from + hashes + 1;
    let mut at = open;
    while at < text.len() {
        match text[at] {
            '\\' if !raw => at += 2,
            '"' if text[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes => {
                return (Some(Kind::Text), at + 1 + hashes, open..at);
            }
            _ => at += 1,
        }
    }
    (Some(Kind::Text), text.len(), open..text.len())
}

/// Leaves out what stands under `#[cfg(test)]`; returns also the names of modules in other files
/// that do.
pub(super) fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        if !is_for_tests(&tokens[at..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        while at < tokens.len() && tokens[at].is("#") {
            at += group_length(&tokens[at + 1..]) + 1;
        }
        let start = at;
        while at < tokens.len() && !tokens[at].is(";") && !tokens[at].is("{") {
            at += 1;
        }
        let item = &tokens[start..at];
        if tokens.get(at).is_some_and(|t| t.is(";")) {
            modules.extend(
                item.iter()
                    .position(|t| t.is_word("mod"))
                    .and_then(|i| item.get(i + 1))
                    .map(|t| t.text.clone()),
            );
        }
        at += group_length(tokens.get(at..).unwrap_or_default()).max(1);
    }
    (kept, modules)
}

/// `#[cfg(test)]` and `#[cfg(all(test, ...))]`.
fn is_for_tests(tokens: &[Token]) -> bool {
    let starts = |pattern: &[&str]| {
        tokens.len() >= pattern.len()
            && tokens.iter().zip(pattern).all(|(t, p)| t.kind != Kind::Text && t.text == *p)
    };
    starts(&["#", "[", "cfg", "(", "test", ")", "]"])
        || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// How many tokens the bracketed group has that begins here; 0 if none does.
pub fn group_length(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" if token.kind == Kind::Sign => depth += 1,
            ")" | "]" | "}" if token.kind == Kind::Sign => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if index == 0 { 0 } else { index + 1 };
        }
    }
    tokens.len()
}
