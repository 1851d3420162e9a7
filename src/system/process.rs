//! Runs programs, with a deadline, and kills them with their children.
//!
//! Every program gets a process group of its own, no input, the root as its directory, and exactly
//! the variables that it is given.

mod again;
mod script;

pub(in crate::system) mod execute;
pub mod place;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::fault::{self, Effect};
use super::program::Program;
use super::seal;
pub use again::begin_again;
pub use script::{Confined, Script, run_script};

/// How much is kept of each output stream, in bytes.
pub const CAPTURE_LIMIT: usize = 64 * 1024;

/// After so many bytes an output stream is closed, which ends most programs that write for ever:
/// nothing that we run has that much to say.
const FLOOD: u64 = 4 << 20;

/// How long a program's output may outlive it: a `tee` at its end needs a moment, a daemon that it
/// left behind would take for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// How long we wait for a killed program to be gone; one that waits for a dead disk cannot die.
const REAP_LIMIT: Duration = Duration::from_secs(5);

/// The signal of a program that makes a system call that it may not even try.
pub const BAD_SYSTEM_CALL: i32 = libc::SIGSYS;

/// Whether this process is root's.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What to execute.
    pub program: Program,
    /// The arguments after the program's name.
    pub args: Vec<OsString>,
    /// All the environment that it gets.
    pub env: Vec<(OsString, OsString)>,
}

/// How a program ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit status, unless a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: Captured,
    /// What it wrote to its standard error.
    pub stderr: Captured,
    /// From its start to its end.
    pub duration: Duration,
}

impl Output {
    /// Whether it exited with status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// The last [`CAPTURE_LIMIT`] bytes of an output stream: the end is where programs say what went
/// wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes as written, in any encoding.
    pub bytes: Vec<u8>,
    /// Whether there was more before them.
    pub truncated: bool,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot run {}", program.display())]
    Start {
        /// The program, or the script's interpreter.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was running, but its end could not be waited for. It has been killed.
    #[error("cannot wait for {}", program.display())]
    Wait {
        /// The program, or the script's interpreter.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not end in time. It and its process group have been killed.
    #[error("{} was killed: it did not end within {limit:?}", program.display())]
    Deadline {
        /// The program, or the script's interpreter.
        program: PathBuf,
        /// The time that it had.
        limit: Duration,
        /// What it had written to its standard output.
        stdout: Captured,
        /// What it had written to its standard error.
        stderr: Captured,
    },
    /// Its confinement could not be made.
    #[error("cannot confine the script: cannot {doing}")]
    Confine {
        /// What could not be done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A script's first line names no interpreter.
    #[error("the script's first line, {line:?}, is no usable #! line: {reason}")]
    Shebang {
        /// The first line, shortened.
        line: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Runs `command` and waits until it ends, `limit` at most; then its whole process group is killed
/// (`SIGKILL`). So it is when the future is dropped.
///
/// A program that fails is not an error: see [`Output::success`]. What it leaves running in the
/// background is left alone.
pub async fn run(command: &Command, limit: Duration) -> Result<Output, Error> {
    let child = start(command)
        .map_err(|source| Error::Start { program: command.program.file().to_owned(), source })?;
    attend(child, command.program.file(), limit, CAPTURE_LIMIT).await
}

/// The same for a program whose whole output is wanted, a list: up to 4 MiB of it are kept.
pub async fn run_whole(command: &Command, limit: Duration) -> Result<Output, Error> {
    let child = start(command)
        .map_err(|source| Error::Start { program: command.program.file().to_owned(), source })?;
    attend(child, command.program.file(), limit, FLOOD as usize).await
}

fn start(command: &Command) -> io::Result<Child> {
    fault::point(Effect::Spawn, command.program.file())?;
    let mut prepared = tokio::process::Command::new(command.program.file());
    prepared
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    seal::prepare(&mut prepared);
    prepared.spawn()
}

/// Stays with a started program until it ends or must be killed.
async fn attend(
    mut child: Child,
    program: &Path,
    limit: Duration,
    keep: usize,
) -> Result<Output, Error> {
    let started = Instant::now();
    let mut group = Group::of(&child);
    let (stdout_pipe, stderr_pipe) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let mut duration = Duration::ZERO;
    let ended = {
        let mut streams = pin!(async {
            tokio::join!(stdout.fill(stdout_pipe, keep), stderr.fill(stderr_pipe, keep));
        });
        let mut streams_ended = false;
        let ended = timeout(limit, async {
            loop {
                tokio::select! {
                    end = group.leader_ends() => break end,
                    () = &mut streams, if !streams_ended => streams_ended = true,
                }
            }
        })
        .await;
        // Where this process itself stood still, the program may have ended long ago.
        let ended = match ended {
            Err(_) if group.has_ended().is_ok_and(|ended| ended) => Ok(Ok(())),
            ended => ended,
        };
        if let Ok(Ok(())) = ended {
            duration = started.elapsed();
            if !streams_ended {
                // What was written until then has been captured, whether or not the stream ends.
                let _ = timeout(OUTPUT_GRACE, streams).await;
            }
        }
        ended
    };
    stdout.trim(keep);
    stderr.trim(keep);
    let unwaited = |source| Error::Wait { program: program.to_owned(), source };
    match ended {
        Ok(Ok(())) => {
            group.release();
            let status = child.wait().await.map_err(unwaited)?;
            Ok(Output { status: status.code(), signal: status.signal(), stdout, stderr, duration })
        }
        Ok(Err(source)) => Err(unwaited(source)),
        Err(_) => {
            drop(group);
            // If it cannot die, the runtime goes on reaping in the background.
            let _ = timeout(REAP_LIMIT, child.wait()).await;
            Err(Error::Deadline { program: program.to_owned(), limit, stdout, stderr })
        }
    }
}

/// The process group of a child that has not been waited for; killed on drop.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// Returns when the child has ended, and does not reap it: until then no other process or group
    /// can have its number.
    async fn leader_ends(&self) -> io::Result<()> {
        // Listened to before the first look, so that no end is missed.
        let mut ends = signal(SignalKind::child())?;
        while !self.has_ended()? {
            ends.recv().await;
        }
        Ok(())
    }

    fn has_ended(&self) -> io::Result<bool> {
        let Some(leader) = self.0 else { return Ok(true) };
        let seen = waitid(
            Id::Pid(leader),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT,
        )?;
        Ok(seen != WaitStatus::StillAlive)
    }

    fn kill(&self) {
        if let Some(group) = self.0 {
            // The group is gone already, or it will be.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Once the child has been waited for, its number may come to mean another group.
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Captured {
    /// Reads to the end of `stream`. May be dropped at any point: what was read stays.
    async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>, keep: usize) {
        let Some(mut stream) = stream else { return };
        let mut block = vec![0; 8 * 1024];
        let mut total = 0;
        // An error is the end, too: there is nothing more to be had.
        while let Ok(length @ 1..) = stream.read(&mut block).await {
            self.bytes.extend_from_slice(block.get(..length).unwrap_or_default());
            total += length as u64;
            if total > FLOOD {
                self.truncated = true;
                return;
            }
            if self.bytes.len() > 2 * keep {
                self.trim(keep);
            }
        }
    }

    fn trim(&mut self, keep: usize) {
        let excess = self.bytes.len().saturating_sub(keep);
        self.bytes.drain(..excess);
        self.truncated |= excess > 0;
    }
}

#[cfg(test)]
pub(crate) mod tests;
