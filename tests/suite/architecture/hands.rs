//! Only the system module touches files and runs programs, and only the output prints.

use support::source::{Kind, Sources};

use super::{HANDS, at, finds, holds, is_in, manifest, paths, src, uses};

/// What prints.
const PRINTING: [&str; 4] = ["print", "println", "eprint", "eprintln"];
/// Where print goes.
const TERMINAL: [&str; 2] = ["std::io::stdout", "std::io::stderr"];

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
