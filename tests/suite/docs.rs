//! Documents that tell of the program are true: generated from it, or compared with what it prints.
//!
//! `make bless` writes the generated ones again.

mod files;
mod reports;
mod tables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The names of all fields, at any depth.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    fields(value, &mut found);
    found
}

/// What the program prints for this machine, whatever its state.
fn printed(arguments: &[&str]) -> Value {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env_remove("DCOS_NODE_BOOTSTRAP_URL")
        .output()
        .expect("run dcos-node");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The fields that a table of a document names, in its first column.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.rsplit('.').next().unwrap_or(name).trim_end_matches("[]").to_owned())
        .collect()
}
