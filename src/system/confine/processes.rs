//! The processes of a script, as its init sees them in `/proc`.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};

/// The number of this process if all others that `/proc` shows were started by it.
const FIRST: i32 = 1;

/// A process that is not this one.
struct Process {
    number: i32,
    parent: i32,
    group: i32,
}

/// Returns the numbers of all processes that this one started, and that those started, in the
/// numbers of `/proc`.
pub(super) fn below_this() -> Vec<i32> {
    match this() {
        Some(FIRST) => others(FIRST).collect(),
        Some(this) => below(this).into_iter().map(|process| process.number).collect(),
        None => Vec::new(),
    }
}

/// The number of threads of all processes of a user.
pub(super) fn threads_of(user: Uid) -> u64 {
    let threads = |number: i32| {
        let status = std::fs::read_to_string(format!("/proc/{number}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        (field("Uid:")? == u64::from(user.as_raw())).then(|| field("Threads:"))?
    };
    others(0).filter_map(threads).sum()
}

fn this() -> Option<i32> {
    std::fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()
}

/// The numbers of all processes but one.
fn others(this: i32) -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(move |number: &i32| *number != this)
}

fn below(this: i32) -> Vec<Process> {
    let mut all: Vec<Process> = others(this).filter_map(Process::read).collect();
    let parents: BTreeMap<i32, i32> = all.iter().map(|it| (it.number, it.parent)).collect();
    all.retain(|process| is_below(process.number, this, &parents));
    all
}

/// Numbers are used again, so that a list that was read meanwhile can have a circle in it.
fn is_below(mut number: i32, this: i32, parents: &BTreeMap<i32, i32>) -> bool {
    for _ in 0..parents.len() {
        match parents.get(&number) {
            Some(parent) if *parent == this => return true,
            Some(parent) => number = *parent,
            None => return false,
        }
    }
    false
}

impl Process {
    fn read(number: i32) -> Option<Process> {
        let stat = std::fs::read(format!("/proc/{number}/stat")).ok()?;
        // The name before, in parentheses, can hold anything.
        let rest = stat.rsplit(|byte| *byte == b')').next()?;
        let mut fields = std::str::from_utf8(rest).ok()?.split_whitespace().skip(1);
        let mut field = || fields.next()?.parse().ok();
        Some(Process { number, parent: field()?, group: field()? })
    }
}

/// Kills all processes of the script, those that left it included, until there are none, and calls
/// `ended` with the end of each child. `is_first`: this process is process 1 of a namespace.
pub(super) fn end_all(is_first: bool, mut ended: impl FnMut(WaitStatus)) {
    loop {
        if is_first {
            // To process 1 these are all the others of its namespace.
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        } else {
            kill_below();
        }
        // For the first one as long as it takes, and then for all that ended meanwhile.
        let mut how = None;
        loop {
            match waitpid(None::<Pid>, how) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(status) => ended(status),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            how = Some(WaitPidFlag::WNOHANG);
        }
    }
}

/// Kills them, groups at once first, and stops the others before, or some would start more while
/// they are looked for.
fn kill_below() {
    let Some(this) = this() else { return };
    let own_group = Process::read(Pid::this().as_raw()).map(|process| process.group);
    let groups: BTreeSet<i32> = below(this).iter().map(|process| process.group).collect();
    for group in groups.into_iter().filter(|group| Some(*group) != own_group) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let mut stopped = BTreeSet::new();
    loop {
        let mut running = below(this);
        running.retain(|process| stopped.insert(process.number));
        if running.is_empty() {
            break;
        }
        for process in running {
            let _ = kill(Pid::from_raw(process.number), Signal::SIGSTOP);
        }
    }
    for process in stopped {
        let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
}
