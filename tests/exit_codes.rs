//! Exit codes are part of the interface: automation decides by them, so none ever changes its number, its word or its meaning.

use dcos_node::dcos::exit::Exit;
use serde_json::json;

/// Every exit code with the word that JSON has for it.
const FROZEN: [(Exit, u8, &str); 12] = [
    (Exit::Done, 0, "done"),
    (Exit::Failed, 1, "failed"),
    (Exit::Usage, 2, "usage"),
    (Exit::Preflight, 3, "preflight"),
    (Exit::Warnings, 4, "warnings"),
    (Exit::Conflict, 5, "conflict"),
    (Exit::Integrity, 6, "integrity"),
    (Exit::NotReady, 7, "not-ready"),
    (Exit::Busy, 8, "busy"),
    (Exit::Residue, 9, "residue"),
    (Exit::Interrupted, 10, "interrupted"),
    (Exit::NotInstalled, 11, "not-installed"),
];

/// Where an exit code stands in the table. A new one does not compile until it has a row.
fn row(exit: Exit) -> usize {
    match exit {
        Exit::Done => 0,
        Exit::Failed => 1,
        Exit::Usage => 2,
        Exit::Preflight => 3,
        Exit::Warnings => 4,
        Exit::Conflict => 5,
        Exit::Integrity => 6,
        Exit::NotReady => 7,
        Exit::Busy => 8,
        Exit::Residue => 9,
        Exit::Interrupted => 10,
        Exit::NotInstalled => 11,
    }
}

#[test]
fn no_exit_code_changes_its_number_or_its_word() {
    for (index, (exit, code, word)) in FROZEN.into_iter().enumerate() {
        assert_eq!((row(exit), exit.code(), json!(exit)), (index, code, json!(word)));
    }
}
