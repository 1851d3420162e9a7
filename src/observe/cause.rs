//! Why a unit is not as it should be.

use std::fmt;

use serde::{Serialize, Serializer};

/// The cause, of which decisions are made; its text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// systemd found no unit file.
    NoUnitFile,
    /// systemd does not take the unit file, for this reason of its own or with this `LoadState`.
    UnitFileRejected(String),
    /// Its start is queued.
    Queued,
    /// It does not run, and nothing starts it.
    NotRunning,
    /// On its way up, with nothing more known.
    Starting,
    /// The last try failed, and systemd has forgotten in what: a `daemon-reload` keeps the result
    /// of a service, not the ends of its `ExecStartPre` commands.
    Forgotten,
    /// On its way down, and it did not fail.
    Stopping,
    /// An `ExecStartPre` command failed and is tried again.
    Polls(CommandLine),
    /// An `ExecStartPre` command runs for so many seconds.
    Hangs(CommandLine, u64),
    /// An `ExecStartPre` command failed, and is not tried again.
    Failed(CommandLine),
    /// It ended (`org.freedesktop.systemd1(5)`).
    Ended {
        /// `Result`.
        result: String,
        /// The status that its program exited with, or the signal.
        status: i32,
    },
    /// It is active for too few seconds to be trusted.
    Young(u64, Option<Fell>),
    /// Only its `ActiveState` and `SubState` are known.
    State(String, String),
}

/// A unit that was active before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fell {
    /// How often systemd restarted it; none before systemd 235.
    pub restarts: Option<u32>,
    /// Seconds for which it has to stay up, of a unit that keeps falling.
    pub needed: Option<u64>,
}

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

impl CommandLine {
    /// Whether an argument names this: a shell command is one argument with many words.
    fn names(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument.contains(name))
    }

    /// Whether the program has this name.
    fn runs(&self, program: &str) -> bool {
        self.0.first().is_some_and(|path| path.rsplit('/').next() == Some(program))
    }
}

impl Cause {
    /// Whether a unit is like this for a moment, which tells nothing of what ails it.
    pub fn is_passing(&self) -> bool {
        matches!(self, Cause::Starting | Cause::Forgotten | Cause::Stopping)
    }

    /// The `ExecStartPre` command that did not succeed.
    fn command(&self) -> Option<&CommandLine> {
        match self {
            Cause::Polls(command) | Cause::Hangs(command, _) | Cause::Failed(command) => {
                Some(command)
            }
            Cause::NoUnitFile
            | Cause::UnitFileRejected(_)
            | Cause::Queued
            | Cause::NotRunning
            | Cause::Starting
            | Cause::Forgotten
            | Cause::Stopping
            | Cause::Ended { .. }
            | Cause::Young(..)
            | Cause::State(..) => None,
        }
    }

    /// Whether a command that names this did not succeed.
    pub fn waits_for(&self, name: &str) -> bool {
        self.command().is_some_and(|command| command.names(name))
    }

    /// Whether this program did not succeed.
    pub fn waits_in(&self, program: &str) -> bool {
        self.command().is_some_and(|command| command.runs(program))
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NoUnitFile => f.write_str("its unit file is not there"),
            Cause::UnitFileRejected(why) => f.write_str(why),
            Cause::Queued => f.write_str("its start is queued"),
            Cause::NotRunning => f.write_str("is not running"),
            Cause::Starting => f.write_str("is starting"),
            Cause::Forgotten => f.write_str("is tried again; the cause is not known before that"),
            Cause::Stopping => f.write_str("is stopping"),
            Cause::Polls(command) => write!(f, "waits: {command} does not succeed yet"),
            Cause::Hangs(command, seconds) => {
                write!(f, "waits: {command} runs for {seconds} s now")
            }
            Cause::Failed(command) => write!(f, "{command} failed"),
            Cause::Ended { result, status } => match result.as_str() {
                "start-limit" | "start-limit-hit" => {
                    f.write_str("was started too often and is not tried again")
                }
                // A daemon that failed before it had a main process (`Type=forking`).
                "exit-code" if *status == 0 => {
                    f.write_str("its program failed when it was started")
                }
                "exit-code" => write!(f, "its program exited with status {status}"),
                "signal" | "core-dump" => write!(f, "its program was ended by signal {status}"),
                "timeout" => f.write_str("did not start or stop in time"),
                other => write!(f, "ended with {other}"),
            },
            Cause::Young(seconds, fell) => {
                write!(f, "is active for only {seconds} s")?;
                let Some(Fell { restarts, needed }) = fell else { return Ok(()) };
                match restarts {
                    Some(times) if *times > 0 => write!(f, ", and was restarted {times} times")?,
                    _ => f.write_str(", and fell before")?,
                }
                match needed {
                    Some(needed) => {
                        write!(f, "; it keeps falling, and has to stay up for {needed} s")
                    }
                    None => Ok(()),
                }
            }
            Cause::State(active, sub) => write!(f, "is {active} ({sub})"),
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
