//! Values by their names, line by line: `NAME=value`, `name: value`, with all that belongs to a value in the lines below it.

use std::collections::BTreeSet;

use regex::Regex;

use super::names::{NAMES, Names};
use super::shapes::{REDACTED, says_nothing};

/// A line with more values than these is no line that somebody wrote, and its rest goes.
const MOST_VALUES: usize = 200;
/// A quote that is not closed in so many lines is a stray one.
const MOST_QUOTED: usize = 40;
/// What looks like a name and is none, before a colon in a log: units, source files, errors.
const NO_VARIABLES: [&str; 10] = [".service", ".socket", ".timer", ".py", ".go", ".erl", ".lua", ".java", "Exception", "Error"];

/// The rules, made once for many texts.
#[derive(Debug)]
pub(super) struct Lines {
    /// What comes before a value, and the value.
    assigned: Regex,
    /// The head of a block of YAML: `|`, `>+`, `|2 # why`, `&a |`, `!!str |`; or what opens a list or an object.
    head: Regex,
    /// A variable that is listed by its name, its value in a line beside it.
    named: Regex,
    value: Regex,
}

/// The value whose lines are being passed over.
struct Block {
    /// Where its name stands.
    column: usize,
    /// Whether something stands in its place already.
    told: bool,
    /// Its last line, if its own form tells: an open quote, a backslash at the end.
    until: usize,
}

impl Lines {
    pub(super) fn new() -> Result<Lines, regex::Error> {
        let assigned = format!(
            r#"(?i)^(.*?["'\\]*[\w.-]*(?:{NAMES})[\w.-]*["'\\]*[^\S\r\n]*(?:=>|[:=])[^\S\r\n]*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\r\n]*)"#
        );
        Ok(Lines {
            assigned: Regex::new(&assigned)?,
            head: Regex::new(r"^(?:(?:[&!]\S*\s+)*[|>][0-9+-]{0,2}|[{\[])\s*(?:#.*)?$")?,
            named: Regex::new(r#"(?mi)^\s*(?:- +)*["']?(?:name|key)["']?\s*[:=]\s*["']?([\w.-]+)["']?,?\s*$"#)?,
            value: Regex::new(r#"(?i)^(\s*(?:- +)*["']?value["']?\s*[:=]\s*)(.*)$"#)?,
        })
    }

    /// The text without them, and how many there were.
    ///
    /// What is indented more deeply than a secret's name belongs to it, and so do the items of a list that is not indented. That a value stands on the
    /// line of its name already does not matter: it may go on below.
    pub(super) fn take(&self, text: &str, names: &Names) -> (String, usize) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let listed = self.listed(text, &lines, names);
        let (mut clean, mut taken) = (String::with_capacity(text.len()), 0);
        let mut block: Option<Block> = None;
        for (index, whole) in lines.iter().enumerate() {
            let (line, end) = whole.strip_suffix('\n').map_or((*whole, ""), |line| (line, "\n"));
            if line.trim().is_empty() {
                clean.push_str(whole);
                continue;
            }
            if let Some(open) = block.as_mut().filter(|open| open.has(index, line)) {
                if !open.told {
                    (open.told, taken) = (true, taken + 1);
                    clean.push_str(&format!("{}{REDACTED}{end}", " ".repeat(indent(line))));
                }
                continue;
            }
            let value = self.value.captures(line).filter(|_| listed.contains(&index));
            let found = match value.and_then(|found| Some((found.get(1)?.as_str(), found.get(2)?.as_str()))) {
                Some((before, value)) => {
                    clean.push_str(before);
                    self.one(value, &mut clean, &mut taken)
                }
                None => self.line(line, &mut clean, &mut taken),
            };
            clean.push_str(end);
            // A comment may stand anywhere in a block, and ends none.
            if !line.trim_start().starts_with('#') || found != Found::Nothing {
                block = opened(found, index, &lines);
            }
        }
        (clean, taken)
    }

    /// One line, value by value.
    fn line<'t>(&self, line: &'t str, clean: &mut String, taken: &mut usize) -> Found<'t> {
        let (mut rest, mut last) = (line, Found::Nothing);
        for _ in 0..MOST_VALUES {
            let Some(found) = self.assigned.captures(rest) else {
                clean.push_str(rest);
                return last;
            };
            let (before, value) = (found.get(1).map_or("", |m| m.as_str()), found.get(2).map_or("", |m| m.as_str()));
            clean.push_str(before);
            rest = rest.get(before.len()..).unwrap_or_default();
            if is_no_variable(before, value) {
                continue;
            }
            rest = rest.get(value.len()..).unwrap_or_default();
            last = self.one(value, clean, taken);
        }
        clean.push_str(REDACTED);
        last
    }

    /// One value.
    fn one<'t>(&self, value: &'t str, clean: &mut String, taken: &mut usize) -> Found<'t> {
        let trimmed = value.trim();
        if trimmed.is_empty() {
            clean.push_str(value);
            return Found::Below;
        }
        if self.head.is_match(trimmed) {
            clean.push_str(trimmed.split('#').next().unwrap_or_default().trim_end());
            return Found::Below;
        }
        if says_nothing(trimmed.trim_end_matches(',')) {
            clean.push_str(value);
            return if trimmed.contains(REDACTED) { Found::Here(value) } else { Found::Nothing };
        }
        *taken += 1;
        clean.push_str(REDACTED);
        Found::Here(value)
    }

    /// The lines with the values of variables that are listed by secret names.
    fn listed(&self, text: &str, lines: &[&str], names: &Names) -> BTreeSet<usize> {
        let mut listed = BTreeSet::new();
        if !self.named.is_match(text) {
            return listed;
        }
        for (index, line) in lines.iter().enumerate() {
            let name = self.named.captures(line).and_then(|found| found.get(1)).map(|name| name.as_str());
            if !name.is_some_and(|name| names.has(name)) {
                continue;
            }
            let place = column(line);
            // The item that it is part of begins with the first line above that has a dash, and ends before the first that is less indented.
            let begins = |line: &str| indent(line) < column(line);
            let above = (0..index).rev().take_while(|above| {
                let (line, below) = (lines.get(*above).unwrap_or(&""), lines.get(above + 1).unwrap_or(&""));
                column(line) >= place && !begins(below)
            });
            let below = (index + 1..lines.len()).take_while(|below| lines.get(*below).is_some_and(|line| indent(line) >= place));
            listed.extend(
                above
                    .chain(below)
                    .filter(|beside| lines.get(*beside).is_some_and(|line| column(line) == place && self.value.is_match(line.trim_end()))),
            );
        }
        listed
    }
}

