//! All of a running node that an uninstall has to give back: every file, the state beyond files, and the room on its disk.

use super::super::node::{Node, State};
use super::snapshot::Snapshot;

/// A node at one moment.
pub struct Whole {
    /// Every file, but what a running node goes on writing by itself.
    pub files: Snapshot,
    /// Units, processes, accounts, network, settings, mounts.
    pub state: State,
    /// Blocks and inodes of the file system at `/` that are in use.
    pub used: [u64; 2],
}

impl Whole {
    /// As it is now.
    #[track_caller]
    pub fn of(node: &Node) -> Whole {
        let room = rustix::fs::statvfs(&node.root().join("")).expect("ask the file system of the node");
        let used = [room.f_blocks - room.f_bfree, room.f_files - room.f_ffree];
        Whole { files: Snapshot::of_running(&node.root()), state: node.state(), used }
    }

    /// What differs from an earlier moment, one line each. To use less of the disk is no difference.
    pub fn changes_since(&self, before: &Whole) -> Vec<String> {
        let mut changes = self.files.changes_since(&before.files);
        changes.extend(self.state.changes_since(&before.state));
        for (what, (now, was)) in ["blocks", "inodes"].into_iter().zip(self.used.into_iter().zip(before.used)) {
            if now > was {
                changes.push(format!("{what}: {now} in use, {was} before"));
            }
        }
        changes
    }
}
