//! Running a command with no input, a time limit, and its output kept; and what a test can demand
//! of the result.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a command ended, and what it said.
#[derive(Clone, Debug)]
pub struct Outcome {
    command: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
    took: Duration,
}

/// A command that runs.
pub struct Running {
    command: String,
    child: Child,
    // Files, not pipes: a daemon that the command leaves behind may keep them open, and nobody
    // waits for it.
    stdout: File,
    stderr: File,
    began: Instant,
}

impl Running {
    /// Starts `command`; `words` are what it is called in messages.
    #[track_caller]
    pub(super) fn start<S: AsRef<OsStr>>(command: &mut Command, words: &[S]) -> Running {
        let words: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let stdout = tempfile::tempfile().expect("a file for the output");
        let stderr = tempfile::tempfile().expect("a file for the output");
        // A group of its own, so that a command that exceeds its time goes with its children.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().expect("a second handle"))
            .stderr(stderr.try_clone().expect("a second handle"));
        let child = command.spawn().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
        Running { command: words.join(" "), child, stdout, stderr, began: Instant::now() }
    }

    /// Waits for its end; to exceed the limit fails the test.
    #[track_caller]
    pub fn finish_within(self, limit: Duration) -> Outcome {
        self.outcome(limit).unwrap_or_else(|so_far| panic!("not done after {limit:?}: {so_far}"))
    }

    /// What it wrote to its standard output so far.
    pub fn stdout_so_far(&self) -> String {
        text(&self.stdout)
    }

    /// What it wrote to its standard error so far.
    pub fn stderr_so_far(&self) -> String {
        text(&self.stderr)
    }

    /// True until it ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// How it ended, or, when it had to be killed at the limit, how far it came.
    pub(super) fn outcome(mut self, limit: Duration) -> Result<Outcome, Outcome> {
        let mut pause = Duration::from_millis(1);
        let (status, in_time) = loop {
            match self.child.try_wait().expect("wait for a command") {
                Some(status) => break (status, true),
                None if self.began.elapsed() > limit => {
                    let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
                    break (self.child.wait().expect("wait for a command"), false);
                }
                None => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        let took = self.began.elapsed();
        let outcome = Outcome {
            command: self.command.clone(),
            status,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
            took,
        };
        if in_time { Ok(outcome) } else { Err(outcome) }
    }
}

/// The whole of a file that another process may be writing.
fn text(file: &File) -> String {
    let mut bytes = Vec::new();
    let mut block = [0; 65536];
    // By offset: the writer's position is shared with us and must not move.
    while let Ok(read @ 1..) = file.read_at(&mut block, bytes.len() as u64) {
        bytes.extend_from_slice(&block[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Outcome {
    /// What it wrote to its standard output.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// What it wrote to its standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// True if SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::SIGKILL as i32)
    }

    /// Demands exit code 0.
    #[track_caller]
    pub fn succeeds(&self) -> &Outcome {
        self.exits_with(0)
    }

    /// Demands this exit code.
    #[track_caller]
    pub fn exits_with(&self, code: i32) -> &Outcome {
        assert!(self.code() == Some(code), "exit code {code} was expected: {self}");
        self
    }

    /// Demands that the standard output contains the text.
    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Outcome {
        assert!(self.stdout.contains(text), "its output lacks {text:?}: {self}");
        self
    }

    /// Demands that the standard output does not contain the text.
    #[track_caller]
    pub fn stdout_lacks(&self, text: &str) -> &Outcome {
        assert!(!self.stdout.contains(text), "its output has {text:?}: {self}");
        self
    }

    /// Demands that the standard error contains the text.
    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Outcome {
        assert!(self.stderr.contains(text), "its error output lacks {text:?}: {self}");
        self
    }

    /// Demands that the standard error does not contain the text.
    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Outcome {
        assert!(!self.stderr.contains(text), "its error output has {text:?}: {self}");
        self
    }

    /// The JSON document on its standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("its output is not JSON ({error}): {self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` ended with {} after {:.1} s",
            self.command,
            self.status,
            self.took.as_secs_f32()
        )?;
        write!(
            out,
            "\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}

/// Runs a program of this machine that has to succeed.
#[track_caller]
pub(super) fn must(command: &mut Command) -> Outcome {
    let outcome = attempt(command);
    outcome.succeeds();
    outcome
}

/// Runs a program of this machine that may fail.
#[track_caller]
pub(super) fn attempt(command: &mut Command) -> Outcome {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_owned)
        .collect();
    Running::start(command, &words).finish_within(Duration::from_secs(1800))
}
