//! The rules of the house: which room may use which, and what may stand where. They are read off
//! the sources as text, without the compiler.
//!
//! Every rule is a function from sources to complaints; beside its test on `src/` stands one that
//! plants a violation, so that no rule is one that cannot fail.

mod advice;
mod display_text;
mod effects;
mod hands;
mod imports;
mod lints;
mod methods;
mod one_of_each;
mod purity;
mod sizes;
pub(crate) mod texts;
mod waits;

use std::path::Path;

use support::source::{File, Kind, Sources};

/// What touches files and runs programs.
const HANDS: [&str; 5] =
    ["std::fs", "std::os::unix::fs", "std::process::Command", "tokio::fs", "tokio::process"];

fn src() -> Sources {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.files.iter().any(|file| file.path == "main.rs"), "the sources were not found");
    sources
}

fn manifest(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[track_caller]
fn holds(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The rule finds these violations, one word of each complaint given, and no other.
#[track_caller]
fn finds(complaints: &[String], expected: &[&str]) {
    let told = complaints.len() == expected.len()
        && complaints.iter().zip(expected).all(|(complaint, words)| complaint.contains(words));
    assert!(told, "expected {expected:?}, found {complaints:#?}");
}

fn at(file: &File, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", file.path)
}

/// Whether a file is this one (named without `.rs`), or one of those below it.
fn is_in(file: &File, place: &str) -> bool {
    file.path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Whether a path lies at or below another one.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path of a file, absolute, with its line.
fn paths(file: &File) -> impl Iterator<Item = (usize, String)> {
    file.named.iter().map(|named| (named.line, file.absolute(&named.segments).join("::")))
}

/// Paths of files that are at or below one of these.
fn uses<'a>(
    file: &'a File,
    forbidden: &'a [&'a str],
) -> impl Iterator<Item = (usize, String)> + 'a {
    paths(file).filter(|(_, path)| forbidden.iter().any(|above| is_below(path, above)))
}
