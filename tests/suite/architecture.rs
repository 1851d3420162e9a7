//! The rules of the house: which room may use which, and what may stand where. They are read off
//! the sources as text, without the compiler.
//!
//! Every rule is a function from sources to complaints; beside its test on `src/` stands one that
//! plants a violation, so that no rule is one that cannot fail.
mod advice;
mod display_text;
mod effects;
mod methods;
mod one_of_each;
pub(crate) mod texts;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use support::source::{File, Kind, Sources, circles};

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

/// What prints.
const PRINTING: [&str; 4] = ["print", "println", "eprint", "eprintln"];
/// Where print goes.
const TERMINAL: [&str; 2] = ["std::io::stdout", "std::io::stderr"];
/// What touches files and runs programs.
const HANDS: [&str; 5] =
    ["std::fs", "std::os::unix::fs", "std::process::Command", "tokio::fs", "tokio::process"];

/// Programs of the machine that are run. All else is done by system calls, netlink and D-Bus, so
/// that nothing hangs on a shell, a `PATH` or a wording. `iptables` has a name for each flavour of
/// its tables besides.
const PROGRAMS: [&str; 12] = [
    "useradd",
    "userdel",
    "groupadd",
    "groupdel",
    "iptables",
    "ip6tables",
    "iptables-legacy",
    "ip6tables-legacy",
    "iptables-nft",
    "ip6tables-nft",
    "ipset",
    "restorecon",
];
/// Where those are named, and where programs are started.
const NAMED_IN: &str = "system/program";
const STARTED_IN: &str = "system/process";
/// What runs any other file, and who may: DC/OS' own checks and detection scripts, those of an
/// operator, and the interpreter that a script names.
const SCRIPTS: [(&str, &[&str]); 2] = [
    ("crate::system::program::Program::script", &["observe/checks", "observe/cluster", STARTED_IN]),
    ("crate::system::process::run_script", &["observe/ip_detect"]),
];

/// Rooms that only think.
const PURE: [&str; 3] = ["dcos", "plan", "preflight"];
/// What a pure room has no use for, besides [`HANDS`].
const IMPURE: [&str; 12] = [
    "std::process",
    "std::env",
    "std::thread",
    "std::time::SystemTime::now",
    "std::time::Instant",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os",
    "tokio",
    "nix",
];
/// Methods of `Path` that look at the disk.
const LOOKING: [&str; 10] = [
    "exists",
    "try_exists",
    "is_file",
    "is_dir",
    "is_symlink",
    "metadata",
    "symlink_metadata",
    "read_dir",
    "read_link",
    "canonicalize",
];

