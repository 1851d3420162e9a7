//! Control groups of processes (`cgroups(7)`), and an end for all processes of some.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fault::{self, Effect};

/// How long processes may take to end after they were asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end those that were made to: a machine may be busy, or stand
/// still for a while.
const DEATH: Duration = Duration::from_secs(60);
/// Between two looks at them.
const STEP: Duration = Duration::from_millis(50);

/// The group in systemd's hierarchy, of what `/proc/PID/cgroup` says: its own one, or the unified
/// one.
pub(super) fn of_systemd(cgroup: &str) -> Option<&str> {
    let path = |controllers: &str| {
        cgroup
            .lines()
            .find_map(|line| line.split_once(':')?.1.strip_prefix(controllers)?.strip_prefix(':'))
    };
    path("name=systemd").or_else(|| path(""))
}

/// Processes other than this one whose group in systemd's hierarchy is chosen.
pub fn processes(proc: &Path, chosen: impl Fn(&str) -> bool) -> Vec<u32> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id());
    let is_chosen = |pid: &u32| {
        let text =
            fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).unwrap_or_default();
        of_systemd(&text).is_some_and(&chosen)
    };
    pids.filter(is_chosen).collect()
}

/// Asks those processes to end, and makes those end that do not. Returns how many are left: none,
/// unless the kernel holds them.
///
/// # Errors
/// They may not be ended.
pub fn end(proc: &Path, chosen: impl Fn(&str) -> bool) -> io::Result<usize> {
    for (signal, patience) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, DEATH)] {
        let began = Instant::now();
        let mut told = Vec::new();
        loop {
            // What they start meanwhile is told as well.
            let there = processes(proc, &chosen);
            if there.is_empty() {
                return Ok(0);
            }
            for pid in there.iter().filter(|pid| !told.contains(*pid)) {
                fault::point(Effect::Call, format!("{signal} {pid}"))?;
                match kill(Pid::from_raw((*pid).cast_signed()), signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(refusal) => return Err(refusal.into()),
                }
            }
            if began.elapsed() >= patience {
                break;
            }
            told = there;
            std::thread::sleep(STEP);
        }
    }
    Ok(processes(proc, chosen).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hierarchy_takes_precedence_over_unified() {
        let hybrid = "3:cpu:/a\n1:name=systemd:/mesos_executors.slice\n0::/b\n";
        assert_eq!(of_systemd(hybrid), Some("/mesos_executors.slice"));
        assert_eq!(
            (of_systemd("0::/c\n"), of_systemd("3:cpu:/a\n"), of_systemd("")),
            (Some("/c"), None, None)
        );
    }

    #[test]
    fn empty_group_ends_no_process() {
        assert_eq!(end(Path::new("/proc"), |group| group == "/no/such/group").unwrap(), 0);
    }
}
