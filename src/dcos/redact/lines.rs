//! Values by their names, line by line: `NAME=value`, `name: value`, with all that belongs to a
//! value in the lines below it.

use std::cell::OnceCell;
use std::collections::HashMap;

use regex::Regex;

use super::below::{HereEnds, MOST_ENDED, Place, count_work, first_value};
use super::forms::{asked_name, item, listed_name, listed_value};
use super::names::{NAMES, Names};
use super::pairs;
use super::rule::{REDACTED, compile};
use super::shapes::says_nothing;

/// A line with more values than these is no line that somebody wrote, and its rest goes.
const MOST_VALUES: usize = 200;
/// A quote that is not closed in so many lines is a stray one.
const MOST_QUOTED: usize = 40;
/// Lines of one item of a list.
const MOST_BESIDE: usize = 40;
/// A line of so many bytes is looked through before it is searched.
const SHORT: usize = 32;
/// Of a value so many bytes tell whether it is one.
const MAX_JUDGED: usize = 256;
/// What looks like a name and is none, before a colon in a log: units, source files, errors.
const NO_VARIABLES: [&str; 10] =
    [".service", ".socket", ".timer", ".py", ".go", ".erl", ".lua", ".java", "Exception", "Error"];

/// Words before "pass" where that is no name.
const VERBS: [&str; 10] =
    ["can", "cannot", "each", "must", "not", "one", "should", "to", "will", "would"];
/// Where accounts are looked up (`nsswitch.conf(5)`).
const LOOKUPS: [&str; 9] =
    ["altfiles", "cache", "compat", "db", "files", "ldap", "nis", "sss", "systemd"];

/// The rules, made once for many texts.
#[derive(Debug)]
pub(super) struct Lines {
    /// A name and what separates it from its value.
    assigned: Regex,
    /// The head of a block of YAML: `|`, `>+`, `|2 # why`, `&a |`, `!!str |`; or what opens a list
    /// or an object.
    head: Regex,
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
            r#"(?i)["'\\]*[\w.-]*(?:{NAMES})[\w.-]*(?:["'\\]+\]|["'\\]*)(?:[^\S\r\n]*(?:=>|:=|[:=])|[^\S\r\n]+->[^\S\r\n])[^\S\r\n]*"#
        );
        Ok(Lines {
            assigned: compile(&assigned)?,
            head: compile(r"^(?:(?:[&!]\S*\s+)*[|>][0-9+-]{0,2}|[{\[(])\s*(?:#.*)?$")?,
        })
    }

    /// The text without them, and how many there were.
    ///
    /// What is indented more deeply than a secret's name belongs to it, and so do the items of a
    /// list that is not indented. That a value stands on the line of its name already does not
    /// matter: it may go on below.
    pub(super) fn take(&self, text: &str, names: &Names) -> (String, usize) {
        let all: Vec<(&str, &str)> = text.split('\n').map(told).collect();
        let lines: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
        let mut elsewhere = listed(text, &lines, names);
        if text.contains("? ") {
            add_answered(&mut elsewhere, &lines, names);
        }
        let ends = HereEnds::new(&lines);
        let (mut clean, mut taken) = (String::with_capacity(text.len()), 0);
        let mut block: Option<Block> = None;
        for (index, (who, line)) in all.into_iter().enumerate() {
            if line.is_empty() {
                clean.push_str(who);
                clean.push('\n');
                continue;
            }
            if let Some(open) =
                block.as_mut().filter(|open| !line.trim().is_empty() && open.has(index, line))
            {
                if !open.told {
                    (open.told, taken) = (true, taken + 1);
                    clean.push_str(&format!("{who}{}{REDACTED}\n", " ".repeat(indent(line))));
                }
                continue;
            }
            clean.push_str(who);
            let known = elsewhere.get(&index).and_then(|at| line.split_at_checked(*at));
            let found = match (known, pairs::value(line, who.is_empty() && lines.len() > 1, names))
            {
                (Some((before, value)), _) => {
                    clean.push_str(before);
                    self.one(value, &mut clean, &mut taken)
                }
                (None, Some(value)) => {
                    taken += 1;
                    let (before, after) = (line.get(..value.start), line.get(value.end..));
                    clean.push_str(
                        &[before.unwrap_or_default(), REDACTED, after.unwrap_or_default()].concat(),
                    );
                    Found::Nothing
                }
                (None, None) => self.line(line, &mut clean, &mut taken),
            };
            clean.push('\n');
            // A comment and an empty line may stand anywhere in a block, and end none.
            if !line.trim().is_empty() && !line.trim_start().starts_with('#')
                || found != Found::Nothing
            {
                block = opened(found, index, &lines, &ends);
            }
        }
        // The text ends as it did: behind its last line there is none.
        clean.pop();
        (clean, taken)
    }

    /// One line, value by value.
    fn line<'t>(&self, line: &'t str, clean: &mut String, taken: &mut usize) -> Found<'t> {
        let (mut rest, mut last) = (line, Found::Nothing);
        // To begin a search takes longer than to see that a short line has no mark of a value.
        if line.len() < SHORT && !line.contains([':', '=', '>']) {
            clean.push_str(line);
            return last;
        }
        for _ in 0..MOST_VALUES {
            let Some((before, after)) =
                self.assigned.find(rest).and_then(|found| rest.split_at_checked(found.end()))
            else {
                clean.push_str(rest);
                return last;
            };
            clean.push_str(before);
            rest = after;
            count_work(before.len());
            if is_no_variable(before, after) {
                continue;
            }
            let value = first_value(after);
            count_work(value.len());
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
        // What becomes of an action is no secret, whatever it is about.
        let is_nothing = says_nothing(trimmed.trim_end_matches(',')) && thrice(trimmed).is_none();
        if is_nothing || trimmed == "done" {
            clean.push_str(value);
            return if trimmed.contains(REDACTED) { Found::Here(value) } else { Found::Nothing };
        }
        *taken += 1;
        clean.push_str(REDACTED);
        Found::Here(value)
    }
}

