//! SELinux labels: what is placed gets the label that the policy gives its path.

use std::path::Path;
use std::time::Duration;

use super::process;
use super::root::Root;

/// Where `restorecon` is, whatever the caller's own PATH.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// A package of some ten thousand files takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// Why labels could not be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy's own program is missing.
    #[error("SELinux is on, but restorecon is not on this machine (package policycoreutils)")]
    NoProgram,
    /// It ran and failed.
    #[error("restorecon failed: {0}")]
    Failed(String),
    /// It could not be run.
    #[error(transparent)]
    Run(#[from] process::Error),
}

/// Whether SELinux is on: enforcing and permissive both need labels (`selinux(8)`).
pub fn is_on(root: &Root) -> bool {
    root.at("/sys/fs/selinux/enforce").exists()
}

/// Restores the labels of these paths and of everything below them. Does nothing where SELinux is off. Blocks: call it from a thread that may.
///
/// # Errors
/// `restorecon` is missing or fails.
pub fn restore(root: &Root, paths: &[&Path]) -> Result<(), Error> {
    if !is_on(root) {
        return Ok(());
    }
    let program = process::find("restorecon", PROGRAMS).ok_or(Error::NoProgram)?;
    let mut command =
        process::Command { program, args: vec!["-R".into(), "-F".into(), "--".into()], env: vec![("PATH".into(), PROGRAMS.into())] };
    command.args.extend(paths.iter().map(|p| p.as_os_str().to_owned()));
    let output = tokio::runtime::Handle::current().block_on(process::run(&command, LIMIT))?;
    if output.success() { Ok(()) } else { Err(Error::Failed(String::from_utf8_lossy(&output.stderr.bytes).trim().to_owned())) }
}
