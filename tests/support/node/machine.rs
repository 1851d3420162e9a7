//! One boot of a node: systemd-nspawn and its first process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroups;
use super::network::Namespace;
use super::place::Place;

/// How a machine differs from others.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    /// Nothing can be written below `/usr`.
    pub(super) usr_is_read_only: bool,
    /// Its processes have every capability and all system calls.
    pub(super) is_unfenced: bool,
}

/// A machine that is on. Dropping it takes its power away.
pub(super) struct Machine {
    nspawn: Child,
    leader: i32,
    id: String,
}

impl Machine {
    #[track_caller]
    pub(super) fn start(
        place: &Place,
        name: &str,
        namespace: &Namespace,
        traits: Traits,
    ) -> Machine {
        let console = File::options()
            .create(true)
            .append(true)
            .open(place.path("console.log"))
            .expect("a file for the console");
        let root = place.path("root");
        // Machines that do not register with a systemd of the host would all share the cgroups of
        // this process, and stop each other's units: each gets its own before nspawn reads where it
        // is.
        let mut command = Command::new("sh");
        command.args(["-c", &cgroups::joining(&cgroups::make(place.id())), "sh"]);
        command.args([
            "setsid",
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--boot",
            "--resolv-conf=off",
            "--console=read-only",
        ]);
        command.arg("--directory").arg(&root).args(["--machine", place.id(), "--hostname", name]);
        command.arg(format!("--network-namespace-path={}", namespace.path()));
        if traits.usr_is_read_only {
            command.arg(format!("--bind-ro={}:/usr", root.join("usr").display()));
        }
        // Units of a machine may ask for its network, and change it; those of a container that was
        // given its network may not.
        command.arg("--capability=CAP_NET_ADMIN");
        if traits.is_unfenced {
            command.args(["--capability=all", "--system-call-filter=add_key keyctl bpf"]);
            command.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        }
        // What a node unpacks in /tmp lands on its disk, as on the distributions that run DC/OS;
        // Debian's own rules empty it at boot.
        command.env("SYSTEMD_NSPAWN_TMPFS_TMP", "0");
        command
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a second handle"))
            .stderr(console);
        let nspawn = command.spawn().expect("start systemd-nspawn");
        let mut machine = Machine { nspawn, leader: 0, id: place.id().to_owned() };
        let began = Instant::now();
        while machine.leader == 0 {
            let ended = machine.nspawn.try_wait().expect("look after systemd-nspawn").is_some();
            if ended || began.elapsed() > Duration::from_secs(300) {
                panic!(
                    "{name}: systemd-nspawn starts no system: {}",
                    fs::read_to_string(place.path("console.log")).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
            machine.leader = leader(machine.nspawn.id()).unwrap_or(0);
        }
        machine
    }

    /// The node's root directory, seen from outside.
    pub(super) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader))
    }

    /// A command that runs as root in the node and in its cgroups, with an environment of its own.
    pub(super) fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &cgroups::joining(&cgroups::of_commands(&self.id)), "sh"])
            .args([
                "nsenter",
                "-t",
                &self.leader.to_string(),
                "-m",
                "-u",
                "-i",
                "-n",
                "-p",
                "-r",
                "-w",
                "-C",
                "--",
            ])
            .args(words);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin");
        command.env("HOME", "/root").env("LANG", "C.UTF-8");
        command
    }

    pub(super) fn is_on(&mut self) -> bool {
        self.nspawn.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits until it went off by itself; gives the machine back if it did not.
    pub(super) fn off_within(mut self, limit: Duration) -> Result<(), Machine> {
        let began = Instant::now();
        while self.is_on() {
            if began.elapsed() > limit {
                return Err(self);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A process whose parent has not reaped it keeps its number, so neither can belong to
        // somebody else by now: nspawn is our child, and the leader is nspawn's as long as nspawn
        // lives.
        if self.is_on() {
            if self.leader != 0 {
                let _ = kill(Pid::from_raw(self.leader), Signal::SIGKILL);
            }
            let began = Instant::now();
            while self.is_on() && began.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
    }
}

/// The first process of the system that nspawn booted: its child that is number 1 in a namespace of
/// its own.
fn leader(nspawn: u32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().filter_map(|number| number.parse().ok()).find(|child: &i32| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let is_first = status.lines().any(|line| {
            line.starts_with("NSpid:")
                && line.split_whitespace().count() > 2
                && line.ends_with("\t1")
        });
        // Before it became systemd it is still nspawn setting up the root.
        is_first && status.starts_with("Name:\tsystemd\n")
    })
}
