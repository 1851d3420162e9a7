//! Runs whole commands on directories that stand for nodes, and tells how they end.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use dcos_node::dcos::journal::Story;
use tempfile::TempDir;

use super::point::events;
use support::build::Build;
use support::faults::Event;
use support::http_server::Server;
use support::tree::Snapshot;

/// A command, and how the node stands when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// On a node without DC/OS.
    Install,
    /// On a node that lost a part.
    Reinstall,
    /// On an installed node.
    Uninstall,
    /// After an install that was killed.
    Recover,
}

/// How a node stands in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// As after an undisturbed install.
    Installed,
    /// As before any install.
    Clean,
    /// The same, and verified packages are kept.
    CleanWithPackages,
    /// As when the operation began.
    AsItBegan,
}

/// Commands on directories, as root: owners and accounts count too.
pub struct Bench {
    url: String,
    is_live: bool,
    directory: TempDir,
    /// How the nodes stand when an operation begins; they are copied for each case.
    templates: BTreeMap<Operation, TempDir>,
    /// A node without DC/OS.
    clean: Snapshot,
    /// The same after an undisturbed install.
    installed: Snapshot,
    _server: Option<Served>,
}

/// A server, and what it runs on.
struct Served {
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Nodes that are directories and get their packages from one.
    pub fn of_directories(build: &Build) -> Bench {
        Bench::new(build, false)
    }

    /// Nodes that run, as far as a systemd in memory can make them, and get their packages over
    /// HTTP.
    pub fn of_machines(build: &Build) -> Bench {
        Bench::new(build, true)
    }

