//! This process once more, with another command line.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::system::fault::{self, Effect};

/// Begins this process again, with another command line and with more variables; nothing else of
/// it changes. It returns only if that fails.
pub fn begin_again(arguments: &[OsString], variables: &[(&'static str, OsString)]) -> io::Error {
    let begun = || {
        let path = std::env::current_exe()?;
        fault::point(Effect::Spawn, &path)?;
        let mut words = arguments.iter();
        let mut command = Command::new(path);
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        Ok(command.args(words).envs(variables.iter().map(|(name, value)| (name, value))).exec())
    };
    begun().unwrap_or_else(|error: io::Error| error)
}
