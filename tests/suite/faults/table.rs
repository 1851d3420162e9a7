//! Each row of the table of faults names its test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::architecture::texts::names_of_tests;

/// The rows of a table of a document: the cells of each.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The names of all tests: those in every file of `tests/`, and the unit tests of `src/`.
fn tests_of_this_project() -> BTreeSet<String> {
    let (mut names, mut todo) = (
        BTreeSet::new(),
        ["tests", "src"].map(|part| Path::new(env!("CARGO_MANIFEST_DIR")).join(part)).to_vec(),
    );
    while let Some(place) = todo.pop() {
        if place.is_dir() {
            todo.extend(
                std::fs::read_dir(&place).expect("list").map(|entry| entry.expect("entry").path()),
            );
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&place).expect("a source");
            names.extend(names_of_tests(&text).into_iter().map(|(_, name)| name));
        }
    }
    names
}

#[test]
fn every_row_of_the_fault_table_names_an_existing_test() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md"))
            .expect("docs/faults.md");
    let (rows, tests) = (rows(&text), tests_of_this_project());
    assert!(rows.len() > 50, "the table has {} rows", rows.len());
    for row in rows {
        let [fault, _, _, test] = row.as_slice() else { panic!("four cells are wanted: {row:?}") };
        let named: Vec<&str> = test.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{fault}: no test");
        for name in named {
            assert!(tests.contains(name), "{fault}: there is no test {name}");
        }
    }
}
