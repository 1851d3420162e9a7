//! `publish` gives a serve directory an index and a stamped program, and nodes that have the
//! program install that build and no other.
//!
//! The nodes here are directories; `tests/nodes/publish_node.rs` has real ones.

mod checked;
mod index;
mod stamped;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dcos_node::dcos::index::Index;
use serde_json::Value;
use support::build::{Build, Packed};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

/// A serve directory, and the program that publishes it: a small copy, for a debug build has a
/// hundred megabytes of symbols.
struct Bench {
    directory: TempDir,
    packed: Packed,
    program: PathBuf,
    _elsewhere: TempDir,
}

impl Bench {
    fn new(build: Build) -> Bench {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packed = build.pack(directory.path());
        let program = elsewhere.path().join("program");
        assert!(
            Command::new("strip").arg("-o").arg(&program).arg(PROGRAM).status().unwrap().success()
        );
        Bench { directory, packed, program, _elsewhere: elsewhere }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn publish(&self, more: &[&str]) -> Output {
        let mut command = program(&self.program);
        command.args(["publish", "--json"]).arg(self.directory.path()).args(more);
        loop {
            match command.output() {
                // A child that another test has just started still holds the program open, which
                // this one has just written.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                output => return output.unwrap(),
            }
        }
    }

    fn published(&self, more: &[&str]) -> Value {
        let output = self.publish(more);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn index(&self) -> Index {
        Index::parse(&fs::read(self.path("dcos-build.json")).unwrap()).unwrap()
    }

    /// Installs into a fresh directory with the published program, without a URL unless one is
    /// among `more`.
    fn install(&self, more: &[&str]) -> (Output, TempDir) {
        install(&self.path("dcos-node"), more)
    }
}

/// A program with nothing of the environment of the tests but what they set.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    command
}

fn install(path: &Path, more: &[&str]) -> (Output, TempDir) {
    let node = tempfile::tempdir().unwrap();
    for directory in ["etc/systemd/system", "run"] {
        fs::create_dir_all(node.path().join(directory)).unwrap();
    }
    let groups = "root:x:0:\n\
                  dcos_tiny_files:x:60001:\n\
                  dcos_tiny_units:x:60002:\n\
                  systemd-journal:x:59001:dcos_tiny_units\n";
    fs::write(
        node.path().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n\
         dcos_tiny_files:x:60001:60001::/:/sbin/nologin\n\
         dcos_tiny_units:x:60002:60002::/:/sbin/nologin\n",
    )
    .unwrap();
    fs::write(node.path().join("etc/group"), groups).unwrap();
    let mut command = program(path);
    command.args(["install", "slave", "--json", "-d", "--root"]).arg(node.path()).args(more);
    (command.output().unwrap(), node)
}

#[track_caller]
fn exits(output: &Output, code: i32, words: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(code) && told.contains(words),
        "expected {code} with {words:?}: {output:?}"
    );
}

/// What `preflight` says of a node that is an empty directory: the exit code, and one check.
fn checked(path: &Path, url: &str, id: &str) -> (Option<i32>, Value) {
    let node = tempfile::tempdir().unwrap();
    let output = program(path)
        .args(["preflight", "--json", "--bootstrap-url", url, "--root"])
        .arg(node.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let check = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == id)
        .unwrap()
        .clone();
    (output.status.code(), check)
}

fn url(bench: &Bench) -> String {
    format!("file://{}", bench.directory.path().display())
}

/// The bytes of everything that is published, hidden files left out.
fn tree(directory: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                continue;
            }
            match path.is_dir() {
                true => open.push(path),
                false => found.push((
                    path.strip_prefix(directory).unwrap().to_owned(),
                    path.metadata().unwrap().permissions().mode(),
                    fs::read(&path).unwrap(),
                )),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn missing_directory_of_a_build_is_no_earlier_build() {
    let bench = Bench::new(Build::tiny());
    let url = format!("file://{}", bench.directory.path().display());
    bench.published(&["--bootstrap-url", &url]);
    let elsewhere = tempfile::tempdir().unwrap();
    let (old, away) = (elsewhere.path().join("old"), elsewhere.path().join("away"));
    fs::rename(bench.path("dcos-node"), &old).unwrap();
    fs::rename(bench.directory.path(), &away).unwrap();
    let (output, _) = install(&old, &[]);
    exits(&output, 3, &format!("cannot read the directory {}", bench.directory.path().display()));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("earlier build"), "{told}");
    fs::rename(&away, bench.directory.path()).unwrap();
    exits(&install(&old, &[]).0, 0, "");
}
