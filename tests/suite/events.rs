//! Events are part of the interface: documented, of one form for programs, people and the journal,
//! and never of another meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::cluster::{Member, Serving};
use dcos_node::dcos::event::{Event, Kind, SCHEMA, Watched};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::level::Level;
use dcos_node::dcos::preview::Preview;
use dcos_node::dcos::role::Role;
use dcos_node::dcos::trust::{Origin, Trust};
use dcos_node::output::follow::{self, Wish};
use dcos_node::output::record::Record;
use serde_json::{Value, json};
use support::build::{Build, Damage};
use support::http_server::Server;

/// Who is nobody.
const NOBODY: u32 = 65534;

/// Every kind of event, with its word and the `MESSAGE_ID` by which operators have their journals
/// searched.
const FROZEN: [(Kind, &str, Option<&str>); 14] = [
    (Kind::Started, "started", Some("a8c0f4c7d00b4abc8f1062d6c5bcffcd")),
    (Kind::Planned, "planned", Some("72ed26144c474a01a7a27000eb1cf8fa")),
    (Kind::Begun, "begun", Some("0dbef3d51bae49898be2c43a0e117afe")),
    (Kind::Progress, "progress", None),
    (Kind::Done, "done", Some("1bbf77f4b25442688a4e4e9c3fb1dbca")),
    (Kind::Failed, "failed", Some("32ad632504864490b6612b6cbd5a3239")),
    (Kind::Undone, "undone", Some("1ffcc0adf6ba4fe39bcd3582a4a8c535")),
    (Kind::Package, "package", Some("87955d1b15444e9d95e9d6f2dd02617f")),
    (Kind::Waiting, "waiting", Some("3991164f6af64cfba7f0666e1182ac3e")),
    (Kind::Answered, "answered", None),
    (Kind::Watched, "watched", Some("a49792c8364d4702a5f4835af43a5212")),
    (Kind::Note, "note", Some("bce54771beff494f835452775f2d31ef")),
    (Kind::Warning, "warning", Some("b09420f3314b44fbbd1f9e1d3e671dc7")),
    (Kind::Ended, "ended", Some("cc49b3fc21c141cfa4054126c592ee93")),
];

/// An event of each kind, with every field there is.
fn full(kind: Kind) -> Event {
    let text = || "text".to_owned();
    let key = || ActionKey::from("package a--b");
    match kind {
        Kind::Started => Event::Started {
            command: "install".to_owned(),
            role: Some(Role::Master),
            version: text(),
        },
        Kind::Planned => Event::Planned { actions: vec![Preview { key: key(), text: text() }] },
        Kind::Begun => Event::Begun { key: key(), text: text() },
        Kind::Progress => Event::Progress { key: key(), bytes: 1, total: Some(2) },
        Kind::Done => Event::Done { key: key() },
        Kind::Failed => Event::Failed { key: key(), error: text() },
        Kind::Undone => Event::Undone { key: key(), text: text() },
        Kind::Package => Event::Package {
            id: "a--b".parse().expect("an id"),
            origin: Origin::KeptVerified,
            trust: Trust::Verified,
            archive_sha256: Some(text()),
        },
        Kind::Waiting => Event::Waiting { text: text() },
        Kind::Answered => Event::Answered {
            at: text(),
            client: text(),
            method: text(),
            path: text(),
            status: 200,
            bytes: 1,
            milliseconds: 2,
        },
        Kind::Watched => Event::Watched(Box::new(Watched {
            wanted: Level::ClusterReady,
            level: Some(Level::Started),
            seconds: 1,
            units: [("well".to_owned(), 1)].into(),
            masters: vec![Member { host: text(), serving: Serving::Serving, leads: true }],
            waits_for: Some(text()),
            unit: Some(text()),
        })),
        Kind::Note => Event::Note { text: text() },
        Kind::Warning => Event::Warning { text: text() },
        Kind::Ended => Event::Ended {
            exit: Exit::Failed,
            code: 1,
            error: Some(text()),
            state: Some(text()),
            cure: Some(text()),
            help: Some(text()),
            seconds: 1,
        },
    }
}

