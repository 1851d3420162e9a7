//! All of a running node that an uninstall has to give back: every file, the state beyond files,
//! and the room on its disk.

use std::time::{Duration, Instant};

use super::super::node::{Node, State};
use super::snapshot::Snapshot;

/// How long a node may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is there after an uninstall and was not before, and why. Nothing else is.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "/run/dcos-node.lock",
    "the lock of the next dcos-node: to remove it would let two run at once, each with a file of \
     its own; no boot finds it",
)];

/// A unit that works for a moment, its process and its job.
fn may_pass(change: &str) -> bool {
    let is_one =
        change.split([' ', ':']).take(2).any(|word| ["unit", "process", "job"].contains(&word));
    is_one && !["dcos", "mesos"].iter().any(|name| change.contains(name))
}

/// A node at one moment.
pub struct Whole {
    /// Every file, but what a running node goes on writing by itself.
    pub files: Snapshot,
    /// Units, processes, accounts, network, settings, mounts.
    pub state: State,
    /// Blocks and inodes of the file system at `/` that are in use.
    used: [u64; 2],
}

impl Whole {
    /// As it is now.
    #[track_caller]
    pub fn of(node: &Node) -> Whole {
        let room =
            rustix::fs::statvfs(node.root().join("")).expect("ask the file system of the node");
        let used = [room.f_blocks - room.f_bfree, room.f_files - room.f_ffree];
        Whole { files: Snapshot::of_running(&node.root()), state: node.state(), used }
    }

    /// As it is once its boot has come to its end: nothing is queued, and nothing changes from one
    /// look to the next.
    #[track_caller]
    pub fn at_rest(node: &Node) -> Whole {
        let began = Instant::now();
        let mut before = node.state();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let (now, jobs) = (node.state(), node.run(&["systemctl", "list-jobs", "--no-legend"]));
            if now == before && jobs.stdout().trim().is_empty() {
                return Whole::of(node);
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not come to rest: {}{:#?}",
                jobs.stdout(),
                now.changes_since(&before)
            );
            before = now;
        }
    }

    /// As it is after what was done since an earlier moment. What systemd does for itself comes and
    /// goes, and is looked at again; what DC/OS left is not.
    #[track_caller]
    pub fn after(node: &Node, before: &Whole) -> Whole {
        let began = Instant::now();
        loop {
            let now = Whole::of(node);
            let changes = now.changes_since(before);
            let is_as_before = changes.is_empty() && now.growth_since(before).is_empty();
            if is_as_before
                || !changes.iter().all(|change| may_pass(change))
                || began.elapsed() > PATIENCE
            {
                return now;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// What differs from an earlier moment and is not meant, one line each.
    pub fn changes_since(&self, before: &Whole) -> Vec<String> {
        let files = self.files.changes_since(&before.files).into_iter();
        let files = files
            .filter(|change| !EXCEPTIONS.iter().any(|(path, _)| *change == format!("new {path}")));
        files.chain(self.state.changes_since(&before.state)).collect()
    }

    /// What more of the disk is in use than at an earlier moment. A node whose journal is on its
    /// disk uses more whatever happens.
    pub fn growth_since(&self, before: &Whole) -> Vec<String> {
        let both = self.used.into_iter().zip(before.used);
        let grown = ["blocks", "inodes"].into_iter().zip(both).filter(|(_, (now, was))| now > was);
        grown.map(|(what, (now, was))| format!("{what}: {now} in use, {was} before")).collect()
    }
}
