//! How long files are, what they are named, and what the top directory has.

use std::collections::BTreeSet;
use std::path::Path;

use support::source::{Kind, Sources};

use super::{at, finds, holds, src};

/// A longer file is two nouns.
const MOST_LINES: usize = 450;
/// `main.rs` is wiring: what has to be decided is decided in a room.
const MOST_LINES_OF_MAIN: usize = 150;
/// Names for whatever had no place.
const DRAWERS: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "handler", "handlers", "misc"];

/// What may stand at the top, beside dotfiles and what building leaves there (`target`, `dist`).
const TOP: [&str; 17] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "benches",
    "build.rs",
    "deny.toml",
    "docs",
    "examples",
    "fixtures",
    "fuzz",
    "src",
    "tests",
    "units",
];

#[test]
fn top_directory_has_only_the_listed_entries() {
    let listed = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let names = listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let found: BTreeSet<String> =
        names.filter(|name| !name.starts_with('.') && name != "target" && name != "dist").collect();
    assert_eq!(found, TOP.map(str::to_owned).into());
}

/// Files are short, and none is a drawer.
fn sizes_and_names(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        let most = if file.path == "main.rs" { MOST_LINES_OF_MAIN } else { MOST_LINES };
        if file.lines > most {
            complaints.push(at(file, file.lines, &format!("is longer than {most} lines")));
        }
        let inline = file
            .tokens
            .windows(2)
            .filter(|w| w[0].kind == Kind::Word && w[0].text == "mod" && w[1].kind == Kind::Word);
        let drawers = inline
            .map(|w| (w[1].line, w[1].text.as_str()))
            .chain(file.module.last().map(|name| (1, name.as_str())));
        complaints.extend(
            drawers
                .filter(|(_, name)| DRAWERS.contains(name))
                .map(|(line, name)| at(file, line, &format!("{name} is no noun of ours"))),
        );
    }
    complaints
}

#[test]
fn source_files_are_short_and_named_by_content() {
    holds(&sizes_and_names(&src()));
}

#[test]
fn test_files_are_short_and_named_by_content() {
    for directory in ["tests/suite", "tests/nodes", "tests/alone", "tests/support"] {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        holds(&sizes_and_names(&Sources::read(&tests)));
    }
}

#[test]
fn planted_long_file_and_vague_name_are_found() {
    let (long, wiring) = ("\n".repeat(MOST_LINES + 1), "\n".repeat(MOST_LINES_OF_MAIN + 1));
    let planted = Sources::of([
        ("dcos/id.rs", long.as_str()),
        ("dcos/util.rs", ""),
        ("dcos/role.rs", "pub fn a() {}\npub mod common { }\n"),
        ("main.rs", wiring.as_str()),
    ]);
    finds(
        &sizes_and_names(&planted),
        &["dcos/id.rs:451", "dcos/role.rs:2", "dcos/util.rs:1", "main.rs:151"],
    );
    let planted = Sources::of([("ready.rs", long.as_str()), ("ready/cluster.rs", "")]);
    finds(&sizes_and_names(&planted), &["ready.rs:451"]);
}