/// Adds the lines with the values of names that are asked for, and where they begin there.
fn add_answered(answered: &mut HashMap<usize, usize>, lines: &[&str], names: &Names) {
    for (index, line) in lines.iter().enumerate() {
        if !asked_name(line).is_some_and(|name| names.has(name)) {
            continue;
        }
        count_work(line.len());
        // The search ends at the next name that is asked for, so that no line is read twice.
        let is_passed = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let next = lines.iter().enumerate().skip(index + 1).find(|(_, line)| !is_passed(line));
        let Some((answer, text)) = next else { continue };
        let value = text
            .trim_start()
            .strip_prefix(':')
            .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if let Some(value) = value.filter(|_| indent(text) == column(line)) {
            answered.insert(answer, text.len() - value.trim_start().len());
        }
    }
}

/// The lines with the values of variables that are listed by secret names, and where they begin
/// there.
fn listed(text: &str, lines: &[&str], names: &Names) -> HashMap<usize, usize> {
    let mut listed = HashMap::new();
    if !text.contains("alue") {
        return listed;
    }
    // Each line is judged once, however many names stand beside it.
    let places: OnceCell<Vec<Place>> = OnceCell::new();
    for (index, line) in lines.iter().enumerate() {
        if !listed_name(line).is_some_and(|name| names.has(name)) {
            continue;
        }
        let column = column(line);
        // The item that it is part of begins with the first line above that has a dash, and ends
        // before the first that is less indented. Where another secret's name is beside it, the
        // search goes on from there, so that no line is read many times.
        let places = places.get_or_init(|| lines.iter().map(|line| place(line, names)).collect());
        let at = |index: usize| places.get(index).copied().unwrap_or_default();
        let is_another = |beside: &usize| at(*beside).is_secret && at(*beside).column == column;
        let above = (0..index).rev().take(MOST_BESIDE).take_while(|above| {
            let below = at(above + 1);
            at(*above).column >= column && below.indent >= below.column && !is_another(above)
        });
        let below = (index + 1..lines.len())
            .take(MOST_BESIDE)
            .take_while(|below| at(*below).indent >= column && !is_another(below));
        for beside in above.chain(below).filter(|beside| at(*beside).column == column) {
            if let Some(value) = at(beside).value {
                listed.insert(beside, value);
            }
        }
    }
    listed
}

