//! Text for people is the end of a road: it is never a path again, is not compared, and nothing is
//! read out of it. What a decision needs is a value with a type (`Object::path()`), and its
//! `Display` is for people alone.
//!
//! The rule reads tokens. It knows what makes a text (`.to_string()`, `.words()`, `.display()`) and
//! what takes one apart; a text that goes through a variable first is not followed.

use support::source::{File, Kind, Sources, Token, group_length};

use super::{at, finds, holds, is_in, src};

/// Methods that make a text of a value.
const MAKE: [&str; 4] = ["to_string", "words", "display", "describe_undo"];
/// Methods that take a text apart or look into it.
const TAKE_APART: [&str; 16] = [
    "contains",
    "ends_with",
    "eq_ignore_ascii_case",
    "find",
    "lines",
    "match_indices",
    "parse",
    "rsplit",
    "rsplit_once",
    "split",
    "split_once",
    "split_whitespace",
    "splitn",
    "starts_with",
    "strip_prefix",
    "strip_suffix",
];
/// Methods that compare with what they are given.
const COMPARE: [&str; 5] = ["contains", "ends_with", "starts_with", "strip_prefix", "eq"];
/// Functions that make a path of a text.
const PATHS: [(&str, &str); 4] =
    [("Path", "new"), ("PathBuf", "from"), ("OsStr", "new"), ("OsString", "from")];
/// Variables and fields that hold text for people, or the name of an action.
const FOR_PEOPLE: [&str; 5] = ["why", "reason", "cause", "cure", "key"];

/// Where a text is taken apart or made a path for a reason: the file, what it does, and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("dcos/layout", "PathBuf::from", "the one place that makes paths of names"),
    ("system/append", "Path::new", "a descriptor of this process, by its number"),
    ("system/archive", ".to_string().contains", "zstd has no code for it, only this text"),
    ("dcos/redact", "key.eq_ignore_ascii_case", "the name of a setting, not of an action"),
    ("system/unpack", "key.starts_with", "a key of a pax header, not of an action"),
    ("output/follow", "key.starts_with", "events name their action by its text"),
    ("output/record", "key.split_once", "the same"),
];

/// Where a text is made, by `value.method()`.
fn makes(tokens: &[Token], index: usize) -> bool {
    let is = |offset: usize, sign: &str| tokens.get(index + offset).is_some_and(|t| t.is(sign));
    let is_method = tokens.get(index + 1).is_some_and(|t| MAKE.contains(&t.text.as_str()));
    is(0, ".") && is_method && is(2, "(") && is(3, ")")
}

fn any_made(tokens: &[Token]) -> bool {
    (0..tokens.len()).any(|index| makes(tokens, index))
}

/// The call of one of these methods: `.contains(`.
fn method<'a>(tokens: &'a [Token], index: usize, names: &[&str]) -> Option<&'a Token> {
    let name = tokens.get(index + 1)?;
    let is_call = tokens.get(index)?.is(".") && tokens.get(index + 2)?.is("(");
    (is_call && name.kind == Kind::Word && names.contains(&name.text.as_str())).then_some(name)
}

/// What a file does with texts: the line, and the deed as the table names it.
fn deeds(file: &File) -> Vec<(usize, String)> {
    let tokens = &file.tokens;
    let mut found = Vec::new();
    for index in 0..tokens.len() {
        let (token, rest) = (&tokens[index], &tokens[index..]);
        let inside = |from: usize| {
            let group = rest.get(from..).unwrap_or_default();
            group.get(..group_length(group)).unwrap_or_default()
        };
        // Path::new(&x.to_string())
        for (of, new) in PATHS {
            let called = token.is_word(of)
                && rest.get(1).is_some_and(|t| t.is("::"))
                && rest.get(2).is_some_and(|t| t.is_word(new));
            let formats = || inside(3).iter().any(|t| t.is_word("format"));
            if called && (any_made(inside(3)) || formats()) {
                found.push((token.line, format!("{of}::{new}")));
            }
        }
        // x.to_string().contains(..), x.to_string() == y
        if makes(tokens, index) {
            let made = &rest[1].text;
            let after = rest.get(4..).unwrap_or_default();
            let after = match method(after, 0, &["as_str"]) {
                Some(_) => after.get(4..).unwrap_or_default(),
                None => after,
            };
            if let Some(name) = method(after, 0, &TAKE_APART) {
                found.push((token.line, format!(".{made}().{}", name.text)));
            }
            if is_comparison(after) {
                found.push((token.line, format!(".{made}() ==")));
            }
        }
        // y == x.to_string()
        if is_comparison(rest) && any_made(operand(&rest[2..])) {
            found.push((token.line, "== text".to_owned()));
        }
        // list.contains(&x.to_string())
        if let Some(name) = method(tokens, index, &COMPARE)
            && any_made(inside(2))
        {
            found.push((name.line, format!(".{}(text)", name.text)));
        }
        // Foreign { path: x.words().into() }
        if token.is_word("path") && rest.get(1).is_some_and(|t| t.is(":")) {
            let value = operand(&rest[2..]);
            if any_made(value) && value.windows(2).any(|w| w[0].is(".") && w[1].is_word("into")) {
                found.push((token.line, "path: text.into()".to_owned()));
            }
        }
        // why.contains(..)
        if let (true, Some(name)) =
            (FOR_PEOPLE.contains(&token.text.as_str()), method(tokens, index + 1, &TAKE_APART))
        {
            found.push((token.line, format!("{}.{}", token.text, name.text)));
        }
    }
    found
}

