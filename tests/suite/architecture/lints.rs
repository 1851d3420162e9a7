//! What the compiler and clippy refuse everywhere.

use support::source::{Kind, Sources};

use super::{at, finds, holds, manifest, paths, src};

/// The lints against code that panics; the first lines of the library and of the program deny them.
const PANICS: [&str; 6] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::unreachable",
    "clippy::indexing_slicing",
    "clippy::string_slice",
];

/// What panics is refused in the whole program, so that no input can end it.
fn panics(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        let denies = ["lib.rs", "main.rs"].contains(&file.path.as_str());
        for lint in PANICS {
            match paths(file).find(|(_, path)| path == lint) {
                None if denies => complaints.push(at(file, 1, &format!("does not deny {lint}"))),
                Some((line, _)) if !denies => {
                    complaints.push(at(file, line, &format!("lifts {lint}")))
                }
                _ => {}
            }
        }
    }
    complaints
}

#[test]
fn clippy_denies_code_that_panics() {
    holds(&panics(&src()));
}

#[test]
fn planted_permission_to_panic_is_found() {
    let all = format!("#![deny({})]\n", PANICS.join(", "));
    let some = all.replace("clippy::indexing_slicing, ", "");
    let planted = Sources::of([
        ("lib.rs", all.as_str()),
        ("main.rs", &some),
        ("dcos/id.rs", "\n#[allow(clippy::panic)]\nfn a() {}\n"),
    ]);
    finds(
        &panics(&planted),
        &["dcos/id.rs:2: lifts clippy::panic", "main.rs:1: does not deny clippy::indexing_slicing"],
    );
}

/// Unsafe code has one file, and the compiler refuses it elsewhere.
fn unsafe_code(manifest: &str, sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    if !manifest.lines().any(|line| line == "unsafe_code = \"deny\"") {
        complaints.push("Cargo.toml: [lints.rust] lacks unsafe_code = \"deny\"".to_owned());
    }
    for file in sources.files.iter().filter(|file| file.path != "system/kernel.rs") {
        let found = file
            .tokens
            .iter()
            .filter(|t| t.kind == Kind::Word && (t.text == "unsafe" || t.text == "unsafe_code"));
        complaints.extend(
            found.map(|t| at(file, t.line, &format!("{} outside system/kernel.rs", t.text))),
        );
    }
    complaints
}

#[test]
fn unsafe_code_has_one_file() {
    holds(&unsafe_code(&manifest("Cargo.toml"), &src()));
}

#[test]
fn planted_unsafe_code_is_found() {
    let planted = Sources::of([
        ("system/kernel.rs", "unsafe {}"),
        ("system/files.rs", "// unsafe\n#![allow(unsafe_code)]\nfn a() { unsafe { b() } }\n"),
    ]);
    finds(&unsafe_code("[lints.rust]\n", &planted), &["Cargo.toml", "files.rs:2", "files.rs:3"]);
}

/// The compiler refuses public items without documentation, everywhere.
fn documented(manifest: &str, sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    if !manifest.lines().any(|line| line == "missing_docs = \"deny\"") {
        complaints.push("Cargo.toml: [lints.rust] lacks missing_docs = \"deny\"".to_owned());
    }
    for file in &sources.files {
        let lifted =
            file.tokens.iter().filter(|t| t.kind == Kind::Word && t.text == "missing_docs");
        complaints.extend(lifted.map(|t| at(file, t.line, "lifts missing_docs")));
    }
    complaints
}

#[test]
fn every_public_item_is_documented() {
    holds(&documented(&manifest("Cargo.toml"), &src()));
}

#[test]
fn planted_missing_documentation_lint_is_found() {
    let planted = Sources::of([("dcos/id.rs", "#![allow(missing_docs)]\n")]);
    finds(&documented("missing_docs = \"warn\"\n", &planted), &["Cargo.toml", "dcos/id.rs:1"]);
}
