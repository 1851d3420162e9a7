//! Runs programs, with a deadline, and kills them with their children.
//!
//! Every program gets a process group of its own, no input, the root as its directory, and exactly
//! the variables that it is given.

mod again;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::fault::{self, Effect};
use super::program::Program;
use super::seal;

pub use again::begin_again;

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

/// Held while a descriptor is inheritable, and by everybody who starts a program, so that only the
/// right one inherits it.
static STARTING: Mutex<()> = Mutex::new(());

/// What becomes of a program's process group when the program itself has ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Left alone: who adds a user may well have woken a daemon.
    Left,
    /// Killed: a script that is asked a question changes nothing, and starts nothing that stays.
    Killed,
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
    let child = start(command, None)
        .map_err(|source| Error::Start { program: command.program.file().to_owned(), source })?;
    attend(child, std::future::ready(()), command.program.file(), limit, CAPTURE_LIMIT, Rest::Left)
        .await
}

/// The same for a program whose whole output is wanted, a list: up to 4 MiB of it are kept.
pub async fn run_whole(command: &Command, limit: Duration) -> Result<Output, Error> {
    let child = start(command, None)
        .map_err(|source| Error::Start { program: command.program.file().to_owned(), source })?;
    attend(child, std::future::ready(()), command.program.file(), limit, FLOOD as usize, Rest::Left)
        .await
}

/// Runs a script that is nowhere in a file, as the kernel would run one: by the interpreter, and
/// with the one argument, that its first line names. Otherwise as [`run`], but nothing of its
/// process group outlives it: what it leaves in the background is killed. Only a child that made a
/// session or a group of its own (`setsid`) gets away.
///
/// The interpreter reads the text from an inherited pipe, `/dev/fd/N`, so `/proc` must be mounted.
/// The script's `$0` is that name.
pub async fn run_script(
    text: &[u8],
    env: &[(OsString, OsString)],
    limit: Duration,
) -> Result<Output, Error> {
    let Shebang { interpreter, argument } = Shebang::parse(text)?;
    let failed = |source| Error::Start { program: interpreter.clone(), source };
    let (mut sender, receiver) = pipe::pipe().map_err(failed)?;
    let receiver = receiver.into_blocking_fd().map_err(failed)?;
    let mut args: Vec<OsString> = argument.into_iter().collect();
    args.push(format!("/dev/fd/{}", receiver.as_raw_fd()).into());
    let command =
        Command { program: Program::script(interpreter.clone()), args, env: env.to_vec() };
    let child = start(&command, Some(receiver)).map_err(failed)?;
    // An interpreter that ends before it has read everything (`exit` halfway) breaks the pipe, and
    // that is its right.
    let feed = async move {
        let _ = sender.write_all(text).await;
    };
    attend(child, feed, &interpreter, limit, CAPTURE_LIMIT, Rest::Killed).await
}

fn start(command: &Command, inherited: Option<OwnedFd>) -> io::Result<Child> {
    let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fd) = &inherited {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
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
    let child = prepared.spawn();
    // Here and not on return: an argument outlives the guard, and the next program would inherit
    // it, too.
    drop(inherited);
    child
}

/// Stays with a started program until it ends or must be killed.
async fn attend(
    mut child: Child,
    feed: impl Future<Output = ()>,
    program: &Path,
    limit: Duration,
    keep: usize,
    rest: Rest,
) -> Result<Output, Error> {
    let started = Instant::now();
    let mut group = Group::of(&child);
    let (stdout_pipe, stderr_pipe) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let mut duration = Duration::ZERO;
    let ended = {
        let mut streams = pin!(async {
            tokio::join!(stdout.fill(stdout_pipe, keep), stderr.fill(stderr_pipe, keep), feed);
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
            if rest == Rest::Killed {
                group.kill();
            }
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

/// A script's first line, read as `execve(2)` reads it.
#[derive(Debug, PartialEq, Eq)]
struct Shebang {
    interpreter: PathBuf,
    /// All the rest of the line is one argument.
    argument: Option<OsString>,
}

impl Shebang {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let wrong = |reason| {
            let line = String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned();
            Err(Error::Shebang { line, reason })
        };
        let Some(rest) = line.strip_prefix(b"#!") else {
            return wrong("it does not begin with #!");
        };
        if rest.contains(&0) {
            return wrong("it contains a NUL byte");
        }
        if rest.ends_with(b"\r") {
            return wrong("it ends in a carriage return");
        }
        let rest = trim_blanks(rest);
        let end = rest.iter().position(is_blank).unwrap_or(rest.len());
        let (interpreter, argument) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let argument = trim_blanks(argument);
        if !interpreter.starts_with(b"/") {
            return wrong("it does not name an interpreter by its full path");
        }
        Ok(Self {
            interpreter: PathBuf::from(OsStr::from_bytes(interpreter)),
            argument: (!argument.is_empty()).then(|| OsStr::from_bytes(argument).to_owned()),
        })
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let Some(first) = bytes.iter().position(|byte| !is_blank(byte)) else { return &[] };
    let last = bytes.iter().rposition(|byte| !is_blank(byte)).unwrap_or(first);
    bytes.get(first..=last).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
