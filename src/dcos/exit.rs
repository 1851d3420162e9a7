//! Exit codes: part of the interface, frozen by a test. `docs/exit-codes.md` and the manual page
//! are made from this table.

use serde::{Deserialize, Serialize};

/// What a run of dcos-node came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Done, or nothing to do.
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
    /// DC/OS is installed and not healthy.
    Unhealthy = 12,
}

/// What an exit code tells an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What it means.
    pub meaning: &'static str,
    /// How the node is left.
    pub node: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Exit {
    /// All, by their numbers.
    pub const ALL: [Exit; 13] = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Preflight,
        Exit::Warnings,
        Exit::Conflict,
        Exit::Integrity,
        Exit::NotReady,
        Exit::Busy,
        Exit::Residue,
        Exit::Interrupted,
        Exit::NotInstalled,
        Exit::Unhealthy,
    ];

    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::Preflight => "preflight",
            Exit::Warnings => "warnings",
            Exit::Conflict => "conflict",
            Exit::Integrity => "integrity",
            Exit::NotReady => "not-ready",
            Exit::Busy => "busy",
            Exit::Residue => "residue",
            Exit::Interrupted => "interrupted",
            Exit::NotInstalled => "not-installed",
            Exit::Unhealthy => "unhealthy",
        }
    }

    /// Whether support could be asked about it: not where all is well or nothing stands, nor about
    /// what was mistyped or came too early, nor about what only `--strict` or a missing privilege
    /// makes of a run.
    pub fn is_for_support(self) -> bool {
        !matches!(self, Exit::Done | Exit::Usage | Exit::Warnings | Exit::Busy | Exit::NotInstalled)
    }

    /// What to do where a failure says nothing better.
    pub fn usual_cure(self) -> &'static str {
        match self {
            Exit::Done => "nothing is to be done",
            Exit::Failed | Exit::Preflight | Exit::Warnings => {
                "see to what is named, then run the same command again"
            }
            Exit::Usage => "dcos-node COMMAND --help tells what it takes",
            Exit::Conflict => "move what is in the way, then run the same command again",
            Exit::Integrity => {
                "dcos-node publish --check DIR, on the bootstrap server, tells what is damaged \
                 there"
            }
            Exit::NotReady => "dcos-node status --wait waits again",
            Exit::Busy => "wait until the other one has ended, then run the same command again",
            Exit::Residue => "the same command tries again what is left",
            Exit::Interrupted => "the same command goes on",
            Exit::NotInstalled => "dcos-node install ROLE",
            Exit::Unhealthy => "dcos-node status names what is wrong",
        }
    }

    /// What it tells an operator.
    pub fn explained(self) -> Explained {
        let (meaning, node, remedy) = match self {
            Exit::Done => (
                "done, or there was nothing to do (`\"changed\": false`)",
                "as was asked",
                "nothing",
            ),
            Exit::Failed => (
                "failed",
                "as the message says: nothing was changed, or the node is as it was, or the run \
                 goes on later",
                "what the message says after `cure:`",
            ),
            Exit::Usage => {
                ("the command line is wrong", "nothing was changed", "`dcos-node COMMAND --help`")
            }
            Exit::Preflight => (
                "a check failed",
                "nothing was changed",
                "the cure of each check, or `--skip CHECK=REASON` where you know better",
            ),
            Exit::Warnings => (
                "only warnings or unknowns, with `--strict`; `verify`: as installed, as far as it \
                 can be read",
                "nothing was changed",
                "see to the warnings, or leave out `--strict`; `verify` as root reads everything",
            ),
            Exit::Conflict => (
                "conflict: another role, another build, or files that are not ours; `uninstall`: \
                 the cluster needs this node",
                "nothing was changed",
                "what the message says: mostly to keep the role that the node has, to adopt the \
                 node, or to move the files",
            ),
            Exit::Integrity => (
                "an archive is damaged or hostile, a digest or the stamp is wrong, or the packages \
                 do not fit together; `verify`: something differs",
                "as it was; packages that were whole are kept for the next try",
                "see to the bootstrap server (`dcos-node publish --check DIR`), then the same \
                 command again; after `verify`: what differs is listed",
            ),
            Exit::NotReady => (
                "not ready in time (`--wait-timeout`); `uninstall --drain`: tasks still run; \
                 `status`: converging; `status`, `verify`: an install or a swap of pkgpanda is \
                 unfinished",
                "installed, and it goes on by itself; an unfinished install goes on with \
                 `dcos-node recover`",
                "the first cause is named; `dcos-node status --wait` waits again",
            ),
            Exit::Busy => (
                "another dcos-node, or pkgpanda, is at work on this node",
                "nothing was changed by this run",
                "wait until that one has ended",
            ),
            Exit::Residue => (
                "`uninstall`: something is left that should be gone, or could not be looked at",
                "DC/OS is removed but for what is listed",
                "the same command again; it tries what is left",
            ),
            Exit::Interrupted => (
                "interrupted by a signal at a safe point",
                "as far as it had come; the next boot goes on too, but with no uninstall of a node \
                 of `dcos_install.sh`",
                "the same command goes on; `dcos-node uninstall` turns it round",
            ),
            Exit::NotInstalled => (
                "`status`, `verify`: DC/OS is not installed here",
                "nothing was changed",
                "`dcos-node install ROLE`",
            ),
            Exit::Unhealthy => (
                "`install`, `status`, `adopt`: installed but not healthy: a unit that the role \
                 needs has failed, was restarted 3 times in 10 minutes, or is not ready 20 minutes \
                 after the boot or the last change; or installed files are missing",
                "installed; what was asked was done",
                "`dcos-node status` names the units and their last words; `dcos-node install ROLE` \
                 restores missing files",
            ),
        };
        Explained { meaning, node, remedy }
    }
}
