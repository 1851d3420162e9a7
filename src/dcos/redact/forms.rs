//! The forms of single lines, read by hand: a regular expression that also finds its groups is many
//! times slower, and most lines are asked for all of these.

/// Words before a name and its value that shells and images have.
const SETTERS: [&str; 4] = ["set", "setenv", "export", "env"];
/// Options between such a word and the name.
const MOST_OPTIONS: usize = 8;

/// Returns what the item of a list holds: the line without its indentation and dashes.
pub(super) fn item(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    rest
}

/// Returns the name that a line of `name: X` or `key = "X"` gives to the value beside it.
pub(super) fn listed_name(line: &str) -> Option<&str> {
    let rest = field(item(line), &["name", "key"])?;
    let (name, rest) = word(unquoted(rest))?;
    let rest = unquoted(rest);
    rest.strip_prefix(',').unwrap_or(rest).trim().is_empty().then_some(name)
}

/// Returns where the value begins in a line of `value: X`.
pub(super) fn listed_value(line: &str) -> Option<usize> {
    field(item(line), &["value"]).map(|rest| line.len() - rest.len())
}

/// Returns the name of YAML whose value is on a line of its own: `? name`.
pub(super) fn asked_name(line: &str) -> Option<&str> {
    let mut rest = item(line).strip_prefix("? ")?.trim_start();
    // Anchors and tags.
    while rest.starts_with(['&', '!']) {
        let end = rest.find(char::is_whitespace)?;
        rest = rest.get(end..)?.trim_start();
    }
    let (name, rest) = word(unquoted(rest))?;
    let rest = unquoted(rest).trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(name)
}

/// Returns the name and the value of a line that has only white space between them:
/// `password X`, `set -x TOKEN X;`, `export "TOKEN" 'X' # why`.
pub(super) fn pair(line: &str) -> Option<(&str, &str)> {
    let mut rest = item(line);
    let is_apart = |after: &&str| after.starts_with(char::is_whitespace);
    let Some(after) = SETTERS.iter().find_map(|setter| without(rest, setter).filter(is_apart))
    else {
        return name_and_value(rest);
    };
    // What looks like an option may be the name.
    let mut found = None;
    rest = after.trim_start();
    for _ in 0..MOST_OPTIONS {
        found = name_and_value(rest).or(found);
        match rest.strip_prefix('-').and_then(|option| option.find(char::is_whitespace)) {
            Some(end) => rest = rest.get(end + 1..).unwrap_or_default().trim_start(),
            None => break,
        }
    }
    found
}

fn name_and_value(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = word(unquoted(text))?;
    let rest = unquoted(rest);
    let value = rest.trim_start_matches([' ', '\t']);
    if value.len() == rest.len() {
        return None;
    }
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let end = match quote {
        Some(quote) => value.get(1..)?.find(quote)? + 2,
        None => value.find(char::is_whitespace).unwrap_or(value.len()),
    };
    let (value, rest) = value.split_at_checked(end)?;
    let rest = rest.trim_start_matches(';').trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    if quote.is_none() && (value.is_empty() || value.contains(['"', '\''])) {
        return None;
    }
    let bare = value.strip_suffix(';').filter(|bare| quote.is_none() && !bare.is_empty());
    Some((name, bare.unwrap_or(value)))
}

/// Returns what is behind one of these names, also in quotes, and behind its `:` or `=`.
fn field<'t>(text: &'t str, names: &[&str]) -> Option<&'t str> {
    let text = unquoted(text);
    let rest = names.iter().find_map(|name| without(text, name))?;
    Some(unquoted(rest).trim_start().strip_prefix([':', '='])?.trim_start())
}

/// Returns the text behind this word, in whatever case it is.
fn without<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (first, rest) = text.split_at_checked(word.len())?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix(['"', '\'']).unwrap_or(text)
}

/// Splits the name at the beginning off.
fn word(text: &str) -> Option<(&str, &str)> {
    let is_of_name = |letter: char| {
        letter.is_ascii_alphanumeric() || "_.-".contains(letter) || !letter.is_ascii()
    };
    let end = text.find(|letter| !is_of_name(letter)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
}