#[test]
fn event_kinds_keep_their_words_and_message_ids() {
    assert_eq!(FROZEN.map(|(kind, ..)| kind), Kind::ALL, "a kind is missing");
    for (kind, word, id) in FROZEN {
        assert_eq!((kind.word(), kind.message_id()), (word, id));
        let event = full(kind);
        assert_eq!((event.kind(), &json!(event)["event"]), (kind, &json!(word)));
        let id_is_sound = |id: &str| {
            id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(id.is_none_or(id_is_sound), "{id:?}");
    }
    let ids: BTreeSet<&str> = FROZEN.iter().filter_map(|(.., id)| *id).collect();
    assert_eq!(ids.len(), 12, "two kinds share an id");
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md"))
        .expect("docs/events.md")
}

/// The cells of every row of the document whose first cell is a word.
fn rows(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

/// Every field of an event, as the document names it.
fn fields(word: &str, value: &Value, found: &mut BTreeSet<String>) {
    let inner = |value: &Value, found: &mut BTreeSet<String>| {
        // The words for units are data, not fields.
        for (name, value) in value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "event" && *name != "well")
        {
            found.insert(format!("{word}.{name}"));
            match value {
                Value::Object(_) => fields(&format!("{word}.{name}"), value, found),
                Value::Array(list) => {
                    list.iter().for_each(|value| fields(&format!("{word}.{name}[]"), value, found))
                }
                _ => {}
            }
        }
    };
    inner(value, found);
}

#[test]
fn documented_event_kinds_and_fields_match_the_program() {
    let text = document();
    let rows = rows(&text);
    let (mut real, mut in_the_journal) = (BTreeSet::new(), BTreeSet::new());
    for (kind, word, id) in FROZEN {
        let row = rows.get(word).unwrap_or_else(|| panic!("{word} is not documented"));
        assert!(row.contains(id.unwrap_or("not in the journal")), "{word}: {row}");
        real.insert(word.to_owned());
        fields(word, &json!(full(kind)), &mut real);
        let mut record = Record::default();
        record.entry(&full(Kind::Started));
        in_the_journal.extend(
            record.entry(&full(kind)).into_iter().flatten().map(|(name, _)| name.to_owned()),
        );
    }
    // What only a key can tell.
    in_the_journal.insert("DCOS_NODE_UNIT".to_owned());
    let (upper, lower): (BTreeSet<String>, BTreeSet<String>) = rows
        .into_keys()
        .partition(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'));
    real.extend(["schema".to_owned(), "time".to_owned(), "event".to_owned()]);
    assert_eq!(lower, real);
    assert_eq!(upper, in_the_journal);
    assert!(
        text.contains(&format!("This is schema {SCHEMA}.")),
        "which schema it is is not documented"
    );
}

/// The lines of JSON that a run wrote.
fn told(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["schema"], SCHEMA);
        assert!(value["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    text.lines().map(line).collect()
}

/// Lines of a run in memory.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What people are told of these events where no terminal is.
fn lines_of(events: &[Event]) -> String {
    let kept = Kept::default();
    let (sender, follower) =
        follow::follow(Wish { plain: Some(Box::new(kept.clone())), ..Wish::default() }).unwrap();
    events.iter().for_each(|event| sender.send(event.clone()));
    drop(sender);
    follower.finish();
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// A command on a directory, with its events in a file, without privileges whatever this test runs
/// as: an image needs no accounts then.
fn command(words: &[&str], root: &Path, events: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(words).arg("--root").arg(root).arg("--events").arg(events).stdin(Stdio::null());
    as_nobody(&mut command, &[root, events]);
    command
}

fn as_nobody(command: &mut Command, owned: &[&Path]) {
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
        owned.iter().for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    }
}

/// An install from this build.
fn install(root: &Path, build: &Path, events: &Path) -> Output {
    fs::set_permissions(build, fs::Permissions::from_mode(0o755)).unwrap();
    command(&["install", "master", "-d", "--bootstrap-url", build.to_str().unwrap()], root, events)
        .output()
        .unwrap()
}

#[test]
fn replayed_install_events_print_the_same_lines() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    Build::tiny().pack(build.path());
    let output = install(root.path(), build.path(), file.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let events = told(file.path());
    assert!(said.lines().count() > 4, "{said}");
    assert_eq!(lines_of(&events), said);

    let Some(Event::Started { command, role, .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!((command.as_str(), *role), ("install", Some(Role::Master)));
    assert!(
        matches!(events.last(), Some(Event::Ended { exit: Exit::Done, code: 0, error: None, .. })),
        "{:?}",
        events.last()
    );
    let begun: Vec<&ActionKey> = events
        .iter()
        .filter_map(|event| if let Event::Begun { key, .. } = event { Some(key) } else { None })
        .collect();
    let done: Vec<&ActionKey> = events
        .iter()
        .filter_map(|event| if let Event::Done { key } = event { Some(key) } else { None })
        .collect();
    assert_eq!(
        begun.iter().collect::<BTreeSet<_>>(),
        done.iter().collect::<BTreeSet<_>>(),
        "what begins is done"
    );
    let planned = events.iter().filter_map(|event| {
        if let Event::Planned { actions } = event { Some(actions) } else { None }
    });
    let planned: BTreeSet<&ActionKey> = planned.flatten().map(|action| &action.key).collect();
    assert!(
        begun.iter().all(|key| planned.contains(key)),
        "{begun:?} were not all planned: {planned:?}"
    );
}

#[test]
fn failure_events_have_the_text_of_the_terminal() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    let packed = Build::tiny().damaged("units", Damage::BitFlip).pack(build.path());
    let output = install(root.path(), build.path(), file.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    let events = told(file.path());
    let lines = lines_of(&events);
    let failure = said
        .strip_prefix(&lines)
        .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{said}"));
    let key = ActionKey::Package(packed.id("units").parse().unwrap());
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Failed { key: failed, .. } if *failed == key)),
        "{events:?}"
    );
    assert!(events.iter().any(|event| matches!(event, Event::Undone { .. })), "{events:?}");
    let Some(Event::Ended {
        exit: Exit::Integrity,
        code: 6,
        error: Some(error),
        state: Some(state),
        cure: Some(cure),
        help: Some(help),
        ..
    }) = events.last()
    else {
        panic!("{:?}", events.last())
    };
    assert!(
        failure.contains(state) && failure.contains(cure) && failure.contains(help),
        "{state}, {cure}, {help}: {failure}"
    );
    assert!(failure.contains(error.split(": ").next().unwrap()), "{error}: {failure}");
}

#[test]
fn event_file_has_the_failure_of_a_refused_command() {
    let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let output = install(root.path(), root.path(), file.path());
    let events = told(file.path());
    let Some(Event::Ended { code, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(output.status.code(), Some(i32::from(*code)));
    assert_ne!(*code, 0);
}

/// A run whose events, told to people, are what it said; what it said besides is returned.
#[track_caller]
fn agrees(command: &mut Command, events: &Path, code: i32) -> (Vec<Event>, String) {
    fs::write(events, "").unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    let events = told(events);
    let lines = lines_of(&events);
    let rest = said
        .strip_prefix(&lines)
        .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{said}"));
    assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
    assert!(
        matches!(events.last(), Some(Event::Ended { code: told, .. }) if i32::from(*told) == code),
        "{events:?}"
    );
    (events, rest.to_owned())
}

#[test]
fn replayed_recover_wait_and_uninstall_print_the_same_lines() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    Build::tiny().pack(build.path());
    fs::set_permissions(build.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (root, file, url) = (root.path(), file.path(), build.path().to_str().unwrap());
    let mut killed = command(&["install", "master", "-d", "--bootstrap-url", url], root, file);
    let etc = root.join("opt/mesosphere/etc").display().to_string();
    killed
        .env("DCOS_NODE_FAULT", format!("kill Rename 1 {etc}.new -> {etc}"))
        .env("DCOS_NODE_FAULT_WORKERS", "1");
    assert_eq!(killed.output().unwrap().status.code(), None, "it was not killed");
    // Whole lines, however it ended.
    assert!(told(file).iter().any(|event| matches!(event, Event::Done { .. })));

    let (events, rest) = agrees(&mut command(&["recover"], root, file), file, 0);
    assert!(rest.is_empty(), "{rest}");
    assert!(events.iter().any(|event| matches!(event, Event::Begun { .. })), "{events:?}");

    let mut wait = command(&["status", "--wait=started", "--wait-timeout=1s"], root, file);
    let (events, rest) = agrees(wait.env("DCOS_NODE_FAULT_SYSTEMD", "1"), file, 7);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Watched(watched) if watched.waits_for.is_some())),
        "{events:?}"
    );
    assert!(rest.contains("not started after 1 s") && rest.contains("help:"), "{rest}");

    let (events, rest) = agrees(&mut command(&["uninstall"], root, file), file, 0);
    assert!(rest.is_empty(), "{rest}");
    assert!(events.iter().any(|event| matches!(event, Event::Undone { .. })), "{events:?}");
}

#[test]
fn events_are_the_same_in_file_descriptor_and_stdout() {
    let root = tempfile::tempdir().unwrap();
    let line = "umask 0; cd \"$1\" && \"$0\" status --root . --events new; \"$0\" status --root . \
                --events fd:7 7>by-number >/dev/null; \"$0\" status --root . --events - \
                >by-output; \"$0\" status --root . --events fd:8; echo $? >refused";
    let mut shell = Command::new("sh");
    shell.args(["-c", line, env!("CARGO_BIN_EXE_dcos-node")]).arg(root.path()).stdin(Stdio::null());
    let output = shell.output().unwrap();
    let kinds = |name: &str| -> Vec<Kind> {
        told(&root.path().join(name)).iter().map(Event::kind).collect()
    };
    assert_eq!(kinds("new"), [Kind::Started, Kind::Ended], "{output:?}");
    assert_eq!((kinds("by-number"), kinds("by-output")), (kinds("new"), kinds("new")));
    assert_eq!(
        fs::metadata(root.path().join("new")).unwrap().permissions().mode() & 0o777,
        0o600,
        "events quote what others said"
    );
    assert_eq!(fs::read_to_string(root.path().join("refused")).unwrap(), "2\n");
}

/// How a line of shell ends with the program as `$0` and a directory as `$1`, and what it says.
fn shell(line: &str, root: &Path) -> Output {
    Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_dcos-node")])
        .arg(root)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn events_and_json_on_stdout_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for (place, output) in [
        ("-", "|cat"),
        ("fd:1", "|cat"),
        ("fd:7", "7>&1 |cat"),
        ("/dev/stdout", ">out"),
        ("out", ">>out"),
    ] {
        let line = format!(
            "cd \"$1\"; {{ \"$0\" status --root . --json --events {place}; echo $? >code; }} \
             {output}; cat out"
        );
        let output = shell(&line, root.path());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with(&format!(
                "error: --json and --events {place} both want standard output\n"
            )),
            "{said}"
        );
        assert_eq!(fs::read_to_string(root.path().join("code")).unwrap(), "2\n");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (document["exit"].as_str(), document["state"].as_str()),
            (Some("usage"), Some("nothing was changed")),
            "{place}"
        );
        let _ = fs::remove_file(root.path().join("out"));
    }
    // What forgets everything mixes nothing, nor do two pipes.
    for line in [
        "\"$0\" status --root \"$1\" --json --events /dev/null >/dev/null",
        "\"$0\" status --root \"$1\" --json --events fd:2 2>&1 >&-",
    ] {
        let output = shell(line, root.path());
        assert_eq!(output.status.code(), Some(11), "{output:?}");
    }
}

