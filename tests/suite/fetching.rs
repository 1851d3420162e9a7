//! Fetching: from several places, held to digests, rates and sizes, and ahead of an install.

mod kept;
mod limits;
mod servers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::build::{Build, Packed};
use tempfile::TempDir;

/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// A directory that becomes a node, and belongs to who runs dcos-node.
fn image() -> TempDir {
    let image = tempfile::tempdir().unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(image.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    image
}

/// A packed build that everybody may read.
fn packed(build: &Build) -> (Packed, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    (build.pack(directory.path()), directory)
}

fn run_with(image: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(arguments).arg("--root").arg(image).env_remove("http_proxy").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

fn run(image: &Path, arguments: &[&str]) -> Output {
    run_with(image, arguments, &[])
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
    said
}

/// Where packages wait for an install.
const STORE: &str = "var/lib/dcos-node/packages";

/// The names of packages that wait for an install, hidden ones too.
fn store(image: &Path) -> Vec<String> {
    let Ok(listed) = fs::read_dir(image.join(STORE)) else { return Vec::new() };
    let mut names: Vec<String> =
        listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Relative to the serve directory.
fn archive_of(packed: &Packed, package: &str) -> String {
    packed.archive(package).strip_prefix(&packed.dir).unwrap().to_str().unwrap().to_owned()
}
