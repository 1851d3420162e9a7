//! One boot of a node: systemd-nspawn, its first process, and the cgroups that they run in.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};

use super::network::Namespace;
use super::place::{Place, entries};

/// How a machine differs from others.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    /// Nothing can be written below `/usr`.
    pub(super) usr_is_read_only: bool,
    /// Its processes have every capability, all system calls, and the control groups of this
    /// machine.
    pub(super) is_unfenced: bool,
}

/// A machine that is on. Dropping it takes its power away.
pub(super) struct Machine {
    nspawn: Child,
    leader: i32,
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
        // Machines that do not register with a systemd of the host would all share the cgroup of
        // this process, and stop each other's units: each gets its own before nspawn looks where it
        // is.
        let mut script = "set -e\n".to_owned();
        for cgroup in own_cgroups(place.id()) {
            fs::create_dir_all(&cgroup).unwrap_or_else(|error| panic!("make {cgroup:?}: {error}"));
            script += &format!("echo $$ > '{}/cgroup.procs'\n", cgroup.display());
        }
        script += r#"exec setsid systemd-nspawn "$@""#;
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &script,
            "nspawn",
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
        let mut machine = Machine { nspawn, leader: 0 };
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

    /// A command that runs as root in the node, with an environment of its own.
    pub(super) fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
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

/// Where cgroups of processes are made here: the unified hierarchy, systemd's own one, or both.
pub(super) fn hierarchies() -> Result<Vec<PathBuf>, String> {
    let mounted = mounted_hierarchies();
    if let Some(closed) = mounted.iter().find(|top| access(*top, AccessFlags::W_OK).is_err()) {
        return Err(format!("no cgroups can be made in {}", closed.display()));
    }
    if !mounted.is_empty() {
        return Ok(mounted);
    }
    // A host with controllers of the old kind and without systemd may lack systemd's hierarchy;
    // nspawn wants it here.
    let place = Path::new("/sys/fs/cgroup/systemd");
    fs::create_dir_all(place)
        .and_then(|()| {
            Ok(mount(
                Some("cgroup"),
                place,
                Some("cgroup"),
                MsFlags::empty(),
                Some("none,name=systemd"),
            )?)
        })
        .map_err(|error| {
            format!("no cgroup hierarchy of systemd is mounted, and none can be: {error}")
        })?;
    Ok(vec![place.to_owned()])
}

fn mounted_hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_wanted = |line: &str| {
        line.contains(" - cgroup2 ")
            || line.contains(" - cgroup ") && line.ends_with("name=systemd")
    };
    let mounted =
        mounts.lines().filter(|line| is_wanted(line)).filter_map(|line| line.split(' ').nth(4));
    mounted.filter(|path| path.starts_with("/sys/fs/cgroup")).map(PathBuf::from).collect()
}

fn own_cgroups(id: &str) -> Vec<PathBuf> {
    mounted_hierarchies().into_iter().map(|top| top.join(id)).collect()
}

/// The cgroups of that id that exist.
pub(super) fn cgroups(id: &str) -> Vec<PathBuf> {
    own_cgroups(id).into_iter().filter(|cgroup| cgroup.is_dir()).collect()
}

/// The processes in a cgroup and all below it.
pub(super) fn processes(cgroup: &Path) -> Vec<i32> {
    let list = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let below =
        entries(cgroup).into_iter().filter(|path| path.is_dir()).flat_map(|path| processes(&path));
    list.lines().filter_map(|number| number.parse().ok()).chain(below).collect()
}

/// Removes a cgroup and all below it; it must be without processes.
pub(super) fn remove_cgroup(cgroup: &Path) -> io::Result<()> {
    for below in entries(cgroup).iter().filter(|path| path.is_dir()) {
        remove_cgroup(below)?;
    }
    let began = Instant::now();
    loop {
        match fs::remove_dir(cgroup) {
            // The kernel counts a process that has just died for a moment longer.
            Err(error)
                if error.raw_os_error() == Some(nix::libc::EBUSY)
                    && began.elapsed() < Duration::from_secs(60) =>
            {
                std::thread::sleep(Duration::from_millis(10))
            }
            done => return done,
        }
    }
}
