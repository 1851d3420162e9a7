//! Control groups of nodes. A node has a group of its own in every hierarchy of this machine, and
//! everything that runs in the node is in it or below it: two nodes that run at the same time share
//! no group, and units of one name are different groups.
//!
//! systemd keeps its units in the unified hierarchy (version 2), in its own one of version 1
//! (`name=systemd`), or in both. There the group of a node is at the top, because nspawn and the
//! node's systemd manage what is below it. The controllers of version 1 only count and limit: there
//! the group is below that of the test, whose limits hold for its nodes too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::unistd::{AccessFlags, access};

use super::place::entries;

/// Group for the processes of commands, below that of the node's first process.
const COMMANDS: &str = "commands";

/// One mounted hierarchy.
struct Hierarchy {
    top: PathBuf,
    /// The name of a controller of version 1 in `/proc/self/cgroup`; `None` for those in which
    /// systemd keeps its units.
    controllers: Option<String>,
}

impl Hierarchy {
    /// The group below which those of nodes are made.
    fn parent(&self) -> PathBuf {
        let Some(controllers) = &self.controllers else { return self.top.clone() };
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = own.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            (names == controllers).then(|| path.trim_start_matches('/').to_owned())
        });
        self.top.join(path.unwrap_or_default())
    }
}

/// Every hierarchy of cgroups below `/sys/fs/cgroup`.
fn mounted() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_line = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let top = PathBuf::from(mount.split(' ').nth(4)?);
        let mut fields = file_system.split(' ');
        let (kind, options) = (fields.next()?, fields.next_back()?);
        let controllers = match kind {
            "cgroup2" => None,
            "cgroup" if options.ends_with("name=systemd") => None,
            "cgroup" => Some(options.strip_prefix("rw,").unwrap_or(options).to_owned()),
            _ => return None,
        };
        top.starts_with("/sys/fs/cgroup").then_some(Hierarchy { top, controllers })
    };
    mounts.lines().filter_map(of_line).collect()
}

/// Checks that nodes can have groups where systemd keeps its units, and mounts systemd's own
/// hierarchy if there is none: a host with controllers of version 1 and without systemd may lack
/// it, and nspawn wants it.
pub(super) fn check() -> Result<(), String> {
    let mut of_systemd = mounted();
    of_systemd.retain(|hierarchy| hierarchy.controllers.is_none());
    if let Some(closed) = of_systemd.iter().find(|it| access(&it.top, AccessFlags::W_OK).is_err()) {
        return Err(format!("no cgroups can be made in {}", closed.top.display()));
    }
    if !of_systemd.is_empty() {
        return Ok(());
    }
    let place = Path::new("/sys/fs/cgroup/systemd");
    let options = Some("none,name=systemd");
    fs::create_dir_all(place)
        .and_then(|()| Ok(mount(Some("cgroup"), place, Some("cgroup"), MsFlags::empty(), options)?))
        .map_err(|error| {
            format!("no cgroup hierarchy of systemd is mounted, and none can be: {error}")
        })
}

/// Makes the groups of a node.
pub(super) fn make(id: &str) -> Vec<PathBuf> {
    let mut made = Vec::new();
    for hierarchy in mounted() {
        let (parent, is_needed) = (hierarchy.parent(), hierarchy.controllers.is_none());
        if is_needed || access(&parent, AccessFlags::W_OK).is_ok() {
            let cgroup = parent.join(id);
            fs::create_dir_all(&cgroup)
                .and_then(|()| inherit_cpus(&parent, &cgroup))
                .unwrap_or_else(|error| panic!("make {cgroup:?}: {error}"));
            made.push(cgroup);
        }
    }
    made
}

/// A new group of version 1 has no processors and no memory, and takes no process without them.
fn inherit_cpus(parent: &Path, cgroup: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        // In version 2 an empty file is what is wanted.
        if parent.join("cgroup.clone_children").exists() && parent.join(file).exists() {
            fs::write(cgroup.join(file), fs::read(parent.join(file))?)?;
        }
    }
    Ok(())
}

/// The groups for commands in a node that is on. Where systemd keeps its units they are beside its
/// own, so that no group has both processes and groups below it.
pub(super) fn of_commands(id: &str) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    for hierarchy in mounted() {
        let of_node = hierarchy.parent().join(id);
        if hierarchy.controllers.is_some() {
            groups.extend(of_node.is_dir().then_some(of_node));
            continue;
        }
        // nspawn has the node's systemd in a group of this name, except where only version 1 is.
        let payload = of_node.join("payload");
        let group = if payload.is_dir() { payload } else { of_node }.join(COMMANDS);
        fs::create_dir_all(&group).unwrap_or_else(|error| panic!("make {group:?}: {error}"));
        groups.push(group);
    }
    groups
}

/// A script that joins these groups and runs its arguments.
pub(super) fn joining(groups: &[PathBuf]) -> String {
    let mut script = "set -e\n".to_owned();
    for group in groups {
        script += &format!("echo $$ > '{}/cgroup.procs'\n", group.display());
    }
    script + "exec \"$@\""
}

/// The groups of that id that exist, whichever process made them.
pub(super) fn existing(id: &str) -> Vec<PathBuf> {
    fn find(directory: &Path, id: &str, found: &mut Vec<PathBuf>) {
        for below in entries(directory).into_iter().filter(|path| path.is_dir()) {
            if below.ends_with(id) {
                found.push(below);
            } else {
                find(&below, id, found);
            }
        }
    }
    let mut found = Vec::new();
    for hierarchy in mounted() {
        match hierarchy.controllers {
            Some(_) => find(&hierarchy.top, id, &mut found),
            None => found.extend(Some(hierarchy.top.join(id)).filter(|cgroup| cgroup.is_dir())),
        }
    }
    found
}

/// The processes in a cgroup and all below it.
pub(super) fn processes(cgroup: &Path) -> Vec<i32> {
    let list = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let below =
        entries(cgroup).into_iter().filter(|path| path.is_dir()).flat_map(|path| processes(&path));
    list.lines().filter_map(|number| number.parse().ok()).chain(below).collect()
}

/// Removes a cgroup and all below it; it must be without processes.
pub(super) fn remove(cgroup: &Path) -> io::Result<()> {
    for below in entries(cgroup).iter().filter(|path| path.is_dir()) {
        remove(below)?;
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
