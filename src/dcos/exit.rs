//! Exit codes: part of the interface, frozen by a test.

use serde::Serialize;

/// What a run of dcos-node came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Done, or nothing to do; also when the target is active though units failed (`"degraded": true`).
    Done = 0,
    /// Failed; the message says what state the node is in and what to run.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A check failed before anything was changed.
    Preflight = 3,
    /// Only warnings or unknowns, and `--strict` was given.
    Warnings = 4,
    /// Another role, another build, or foreign files stand in the way.
    Conflict = 5,
    /// An archive or digest is not what it should be.
    Integrity = 6,
    /// Not ready in time, or still converging.
    NotReady = 7,
    /// Another dcos-node is at work on this node.
    Busy = 8,
    /// The uninstall left something that it should have removed.
    Residue = 9,
    /// Interrupted; the same command goes on.
    Interrupted = 10,
    /// There is no DC/OS here.
    NotInstalled = 11,
}

impl Exit {
    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }
}
