//! Rules about the checkout as text: the names of tests, and the width of lines.

use std::path::Path;

use support::source::lines_of_unbreakable_literals;

use super::{finds, holds};

/// A name of a test has at most so many characters.
const MAX_TEST_NAME: usize = 60;
/// A line has at most so many characters.
const MAX_COLUMNS: usize = 100;
/// A line with a longer word cannot be broken where it should: a path, an address, an expression.
const LONG_WORD: usize = 60;
/// What building and git leave in the checkout.
const NOT_OURS: [&str; 4] = [".git", "corpus", "dist", "target"];

/// A file of the checkout.
struct Text {
    path: String,
    text: String,
}

impl Text {
    fn planted(path: &str, text: &str) -> Text {
        Text { path: path.to_owned(), text: text.to_owned() }
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, last)| extensions.contains(&last))
    }
}

/// The files of the checkout that people write and read.
fn texts() -> Vec<Text> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut texts, mut todo) = (Vec::new(), vec![top.to_owned()]);
    while let Some(place) = todo.pop() {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        if place.is_dir() && !NOT_OURS.contains(&name.as_ref()) {
            let listed = std::fs::read_dir(&place).expect("a directory can be listed");
            todo.extend(listed.map(|entry| entry.expect("an entry").path()));
        }
        let path = place.strip_prefix(top).expect("it is below the top").display().to_string();
        let mut text = Text { path, text: String::new() };
        if text.path == "Makefile" || text.has_extension(&["rs", "md", "yml", "sh", "toml"]) {
            text.text = std::fs::read_to_string(&place).expect("a text");
            texts.push(text);
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    texts
}

/// The names of the tests in a source, each with its line.
pub(crate) fn names_of_tests(source: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let mut is_test = false;
    for (number, line) in source.lines().map(str::trim).enumerate() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            is_test = false;
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            names.push((number + 1, name.to_owned()));
        }
    }
    names
}

/// Names of tests are short, so that they are read.
fn test_names(texts: &[Text]) -> Vec<String> {
    let mut complaints = Vec::new();
    for text in texts.iter().filter(|text| text.has_extension(&["rs"])) {
        for (line, name) in names_of_tests(&text.text) {
            let length = name.chars().count();
            if length > MAX_TEST_NAME {
                complaints.push(format!("{}:{line}: {name} has {length} characters", text.path));
            }
        }
    }
    complaints
}

#[test]
fn names_of_tests_are_short() {
    let texts = texts();
    let tests: usize = texts.iter().map(|text| names_of_tests(&text.text).len()).sum();
    assert!(tests > 700, "only {tests} tests were found");
    holds(&test_names(&texts));
}

#[test]
fn planted_long_test_name_is_found() {
    let (short, long) = ("a".repeat(MAX_TEST_NAME), "b".repeat(MAX_TEST_NAME + 1));
    let source = format!(
        "#[test]\nfn {short}() {{}}\n#[tokio::test]\n// why\nasync fn {long}() {{}}\nfn \
         {long}() {{}}\n"
    );
    let planted = [Text::planted("tests/suite/x.rs", &source), Text::planted("docs/x.md", &source)];
    finds(&test_names(&planted), &["tests/suite/x.rs:5: bb"]);
}

/// Lines are at most as long as rustfmt makes them.
///
/// Not counted: tables and code of Markdown, which cannot be wrapped or are output; literals that
/// are raw or have line breaks of their own, because a break would change their value; lines with a
/// word that is too long itself. Builds and recordings in `fixtures/` are data.
fn widths(texts: &[Text]) -> Vec<String> {
    let mut complaints = Vec::new();
    for text in texts {
        let is_markdown = text.has_extension(&["md"]);
        if text.path.starts_with("fixtures/") && !is_markdown {
            continue;
        }
        let literals = match text.has_extension(&["rs"]) {
            true => lines_of_unbreakable_literals(&text.text),
            false => Default::default(),
        };
        let mut is_code = false;
        for (number, line) in text.text.lines().enumerate() {
            is_code ^= is_markdown && line.trim_start().starts_with("```");
            let (columns, number) = (line.chars().count(), number + 1);
            let is_table = is_markdown && line.trim_start().starts_with('|');
            let has_long_word =
                line.split_whitespace().any(|word| word.chars().count() > LONG_WORD);
            let is_allowed = is_code || is_table || has_long_word || literals.contains(&number);
            if columns > MAX_COLUMNS && !is_allowed {
                complaints.push(format!("{}:{number}: has {columns} columns", text.path));
            }
        }
    }
    complaints
}

#[test]
fn lines_have_at_most_100_columns() {
    holds(&widths(&texts()));
}

#[test]
fn planted_long_line_is_found() {
    let long = "word ".repeat(MAX_COLUMNS / 5) + "more";
    let fenced = format!("{long}\n```\n{long}\n```\n| {long} |\n{}\n", "x".repeat(200));
    let source = format!(
        "// {long}\nlet a = r\"{long}\";\nlet b = \"\n{long}\n\";\nlet c = \"{long}\";\nlet d = \
         \"{long} \\\n{long}\";\n"
    );
    let planted = [
        Text::planted("docs/x.md", &fenced),
        Text::planted("src/x.rs", &source),
        Text::planted("Makefile", &format!("\t{long}\n")),
        Text::planted("fixtures/x.sh", &long),
    ];
    let expected =
        ["docs/x.md:1:", "src/x.rs:1:", "src/x.rs:6:", "src/x.rs:7:", "src/x.rs:8:", "Makefile:1:"];
    finds(&widths(&planted), &expected);
}
