//! No message advises to uninstall a node whose role serves: every message that names the command
//! is in a list, with the reason why nothing serves there or the operator wants it so.

use support::source::{Kind, Sources};

use super::{at, finds, holds, src};

/// What a message names.
const ADVICE: &str = "dcos-node uninstall";

/// The operator asked for an uninstall.
const ASKED: &str = "the operator asked for an uninstall";
/// An install or a fetch has not ended, so that no role serves.
const UNFINISHED: &str = "the install has not ended";

/// The operator looks first, as the message says.
const NOTHING_RUNS: &str = "only if nothing of DC/OS runs on the node any more";

/// The file, a part of its message, and the reason. A role that serves is never in the list.
const REVIEWED: &[(&str, &str, &str)] = &[
    ("cli/manual", "removes what was fetched", UNFINISHED),
    ("cli/manual", "sudo dcos-node uninstall", "an example on the page of the command itself"),
    ("command/adopt", "nothing of DC/OS runs here", "systemd was asked: no unit of DC/OS runs"),
    ("command/fetch", "recover goes on; dcos-node uninstall gives it up", UNFINISHED),
    ("command/fetch", "dcos-node uninstall goes on", ASKED),
    ("command/fetch", "dcos-node fetch goes on", UNFINISHED),
    ("command/in_use", "dcos-node uninstall --drain", ASKED),
    ("command/install/reverting", "makes it clean", UNFINISHED),
    ("command/install/reverting", "dcos-node uninstall removes them", UNFINISHED),
    ("command/install/reverting", "makes the node clean", UNFINISHED),
    ("command/status", "dcos-node uninstall stops it", "the files of DC/OS are gone"),
    ("command/uninstall", "dcos-node uninstall goes on", ASKED),
    ("command/uninstall/parting", "dcos-node uninstall goes on", ASKED),
    ("command/uninstall/parting", "dcos-node uninstall --drain=1h", ASKED),
    ("command/world", "if nothing of DC/OS runs on the node any more", NOTHING_RUNS),
    ("dcos/exit", "the same command goes on", UNFINISHED),
    (
        "dcos/resolv_conf",
        "Made by dcos-node uninstall",
        "a comment in a file that an uninstall makes",
    ),
    ("dcos/pkgpanda_swap", "if nothing of DC/OS runs on the node any more", NOTHING_RUNS),
    ("observe/node", "if nothing of DC/OS runs on it any more", NOTHING_RUNS),
    ("output/outcome", "dcos-node uninstall removes them", UNFINISHED),
    ("output/outcome", "--purge-data removes it", ASKED),
    ("output/outcome", "dcos-node uninstall tries again", ASKED),
    ("output/status", "an uninstall was interrupted", ASKED),
    ("output/status", "does not need it", "what it does without the record; the fix is another"),
    ("plan/install", "recover goes on with the first one", UNFINISHED),
    ("plan/install", "would leave it alone", "says why an uninstall does not help"),
    ("plan/parting", "--drain lets the agent leave", ASKED),
    ("plan/proof", "--purge-data removes it", ASKED),
    ("preflight/installation", "if nothing of DC/OS runs on it any more", NOTHING_RUNS),
];

fn advice(sources: &Sources, reviewed: &[(&str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = vec![false; reviewed.len()];
    for file in &sources.files {
        for token in file.tokens.iter().filter(|token| token.kind == Kind::Text) {
            let text = in_one_line(&token.text);
            if !text.contains(ADVICE) {
                continue;
            }
            let row = reviewed.iter().position(|(path, part, _)| {
                file.path == format!("{path}.rs") && text.contains(part)
            });
            match row {
                Some(row) => used[row] = true,
                None => complaints.push(at(file, token.line, &text)),
            }
        }
    }
    let stale = reviewed.iter().zip(used).filter(|(_, used)| !used);
    complaints.extend(stale.map(|((path, part, _), _)| format!("{path} does not say {part:?}")));
    complaints
}

/// A literal without the breaks of its lines.
fn in_one_line(literal: &str) -> String {
    let mut parts = literal.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

#[test]
fn uninstall_is_advised_only_where_no_role_serves() {
    holds(&advice(&src(), REVIEWED));
}

#[test]
fn new_advice_to_uninstall_is_found() {
    let planted = Sources::of([
        (
            "command/adopt.rs",
            "fn a() { b(\"adopt again; dcos-node \\\n    uninstall works too\") }\n",
        ),
        ("command/install.rs", "fn a() { b(\"dcos-node uninstall goes on\") }\n"),
    ]);
    let reviewed =
        [("command/install", "goes on", ASKED), ("command/install", "is gone", UNFINISHED)];
    finds(&advice(&planted, &reviewed), &["adopt.rs:1: adopt again", "does not say \"is gone\""]);
}
