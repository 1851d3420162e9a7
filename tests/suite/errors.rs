//! The reference of errors is whole and true: every message that a command fails with is in
//! `docs/errors.md`, and every one there is in the sources.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms whose every failure and error is in the reference; of other rooms only what is named
/// there.
const TOLD: [&str; 5] =
    ["src/command", "src/main", "src/output/ending.rs", "src/action", "src/plan"];
/// What begins a message there.
const OPENINGS: [&str; 5] = ["Failure::new(", "#[error(", "bail!(", "anyhow!(", "context("];
/// Functions whose messages come from elsewhere: the errors of other rooms, or a text of the same
/// function, which [`messages`] cannot see. What they say is in the reference too; a new one
/// belongs here once that is so.
const FROM_ELSEWHERE: &[(&str, &str)] = &[
    ("command/bundle.rs", "refused"),
    ("command/bundle.rs", "run"),
    ("command/bundle.rs", "unwritten"),
    ("command/failure.rs", "from"),
    ("command/fetch.rs", "stands_already"),
    ("command/fetch.rs", "stopped"),
    ("command/fetching.rs", "readable"),
    ("command/in_use.rs", "refuse_holders"),
    ("command/in_use.rs", "refuse_mounts"),
    ("command/install.rs", "carry_out"),
    ("command/install.rs", "decide"),
    ("command/install/reverting.rs", ""),
    ("command/install/reverting.rs", "give_up"),
    ("command/install/reverting.rs", "undo_all"),
    ("command/install/failures.rs", "unrepaired"),
    ("command/install.rs", "validate"),
    ("command/node_files.rs", "check"),
    ("command/pkgpanda_swap.rs", "finish"),
    ("command/preflight.rs", "check"),
    ("command/preflight.rs", "check_skips"),
    ("command/preflight.rs", "interrupted"),
    ("command/preflight.rs", "offered_as_published"),
    ("command/preflight.rs", "stopped"),
    ("command/publish.rs", "lock"),
    ("command/publish.rs", "program"),
    ("command/publish.rs", "run"),
    ("command/publish.rs", "url"),
    ("command/publish/archives.rs", "alternative"),
    ("command/publish/archives.rs", "are_there"),
    ("command/publish/archives.rs", "recompress"),
    ("command/publish/check.rs", "broken"),
    ("command/publish/check.rs", "read"),
    ("command/recover.rs", "go_on"),
    ("command/serve.rs", "run"),
    ("command/serve_directory.rs", "resolve"),
    ("command/trust.rs", "check_digests"),
    ("command/trust.rs", "record"),
    ("command/uninstall.rs", "finish"),
    ("command/uninstall.rs", "remove_remnant"),
    ("command/uninstall.rs", "run"),
    ("command/uninstall.rs", "unended"),
    ("command/uninstall/parting.rs", "interrupted"),
    ("command/uninstall/parting.rs", "ask"),
    ("command/uninstall/parting.rs", "drain"),
    ("command/verify/online.rs", "unread"),
    ("command/verify/online.rs", "without_receipt"),
    ("command/wait.rs", "too_late"),
    ("command/world.rs", "lock"),
    ("command/world.rs", "sound"),
    ("command/world.rs", "source_at"),
    ("main/start.rs", "cannot_start"),
    ("main/start.rs", "lines"),
];
/// Messages that say nothing by themselves, or that can only be a mistake of ours.
const NOT_TOLD: [&str; 3] = ["no package is asked for", "is not a file", "it is not there"];
/// Words of the system that stand in our messages.
const OF_THE_SYSTEM: [&str; 4] =
    ["No space left on device", "Read-only file system", "File too large", "(tried"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    if directory.is_file() {
        return vec![directory.to_owned()];
    }
    let entries = fs::read_dir(directory)
        .expect("a directory of sources")
        .map(|entry| entry.expect("an entry").path());
    let files = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
        })
        .collect()
}

