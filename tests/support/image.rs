//! A node that is a directory: what every Linux has, whole commands run on it as root, and what
//! they said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use dcos_node::command::World;
use dcos_node::dcos::event::Events;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::clock::KernelClock;
use dcos_node::system::root::Root;
use dcos_node::system::systemd::Systemd;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use super::build::{Build, Packed};
use super::tree::Snapshot;

/// An image with the few files that every Linux has; accounts are made in it.
pub struct Image {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Default for Image {
    fn default() -> Image {
        Image::new()
    }
}

impl Image {
    /// A fresh one.
    pub fn new() -> Image {
        let image = Image { directory: quick(), environment: Vec::new() };
        image.fill();
        image
    }

    /// A fresh one that is a file system in memory of its own, of so many bytes.
    pub fn of_size(bytes: usize) -> (Image, Mounted) {
        let image = Image { directory: quick(), environment: Vec::new() };
        let mounted = Mounted::memory(image.path(), bytes);
        image.fill();
        (image, mounted)
    }

    fn fill(&self) {
        for directory in
            ["etc/systemd/system/multi-user.target.wants", "etc/profile.d", "opt", "usr", "var/lib"]
        {
            std::fs::create_dir_all(self.at(directory)).expect("make a directory");
        }
        for (file, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\nsystemd-journal:x:101:\n"),
            ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
        ] {
            std::fs::write(self.at(file), text).expect("write");
        }
    }

    /// Another one with the same content.
    pub fn copy(&self) -> Image {
        let copy = Image { directory: quick(), environment: self.environment.clone() };
        let copied = Command::new("cp")
            .args(["-a", "-T"])
            .arg(self.path())
            .arg(copy.path())
            .status()
            .expect("run cp");
        assert!(copied.success());
        copy
    }

    /// Sets a variable for all commands.
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Image {
        self.environment.push((variable.to_owned(), value.into()));
        self
    }

    /// Takes a variable away from all further commands.
    pub fn without(mut self, variable: &str) -> Image {
        self.environment.retain(|(name, _)| name != variable);
        self
    }

    /// Its root directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// True if anything stands there, a dangling link too.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// Runs a command on it to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Said {
        Said::of(self.command(arguments).output().expect("run dcos-node"))
    }

    /// Runs a command of another program on it, as one that `publish` stamped.
    #[track_caller]
    pub fn run_with<S: AsRef<OsStr>>(&self, program: &Path, arguments: &[S]) -> Said {
        loop {
            match self.command_of(program, arguments).output() {
                // A child that another test has just started still holds the program open.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                output => return Said::of(output.expect("run the program")),
            }
        }
    }

    /// Starts a command on it.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start dcos-node")
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        self.command_of(&super::node::binary(), arguments)
    }

    fn command_of<S: AsRef<OsStr>>(&self, program: &Path, arguments: &[S]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--root")
            .arg(self.path())
            .env_remove("http_proxy")
            .stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        command
    }

    /// What a command works with that runs in the test itself: nobody hears its news, and jobs are
    /// not followed for long.
    pub fn world(&self, systemd: Option<Result<Arc<dyn Systemd>, String>>) -> World {
        World {
            root: Root::new(self.path()),
            systemd,
            patience: Duration::from_secs(1),
            clock: Arc::new(KernelClock),
            events: Events::to(channel().0),
            cancellation: Cancellation::default(),
            command_line: "a test".to_owned(),
            authorities: None,
            stamp: None,
        }
    }

    /// `install master` from there, and what else is said.
    #[track_caller]
    pub fn install(&self, url: &str, more: &[&str]) -> Said {
        self.run(&[&["install", "master", "--bootstrap-url", url], more].concat())
    }

    /// Its tree, without what is ours by schema, and what changes with every account.
    pub fn tree(&self) -> Snapshot {
        let mut snapshot = Snapshot::of(self.path());
        let ours = [
            "/var/lib/dcos-node",
            "/etc/passwd",
            "/etc/group",
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/subuid",
            "/etc/subgid",
            "/etc/.pwd.lock",
        ];
        snapshot.paths.retain(|path, _| !ours.iter().any(|o| path.starts_with(o)));
        snapshot
    }

    /// Demands the tree of an earlier moment, with or without whole packages that are kept for
    /// another try, beside our records or our program.
    #[track_caller]
    pub fn is_as(&self, before: &Snapshot) {
        let kept = |change: &String| {
            let below = change
                .strip_prefix("new /opt/dcos-node")
                .map(|rest| rest.strip_prefix("/packages").unwrap_or(rest));
            below.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') && !rest.starts_with("/.")
            })
        };
        let wrong: Vec<String> =
            self.tree().changes_since(before).into_iter().filter(|change| !kept(change)).collect();
        assert!(wrong.is_empty(), "the node is not as it was: {wrong:#?}");
        let staging = |store: &str| {
            let names = std::fs::read_dir(self.at(store)).into_iter().flatten().flatten();
            names
                .map(|entry| entry.file_name())
                .find(|name| name.to_string_lossy().starts_with('.'))
        };
        assert_eq!(staging("var/lib/dcos-node/packages"), None, "an unfinished package is left");
    }

    /// Demands exactly this tree.
    #[track_caller]
    pub fn equals(&self, wanted: &Snapshot) {
        let wrong = self.tree().changes_since(wanted);
        assert!(wrong.is_empty(), "the tree is another one: {wrong:#?}");
    }
}

/// A directory in memory, where there is one: the program itself, which is large, is copied into
/// each image.
fn quick() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// What a command came to, and what it said.
pub struct Said {
    code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Of a command that has ended. It is shown where the test runner shows output.
    pub fn of(output: Output) -> Said {
        let said = Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        eprintln!("--- exit {:?}\n{}{}", said.code, said.out, said.err);
        said
    }

    /// Its exit code.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// Demands this exit code, and for each list of words a line that has all of them.
    #[track_caller]
    pub fn ends(&self, code: i32, lines: &[&[&str]]) -> &Said {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for words in lines {
            let found = self
                .err
                .lines()
                .chain(self.out.lines())
                .any(|line| words.iter().all(|word| line.contains(word)));
            assert!(found, "no line has {words:?}:\n{}{}", self.out, self.err);
        }
        self
    }
}

/// A file system that a test mounted; it is gone with this value.
pub struct Mounted(PathBuf);

impl Mounted {
    /// A file system in memory.
    pub fn memory(at: &Path, bytes: usize) -> Mounted {
        mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(format!("size={bytes},mode=755").as_str()),
        )
        .expect("mount a tmpfs");
        Mounted(at.to_owned())
    }

    /// A directory, seen at another place too.
    pub fn bind(from: &Path, at: &Path) -> Mounted {
        mount(Some(from), at, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .expect("mount a directory");
        Mounted(at.to_owned())
    }

    /// Gives a file system in memory another size.
    pub fn resize(&self, bytes: usize) {
        let size = format!("size={bytes}");
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT, Some(size.as_str()))
            .expect("resize");
    }

    /// Makes this mount read-only, or writable again.
    pub fn read_only(&self, read_only: bool) {
        let flag = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(
            None::<&str>,
            &self.0,
            None::<&str>,
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flag,
            None::<&str>,
        )
        .expect("remount");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// A serve directory that a test may spoil and mend.
pub struct Serve {
    /// What lies there.
    pub packed: Packed,
    directory: TempDir,
}

impl Serve {
    /// The packed build.
    pub fn of(build: &Build) -> Serve {
        let directory = tempfile::tempdir().expect("a directory");
        Serve { packed: build.pack(directory.path()), directory }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.directory.path().to_str().expect("UTF-8")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}
