//! The machine and its kernel: what it is, what it has, and how it is set up.

use std::collections::BTreeSet;
use std::path::Path;

use super::modules;
use crate::dcos::layout;
use crate::system::root::Root;
use crate::system::{files, mounts};

/// Facts about the machine, each with the reason if it could not be had.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `uname -m`.
    pub architecture: String,
    /// `uname -r`.
    pub kernel: String,
    /// The node's own name, as the kernel has it.
    pub hostname: String,
    /// Processors (`/proc/cpuinfo`).
    pub processors: Result<usize, String>,
    /// Bytes of memory (`MemTotal` of `/proc/meminfo`).
    pub memory: Result<u64, String>,
    /// Bytes of swap space (`SwapTotal`).
    pub swap: Result<u64, String>,
    /// The control groups.
    pub cgroups: Result<Cgroups, String>,
    /// SELinux; none where it is off.
    pub selinux: Option<SeLinux>,
    /// Names of the kernel modules that are loaded, built in, or that `modprobe` would load, with
    /// underscores.
    pub modules: Result<BTreeSet<String>, String>,
    /// Whether the kernel has IPv6 (`/proc/sys/net/ipv6`, which `ipv6.disable=1` takes away).
    pub ipv6: bool,
    /// What new files are not allowed for others (`Umask` of `/proc/self/status`, Linux 4.7 and
    /// newer).
    pub umask: Option<u32>,
    /// The locale of this process, else the system's; none if neither is set.
    pub locale: Option<String>,
    /// The directory where journald keeps its files; none if there is none.
    pub journal: Option<Journal>,
}

/// Control groups, by `/proc/self/mountinfo` and `/proc/cgroups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// Controllers of hierarchies of version 1 that are mounted.
    pub mounted: BTreeSet<String>,
    /// Whether the hierarchy of version 2 is the only one.
    pub only_v2: bool,
    /// Controllers that the kernel has and that are switched on.
    pub enabled: BTreeSet<String>,
}

/// SELinux that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeLinux {
    /// Whether it refuses, or only tells.
    pub enforcing: bool,
    /// The policy (`SELINUXTYPE` of its configuration).
    pub policy: Option<String>,
}

/// The directory of journald's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// As the node sees it.
    pub path: String,
    /// The number of its group.
    pub group: u32,
    /// Permission bits.
    pub mode: u32,
}

/// `modules.dep` of a distribution's kernel has less than 1 MiB.
const LONGEST: u64 = 64 << 20;

/// Looks at the machine below a root.
pub fn look(root: &Root) -> Machine {
    let proc = root.resolved(layout::PROC);
    let system = nix::sys::utsname::uname();
    let word = |text: Option<&std::ffi::OsStr>| {
        text.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let architecture = word(system.as_ref().ok().map(|s| s.machine()));
    let kernel = word(system.as_ref().ok().map(|s| s.release()));
    let memory = text(&proc.join("meminfo"));
    let bytes = |field: &str| {
        let text = memory.as_ref().map_err(Clone::clone)?;
        kilobytes(text, field)
            .map(|n| n.saturating_mul(1024))
            .ok_or_else(|| format!("the kernel does not tell {field}"))
    };
    Machine {
        hostname: word(system.as_ref().ok().map(|s| s.nodename())),
        processors: text(&proc.join("cpuinfo"))
            .map(|t| t.lines().filter(|l| l.starts_with("processor")).count()),
        memory: bytes("MemTotal"),
        swap: bytes("SwapTotal"),
        cgroups: cgroups(&proc),
        selinux: selinux(root),
        modules: modules::look(root, &proc, &kernel),
        ipv6: files::exists(&proc.join("sys/net/ipv6")),
        umask: text(&proc.join("self/status")).ok().and_then(|t| {
            u32::from_str_radix(t.lines().find_map(|l| l.strip_prefix("Umask:"))?.trim(), 8).ok()
        }),
        locale: locale(root),
        journal: layout::JOURNALS.iter().find_map(|path| journal(root, path)),
        architecture,
        kernel,
    }
}

fn text(path: &Path) -> Result<String, String> {
    match files::read(path, LONGEST) {
        Ok(Some(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Ok(None) => Err(format!("{} is not there", path.display())),
        Err(error) => Err(super::told(&error)),
    }
}

/// `MemTotal:       16384 kB`.
fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn cgroups(proc: &Path) -> Result<Cgroups, String> {
    let mounts = mounts::all(proc).map_err(|e| super::told(&e))?;
    // name, hierarchy, number of groups, enabled
    let known = text(&proc.join("cgroups")).unwrap_or_default();
    let enabled = known.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.first().filter(|_| fields.get(3) == Some(&"1")).map(|name| (*name).to_owned())
    });
    let enabled: BTreeSet<String> = enabled.collect();
    let of_v1 = mounts.iter().filter(|m| m.kind == "cgroup");
    let mounted: BTreeSet<String> = of_v1
        .flat_map(|m| m.super_options.iter())
        .filter(|option| enabled.contains(*option))
        .cloned()
        .collect();
    let only_v2 = mounted.is_empty() && mounts.iter().any(|m| m.kind == "cgroup2");
    Ok(Cgroups { mounted, only_v2, enabled })
}

fn selinux(root: &Root) -> Option<SeLinux> {
    let enforce = text(&root.resolved(layout::SELINUX_ENFORCE)).ok()?;
    let configuration = text(&root.resolved(layout::SELINUX_CONFIG)).unwrap_or_default();
    let policy = configuration
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("SELINUXTYPE="))
        .map(|p| p.trim().to_owned());
    Some(SeLinux { enforcing: enforce.trim() == "1", policy })
}

