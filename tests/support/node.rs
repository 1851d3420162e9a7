//! Throwaway nodes: a Debian with systemd as its first process, each in its own network namespace.
//!
//! ```ignore
//! let server = Server::serving("fixtures/reference/serve");
//! let node = Node::boot("master-parity").knowing(&server);
//! node.install_binary();
//! node.run(&["dcos-node", "install", "master", "--bootstrap-url", server.url()]).succeeds();
//! node.reboot();
//! ```
//!
//! A node is gone with everything it used when its value is dropped, and what a killed test left
//! behind is cleared away by the next one. At most two tests have nodes at the same time, on the
//! whole machine: make all the nodes of a test on the test's own thread, and share them with others
//! as you like.

mod available;
mod cgroups;
mod debian;
mod disks;
mod machine;
mod network;
mod outcome;
mod place;
mod power;
mod server;
mod state;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{env, fs};

use disks::Disks;
use machine::Machine;
use network::Namespace;
pub use outcome::{Outcome, Running};
use place::{Place, Turn};
pub use place::{announcing, cache, clear_leftovers, clear_leftovers_while};
pub use server::Server;
pub use state::State;

pub use available::{LACKS, available, can_run, not_run};

/// How long a command may take when the test does not say otherwise. No limit here is near to what
/// anything takes: a machine may be many times slower than the one on which the tests were written,
/// and stand still for a while.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a boot and a clean power-off may take; systemd itself gives a unit 90 seconds to stop.
const BOOT: Duration = Duration::from_secs(600);
/// How long something may take that comes by itself.
const EVENTUALLY: Duration = Duration::from_secs(300);

