//! Replaces this process by a program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::system::fault::{self, Effect};

/// Executes `interpreter` in place of this process, with no input, the root as its directory and
/// exactly these variables. Returns only the error.
pub(in crate::system) fn execute(
    interpreter: &Path,
    arguments: &[OsString],
    env: &[(OsString, OsString)],
) -> io::Error {
    if let Err(error) = fault::point(Effect::Spawn, interpreter) {
        return error;
    }
    Command::new(interpreter)
        .args(arguments)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .exec()
}
