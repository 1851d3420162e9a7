//! Text for people is the end of a road: it is never a path again, is not compared, and nothing is
//! read out of it. What a decision needs is a value with a type (`Object::path()`), and its
//! `Display` is for people alone.
//!
//! The rule reads tokens. It knows what makes a text (`.to_string()`, `.words()`, `.display()`,
//! `format!`), which names and fields hold one, and what takes one apart. It follows a text into a
//! variable up to the end of the block, and into the parameter of a closure.

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
/// Variables and fields that hold text for people.
const FOR_PEOPLE: [&str; 6] = ["why", "reason", "cause", "cure", "note", "waits_for"];
/// Names that hold text for people where they are fields; variables of these names hold files.
const FIELDS: [&str; 2] = ["text", "what"];
/// Methods that hand a text on as it is, or a part of it.
const HAND_ON: [&str; 13] = [
    "as_deref",
    "as_ref",
    "as_str",
    "clone",
    "cloned",
    "iter",
    "into_iter",
    "to_lowercase",
    "trim",
    "trim_end",
    "trim_start",
    "unwrap_or",
    "unwrap_or_default",
];
/// Methods that give what they have to a closure.
const GIVE: [&str; 9] =
    ["and_then", "any", "all", "filter", "find", "is_none_or", "is_some_and", "map", "position"];

/// Where a text is taken apart or made a path for a reason: the file, what it does, and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("dcos/layout", "PathBuf::from", "the one place that makes paths of names"),
    ("dcos/store", "PathBuf::from", "the same, for the stores of packages"),
    ("system/append", "Path::new", "a descriptor of this process, by its number"),
    ("action/network", "text ==", "receipts name a route, a rule or a service by this line"),
    ("cli/refusal", "text.strip_prefix", "clap has no call for the cause without the word before"),
    ("dcos/firewall", "text.contains", "the line that iptables -S prints"),
    ("output/failure", "text ==", "the same words are not printed twice; nothing else follows"),
    ("output/watch", "text ==", "the same line is not printed twice; nothing else follows"),
    ("fuzz", "text.contains", "looks for a password in what was redacted"),
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
        // why.contains(..), unit.text == ..
        let is_field = index > 0 && tokens[index - 1].is(".");
        if FOR_PEOPLE.contains(&token.text.as_str())
            || is_field && FIELDS.contains(&token.text.as_str())
        {
            let uses = uses(tokens, index, &token.text);
            found.extend(uses);
        }
        // let x = format!(..); x.contains(..)
        if let Some((name, from)) = made_variable(tokens, index) {
            for at in from..block_end(tokens, from) {
                let is_field = tokens[at - 1].is(".");
                if tokens[at].is_word(name) && !is_field && !FOR_PEOPLE.contains(&name) {
                    found.extend(uses(tokens, at, "text"));
                }
            }
        }
    }
    found
}

