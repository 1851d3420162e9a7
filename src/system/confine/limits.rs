//! Limits of a script and all its processes. Its init counts processes and memory, because control
//! groups cannot be had everywhere; the kernel holds each process to what is its own.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::Uid;

use super::order::{Limit, Limits};
use super::processes;
use crate::system::fault::{self, Effect};

/// Files that a process has open, which is the limit of systemd's units.
const MAX_FILES: rlim_t = 4096;
/// A limit of core dumps with which the kernel also starts no program for them (`core(5)`).
const NO_CORE: rlim_t = 1;
/// Time between two counts.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);
/// Counting takes at most one part in so many of the time, however many processes there are.
const SHARE: u32 = 5;
/// Where the kernel is told which process to kill first when the machine has no memory left, and
/// the highest value of it.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
const FIRST_TO_DIE: &str = "1000";

/// Has the kernel kill this process and those that it starts before any other one when the machine
/// has no memory left. A kernel that cannot do so is no worse than a script without confinement.
pub(super) fn be_first_to_die() {
    if fault::point(Effect::Write, OOM_SCORE).is_ok() {
        let _ = std::fs::write(OOM_SCORE, FIRST_TO_DIE);
    }
}

/// The limit of processes that the kernel holds a user to; none for root, whom it holds to none.
/// Twice ours, so that what was too much is counted and named.
pub(super) fn processes_of(user: Uid, limits: Limits) -> Option<rlim_t> {
    (!user.is_root()).then(|| processes::threads_of(user) + 2 * limits.processes)
}

/// Sets the limits of each process, for this one and those that it starts.
pub(super) fn set(limits: Limits, processes: Option<rlim_t>) -> nix::Result<()> {
    let values = [
        (Resource::RLIMIT_CORE, NO_CORE),
        (Resource::RLIMIT_FSIZE, limits.file_size),
        (Resource::RLIMIT_NOFILE, MAX_FILES),
    ];
    let processes = processes.map(|limit| (Resource::RLIMIT_NPROC, limit));
    for (resource, limit) in values.into_iter().chain(processes) {
        let (_, highest) = getrlimit(resource)?;
        let limit = limit.min(highest);
        setrlimit(resource, limit, limit)?;
    }
    Ok(())
}

/// Counts the processes of a script and their memory.
pub(super) struct Meter {
    limits: Limits,
    next: Instant,
}

impl Meter {
    pub fn start(limits: Limits) -> Meter {
        Meter { limits, next: Instant::now() }
    }

    /// The time until the next count.
    pub fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Counts if it is time for that; returns the limit that was exceeded.
    pub fn exceeded(&mut self) -> Option<Limit> {
        let began = Instant::now();
        if began < self.next {
            return None;
        }
        let processes = processes::below_this();
        let Limits { processes: most, memory: most_memory, .. } = self.limits;
        let exceeded = if processes.len() as u64 > most {
            Some(Limit::Processes(most))
        } else if is_memory_above(most_memory / 1000, &processes)
            // Processes are read one after another: memory that one has shared or handed over
            // meanwhile was counted twice.
            && is_memory_above(most_memory / 1000, &processes::below_this())
        {
            Some(Limit::Memory(most_memory))
        } else {
            None
        };
        let took = began.elapsed();
        self.next = Instant::now() + COUNT_INTERVAL.max(took * (SHARE - 1));
        exceeded
    }
}

/// Whether these processes use more memory than `limit`, in kB.
fn is_memory_above(limit: u64, processes: &[i32]) -> bool {
    let kept = shared_segments();
    // What processes share is counted for each of them: a bound that is cheap to read.
    let most: u64 = processes.iter().map(|process| resident(*process)).sum();
    if most + kept <= limit {
        return false;
    }
    let exact =
        processes.iter().map(|process| share(*process).unwrap_or_else(|| resident(*process)));
    exact.sum::<u64>() + kept > limit
}

/// What a process has in memory and swapped out, in kB, with what it shares.
fn resident(process: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    sum(&status, &["VmRSS:", "VmSwap:"])
}

/// The same with its share of what it shares; none before Linux 4.14, and for processes that hide
/// it.
fn share(process: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    Some(sum(&rollup, &["Pss:", "SwapPss:"]))
}

/// The sum of the named lines of a file in `/proc`, in kB.
fn sum(text: &str, names: &[&str]) -> u64 {
    let of_line = |line: &str| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        names.contains(&name).then(|| value.trim().trim_end_matches(" kB").parse::<u64>().ok())?
    };
    text.lines().filter_map(of_line).sum()
}

/// Shared memory of System V that no process has attached, in kB: what scripts make, because they
/// have a namespace of their own for it or may make none.
fn shared_segments() -> u64 {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let bytes = |line: &str| {
        let fields: Vec<u64> =
            line.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let [attached, resident, swapped] = [6, 14, 15].map(|at| fields.get(at).copied());
        (attached == Some(0)).then(|| resident.unwrap_or(0) + swapped.unwrap_or(0))
    };
    table.lines().skip(1).filter_map(bytes).sum::<u64>() / 1000
}

/// The limit of one process that its end says it has reached.
pub(super) fn limit_of_end(
    limits: Limits,
    status: Option<i32>,
    signal: Option<i32>,
) -> Option<Limit> {
    /// What a shell adds to the signal that ended its last command.
    const SHELL: i32 = 128;
    let is_of_signal = [signal, status.map(|status| status - SHELL)].contains(&Some(libc::SIGXFSZ));
    is_of_signal.then_some(Limit::FileSize(limits.file_size))
}