    fn new(build: &Build, is_live: bool) -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        let served = directory.path().join("build");
        std::fs::create_dir(&served).expect("make a directory");
        build.pack(&served);
        let server = is_live.then(|| serve(&served));
        let url = server
            .as_ref()
            .map_or_else(|| served.display().to_string(), |served| served.server.url().to_owned());
        let none = || Snapshot { paths: BTreeMap::new() };
        let (templates, clean, installed) = (BTreeMap::new(), none(), none());
        let mut bench =
            Bench { url, is_live, directory, templates, clean, installed, _server: server };
        let image = bench.bare();
        bench.clean = seen(image.path());
        succeeded(&bench.run(image.path(), Operation::Install, &[]));
        bench.installed = seen(image.path());
        for operation in
            [Operation::Install, Operation::Reinstall, Operation::Uninstall, Operation::Recover]
        {
            let template = bench.template(operation, image.path());
            bench.templates.insert(operation, template);
        }
        bench
    }

    /// An image with the few files that every Linux has; accounts are made in it.
    fn bare(&self) -> TempDir {
        let image = quick();
        for directory in [
            "etc/systemd/system/multi-user.target.wants",
            "etc/profile.d",
            "opt",
            "run",
            "usr",
            "var/lib",
        ] {
            std::fs::create_dir_all(image.path().join(directory)).expect("make a directory");
        }
        for (file, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\nsystemd-journal:x:101:\n"),
            ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
            (
                "etc/systemd/system/systemd-journald.service",
                "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n",
            ),
        ] {
            std::fs::write(image.path().join(file), text).expect("write");
        }
        image
    }

    /// The node at the beginning of an operation.
    fn template(&self, operation: Operation, installed: &Path) -> TempDir {
        match operation {
            Operation::Install => self.bare(),
            Operation::Uninstall => copy(installed),
            Operation::Reinstall => {
                let image = copy(installed);
                // A part is lost, so that there is something to put back.
                std::fs::remove_dir_all(image.path().join("opt/mesosphere/lib"))
                    .expect("lose a part");
                image
            }
            Operation::Recover => {
                let image = self.bare();
                let etc = image.path().join("opt/mesosphere/etc").display().to_string();
                let half = format!("kill Rename 1 {etc}.new -> {etc}");
                let killed =
                    self.run(image.path(), Operation::Install, &[("DCOS_NODE_FAULT", &half)]);
                assert_eq!(
                    killed.status.code(),
                    None,
                    "the install was not killed: {}",
                    said(&killed)
                );
                image
            }
        }
    }

    /// A node at the beginning of an operation.
    pub fn ready(&self, operation: Operation) -> TempDir {
        copy(self.templates[&operation].path())
    }

    /// Runs a command on the node.
    pub fn run(&self, image: &Path, operation: Operation, environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(program());
        match operation {
            Operation::Install | Operation::Reinstall => {
                command.args(["install", "master", "--bootstrap-url", &self.url]);
                if self.is_live {
                    // The machine below the directory is not judged.
                    command.arg("--disable-preflight");
                }
            }
            Operation::Uninstall => drop(command.args(["uninstall", "--purge-data", "--yes"])),
            Operation::Recover => drop(command.arg("recover")),
        }
        if self.is_live {
            command.env("DCOS_NODE_FAULT_SYSTEMD", "1");
        }
        command
            .arg("--root")
            .arg(image)
            .env("TMPDIR", self.directory.path())
            .env("DCOS_NODE_FAULT_WORKERS", "1");
        command
            .env_remove("http_proxy")
            .envs(environment.iter().copied())
            .output()
            .expect("run dcos-node")
    }

    /// Runs a command with these faults, and tells what it did.
    pub fn run_recorded(
        &self,
        image: &Path,
        operation: Operation,
        faults: &str,
    ) -> (Output, Vec<Event>) {
        let record = tempfile::NamedTempFile::new_in(self.directory.path()).expect("a file");
        let path = record.path().to_str().expect("UTF-8");
        let output = self.run(
            image,
            operation,
            &[("DCOS_NODE_FAULTS_RECORD", path), ("DCOS_NODE_FAULT", faults)],
        );
        (output, events(&std::fs::read_to_string(record.path()).expect("read the record"), image))
    }

    /// What an undisturbed run does.
    pub fn record(&self, operation: Operation) -> Vec<Event> {
        let image = self.ready(operation);
        let (output, events) = self.run_recorded(image.path(), operation, "");
        succeeded(&output);
        events
    }

    /// How a node stands after this command, or what is wrong with it.
    pub fn judge(&self, image: &Path, last: Operation, first: Operation) -> Result<End, String> {
        let state = seen(image);
        let differs = |wanted: &Snapshot| state.changes_since(wanted);
        let from_installed = differs(&self.installed);
        let from_clean = differs(&self.clean);
        let end = match last {
            Operation::Uninstall => from_clean.is_empty().then_some(End::Clean),
            Operation::Install | Operation::Reinstall => {
                from_installed.is_empty().then_some(End::Installed)
            }
            // An operation that had not begun, or was finished, has nothing to recover; an error
            // may have turned it back.
            Operation::Recover if from_installed.is_empty() => Some(End::Installed),
            Operation::Recover if from_clean.is_empty() => Some(End::Clean),
            Operation::Recover if from_clean.iter().all(|change| is_kept_package(change)) => {
                Some(End::CleanWithPackages)
            }
            Operation::Recover => {
                differs(&seen(self.templates[&first].path())).is_empty().then_some(End::AsItBegan)
            }
        };
        let end = end.ok_or_else(|| {
            let least = if from_clean.len() < from_installed.len() || last == Operation::Uninstall {
                from_clean
            } else {
                from_installed
            };
            let (kept, worse): (Vec<String>, Vec<String>) =
                least.into_iter().partition(|change| is_kept_package(change));
            format!(
                "differs: {}",
                worse.into_iter().chain(kept).take(8).collect::<Vec<_>>().join(", ")
            )
        })?;
        self.judge_records(image, end).map(|()| end)
    }

    /// The journal and the receipt are compared by what they say.
    fn judge_records(&self, image: &Path, end: End) -> Result<(), String> {
        let ours = image.join("var/lib/dcos-node");
        let journal = std::fs::read(ours.join("journal")).unwrap_or_default();
        let story = Story::read(&journal).map_err(|error| error.to_string())?;
        match end {
            End::Installed if story.intent.is_some() => {
                Err("the node is installed, but its journal is open".into())
            }
            End::Installed if !ours.join("receipt.json").is_file() => {
                Err("the node is installed without a receipt".into())
            }
            End::Clean | End::CleanWithPackages if ours.join("receipt.json").exists() => {
                Err("the node is clean and has a receipt".into())
            }
            End::CleanWithPackages if story.intent.is_some() => {
                Err("the node is clean, but its journal is open".into())
            }
            _ => Ok(()),
        }
    }
}

