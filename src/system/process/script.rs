//! Runs a script that others wrote, confined.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::timeout;

use super::{CAPTURE_LIMIT, Captured, Error, Group, OUTPUT_GRACE, Output, REAP_LIMIT, place};
use crate::system::confine::{self, Confinement, Limit, Limits, Message, Order, Refused};
use crate::system::fault::{self, Effect};
use crate::system::{mountinfo, seal};

/// A script to run.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Its text; the first line names its interpreter.
    pub text: &'a [u8],
    /// Where it lies in its own view of the machine: its `$0`.
    pub path: &'a Path,
    /// All the environment that it gets.
    pub env: &'a [(OsString, OsString)],
    /// Whether it runs as the user `nobody` rather than as the caller, who is root.
    pub as_nobody: bool,
    /// What it may use.
    pub limits: Limits,
}

/// What a script did, and how it was confined.
#[derive(Clone, Debug)]
pub struct Confined {
    /// Its end and its words.
    pub output: Output,
    /// What it could reach.
    pub confinement: Confinement,
    /// The limit that it reached.
    pub limit: Option<Limit>,
    /// What its confinement refused it.
    pub refused: Vec<Refused>,
}

/// Runs a script by the interpreter, and with the one argument, that its first line names, confined
/// as far as this kernel can (`confine.rs`), and waits until it ends, `limit` at most. No process
/// of it outlives this.
///
/// A script that fails, or does not end in time, is not an error: see [`Confined`].
pub async fn run_script(script: Script<'_>, limit: Duration) -> Result<Confined, Error> {
    let Shebang { interpreter, argument } = Shebang::parse(script.text)?;
    let order = Order {
        interpreter: interpreter.clone().into(),
        argument,
        path: script.path.into(),
        env: script.env.to_vec(),
        as_nobody: script.as_nobody,
        read_only: read_only_mounts(),
        place: place::path().map(Into::into),
        is_restricted: seal::in_force() == Some(&seal::Seal::Landlock),
        limits: Limits {
            processes: fault::script_limit("PROCESSES").unwrap_or(script.limits.processes),
            memory: fault::script_limit("MEMORY").unwrap_or(script.limits.memory),
            ..script.limits
        },
    };
    let mut text = serde_json::to_vec(&order)
        .map_err(|error| confining("write its order")(io::Error::other(error)))?;
    text.push(b'\n');
    text.extend_from_slice(script.text);
    let (child, socket) = start().map_err(confining("start its init"))?;
    attend(child, socket, &text, &interpreter, limit).await
}

fn confining(doing: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let doing = doing.to_owned();
    |source| Error::Confine { doing, source }
}