#[test]
fn unread_event_pipe_is_refused_and_read_pipe_gets_all() {
    let root = tempfile::tempdir().unwrap();
    let output =
        shell("cd \"$1\" && mkfifo pipe && \"$0\" status --root . --events pipe", root.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nobody reads this pipe") && said.contains("  cure:   "), "{said}");
    // The shell holds the pipe open, so that the reader is there first; it reads only when the run
    // has ended.
    let line = "cd \"$1\" && exec 8<>pipe && \"$0\" status --root . --events pipe 8<&-; head -n 2 \
                <&8 >read";
    let output = shell(line, root.path());
    let kinds: Vec<Kind> = told(&root.path().join("read")).iter().map(Event::kind).collect();
    assert_eq!(kinds, [Kind::Started, Kind::Ended], "{output:?}");
}

#[test]
fn unwritable_result_fails_but_a_closed_reader_does_not() {
    let (root, build, file) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    Build::tiny().pack(build.path());
    fs::set_permissions(build.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (root, url) = (root.path(), build.path().to_str().unwrap());
    let full = |words: &[&str]| -> (Option<i32>, String) {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(words, root, file.path()).stdout(full).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let untold = "error: cannot write the result to standard output: No space left on device";
    let (code, said) = full(&["status", "--json"]);
    assert!(
        code == Some(11) && said.contains(untold) && said.contains("(not-installed), which stays"),
        "{code:?} {said}"
    );
    let (code, said) = full(&["status", "--json", "--nosuch"]);
    assert!(
        code == Some(2) && said.contains(untold) && said.contains("--nosuch"),
        "{code:?} {said}"
    );
    let (code, said) = full(&["--help"]);
    assert!(code == Some(1) && said.contains(untold), "{code:?} {said}");
    let (code, said) = full(&["install", "master", "-d", "--json", "--bootstrap-url", url]);
    assert!(
        code == Some(1)
            && said.contains(untold)
            && said.contains("  state:  what was asked is done"),
        "{code:?} {said}"
    );
    let Some(Event::Ended { exit: Exit::Done, .. }) = told(file.path()).pop() else {
        panic!("the install did not end well")
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(&["preflight", "--list", "--json"], root, file.path())
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

/// A command line on a terminal of this kind.
fn terminal(line: &str, term: Option<&str>) -> Command {
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env_remove("TERM")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    terminal.envs(term.map(|term| ("TERM", term)));
    terminal
}

#[test]
fn dumb_terminal_gets_the_plain_lines_of_a_file() {
    let build = tempfile::tempdir().unwrap();
    Build::tiny().damaged("units", Damage::BitFlip).pack(build.path());
    fs::set_permissions(build.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for term in [Some("dumb"), None] {
        let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let (build, root_, events) =
            (build.path().display(), root.path().display(), file.path().display());
        let words =
            format!("install master -d --bootstrap-url {build} --root {root_} --events {events}");
        // A shell may give its children a TERM of its own.
        let unset = if term.is_none() { "env -u TERM " } else { "" };
        let mut terminal =
            terminal(&format!("{unset}{} {words}", env!("CARGO_BIN_EXE_dcos-node")), term);
        as_nobody(&mut terminal, &[root.path(), file.path()]);
        let output = terminal.output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
        assert_eq!(output.status.code(), Some(6), "{shown}");
        let lines = lines_of(&told(file.path()));
        assert!(lines.contains("fetch and unpack") && lines.contains("warning: "), "{lines}");
        let failure = shown
            .strip_prefix(&lines)
            .unwrap_or_else(|| panic!("{lines}\n is not how this begins:\n{shown}"));
        assert!(failure.starts_with("error: ") && !failure.contains('\u{1b}'), "{failure:?}");
    }
}

/// What an install from there draws on a terminal, and its events.
async fn on_a_terminal(url: &str) -> (String, Vec<Event>) {
    let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let words = [
        "install",
        "master",
        "-d",
        "--bootstrap-url",
        url,
        "--root",
        root.path().to_str().unwrap(),
    ];
    let line = format!(
        "{} {} --events {}",
        env!("CARGO_BIN_EXE_dcos-node"),
        words.join(" "),
        file.path().display()
    );
    let mut terminal = terminal(&line, Some("xterm"));
    terminal.env("NO_COLOR", "1");
    as_nobody(&mut terminal, &[root.path(), file.path()]);
    let output = tokio::task::spawn_blocking(move || terminal.output().unwrap()).await.unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{drawn}");
    (drawn, told(file.path()))
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_bars_follow_the_events() {
    let build = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..400_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let packed = Build::tiny().with_file("units", "noise", 0o644, &noise).pack(build.path());
    let server = Server::start(build.path()).await;
    let archive = packed.archive("units");
    let path = format!("/{}", archive.strip_prefix(build.path()).unwrap().display());
    let bytes = fs::metadata(&archive).unwrap().len();
    let key = ActionKey::Package(packed.id("units").parse().unwrap());
    let steps_in = |events: &[Event]| -> Vec<(u64, Option<u64>)> {
        let step = |event: &Event| match event {
            Event::Progress { key: of, bytes, total } if *of == key => Some((*bytes, *total)),
            _ => None,
        };
        events.iter().filter_map(step).collect()
    };
    let size = r"([0-9.]+ [KM]?i?B)";
    let bar =
        regex::Regex::new(&format!(r"package units--[0-9a-f]+ +{size}/{size} +{size}/s")).unwrap();
    let bars_in = |drawn: &str| -> Vec<(String, String)> {
        bar.captures_iter(drawn)
            .map(|bar| bar.extract::<3>().1)
            .map(|[bytes, total, _]| (bytes.to_owned(), total.to_owned()))
            .collect()
    };
    // Some ten pieces, each long enough to be drawn; longer where the machine has no time to draw.
    let (mut drawn, mut events) = (String::new(), Vec::new());
    for pause in [150, 1000, 5000] {
        server.slow(
            &path,
            usize::try_from(bytes / 10).unwrap(),
            std::time::Duration::from_millis(pause),
        );
        (drawn, events) = on_a_terminal(server.url()).await;
        if steps_in(&events).len() > 3 && bars_in(&drawn).iter().collect::<BTreeSet<_>>().len() > 1
        {
            break;
        }
    }
    let (steps, bars) = (steps_in(&events), bars_in(&drawn));
    assert!(steps.len() > 3 && steps.windows(2).all(|two| two[0].0 <= two[1].0), "{steps:?}");
    let total = steps.iter().find_map(|(_, total)| *total).expect("a total");
    assert_eq!((total, steps.last().map(|(last, _)| *last)), (bytes, Some(bytes)));
    let whole = indicatif::HumanBytes(total).to_string();
    // What is drawn was told: each bar stands where an event put it, with a rate.
    let told: BTreeSet<String> =
        steps.iter().map(|(bytes, _)| indicatif::HumanBytes(*bytes).to_string()).collect();
    assert!(bars.iter().collect::<BTreeSet<_>>().len() > 1, "{bars:?}\n{drawn}");
    assert!(
        bars.iter().all(|(bytes, total)| told.contains(bytes) && *total == whole),
        "{told:?}, {whole}: {bars:?}"
    );
    // Lines stand between the bars: all that people are told elsewhere but the beginnings of the
    // fetches, which the bars are.
    for line in lines_of(&events).lines().filter(|line| !line.starts_with("fetch and unpack")) {
        assert!(drawn.contains(line), "{line} is not in:\n{drawn}");
    }
}