fn serve(directory: &Path) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    Served { server: runtime.block_on(Server::start(directory)), _runtime: runtime }
}

/// Where the program places itself.
const BINARY: &str = "/opt/dcos-node/bin/dcos-node";

/// The program without its tables for debuggers: it is copied to every node.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (path, _) = PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("dcos-node");
        let built = env!("CARGO_BIN_EXE_dcos-node");
        let stripped = Command::new("strip").arg("-o").arg(&path).arg(built).status();
        if !stripped.is_ok_and(|status| status.success()) {
            std::fs::copy(built, &path).expect("copy the program");
        }
        (path, directory)
    });
    path
}

/// The same node once more. Files are shared with it: nothing but the journal and the lock is ever
/// written in its place. The journal knows inodes, and those of directories are others in the copy.
pub fn copy(image: &Path) -> TempDir {
    let copy = quick();
    let status = Command::new("cp")
        .args(["-al", "--no-target-directory"])
        .arg(image)
        .arg(copy.path())
        .status()
        .expect("cp");
    assert!(status.success());
    let _ = std::fs::remove_file(copy.path().join("run/dcos-node.lock"));
    let journal = copy.path().join("var/lib/dcos-node/journal");
    let Ok(text) = std::fs::read_to_string(&journal) else { return copy };
    let mut renumbered = text;
    for entry in std::fs::read_dir(image.join("opt/mesosphere")).into_iter().flatten().flatten() {
        let inode = |image: &Path| {
            std::fs::symlink_metadata(image.join("opt/mesosphere").join(entry.file_name()))
                .expect("it was copied")
                .ino()
        };
        renumbered = renumbered.replace(
            &format!("\"incoming\":{}}}", inode(image)),
            &format!("\"incoming\": {}}}", inode(copy.path())),
        );
    }
    let permissions = std::fs::metadata(&journal).expect("it was copied").permissions();
    std::fs::remove_file(&journal).expect("stop sharing the journal");
    std::fs::write(&journal, renumbered.replace("\"incoming\": ", "\"incoming\":"))
        .expect("write the journal");
    std::fs::set_permissions(&journal, permissions).expect("set its mode");
    copy
}

/// The tree without what is ours by schema. Of accounts only the names count: a second run may
/// number them otherwise.
fn seen(image: &Path) -> Snapshot {
    let mut snapshot = Snapshot::of_all_but(image, BINARY);
    // It is large, so it is compared and not digested.
    if let Ok(binary) = std::fs::read(image.join(BINARY.trim_start_matches('/'))) {
        let is_whole = Some(&binary) == std::fs::read(program()).ok().as_ref();
        snapshot
            .paths
            .insert(BINARY.to_owned(), BTreeMap::from([("whole".to_owned(), is_whole.into())]));
    }
    let accounts = [
        "/etc/passwd",
        "/etc/group",
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/subuid",
        "/etc/subgid",
        "/etc/.pwd.lock",
    ];
    snapshot.paths.retain(|path, _| {
        !path.starts_with("/var/lib/dcos-node/")
            && !accounts.iter().any(|file| path.starts_with(file))
    });
    for file in ["etc/passwd", "etc/group"] {
        let text = std::fs::read_to_string(image.join(file)).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split(':').next());
        snapshot.paths.extend(names.map(|name| (format!("{file}: {name}"), BTreeMap::new())));
    }
    snapshot
}

/// A recovery of a failed install may leave verified packages for the next try, and the journal
/// that knows them.
fn is_kept_package(change: &str) -> bool {
    ["new /var/lib/dcos-node", "changed /var/lib"].contains(&change)
}

/// A directory in memory, where there is one: thousands of small trees are made and removed.
fn quick() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// The complaint of a command, in one line.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|l| !l.starts_with("fetch"))
        .collect::<Vec<_>>()
        .join(" | ")
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}
