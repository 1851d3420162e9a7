//! Every place in the sources where install, adopt, uninstall or recover refuses something, with
//! its cases.

use std::collections::BTreeSet;

use dcos_node::plan::install::Refusal;
use support::source::{Kind, Sources};

use super::CASES;

/// Exit codes of what is refused, with the node as it was.
const REFUSING: [&str; 6] = ["Conflict", "Integrity", "NotInstalled", "Busy", "Preflight", "Usage"];
/// What install, adopt, uninstall and recover are made of.
const COMMANDS: [&str; 10] = [
    "command/install",
    "command/adopt",
    "command/uninstall",
    "command/recover",
    "command/in_use",
    "command/node_files",
    "command/pkgpanda_swap",
    "command/world",
    "command/trust",
    "command/fetching",
];

const NEEDS_ROOT: Cases = Cases::None("sudo is the fix, and tests run as root");
const NEEDS_A_MACHINE: Cases = Cases::None("only of this machine: a test of nodes has it");
const NOT_REFUSED: Cases = Cases::None("something failed, and is no refusal");

enum Cases {
    Of(&'static [&'static str]),
    None(&'static str),
}

/// Where something is refused: the file, the function and the exit code, with its cases.
const PLACES: &[(&str, &str, &str, Cases)] = &[
    ("install", "decide", "Conflict", Cases::Of(&["another role", "another DC/OS"])),
    (
        "install/failures",
        "goes_by_its_identity",
        "Conflict",
        Cases::Of(&["identity of an installed node"]),
    ),
    (
        "install/failures",
        "changed_things_in_the_way",
        "Conflict",
        Cases::Of(&["an edited file beside a missing one"]),
    ),
    ("install/outcome", "check_wish", "Usage", Cases::None("the line is wrong, and says how")),
    ("install/reverting", "give_up", "Integrity", NOT_REFUSED),
    ("adopt", "run", "Preflight", NEEDS_ROOT),
    ("adopt", "run", "NotInstalled", Cases::Of(&["nothing to adopt"])),
    ("adopt", "run", "Conflict", Cases::Of(&["an unfinished install", "an unfinished uninstall"])),
    (
        "adopt",
        "refused",
        "Conflict",
        Cases::Of(&["a part that cannot be adopted", "a swap that lost a name"]),
    ),
    ("uninstall", "run", "Preflight", NEEDS_ROOT),
    ("uninstall", "run", "Usage", Cases::Of(&["a purge without consent"])),
    ("uninstall/parting", "ask", "Conflict", NEEDS_A_MACHINE),
    ("recover", "run", "Preflight", NEEDS_ROOT),
    ("in_use", "refuse_mounts", "Conflict", Cases::Of(&["a mount in what is removed"])),
    ("in_use", "refuse_holders", "Conflict", Cases::Of(&["a process in what is removed"])),
    ("node_files", "check", "Conflict", Cases::Of(&["a file of somebody else"])),
    ("node_files", "check_places", "Integrity", Cases::Of(&["an unusual node file"])),
    ("pkgpanda_swap", "busy", "Busy", NEEDS_A_MACHINE),
    (
        "pkgpanda_swap",
        "finish_same",
        "Conflict",
        Cases::Of(&["a swap to another build", "a swap of another program"]),
    ),
    ("world", "lock", "Busy", Cases::None("it is over when the other one has ended")),
    ("world", "stamp", "Integrity", Cases::None("another program is the fix")),
    ("world", "source_at", "Usage", Cases::None("the line is wrong, and says how")),
    ("world", "site", "Preflight", NEEDS_A_MACHINE),
    ("trust", "check_node", "Integrity", Cases::Of(&["digests that are missing"])),
    ("trust", "check_digests", "Integrity", Cases::Of(&["digests that are missing"])),
    ("fetching", "no_url", "Usage", Cases::None("the line is wrong, and says how")),
];

/// Where the sources refuse something.
fn refusing(sources: &Sources) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for file in &sources.files {
        let path = file.path.trim_end_matches(".rs");
        let is_ours = |top: &str| path == top || path.starts_with(&format!("{top}/"));
        if !COMMANDS.iter().any(|top| is_ours(top)) {
            continue;
        }
        let mut function = "";
        for words in file.tokens.windows(3) {
            if words[0].is_word("fn") && words[1].kind == Kind::Word {
                function = &words[1].text;
            }
            let is_exit = words[0].is_word("Exit") && words[1].is("::");
            if is_exit && REFUSING.contains(&words[2].text.as_str()) {
                let path = path.trim_start_matches("command/");
                found.insert((path.into(), function.into(), words[2].text.clone()));
            }
        }
    }
    found
}

/// The cases of a refusal of an install: a new one does not compile without.
fn cases_of(refusal: &Refusal) -> &'static [&'static str] {
    match refusal {
        Refusal::OtherRole { .. } => &["another role"],
        Refusal::OtherBuild(_) => &["another build"],
        Refusal::OtherInterrupted { .. } => {
            &["another interrupted build", "another interrupted build, which goes on"]
        }
        Refusal::Foreign { .. } => &["another DC/OS", "a part of another DC/OS"],
        Refusal::Strange(_) => &["something strange", "a link that leads nowhere"],
    }
}

#[test]
fn every_refusal_has_a_case_or_a_reason() {
    let sources = Sources::read(&support::checkout().join("src"));
    let listed = PLACES.iter().map(|(file, function, exit, cases)| {
        match cases {
            Cases::Of(cases) => is_there(cases),
            Cases::None(reason) => assert!(!reason.is_empty()),
        }
        ((*file).to_owned(), (*function).to_owned(), (*exit).to_owned())
    });
    let listed: BTreeSet<_> = listed.collect();
    let found = refusing(&sources);
    let (new, stale): (Vec<_>, Vec<_>) =
        (found.difference(&listed).collect(), listed.difference(&found).collect());
    assert!(new.is_empty() && stale.is_empty(), "without a row: {new:#?}; stale: {stale:#?}");
    is_there(cases_of(&Refusal::Strange(Vec::new())));
}

fn is_there(cases: &[&str]) {
    for name in cases {
        assert!(CASES.iter().any(|case| case.name == *name), "there is no case {name:?}");
    }
}