/// Starts the init, with a socket for its input.
fn start() -> io::Result<(Child, UnixStream)> {
    let (ours, its) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let program = confine::program()?;
    fault::point(Effect::Spawn, &program)?;
    let child = tokio::process::Command::new(program)
        .arg0(confine::NAME)
        .env_clear()
        .envs(fault::environment())
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

/// The mounts that are read-only on this machine, also where this process sees all of them so.
fn read_only_mounts() -> Vec<OsString> {
    let Some(before) = seal::mounts_before() else { return Vec::new() };
    if fault::point(Effect::Mounts, "read-only").is_err() {
        return Vec::new();
    }
    mountinfo::parse(before.as_bytes())
        .filter(|mount| mount.has("ro"))
        .map(|mount| mount.point.into())
        .collect()
}

/// How a script ended, and when.
struct End {
    at: Instant,
    status: Option<i32>,
    signal: Option<i32>,
    limit: Option<Limit>,
}

/// How far a script has come.
#[derive(Default)]
struct Progress {
    started: Option<(Instant, Confinement)>,
    ended: Option<End>,
    refused: Vec<Refused>,
}

async fn attend(
    mut child: Child,
    socket: UnixStream,
    order: &[u8],
    interpreter: &Path,
    limit: Duration,
) -> Result<Confined, Error> {
    let group = Group::of(&child);
    let (stdout_pipe, stderr_pipe) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let mut progress = Progress::default();
    let talked = {
        let mut streams = pin!(async {
            tokio::join!(
                stdout.fill(stdout_pipe, CAPTURE_LIMIT),
                stderr.fill(stderr_pipe, CAPTURE_LIMIT)
            );
        });
        let mut streams_ended = false;
        // The socket is closed with this block's end: then the init ends all processes.
        let mut socket = socket;
        let talked = timeout(limit, async {
            let mut talk = pin!(progress.follow(&mut socket, order, interpreter));
            loop {
                tokio::select! {
                    biased;
                    end = &mut talk => break end,
                    () = &mut streams, if !streams_ended => streams_ended = true,
                }
            }
        })
        .await;
        if matches!(talked, Ok(Ok(()))) && !streams_ended {
            // What was written until then has been captured, whether or not the stream ends.
            let _ = timeout(OUTPUT_GRACE, streams).await;
        }
        talked
    };
    // If it cannot die, the runtime goes on reaping in the background.
    let _ = timeout(REAP_LIMIT, child.wait()).await;
    release(group, &child);
    stdout.trim(CAPTURE_LIMIT);
    stderr.trim(CAPTURE_LIMIT);
    match (talked, progress) {
        (
            Ok(Ok(())),
            Progress {
                started: Some((began, confinement)),
                ended: Some(End { at, status, signal, limit }),
                refused,
            },
        ) => {
            let duration = at.saturating_duration_since(began);
            let output = Output { status, signal, stdout, stderr, duration };
            Ok(Confined { output, confinement, limit, refused })
        }
        (Err(_), Progress { started: Some((_, confinement)), refused, .. }) => {
            let output = Output { status: None, signal: None, stdout, stderr, duration: limit };
            Ok(Confined { output, confinement, limit: Some(Limit::Time(limit)), refused })
        }
        (Ok(Err(error)), _) => Err(error),
        (Ok(Ok(())), _) => Err(unfinished()),
        (Err(_), _) => {
            Err(Error::Deadline { program: interpreter.to_owned(), limit, stdout, stderr })
        }
    }
}

/// A child that was waited for has no group any more; another one is killed with its group.
fn release(mut group: Group, child: &Child) {
    if child.id().is_none() {
        group.release();
    }
}

fn unfinished() -> Error {
    confining("learn its end")(io::Error::from(io::ErrorKind::UnexpectedEof))
}

impl Progress {
    /// Sends the order, and returns when the script has ended.
    async fn follow(
        &mut self,
        socket: &mut UnixStream,
        order: &[u8],
        interpreter: &Path,
    ) -> Result<(), Error> {
        fault::point(Effect::Write, interpreter).map_err(confining("send its order"))?;
        socket.write_all(order).await.map_err(confining("send its order"))?;
        socket.shutdown().await.map_err(confining("send its order"))?;
        let mut answers = BufReader::new(socket);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length =
                answers.read_until(b'\n', &mut line).await.map_err(confining("hear of its end"))?;
            if length == 0 {
                return Err(unfinished());
            }
            let message = serde_json::from_slice(&line)
                .map_err(|error| confining("hear of its end")(io::Error::other(error)))?;
            match message {
                Message::Started(confinement) => {
                    self.started = Some((Instant::now(), confinement));
                }
                Message::Failed { doing: Some(doing), errno } => {
                    return Err(Error::Confine {
                        doing,
                        source: io::Error::from_raw_os_error(errno),
                    });
                }
                Message::Failed { doing: None, errno } => {
                    return Err(Error::Start {
                        program: interpreter.to_owned(),
                        source: io::Error::from_raw_os_error(errno),
                    });
                }
                Message::Refused(refused) => self.refused.push(refused),
                Message::Ended { status, signal, limit } => {
                    self.ended = Some(End { at: Instant::now(), status, signal, limit });
                    return Ok(());
                }
            }
        }
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
mod tests {
    use super::*;

    #[test]
    fn first_line_names_interpreter_and_argument() {
        let parse =
            |text: &str| Shebang::parse(text.as_bytes()).map(|it| (it.interpreter, it.argument));
        assert_eq!(parse("#!/bin/sh\n").unwrap(), ("/bin/sh".into(), None));
        assert_eq!(
            parse("#! \t/bin/sh  -e -u \nrest").unwrap(),
            ("/bin/sh".into(), Some("-e -u".into()))
        );
        assert_eq!(
            parse("#!/usr/bin/env python3").unwrap(),
            ("/usr/bin/env".into(), Some("python3".into()))
        );
        for wrong in [
            "",
            "echo",
            "\n#!/bin/sh",
            "#!",
            "#!  \n",
            "#!sh\n",
            "#!/bin/sh\r\n",
            "#!/bin/sh \0\n",
            "\u{feff}#!/bin/sh\n",
        ] {
            assert!(matches!(parse(wrong), Err(Error::Shebang { .. })), "{wrong:?}");
        }
        assert_eq!(
            parse("#!bash -e\n").unwrap_err().to_string(),
            "the script's first line, \"#!bash -e\", is no usable #! line: it does not name an \
             interpreter by its full path"
        );
    }
}