fn place(line: &str, names: &Names) -> Place {
    count_work(line.len());
    let is_secret = listed_name(line).is_some_and(|name| names.has(name));
    let value = listed_value(line);
    Place { indent: indent(line), column: column(line), is_secret, value }
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
fn opened(found: Found<'_>, index: usize, lines: &[&str], ends: &HereEnds<'_>) -> Option<Block> {
    let line = lines.get(index)?;
    let told = match found {
        Found::Nothing => return None,
        Found::Below => false,
        Found::Here(_) => true,
    };
    let after = |ends: &dyn Fn(&str) -> bool, most: usize| {
        (index + 1..lines.len()).take(most).find(|at| {
            lines.get(*at).is_some_and(|line| {
                count_work(line.len() + 1);
                ends(line)
            })
        })
    };
    let quote = match found {
        Found::Here(value) => value.chars().next().filter(|first| matches!(first, '"' | '\'')),
        _ => None,
    };
    let is_open = |value: &str, quote: char| {
        value.len() < 2 || !value.trim_end().ends_with(quote) || value.trim_end().ends_with("\\\"")
    };
    let goes_on = |line: &str| line.trim_end().ends_with('\\');
    let until = match (found, quote) {
        (Found::Here(value), _) if thrice(value).is_some() => {
            thrice(value).and_then(|quote| after(&|line| line.contains(quote), MOST_ENDED))
        }
        (Found::Here(value), _) if here(value).is_some() => {
            here(value).and_then(|word| ends.find(word, index))
        }
        (Found::Here(value), Some(quote)) if is_open(value, quote) => {
            after(&|line| line.contains(quote), MOST_QUOTED)
        }
        // Without such a line the value goes on to the end of the text.
        _ if goes_on(line) => after(&|line| !goes_on(line), usize::MAX).or(Some(lines.len())),
        _ => None,
    };
    Some(Block { column: column(line), told, until: until.unwrap_or(index) })
}

/// The three quotes that open here a text of many lines, as Python and TOML have it, and do not
/// close it.
fn thrice(value: &str) -> Option<&'static str> {
    let text = value.trim_start().trim_start_matches(|letter: char| letter.is_alphabetic());
    let opens = |quote: &&str| text.strip_prefix(*quote).is_some_and(|rest| !rest.contains(*quote));
    ["\"\"\"", "'''"].into_iter().find(opens)
}

/// The word that ends the text that begins in the next line, as shells and HCL have it: `<<EOF`.
fn here(value: &str) -> Option<&str> {
    let (_, after) = value.split_once("<<")?;
    let word = after.trim_start_matches(['-', '~', ' ', '"', '\'', '\\']);
    word.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
        .filter(|word| !word.is_empty())
}

impl Block {
    /// Whether this line is part of it.
    fn has(&self, index: usize, line: &str) -> bool {
        let is_item = line.trim_start().starts_with("- ") || line.trim() == "-";
        index <= self.until || indent(line) > self.column || indent(line) == self.column && is_item
    }
}

/// A line of a log, as a bundle has it, without when it came and from whom: what is written there
/// may be a text of many lines.
fn told(line: &str) -> (&str, &str) {
    let is_of_a_log =
        line.as_bytes().get(4) == Some(&b'-') && line.as_bytes().get(10) == Some(&b'T');
    let bar = is_of_a_log.then(|| line.find(" | ")).flatten();
    bar.and_then(|bar| line.split_at_checked(bar + " | ".len())).unwrap_or(("", line))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where the name stands that a line of YAML begins with, after the dashes of lists.
fn column(line: &str) -> usize {
    line.len() - item(line).len()
}

/// What has the form of a secret and is none: a package, a class of Java, a unit, a source file or
/// an error that has something to say, in a log; a sentence ("does not pass: why"); the working
/// directory of a shell; where accounts are looked up (`nsswitch.conf`); where a link leads; an
/// option, whose value is known by its shape.
///
/// Only the beginning of what follows is read, because a line may have many names and no value.
fn is_no_variable(before: &str, after: &str) -> bool {
    let value = after.get(..after.floor_char_boundary(MAX_JUDGED)).unwrap_or_default();
    let before_arrow = before.trim_end().strip_suffix("->");
    let before_value =
        before_arrow.unwrap_or(before).trim_end_matches([' ', ':', '=', '>', '"', '\'', '\\']);
    let begins = before_value
        .rfind(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '.' | '-'));
    let (before_name, name) =
        begins.and_then(|at| before_value.split_at_checked(at)).unwrap_or(("", before_value));
    let name = name.trim_start_matches(|letter: char| {
        !letter.is_alphanumeric() && !matches!(letter, '_' | '.' | '-')
    });
    let is_known = value.starts_with(REDACTED)
        || says_nothing(value.split_whitespace().next().unwrap_or_default());
    let is_option =
        (name.starts_with("--") || name.starts_with("-D")) && before.ends_with('=') && is_known;
    let is_link = before_arrow.is_some() && (value.starts_with(['/', '.']) || value.contains("--"));
    let word_before = before_name.rsplit(' ').next().unwrap_or_default();
    let is_verb = name == "pass" && VERBS.contains(&word_before)
        || name == "private" && word_before.ends_with(|l: char| l.is_alphabetic());
    let is_lookup = name == "passwd"
        && !value.trim().is_empty()
        && value.split_whitespace().all(|word| LOOKUPS.contains(&word));
    let is_package = name.find("--").is_some_and(|at| at > 0);
    let is_class = name.matches('.').count() > 1
        && name.rsplit('.').next().is_some_and(|last| last.starts_with(char::is_uppercase));
    is_option
        || is_link
        || is_package
        || is_class
        || is_verb
        || is_lookup
        || NO_VARIABLES.iter().any(|suffix| name.ends_with(suffix))
        || matches!(name, "PWD" | "OLDPWD") && value.starts_with('/')
}