/// Literals elsewhere than in `dcos/layout.rs` that begin with a slash: in which file (or file with
/// the files below it), how they begin, and why none of them belongs to the layout of a node. `/`
/// stands for itself only.
const PATHS_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "action/account",
        "/usr/sbin:/usr/bin:",
        "where this machine has programs; the node may be a directory",
    ),
    ("cli", "/", "the node is this machine unless --root says otherwise"),
    ("command/world", "/", "the node's root itself, for the name of its lock"),
    ("dcos/bundle", "/etc/", "a table of what a bundle holds, each with its name there"),
    ("dcos/bundle", "/opt/", "the same"),
    ("dcos/bundle", "/proc/", "the same"),
    ("dcos/bundle", "/var/", "the same"),
    ("dcos/cluster", "/dcos-metadata/", "a path of Admin Router's HTTP interface"),
    ("dcos/cluster", "/exhibitor/", "a path of Exhibitor's HTTP interface"),
    ("dcos/cluster", "/metrics/", "a path of Mesos' HTTP interface"),
    ("dcos/data", "/etc/", "a table of places with data, each with what it holds"),
    ("dcos/data", "/var/", "the same"),
    ("dcos/leftovers", "/etc/", "a table of what DC/OS leaves, each with who makes it"),
    ("dcos/leftovers", "/opt/", "the same"),
    ("dcos/leftovers", "/run/", "the same"),
    ("dcos/leftovers", "/tmp/", "the same"),
    ("dcos/installer_script", "/bootstrap/", "in the middle of a URL"),
    ("dcos/installer_script", "/ln", "the end of a path in a unit that is read"),
    ("dcos/network", "/rp_filter", "the end of a setting's name"),
    ("dcos/work", "/state", "a path of Mesos' HTTP interface"),
    ("dcos/work", "/slaves", "a path of Mesos' HTTP interface"),
    ("observe/docker", "/version", "a path of docker's HTTP interface"),
    ("observe/docker", "/info", "a path of docker's HTTP interface"),
    ("observe/host", "/containers/json", "a path of docker's HTTP interface"),
    (
        "system/resolver",
        "/etc/hosts",
        "of this machine, for its own lookups, as the resolver's servers",
    ),
    ("system/append", "/proc/self/fd/", "a descriptor of this process"),
    ("system/http", "/", "between a name and a version"),
    ("system/kernel", "/proc/self/task", "the threads of this process"),
    ("system/journald", "/proc/sys/kernel/random/", "the kernel's, of this machine"),
    ("system/journal_socket", "/proc/self/fd/", "a descriptor of this process"),
    ("system/label", "/etc/selinux/", "SELinux' own; looked for below the root"),
    ("system/label", "/usr/sbin:/usr/bin:", "where this machine has programs"),
    ("system/label", "/sys/fs/selinux/", "the kernel's; looked for below the root"),
    (
        "system/mount_points",
        "/proc/self/mountinfo",
        "what is mounted, for deletions on this machine",
    ),
    ("system/mounts", "/", "the directory above all others"),
    (
        "system/mounts",
        "/proc",
        "the kernel's, of this machine: what is mounted changes when this process is sealed",
    ),
    ("system/files/held", "/", "where an absolute path begins"),
    ("system/server", "/proc/self/fd/", "where a file of this process really is"),
    ("system/process/place", "/tmp/", "where a directory is made for scripts of this machine"),
    ("system/confine", "/proc/self/", "what the kernel says of this process, and this program"),
    ("system/confine/limits", "/proc/", "what the kernel counts of a script's processes"),
    ("system/confine/notices", "/proc", "the processes of a script"),
    ("system/confine/notices", "/var/run/nscd/socket", "where the C library looks on this machine"),
    ("system/confine/notices", "/run/nscd/socket", "where the C library looks on this machine"),
    (
        "system/confine/notices",
        "/var/run/.nscd_socket",
        "where the C library looks on this machine",
    ),
    ("system/confine/processes", "/proc", "the processes of a script"),
    ("system/confine/supervise", "/tmp", "where scripts of this machine write"),
    ("system/confine/view", "/", "the root of this process, and the view that replaces it"),
    ("system/confine/view", "/dev", "devices of this machine"),
    ("system/confine/view", "/proc", "the processes of this machine"),
    ("system/confine/view", "/sys", "the kernel's, of this machine"),
    ("system/confine/view", "/tmp", "where scripts of this machine write"),
    ("system/confine/view", "/var/", "where scripts of this machine write"),
    (
        "system/process",
        "/",
        "the working directory of programs; the beginning of an interpreter's path",
    ),
    ("system/root", "/", "the root that is this machine's"),
    ("system/seal", "/", "the root of this process, whatever node it looks at"),
    ("system/seal", "/proc/self/", "what the kernel tells of this process"),
    ("system/seal", "/dev/", "devices of this machine"),
    ("system/seal", "/tmp", "where programs of this machine write"),
    ("system/systemd/sockets", "/run/dbus/", "a default of `Sockets`, which tests replace"),
    ("system/systemd/sockets", "/run/systemd/", "a default of `Sockets`, which tests replace"),
    ("system/systemd", "/org/freedesktop/", "an object of D-Bus"),
    ("system/systemd/fake", "/etc/systemd/system", "systemd's own, which the fake plays"),
    ("system/systemd/fake", "/dev/null", "the target of the link that masks a unit"),
    ("system/systemd/fake", "/", "taken off a path to put it below the fake's root"),
    ("system/unpack", "/", "in the names of an archive's members"),
];

/// A longer file is two nouns.
const MOST_LINES: usize = 450;
/// `main.rs` is wiring: what has to be decided is decided in a room.
const MOST_LINES_OF_MAIN: usize = 150;
/// Names for whatever had no place.
const DRAWERS: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "handler", "handlers", "misc"];

