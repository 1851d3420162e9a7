//! Which module may use which, without circles, and which crates have one place.

use std::collections::{BTreeMap, BTreeSet};

use support::source::{Kind, Sources, circles};

use super::{at, finds, holds, is_below, is_in, paths, src};

/// What each room may use: a room, or a file of it where only that is allowed.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("lib", &[]),
    // The wiring hands on the value of a command, and makes what commands work with.
    ("main", &["cli", "command", "output", "preflight::report", "action::site", "dcos", "system"]),
    // What was typed becomes a request of a command.
    ("cli", &["command", "dcos"]),
    // What is printed, and nothing that does anything.
    (
        "output",
        &[
            "command",
            "preflight",
            "plan",
            "observe::node",
            "observe::readiness",
            "observe::services",
            "dcos",
        ],
    ),
    ("command", &["plan", "preflight", "observe", "action", "dcos", "system"]),
    ("plan", &["action", "observe", "dcos"]),
    ("preflight", &["observe", "dcos"]),
    ("observe", &["system", "dcos"]),
    ("action", &["system", "dcos"]),
    ("dcos", &[]),
    ("system", &[]),
    // Bodies for fuzzing, which nothing of the program calls.
    ("fuzz", &["dcos", "system"]),
];

/// Crates that one file alone knows, with the files below it.
const ONLY_IN: [(&str, &str); 9] = [
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("zbus", "system/systemd"),
    ("reqwest", "system/http"),
    // Its errors are looked into by the client as well.
    ("hyper", "system"),
    ("hyper::server", "system/server"),
    ("hyper::service", "system/server"),
    ("http_body_util", "system/server"),
];

/// No import runs upward: each room uses only what the table allows.
fn rooms(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        let Some((_, allowed)) = MAY_USE.iter().find(|(room, _)| *room == file.room()) else {
            complaints.push(at(file, 1, "is in a room that DESIGN.md does not have"));
            continue;
        };
        for (line, path) in paths(file) {
            let Some(ours) = path.strip_prefix("crate::") else { continue };
            let own = is_below(ours, file.room()) || file.room() == "lib";
            if !own && !allowed.iter().any(|room| is_below(ours, room)) {
                complaints.push(at(file, line, &format!("{} may not use {path}", file.room())));
            }
        }
    }
    complaints
}

#[test]
fn modules_import_nothing_from_above() {
    holds(&rooms(&src()));
}

#[test]
fn planted_upward_import_is_found() {
    let planted = Sources::of([
        (
            "plan/mod.rs",
            "//! crate::cli\n\
             /* use crate::cli; /* x */ */\n\
             use crate::{action::Action, system::files::{self, FileKind}};\n",
        ),
        (
            "dcos/id.rs",
            "fn a() { let _ = \"crate::cli\"; }\n\
             fn b() { super::super::system::clock::now(); }\n\
             #[cfg(test)]\n\
             mod tests { use crate::cli; }\n",
        ),
        ("output/mod.rs", "use crate::observe::services;\nuse crate::observe::host::Host;\n"),
        ("main.rs", "use dcos_node::observe;\nuse dcos_node::action::site::Stop;\n"),
        ("cellar/mod.rs", ""),
        ("action/mod.rs", "#[cfg(test)] mod tests;\nuse super::dcos;\n"),
        ("action/tests.rs", "use crate::cli;\n"),
    ]);
    let expected = [
        "cellar/mod.rs:1",
        "dcos/id.rs:2",
        "main.rs:1",
        "output/mod.rs:2",
        "plan/mod.rs:3",
        "plan/mod.rs:3",
    ];
    finds(&rooms(&planted), &expected);
}

/// No files import each other in a circle.
///
/// An edge leads from a file to the one where the used thing is made: re-exports are followed. To
/// declare a module, or to hand on a name with `pub use` without using it, is no use. So a `mod.rs`
/// that only holds its room together is in no circle, and one with types of its own that the files
/// below it use is in one as soon as it calls these files.
fn no_circles(sources: &Sources) -> Vec<String> {
    let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (index, file) in sources.files.iter().enumerate() {
        for named in &file.named {
            let name = named.imported_as.as_deref().unwrap_or_default();
            let used_here = || {
                file.tokens.iter().filter(|t| t.kind == Kind::Word && t.text == name).count() > 1
            };
            if named.handed_on && !used_here() {
                continue;
            }
            let target =
                sources.target(&file.absolute(&named.segments)).filter(|target| *target != index);
            edges.entry(index).or_default().extend(target);
        }
    }
    let name = |index: &usize| format!("src/{}", sources.files[*index].path);
    circles(&edges)
        .iter()
        .map(|circle| {
            format!(
                "{} use each other in a circle",
                circle.iter().map(name).collect::<Vec<_>>().join(" -> ")
            )
        })
        .collect()
}

#[test]
fn no_files_import_each_other() {
    holds(&no_circles(&src()));
}

#[test]
fn planted_import_circle_is_found() {
    let planted = Sources::of([
        ("lib.rs", "pub mod a;\npub mod b;\npub mod c;\n"),
        ("a.rs", "use crate::b::thing as other;\n"),
        ("b.rs", "fn x() { crate::c::Made::new() }\n"),
        ("c/mod.rs", "mod made;\npub use made::Made;\n"),
        ("c/made.rs", "pub struct Made(super::super::a::A);\nfn x() { self::y() }\n"),
    ]);
    finds(&no_circles(&planted), &["src/a.rs -> src/b.rs -> src/c/made.rs"]);
    let sound = Sources::of([
        ("c/mod.rs", "mod made;\nmod kind;\npub use made::Made;\npub use kind::Kind;\n"),
        ("c/made.rs", "use super::Kind;\n"),
        ("c/kind.rs", ""),
    ]);
    finds(&no_circles(&sound), &[]);
    let handed_on_and_used = Sources::of([
        ("c/mod.rs", "mod made;\npub use made::Made;\npub struct Two(Made, Made);\n"),
        ("c/made.rs", "use super::Two;\n"),
    ]);
    finds(&no_circles(&handed_on_and_used), &["src/c/made.rs -> src/c/mod.rs"]);
}

/// Crates of the outside each have one place.
fn crates(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        for (line, path) in paths(file) {
            for (name, place) in ONLY_IN.iter().filter(|(name, _)| is_below(&path, name)) {
                if !is_in(file, place) {
                    complaints.push(at(file, line, &format!("{name} belongs into {place} alone")));
                }
            }
        }
    }
    complaints
}

#[test]
fn restricted_crates_are_used_in_one_module_each() {
    holds(&crates(&src()));
}

#[test]
fn planted_second_use_of_a_crate_is_found() {
    let planted = Sources::of([
        ("cli.rs", "use clap::Parser;\n"),
        ("main.rs", "#[derive(clap::Parser)]\nstruct A;\n"),
        ("system/systemd/bus.rs", "use zbus::proxy;\n"),
        ("system/label.rs", "// zbus::x\nuse {reqwest as r, zbus::names};\n"),
    ]);
    finds(
        &crates(&planted),
        &["main.rs:1: clap", "system/label.rs:2: reqwest", "system/label.rs:2: zbus"],
    );
}