/// Whether `==` or `!=` begins here.
fn is_comparison(tokens: &[Token]) -> bool {
    let is = |offset: usize, sign: &str| tokens.get(offset).is_some_and(|t| t.is(sign));
    (is(0, "=") || is(0, "!")) && is(1, "=")
}

/// The tokens up to the end of an expression, groups kept whole.
fn operand(tokens: &[Token]) -> &[Token] {
    let ends = [",", ";", "{", "}", ")", "]", "=", "|"];
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_and = token.is("&") && tokens.get(at + 1).is_some_and(|t| t.is("&"));
        if ends.iter().any(|sign| token.is(sign)) || is_and {
            break;
        }
        at += group_length(&tokens[at..]).max(1);
    }
    &tokens[..at.min(tokens.len())]
}

/// Nothing is decided on display text.
fn display_text(sources: &Sources, elsewhere: &[(&str, &str, &str)]) -> Vec<String> {
    let (mut complaints, mut used) = (Vec::new(), vec![false; elsewhere.len()]);
    for file in &sources.files {
        for (line, deed) in deeds(file) {
            match elsewhere
                .iter()
                .position(|(place, known, _)| is_in(file, place) && *known == deed)
            {
                Some(reason) => used[reason] = true,
                None => complaints.push(at(file, line, &format!("{deed}: text decides nothing"))),
            }
        }
    }
    let unused = elsewhere.iter().zip(used).filter(|(_, used)| !used);
    complaints.extend(unused.map(|((place, deed, _), _)| {
        format!("src/{place}: {deed} is gone; so may be its reason in display_text.rs")
    }));
    complaints
}

#[test]
fn nothing_is_decided_on_display_text() {
    holds(&display_text(&src(), ELSEWHERE));
}

#[test]
fn a_decision_on_display_text_is_found() {
    let planted = Sources::of([
        (
            "plan/proof.rs",
            "fn a(o: &Object) -> bool { b(Path::new(&o.words())) }\n\
             fn c(o: &Object) { d == o.to_string() && e != Some(o.to_string().as_str()) }\n\
             fn f(o: &Object) { known.contains(&o.to_string()) }\n\
             fn g(o: &Object) { o.to_string().starts_with(\"the mount\") }\n\
             fn h(o: &Object) { o.words().as_str() == \"x\" }\n\
             fn sound(o: &Object) { i == j && k(o.to_string()) }\n",
        ),
        (
            "observe/look.rs",
            "fn a(o: &Object) { Foreign { path: o.words().into(), what: o.to_string() } }\n\
             fn b(u: &Unit) { u.why.contains(\"x\"); u.why.as_deref() }\n\
             fn c(path: &Path, n: u8) { PathBuf::from(format!(\"a{n}\")); Path::new(\"x\") }\n\
             #[cfg(test)] mod tests { fn d() { e.to_string().contains(\"x\") } }\n",
        ),
        ("dcos/layout.rs", "fn a(id: u8) { PathBuf::from(format!(\"a{id}\")) }\n"),
    ]);
    let reasons = [
        ("dcos/layout", "PathBuf::from", "paths are made here"),
        ("dcos/role", ".words() ==", "gone"),
    ];
    let expected = [
        "look.rs:1: path: text.into()",
        "look.rs:2: why.contains",
        "look.rs:3: PathBuf::from",
        "proof.rs:1: Path::new",
        "proof.rs:2: == text",
        "proof.rs:2: == text",
        "proof.rs:3: .contains(text)",
        "proof.rs:4: .to_string().starts_with",
        "proof.rs:5: .words() ==",
        "dcos/role: .words() == is gone",
    ];
    finds(&display_text(&planted, &reasons), &expected);
}