/// The functions of `std::fs`, which `.clippy.toml` refuses outside `system/`.
const FS_FUNCTIONS: [&str; 19] = [
    "canonicalize",
    "copy",
    "create_dir",
    "create_dir_all",
    "exists",
    "hard_link",
    "metadata",
    "read",
    "read_dir",
    "read_link",
    "read_to_string",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
    "set_permissions",
    "soft_link",
    "symlink_metadata",
    "write",
];
/// The types that do the same.
const HANDS_AS_TYPES: [&str; 5] = [
    "std::fs::File",
    "std::fs::OpenOptions",
    "std::fs::DirBuilder",
    "std::process::Command",
    "tokio::process::Command",
];

/// The lints against code that panics; the first lines of the library and of the program deny them.
const PANICS: [&str; 6] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::unreachable",
    "clippy::indexing_slicing",
    "clippy::string_slice",
];

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

/// One room prints.
fn printing(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources.files.iter().filter(|file| file.room() != "output") {
        for pair in file.tokens.windows(2) {
            if pair[0].kind == Kind::Word
                && PRINTING.contains(&pair[0].text.as_str())
                && pair[1].text == "!"
            {
                complaints.push(at(
                    file,
                    pair[0].line,
                    &format!("{}! outside output/", pair[0].text),
                ));
            }
        }
        complaints.extend(
            uses(file, &TERMINAL)
                .map(|(line, path)| at(file, line, &format!("{path} outside output/"))),
        );
    }
    complaints
}

#[test]
fn only_output_prints() {
    holds(&printing(&src()));
}

#[test]
fn planted_print_outside_output_is_found() {
    let planted = Sources::of([
        ("output/mod.rs", "fn a() { println!(); }\n"),
        (
            "plan/mod.rs",
            "use std::io;\nfn a() { let print = 1;\n eprintln!(\"x\");\n io::stdout().lock(); }\n",
        ),
    ]);
    finds(&printing(&planted), &["plan/mod.rs:3: eprintln", "plan/mod.rs:4: std::io::stdout"]);
}

/// One room touches files and runs programs.
fn hands(sources: &Sources) -> Vec<String> {
    let elsewhere = sources.files.iter().filter(|file| file.room() != "system");
    elsewhere
        .flat_map(|file| {
            uses(file, &HANDS)
                .map(|(line, path)| at(file, line, &format!("{path} outside system/")))
        })
        .collect()
}

#[test]
fn only_system_touches_files_and_runs_programs() {
    holds(&hands(&src()));
}

#[test]
fn planted_file_access_outside_system_is_found() {
    let planted = Sources::of([
        ("system/files.rs", "use std::fs;\n"),
        (
            "action/place.rs",
            "use std::{io, fs::{self, File as Disk}};\n\
             fn a() { fs::read(); Disk::open(); }\n\
             fn b() { std::process::id(); }\n",
        ),
        ("command/mod.rs", "fn a() { tokio::process::Command::new(\"x\"); }\n"),
    ]);
    let expected = [
        "place.rs:1: std::fs ",
        "place.rs:1: std::fs::File",
        "place.rs:2: std::fs::read",
        "place.rs:2: std::fs::File::open",
        "command/mod.rs:1",
    ];
    finds(&hands(&planted), &expected);
}

/// Every program that is run is named in one file, of a short list, and started in another one;
/// only a few files may run a script.
fn programs(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &sources.files {
        let names = file.tokens.iter().filter(|t| {
            is_in(file, NAMED_IN) && t.kind == Kind::Text && !PROGRAMS.contains(&t.text.as_str())
        });
        complaints.extend(
            names.map(|t| {
                at(file, t.line, &format!("\"{}\" is no program that may be run", t.text))
            }),
        );
        for (line, path) in paths(file) {
            if path.ends_with("::process::Command::new") && !is_in(file, STARTED_IN) {
                complaints.push(at(file, line, &format!("{path} outside {STARTED_IN}")));
            }
            for (_, may) in SCRIPTS.iter().filter(|(script, may)| {
                path == *script && !may.iter().any(|place| is_in(file, place))
            }) {
                complaints.push(at(file, line, &format!("{path} is for {} alone", may.join(", "))));
            }
        }
    }
    let named = |program: &str| {
        sources
            .files
            .iter()
            .any(|file| is_in(file, NAMED_IN) && file.tokens.iter().any(|t| t.text == program))
    };
    complaints.extend(
        PROGRAMS
            .iter()
            .filter(|program| !named(program))
            .map(|program| format!("src/{NAMED_IN}.rs: {program} is gone")),
    );
    complaints
}