/// A source without its tests and comments.
fn text(path: &Path) -> String {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The first literal at or after the beginning of a text, up to the parenthesis that closes it.
fn literal(text: &str) -> Option<String> {
    let (mut depth, mut found, mut escaped) = (1, None::<String>, false);
    for c in text.chars() {
        match (&mut found, c) {
            (Some(found), c) if escaped => {
                found.push(if c == 'n' { ' ' } else { c });
                escaped = false;
            }
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => return found,
            (Some(found), c) => found.push(c),
            (None, '"') => found = Some(String::new()),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// With `…` for everything that is put in, and single blanks.
fn normal(message: &str) -> String {
    let (mut plain, mut depth) = (String::new(), 0);
    for c in message.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                plain.push('…');
            }
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    words.trim_matches(['…', ' ', ':']).to_owned()
}

/// The messages of a source with the function that each is in; none where it has no words of its
/// own.
fn messages(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for opening in OPENINGS {
        for (at, _) in text.match_indices(opening) {
            let before = &text[..at];
            let function = before.rfind("fn ").map(|at| {
                before[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
            });
            let words = literal(&text[at + opening.len()..])
                .map(|literal| normal(&literal))
                .filter(|words| words.len() > 8);
            found.push((function.unwrap_or_default(), words));
        }
    }
    found
}

/// The messages of the reference.
fn reference() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | ").map(|(message, _)| message));
    rows.filter(|message| *message != "message").map(|message| message.replace('`', "")).collect()
}

/// Whether a row is about this message: all its words are in it, in order.
fn tells(row: &str, message: &str) -> bool {
    let mut rest = message;
    row.split('…').map(|part| part.trim_matches([' ', ':'])).filter(|part| !part.is_empty()).all(
        |part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        },
    )
}

#[test]
fn error_reference_has_every_message_of_the_program() {
    let rows: Vec<String> = reference()
        .into_iter()
        .filter(|row| row.chars().filter(|c| c.is_alphabetic()).count() > 8)
        .collect();
    assert!(rows.len() > 60, "{}", rows.len());
    let (mut missing, mut silent, mut seen) = (BTreeMap::new(), BTreeSet::new(), 0);
    for path in TOLD.iter().flat_map(|top| sources(&root().join(top))) {
        let name = path.strip_prefix(root().join("src")).expect("below src").display().to_string();
        for (function, words) in messages(&text(&path)) {
            match words {
                Some(words)
                    if NOT_TOLD.contains(&words.as_str())
                        || rows.iter().any(|row| tells(row, &words)) =>
                {
                    seen += 1
                }
                Some(words) => {
                    missing.insert(words, name.clone());
                }
                None if ["command", "main/", "output"].iter().any(|top| name.starts_with(top)) => {
                    silent.insert((name.clone(), function));
                }
                None => {}
            }
        }
    }
    assert!(seen > 60, "only {seen} messages were found");
    assert!(missing.is_empty(), "docs/errors.md lacks these messages: {missing:#?}");
    let known: BTreeSet<(String, String)> = FROM_ELSEWHERE
        .iter()
        .map(|(file, function)| ((*file).to_owned(), (*function).to_owned()))
        .collect();
    let new: Vec<_> = silent.difference(&known).collect();
    assert!(
        new.is_empty(),
        "what these functions say cannot be read off them: see that docs/errors.md has it, then \
         add them to the list: {new:?}"
    );
}

#[test]
fn error_reference_has_only_messages_of_the_program() {
    let everything: Vec<String> = sources(&root().join("src"))
        .iter()
        .flat_map(|path| {
            let text = text(path);
            let literals: Vec<String> = text
                .match_indices('"')
                .filter_map(|(at, _)| literal(&text[at..]))
                .map(|found| normal(&found))
                .collect();
            literals
        })
        .collect();
    let is_there = |row: &str| {
        OF_THE_SYSTEM.iter().any(|words| row.contains(words))
            || everything.iter().any(|message| tells(row, message))
    };
    let gone: Vec<String> = reference().into_iter().filter(|row| !is_there(row)).collect();
    assert!(gone.is_empty(), "nothing in the program says this: {gone:#?}");
}

#[test]
fn messages_are_found_in_the_sources() {
    let text = r#"fn first() { Failure::new(Exit::Failed, anyhow::anyhow!("a \"word\" of {name:?}\n  more {}", x)) }
        fn second() { bail!(text) }"#;
    let of = |function: &str| {
        messages(text)
            .into_iter()
            .filter(|found| found.0 == function)
            .map(|found| found.1)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("first"), vec![Some(r#"a "word" of … more"#.to_owned()); 2]);
    assert_eq!(of("second"), [None]);
    assert!(
        tells("a … of …: more", r#"a "word" of … more"#)
            && !tells("more of", r#"a "word" of … more"#)
    );
}
