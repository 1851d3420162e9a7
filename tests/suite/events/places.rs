//! Where events are written: files, descriptors, pipes and standard output.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dcos_node::dcos::event::{Event, Kind};
use dcos_node::dcos::exit::Exit;
use serde_json::Value;
use support::build::Build;

use super::{command, install, told};

#[test]
fn event_file_has_the_failure_of_a_refused_command() {
    let (root, file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let output = install(root.path(), root.path(), file.path());
    let events = told(file.path());
    let Some(Event::Ended { code, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(output.status.code(), Some(i32::from(*code)));
    assert_ne!(*code, 0);
}

#[test]
fn events_are_the_same_in_file_descriptor_and_stdout() {
    let root = tempfile::tempdir().unwrap();
    // An image cannot be waited for: there is no result beside the events.
    let line = "umask 0; cd \"$1\"; export DCOS_NODE_ROOT=\"$1\"; \
                \"$0\" status --wait --events new; \
                \"$0\" status --wait --events fd:7 7>by-number >/dev/null; \
                \"$0\" status --wait --events - >by-output; \
                \"$0\" status --wait --events fd:8; echo $? >refused";
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
            "cd \"$1\"; export DCOS_NODE_ROOT=\"$1\"; \
             {{ \"$0\" status --json --events {place}; echo $? >code; }} {output}; cat out"
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
    let output = shell(
        "cd \"$1\" && mkfifo pipe && DCOS_NODE_ROOT=\"$1\" \"$0\" status --events pipe",
        root.path(),
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nobody reads this pipe") && said.contains("  cure:   "), "{said}");
    // The shell holds the pipe open, so that the reader is there first; it reads only when the run
    // has ended.
    let line = "cd \"$1\"; export DCOS_NODE_ROOT=\"$1\"; \
                exec 8<>pipe && \"$0\" status --events pipe 8<&-; head -n 2 \
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