#[test]
fn only_listed_programs_are_run() {
    holds(&programs(&src()));
}

#[test]
fn planted_unlisted_program_is_found() {
    let table = format!(
        "fn a() {{ {:?}; \"usermod\" }}\npub struct Program;\n",
        PROGRAMS.map(str::to_owned)
    );
    let planted = Sources::of([
        ("system/program.rs", table.as_str()),
        (
            "system/process.rs",
            "fn a() { tokio::process::Command::new(\"x\"); super::program::Program::script(\"x\"); \
             }\n",
        ),
        ("system/label.rs", "use std::process::Command;\nfn a() { Command::new(\"chcon\"); }\n"),
        (
            "observe/checks.rs",
            "use crate::system::program::Program;\nfn a() { Program::script(\"x\"); }\n",
        ),
        (
            "action/account.rs",
            "use crate::system::{process, program::Program as File};\nfn a() { \
             File::script(\"x\"); process::run_script(\"x\"); }\n",
        ),
    ]);
    let expected = [
        "account.rs:2: crate::system::program",
        "account.rs:2: crate::system::process",
        "label.rs:2",
        "program.rs:1: \"usermod\"",
    ];
    finds(&programs(&planted), &expected);
    finds(
        &programs(&Sources::of([("system/program.rs", table.replace("ipset", "ipsets").as_str())])),
        &["\"ipsets\"", "\"usermod\"", "ipset is gone"],
    );
}

/// What clippy must refuse for the rule above, and where that is lifted.
fn clippy_refuses(manifest: &str, lists: &str, sources: &Sources) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    for lint in [
        "disallowed_methods = \"deny\"",
        "disallowed_types = \"deny\"",
        "print_stdout = \"deny\"",
        "print_stderr = \"deny\"",
    ] {
        if !manifest.lines().any(|line| line == lint) {
            complaints.push(format!("Cargo.toml: [lints.clippy] lacks {lint}"));
        }
    }
    let functions = FS_FUNCTIONS.iter().map(|name| format!("std::fs::{name}"));
    for name in functions.chain(HANDS_AS_TYPES.iter().map(|name| (*name).to_owned())) {
        if !lists.contains(&format!("{{ path = \"{name}\",")) {
            complaints.push(format!(".clippy.toml: {name} is not disallowed"));
        }
    }
    for file in sources.files.iter().filter(|file| file.path != "system/mod.rs") {
        let lifted = paths(file).filter(|(_, path)| {
            path == "clippy::disallowed_methods" || path == "clippy::disallowed_types"
        });
        complaints.extend(lifted.map(|(line, path)| {
            at(file, line, &format!("{path} is lifted elsewhere than in system/mod.rs"))
        }));
    }
    complaints
}

#[test]
fn clippy_refuses_files_and_programs_outside_system() {
    holds(&clippy_refuses(&manifest("Cargo.toml"), &manifest(".clippy.toml"), &src()));
}

#[test]
fn planted_lifted_lint_is_found() {
    let planted = Sources::of([
        ("action/run.rs", "\n#[allow(clippy::disallowed_types)]\nfn a() {}\n"),
        ("system/mod.rs", "#![allow(clippy::disallowed_types)]\n"),
    ]);
    let lists = manifest(".clippy.toml").replace("std::fs::copy", "std::fs::other");
    let lints = manifest("Cargo.toml")
        .replace("disallowed_types = \"deny\"", "disallowed_types = \"warn\"");
    finds(
        &clippy_refuses(&lints, &lists, &planted),
        &["Cargo.toml", "std::fs::copy", "action/run.rs:2"],
    );
}

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