/// What a line told of a secret.
#[derive(Clone, Copy, PartialEq)]
enum Found<'t> {
    Nothing,
    /// Its value stands in the lines below.
    Below,
    /// This was its value, which may go on below.
    Here(&'t str),
}

/// What begins with what a line told.
fn opened(found: Found<'_>, index: usize, lines: &[&str]) -> Option<Block> {
    let line = lines.get(index)?;
    let told = match found {
        Found::Nothing => return None,
        Found::Below => false,
        Found::Here(_) => true,
    };
    let after =
        |ends: &dyn Fn(&str) -> bool, most: usize| (index + 1..lines.len()).take(most).find(|at| lines.get(*at).is_some_and(|l| ends(l)));
    let quote = match found {
        Found::Here(value) => value.chars().next().filter(|first| matches!(first, '"' | '\'')),
        _ => None,
    };
    let is_open = |value: &str, quote: char| value.len() < 2 || !value.trim_end().ends_with(quote) || value.trim_end().ends_with("\\\"");
    let goes_on = |line: &str| line.trim_end().ends_with('\\');
    let until = match (found, quote) {
        (Found::Here(value), Some(quote)) if is_open(value, quote) => after(&|line| line.contains(quote), MOST_QUOTED),
        _ if goes_on(line) => after(&|line| !goes_on(line), usize::MAX),
        _ => None,
    };
    Some(Block { column: column(line), told, until: until.unwrap_or(index) })
}

impl Block {
    /// Whether this line is part of it.
    fn has(&self, index: usize, line: &str) -> bool {
        let is_item = line.trim_start().starts_with("- ") || line.trim() == "-";
        index <= self.until || indent(line) > self.column || indent(line) == self.column && is_item
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where the name stands that a line of YAML begins with, after the dashes of lists.
fn column(line: &str) -> usize {
    let mut rest = line.trim_start();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    line.len() - rest.len()
}

/// A unit, a source file or an error that has something to say, in a log; the working directory of a shell; an option, whose value is known by its shape.
fn is_no_variable(before: &str, value: &str) -> bool {
    let name = before.trim_end_matches([' ', ':', '=', '>', '"', '\'', '\\']);
    let name = name.rsplit(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '.' | '-')).next().unwrap_or(name);
    let is_option = (name.starts_with("--") || name.starts_with("-D")) && before.ends_with('=');
    is_option || NO_VARIABLES.iter().any(|suffix| name.ends_with(suffix)) || matches!(name, "PWD" | "OLDPWD") && value.starts_with('/')
}
