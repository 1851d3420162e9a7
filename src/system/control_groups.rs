//! Control groups of processes (`cgroups(7)`), and an end for all processes of some.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cancellation::{Cancellation, Cancelled, Ended};
use super::fault::{self, Effect};

/// How long processes may take to end after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the kernel may take to end processes after SIGKILL: a machine may be busy, or stand
/// still for a while.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

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

/// Why processes were not ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses the signal.
    #[error("cannot signal a process")]
    Signal(#[from] io::Error),
    /// The wait for their end was ended; they were asked to end.
    #[error("cannot wait for the end of processes")]
    Cancelled(#[from] Cancelled),
}

/// Asks those processes to end, and kills those that do not. Returns how many are left: none,
/// unless the kernel holds them.
///
/// # Errors
/// They may not be ended, or the wait was cancelled.
pub fn end(
    proc: &Path,
    cancellation: &Cancellation,
    chosen: impl Fn(&str) -> bool,
) -> Result<usize, Error> {
    for (signal, limit) in [(Signal::SIGTERM, TERM_TIMEOUT), (Signal::SIGKILL, KILL_TIMEOUT)] {
        let mut signalled = Vec::new();
        let ended = cancellation.poll_blocking(POLL_INTERVAL, limit, || {
            // Processes that these start meanwhile are signalled too.
            let found = processes(proc, &chosen);
            let new = found.iter().filter(|pid| !signalled.contains(*pid));
            if let Err(error) = new.into_iter().try_for_each(|pid| send(signal, *pid)) {
                return Some(Err(error));
            }
            signalled = found;
            signalled.is_empty().then_some(Ok(0))
        });
        match ended {
            Ok(ended) => return Ok(ended?),
            Err(Ended::Cancelled) => return Err(Cancelled.into()),
            Err(Ended::TimeUp) => {}
        }
    }
    Ok(processes(proc, &chosen).len())
}

/// Signals a process; one that has ended is fine.
fn send(signal: Signal, pid: u32) -> io::Result<()> {
    fault::point(Effect::Call, format!("{signal} {pid}"))?;
    match kill(Pid::from_raw(pid.cast_signed()), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
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
        let cancellation = Cancellation::default();
        let left = end(Path::new("/proc"), &cancellation, |group| group == "/no/such/group");
        assert_eq!(left.unwrap(), 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests make their own files")]
    fn cancelled_wait_for_processes_ends() {
        // A process that cannot end, because only this directory has it: no number is that high.
        let proc = tempfile::tempdir().unwrap();
        let process = proc.path().join("2000000000");
        fs::create_dir(&process).unwrap();
        fs::write(process.join("cgroup"), "0::/tasks\n").unwrap();
        let cancellation = Cancellation::default();
        let looks = std::cell::Cell::new(0);
        let ended = end(proc.path(), &cancellation, |group| {
            looks.set(looks.get() + 1);
            cancellation.request();
            group == "/tasks"
        });
        assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
        assert_eq!(looks.get(), 1);
    }
}