fn locale(root: &Root) -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let system = |name: &str| {
        let files = layout::LOCALES.iter().filter_map(|path| text(&root.resolved(path)).ok());
        files
            .filter_map(|text| crate::dcos::settings::variable(&text, name))
            .find(|value| !value.is_empty())
    };
    set("LC_ALL").or_else(|| set("LANG")).or_else(|| system("LC_ALL")).or_else(|| system("LANG"))
}

fn journal(root: &Root, path: &str) -> Option<Journal> {
    let status = nix::sys::stat::stat(&root.resolved(path)).ok()?;
    Some(Journal { path: path.to_owned(), group: status.st_gid, mode: status.st_mode & 0o7777 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let directory = tempfile::tempdir().unwrap();
        let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
        for (path, text) in files {
            let path = directory.path().join(path.replace("RELEASE", &release));
            files::make_directories(path.parent().unwrap(), 0o755).unwrap();
            files::place(&path, text.as_bytes(), 0o644, None).unwrap();
        }
        let machine = look(&Root::new(directory.path()));
        (directory, machine)
    }

    #[test]
    fn a_recorded_machine_is_read() {
        let (_directory, machine) = recorded(&[
            ("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\nSwapTotal:  8 kB\n"),
            ("proc/cpuinfo", "processor\t: 0\nmodel name : x\n\nprocessor\t: 1\n"),
            (
                "proc/cgroups",
                "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t1\t1\nmemory\t0\t1\t0\n",
            ),
            (
                "proc/self/mountinfo",
                "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 25 0:27 / \
                 /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/status", "Name:\tx\nUmask:\t0077\n"),
            ("proc/modules", "dm_raid 49152 0 - Live 0x0000000000000000\n"),
            ("proc/filesystems", "nodev\toverlay\n\text4\n"),
            ("proc/sys/net/ipv6/conf", ""),
            ("lib/modules/RELEASE/modules.builtin", "kernel/drivers/net/dummy.ko\n"),
            (
                "lib/modules/RELEASE/modules.dep",
                "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: \
                 kernel/net/netfilter/ipvs/ip_vs.ko.xz\nkernel/net/netfilter/ipvs/ip_vs.ko.xz:\n",
            ),
            ("sys/module/vxlan/version", "0.1\n"),
            ("sys/fs/selinux/enforce", "1"),
            ("etc/selinux/config", "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"),
            ("run/log/journal/x", ""),
        ]);
        assert_eq!(
            (machine.memory, machine.swap, machine.processors),
            (Ok(16384 * 1024), Ok(8192), Ok(2))
        );
        let cgroups = machine.cgroups.unwrap();
        assert_eq!(
            (cgroups.mounted.contains("cpu"), cgroups.only_v2, cgroups.enabled.contains("memory")),
            (true, false, false)
        );
        let modules = machine.modules.unwrap();
        assert!(
            ["dm_raid", "overlay", "dummy", "ip_vs_wlc", "vxlan"]
                .iter()
                .all(|m| modules.contains(*m)),
            "{modules:?}"
        );
        assert_eq!(
            machine.selinux,
            Some(SeLinux { enforcing: true, policy: Some("targeted".into()) })
        );
        assert_eq!(
            (machine.ipv6, machine.umask, machine.journal.map(|j| j.path)),
            (true, Some(0o77), Some("/run/log/journal".into()))
        );
    }

    #[test]
    fn an_unreadable_machine_gives_reasons() {
        let (_directory, machine) = recorded(&[("proc/meminfo", "MemFree: 1 kB\n")]);
        assert!(
            machine.memory.unwrap_err().contains("MemTotal")
                && machine.processors.unwrap_err().contains("cpuinfo")
        );
        assert!(machine.cgroups.unwrap_err().contains("mountinfo"));
        assert_eq!(
            (machine.selinux, machine.ipv6, machine.umask, machine.journal),
            (None, false, None, None)
        );
    }
}
