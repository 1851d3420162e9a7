//! Nodes that the classic installer made, whole or half: uninstalled, adopted, and judged by what
//! stands.

mod adopted;
mod kept;
mod states;
mod uninstalled;

use std::process::{Command, Output};

use support::classic::Image;
use support::tree::Snapshot;

/// A package of the reference build.
const MARATHON: &str = "opt/mesosphere/packages/marathon--5daef719ec4a68fbd3b89f8ac419b637dea6df5c";

/// What account programs write beside the accounts, and data, which is kept.
const UNCOMPARED: [&str; 8] = [
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/.pwd.lock",
    "/var/lib/dcos",
];

fn run(image: &Image, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dcos-node"))
        .args(arguments)
        .arg("--root")
        .arg(image.root())
        .output()
        .expect("run")
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) {
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{all}");
    for text in texts {
        assert!(all.contains(text), "{text:?} is not in:\n{all}");
    }
}

fn seen(image: &Image) -> Snapshot {
    let mut snapshot = Snapshot::of(image.root());
    snapshot.paths.retain(|path, _| !UNCOMPARED.iter().any(|other| path.starts_with(other)));
    snapshot
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}
