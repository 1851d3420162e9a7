//! Events are part of the interface: documented, of one form for programs, people and the journal,
//! and never of another meaning.

mod documented;
mod places;
mod replayed;
mod terminal;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use dcos_node::dcos::event::{Event, SCHEMA};
use dcos_node::output::follow::{self, Wish};
use serde_json::Value;

/// Who is nobody.
const NOBODY: u32 = 65534;

/// The lines of JSON that a run wrote.
fn told(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
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