/// Asks again and again until what was asked is so; what it is instead fails the test in the end.
#[track_caller]
pub fn eventually<T>(ask: impl Fn() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => {
                assert!(began.elapsed() < EVENTUALLY, "still not so after {EVENTUALLY:?}: {why}")
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The program under test, as cargo built it. This test, example or bench is in a directory below
/// that of the program.
pub fn binary() -> PathBuf {
    let here = env::current_exe().expect("the path of this program");
    here.parent().and_then(Path::parent).expect("target/*/*/deps").join("dcos-node")
}

/// One throwaway node, on or off.
pub struct Node {
    name: String,
    traits: machine::Traits,
    machine: Mutex<Option<Machine>>,
    disks: Option<Disks>,
    /// Held so that the server's namespace outlives the cable into it.
    cables: Vec<Arc<Namespace>>,
    // Dropped in this order: the machine first (above), then its network, its directory, and last
    // its turn.
    namespace: Namespace,
    place: Place,
    _turn: Arc<Turn>,
}

/// The systems that a node can have, by the version of systemd that is their first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Debian 11.
    Systemd247,
    /// Debian 12, which is what the other nodes are.
    Systemd252,
    /// Debian 13.
    Systemd257,
}

impl System {
    /// All, the oldest first.
    pub const ALL: [System; 3] = [System::Systemd247, System::Systemd252, System::Systemd257];
}

impl Node {
    /// A fresh node, booted: `multi-user.target` is reached.
    pub fn boot(name: &str) -> Node {
        Node::switched_off(name).booted()
    }

    /// A fresh node that was never booted. Its files can be written, and its cable plugged in.
    #[track_caller]
    pub fn switched_off(name: &str) -> Node {
        Node::made_of(debian::SMALL, name)
    }

    /// The same, of another release of Debian.
    #[track_caller]
    pub fn running(system: System, name: &str) -> Node {
        let debian = match system {
            System::Systemd247 => debian::BULLSEYE,
            System::Systemd252 => debian::SMALL,
            System::Systemd257 => debian::TRIXIE,
        };
        Node::made_of(debian, name)
    }

    /// The same with docker, chrony and the tools for XFS, none of which runs yet, and without the
    /// fences of a container: its units may do what root may on a real machine, set the clock and
    /// make control groups and devices. The clock is this machine's.
    #[track_caller]
    pub fn equipped(name: &str) -> Node {
        Node::made_of(debian::EQUIPPED, name).unfenced()
    }

    /// From its next boot on without the fences of a container: its units may do what root may on a
    /// real machine.
    pub fn unfenced(mut self) -> Node {
        self.traits.is_unfenced = true;
        self
    }

    #[track_caller]
    fn made_of(debian: debian::Debian, name: &str) -> Node {
        if let Err(reason) = can_run() {
            panic!("no node can be had here: {reason}");
        }
        let turn = Turn::of_this_test();
        let base = debian.root();
        let place = Place::new(name);
        debian::copy(&base, &place.in_memory("root"), name);
        let namespace = Namespace::new(place.id());
        Node {
            name: name.to_owned(),
            traits: machine::Traits::default(),
            machine: Mutex::new(None),
            disks: None,
            cables: Vec::new(),
            namespace,
            place,
            _turn: turn,
        }
    }

    /// Connects the node with the server; the server is `bootstrap.dcos.test` in its `/etc/hosts`.
    /// Works on a running node too.
    pub fn knowing(self, server: &Server) -> Node {
        self.plugged_into(server, None)
    }

    /// The same with an address that the test chooses: `10.77.0.11` and up, which no other node is
    /// given.
    pub fn knowing_as(self, server: &Server, address: &str) -> Node {
        self.plugged_into(server, Some(address))
    }

    fn plugged_into(mut self, server: &Server, address: Option<&str>) -> Node {
        server.plug_in(&self.namespace, address);
        let hosts = self.inside("/etc/hosts");
        let known = fs::read_to_string(&hosts).expect("the node's /etc/hosts");
        fs::write(&hosts, format!("{known}{}\t{}\n", network::SERVER, Server::NAME))
            .expect("write the node's /etc/hosts");
        self.cables.push(server.namespace());
        self
    }

    /// From its next boot on, nothing can be written below `/usr`, as on Flatcar.
    pub fn with_read_only_usr(mut self) -> Node {
        self.traits.usr_is_read_only = true;
        self
    }

    /// `/etc`, `/opt` and `/var` each on a disk of its own, which [`Node::lose_power`] can take
    /// back to what was really written.
    #[track_caller]
    pub fn with_disks(mut self) -> Node {
        assert!(self.machine().is_none(), "{}: it is on", self.name);
        self.disks = Some(Disks::new(&self.place, &self.place.path("root")));
        self
    }

    /// The node, switched on and booted.
    pub fn booted(self) -> Node {
        self.power_on();
        self.wait_until_booted();
        self
    }

    /// Puts the program under test where an operator puts it: `/usr/local/bin`, or `/opt/bin` if
    /// `/usr` cannot be written.
    pub fn install_binary(&self) {
        self.copy_in(
            &binary(),
            &format!(
                "{}/dcos-node",
                if self.traits.usr_is_read_only { "/opt/bin" } else { "/usr/local/bin" }
            ),
        );
    }

    /// Runs a command to its end, as root, in the node: no input, its output kept.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, command: &[S]) -> Outcome {
        self.run_within(PATIENCE, command)
    }

    /// The same with a time limit of its own; to exceed it fails the test.
    #[track_caller]
    pub fn run_within<S: AsRef<OsStr>>(&self, limit: Duration, command: &[S]) -> Outcome {
        self.start(command).finish_within(limit)
    }

    /// Runs a line of shell.
    #[track_caller]
    pub fn shell(&self, line: &str) -> Outcome {
        self.run(&["sh", "-c", line])
    }

    /// Waits until a line of shell is true. Between two questions nothing of them runs in the node.
    #[track_caller]
    pub fn until(&self, line: &str) {
        let began = Instant::now();
        loop {
            let answer = self.shell(line);
            if answer.code() == Some(0) {
                return;
            }
            if began.elapsed() > EVENTUALLY {
                let units = self.shell(
                    "systemctl list-jobs; systemctl list-units --all 'dcos*'; journalctl \
                     --no-pager -n 40 -t dcos-node",
                );
                panic!(
                    "{}: still not so after {EVENTUALLY:?}: {answer}\n{}",
                    self.name,
                    units.stdout()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the boot, or whoever started `dcos-setup.service`, has gone on with what was
    /// interrupted: it lets go of the node's lock.
    #[track_caller]
    pub fn wait_for_setup(&self) {
        // A question that systemd does not answer in time has no word.
        self.until("systemctl is-active dcos-setup.service | grep -qxE 'inactive|failed'");
    }

    /// Starts a command and does not wait for it.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, command: &[S]) -> Running {
        let machine = self.machine();
        let machine = machine.as_ref().unwrap_or_else(|| panic!("{}: it is off", self.name));
        Running::start(&mut machine.command(command), command)
    }

    /// The node's root directory as seen from here. Of a running node it shows what the node's own
    /// processes see.
    ///
    /// Absolute links below it lead to this machine: follow none of them, or ask `inside`.
    pub fn root(&self) -> PathBuf {
        match self.machine().as_ref() {
            Some(machine) => machine.root(),
            None => self.place.path("root"),
        }
    }

    /// Where a path of the node lies for us, links resolved as the node resolves them.
    pub fn inside(&self, path: &str) -> PathBuf {
        resolve(&self.root(), path)
    }

    /// The text of a file in the node.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.inside(path))
            .unwrap_or_else(|error| panic!("{}: read {path}: {error}", self.name))
    }

    /// Writes a file in the node (0644 if it is new), and the directories that it needs.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let file = self.made(path);
        fs::write(file, text)
            .unwrap_or_else(|error| panic!("{}: write {path}: {error}", self.name));
    }

    /// Writes a program in the node.
    #[track_caller]
    pub fn write_script(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.inside(path), fs::Permissions::from_mode(0o755))
            .expect("make it executable");
    }

    /// True if there is anything at that path, a dangling link included.
    pub fn has(&self, path: &str) -> bool {
        let (directory, name) = path.rsplit_once('/').expect("an absolute path");
        self.inside(directory).join(name).symlink_metadata().is_ok()
    }

    /// Its units and processes, its network, settings and mounts as they are now.
    #[track_caller]
    pub fn state(&self) -> State {
        State::of(self)
    }

    /// What an operator does after an uninstall: the rule by which dcos-net lets everything be
    /// forwarded cannot be told from an operator's own, so the report tells of it and leaves it.
    #[track_caller]
    pub fn stop_forwarding(&self) {
        self.shell("while iptables -w -D FORWARD -j ACCEPT 2>/dev/null; do :; done").succeeds();
    }

    /// Copies a file or a tree of this machine into the node, with owners, modes, links and times.
    #[track_caller]
    pub fn copy_in(&self, from: &Path, to: &str) {
        let to = self.made(to);
        // Without holes: to run a program fills those that it has, and the node would have less
        // room than before.
        outcome::must(Command::new("cp").args(["-a", "-T", "--sparse=never"]).arg(from).arg(to));
    }

    /// What the node wrote on its console since it was first switched on.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.place.path("console.log")).unwrap_or_default())
            .into_owned()
    }

    /// Its name on this machine: of its network namespace, its cgroups and its directory.
    pub fn id(&self) -> &str {
        self.place.id()
    }

    fn made(&self, path: &str) -> PathBuf {
        let file = self.inside(path);
        fs::create_dir_all(file.parent().expect("a path below the root"))
            .unwrap_or_else(|error| panic!("{}: make room for {path}: {error}", self.name));
        file
    }

    fn machine(&self) -> MutexGuard<'_, Option<Machine>> {
        // A test that failed while it held the lock still has to be cleaned up after.
        self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(machine) = self.machine().as_ref()
        {
            let journal = Running::start(
                &mut machine.command(&["journalctl", "--no-pager", "-n", "40", "-p", "notice"]),
                &["journalctl"],
            )
            .outcome(Duration::from_secs(10));
            eprintln!(
                "{}: its journal ends so:\n{}",
                self.name,
                journal.map(|it| it.stdout().to_owned()).unwrap_or_default()
            );
        }
    }
}

/// Follows links below `root` as a process does whose root it is. What does not exist is taken as
/// it is named.
fn resolve(root: &Path, path: &str) -> PathBuf {
    let mut todo: Vec<_> =
        Path::new(path).components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => here = PathBuf::new(),
            Some(Component::ParentDir) => drop(here.pop()),
            Some(Component::Normal(name)) => {
                here.push(name);
                if let Ok(target) = fs::read_link(root.join(&here)) {
                    links += 1;
                    assert!(links < 40, "{path}: too many links");
                    here.pop();
                    todo.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
                }
            }
            _ => {}
        }
    }
    root.join(here)
}