/// What is done with the text at this place; it is called `name` in the table.
fn uses(tokens: &[Token], index: usize, name: &str) -> Vec<(usize, String)> {
    let line = tokens[index].line;
    let mut found = Vec::new();
    let mut at = index + 1;
    while method(tokens, at, &HAND_ON).is_some() {
        at += 2 + group_length(&tokens[at + 2..]);
    }
    let after = &tokens[at..];
    if let Some(deed) = method(tokens, at, &TAKE_APART) {
        let gives = GIVE.contains(&deed.text.as_str()) && after.get(3).is_some_and(|t| t.is("|"));
        if !gives {
            found.push((line, format!("{name}.{}", deed.text)));
        }
    }
    // A value of an enum is no text.
    let is_typed = || operand(&after[2..]).iter().any(|t| t.is("::") || t.is_word("None"));
    if is_comparison(after) && !is_typed() {
        found.push((line, format!("{name} ==")));
    }
    // Path::new(&why)
    let mut first = index;
    while first >= 2 && tokens[first - 1].is(".") && tokens[first - 2].kind == Kind::Word {
        first -= 2;
    }
    let before = |offset: usize| first.checked_sub(offset).and_then(|at| tokens.get(at));
    let borrow = usize::from(before(1).is_some_and(|t| t.is("&")));
    let word = |offset: usize, word: &str| before(offset + borrow).is_some_and(|t| t.is_word(word));
    for (of, new) in PATHS {
        if word(2, new) && word(4, of) {
            found.push((line, format!("{of}::{new}")));
        }
    }
    // why.is_some_and(|text| text.contains(..))
    if method(tokens, at, &GIVE).is_some()
        && after.get(3).is_some_and(|t| t.is("|"))
        && after.get(5).is_some_and(|t| t.is("|"))
    {
        let (parameter, end) = (&after[4].text, at + 2 + group_length(&after[2..]));
        let is_parameter = |at: &usize| tokens[*at].is_word(parameter) && !tokens[at - 1].is(".");
        let inner = (at + 6..end).filter(is_parameter);
        // Those names are looked at by themselves.
        let inner = inner.filter(|_| !FOR_PEOPLE.contains(&parameter.as_str()));
        found.extend(inner.flat_map(|at| uses(tokens, at, name)));
    }
    found
}

/// A variable that a text is put into, and where the block goes on after that.
fn made_variable(tokens: &[Token], index: usize) -> Option<(&str, usize)> {
    let (name, equals) = (tokens.get(index + 1)?, tokens.get(index + 2)?);
    if !tokens[index].is_word("let") || name.kind != Kind::Word || !equals.is("=") {
        return None;
    }
    let value = operand(&tokens[index + 3..]);
    let end = index + 3 + value.len();
    let is_format = value.first().is_some_and(|t| t.is_word("format"));
    let is_made = value.len() >= 4 && makes(value, value.len() - 4);
    let is_text = value.first().is_some_and(|t| !t.is("|")) && (is_format || is_made);
    (is_text && tokens.get(end)?.is(";")).then_some((name.text.as_str(), end + 1))
}

/// Where the block ends that this place is in.
fn block_end(tokens: &[Token], from: usize) -> usize {
    let mut at = from;
    while tokens.get(at).is_some_and(|token| !token.is("}")) {
        at += group_length(&tokens[at..]).max(1);
    }
    at.min(tokens.len())
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
        (
            "command/variable.rs",
            "fn a(o: &Object) { let x = o.to_string(); x.trim().starts_with(\"the \") }\n\
             fn b(o: &Object) { let x = format!(\"{o}\"); if c { x == d } }\n\
             fn e(o: &Object) { let x = o.words(); Path::new(&x) }\n\
             fn sound(o: &Object) { { let x = format!(\"{o}\"); f(x); } x.contains(\"x\") }\n",
        ),
        (
            "command/field.rs",
            "fn a(i: &Item) { i.what == j; i.text.strip_prefix(\"x\"); Path::new(&i.what) }\n\
             fn b(u: &Unit) { u.why.as_deref().unwrap_or_default().contains(\"x\") }\n\
             fn c(u: &Unit) { u.note.as_deref().is_some_and(|n| n.contains(\"x\")) }\n\
             fn d(all: &[Item]) { all.iter().any(|i| i.what.as_str() == \"x\") }\n\
             fn sound(u: &Unit, text: &str) { u.why != None; text.contains(\"x\"); what == y }\n",
        ),
        ("dcos/layout.rs", "fn a(id: u8) { PathBuf::from(format!(\"a{id}\")) }\n"),
    ]);
    let reasons = [
        ("dcos/layout", "PathBuf::from", "paths are made here"),
        ("dcos/role", ".words() ==", "gone"),
    ];
    let expected = [
        "field.rs:1: what ==",
        "field.rs:1: text.strip_prefix",
        "field.rs:1: Path::new",
        "field.rs:2: why.contains",
        "field.rs:3: note.contains",
        "field.rs:4: what ==",
        "variable.rs:1: text.starts_with",
        "variable.rs:2: text ==",
        "variable.rs:3: Path::new",
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