/// Rooms that only think have no file, socket, process or clock.
fn purity(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    let forbidden = [&HANDS[..], &IMPURE].concat();
    for file in sources.files.iter().filter(|file| PURE.contains(&file.room())) {
        complaints.extend(uses(file, &forbidden).map(|(line, path)| {
            at(file, line, &format!("{path} in the pure room {}", file.room()))
        }));
        for three in file.tokens.windows(3) {
            if three[0].text == "."
                && LOOKING.contains(&three[1].text.as_str())
                && three[2].text == "("
            {
                complaints.push(at(
                    file,
                    three[1].line,
                    &format!(".{}() in the pure room {}", three[1].text, file.room()),
                ));
            }
        }
    }
    complaints
}

#[test]
fn dcos_plan_and_preflight_are_pure() {
    holds(&purity(&src()));
}

#[test]
fn planted_clock_in_a_pure_module_is_found() {
    let planted = Sources::of([
        (
            "dcos/moment.rs",
            "use std::time::SystemTime;\n\
             fn a(t: SystemTime) { SystemTime::now(); }\n\
             fn b() { env!(\"X\"); }\n",
        ),
        (
            "plan/mod.rs",
            "use std::net::IpAddr;\n\
             use std::net::{TcpStream};\n\
             fn a(p: &Path) { p.exists(); exists(); }\n",
        ),
        ("preflight/mod.rs", "use std::thread;\nfn a() { nix::unistd::getuid(); }\n"),
        ("observe/mod.rs", "use std::thread;\n"),
    ]);
    let expected = [
        "moment.rs:2",
        "plan/mod.rs:2",
        "plan/mod.rs:3: .exists()",
        "preflight/mod.rs:1",
        "preflight/mod.rs:2",
    ];
    finds(&purity(&planted), &expected);
}

/// The root directory is a value: absolute paths stand in one file, and what else looks like one
/// has a reason in a table.
fn absolute_paths(sources: &Sources, elsewhere: &[(&str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = BTreeSet::new();
    for file in sources.files.iter().filter(|file| file.path != "dcos/layout.rs") {
        for token in file.tokens.iter().filter(|t| t.kind == Kind::Text && t.text.starts_with('/'))
        {
            let begins = |literal: &str| {
                token.text == literal || (literal != "/" && token.text.starts_with(literal))
            };
            match elsewhere
                .iter()
                .position(|(place, literal, _)| is_in(file, place) && begins(literal))
            {
                Some(reason) => drop(used.insert(reason)),
                None => complaints.push(at(
                    file,
                    token.line,
                    &format!("\"{}\" belongs into dcos/layout.rs", token.text),
                )),
            }
        }
    }
    let unused = elsewhere.iter().enumerate().filter(|(index, _)| !used.contains(index));
    complaints.extend(unused.map(|(_, (place, literal, _))| {
        format!(
            "src/{place}: \"{literal}\" is gone; so may be its reason in \
             tests/suite/architecture.rs"
        )
    }));
    complaints
}

#[test]
fn absolute_paths_are_in_the_layout() {
    holds(&absolute_paths(&src(), PATHS_ELSEWHERE));
}

#[test]
fn planted_absolute_path_is_found() {
    let planted = Sources::of([
        ("dcos/layout.rs", "const A: &str = \"/opt\";"),
        (
            "action/place.rs",
            "const A: &str = \"/proc/self/exe\";\n\
             const B: &[u8] = br#\"/etc\"#;\n\
             fn a(c: char) { c == '/' || c == '\"'; \"a/b\" }\n\
             // \"/x\"\n\
             const C: &str = \"\\\"/\";\n\
             const D: &str = \"/\";\n",
        ),
    ]);
    let reasons = [
        ("action/place", "/proc/self/", "ourselves"),
        ("action", "/", "a separator"),
        ("action/run", "/x", "gone"),
    ];
    finds(&absolute_paths(&planted, &reasons), &["place.rs:2: \"/etc\"", "src/action/run"]);
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

/// The tests on nodes and those that run alone; the others still have longer files.
#[test]
fn node_test_files_have_a_size() {
    for directory in ["tests/nodes", "tests/alone"] {
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
