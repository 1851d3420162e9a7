//! SELinux labels: what is placed gets the label that the policy gives its path.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files;
use super::process;
use super::program::Tool;
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

/// Whether a root that is not running has SELinux switched on for its next boot
/// (`/etc/selinux/config`).
pub fn is_configured(root: &Root) -> bool {
    let text = files::read(&root.resolved("/etc/selinux/config"), 1 << 16)
        .ok()
        .flatten()
        .unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .any(|line| matches!(line.trim(), "SELINUX=enforcing" | "SELINUX=permissive"))
}

/// Restores the labels of these paths and of everything below them. Does nothing where SELinux is
/// off. Blocks: call it from a thread that may.
///
/// # Errors
/// `restorecon` is missing or fails.
pub fn restore(root: &Root, paths: &[&Path]) -> Result<(), Error> {
    restore_with(PROGRAMS, root, &["-R", "-F", "--"], paths)
}

/// Restores the label of one path alone, as [`restore`] does. `restorecon` works by paths: below a
/// directory that a service account can write it could be led elsewhere.
///
/// # Errors
/// As [`restore`].
pub fn restore_itself(root: &Root, path: &Path) -> Result<(), Error> {
    restore_with(PROGRAMS, root, &["-F", "--"], &[path])
}

fn restore_with(
    programs: &str,
    root: &Root,
    options: &[&str],
    paths: &[&Path],
) -> Result<(), Error> {
    if !is_on(root) {
        return Ok(());
    }
    let program = Tool::Restorecon.find(programs).ok_or(Error::NoProgram)?;
    let mut command = process::Command {
        program,
        args: options.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), PROGRAMS.into())],
    };
    command.args.extend(paths.iter().map(|p| p.as_os_str().to_owned()));
    let output = tokio::runtime::Handle::current().block_on(process::run(&command, LIMIT))?;
    if output.success() {
        Ok(())
    } else {
        Err(Error::Failed(String::from_utf8_lossy(&output.stderr.bytes).trim().to_owned()))
    }
}

/// A path whose label is not the one that the policy gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The path.
    pub path: PathBuf,
    /// The label that it should have.
    pub policy: String,
    /// The label that it has.
    pub is: String,
}

/// Labels at and below these paths that are not what the policy says, by `restorecon` itself, which
/// changes none here. Only the type counts, as it does for the policy. Nothing where SELinux is
/// off. Of very many only the last are told. Blocks: call it from a thread that may.
///
/// # Errors
/// `restorecon` is missing or fails.
pub fn differing(root: &Root, paths: &[&Path]) -> Result<Vec<Differing>, Error> {
    differing_with(PROGRAMS, root, paths)
}

fn differing_with(programs: &str, root: &Root, paths: &[&Path]) -> Result<Vec<Differing>, Error> {
    if !is_on(root) {
        return Ok(Vec::new());
    }
    let program = Tool::Restorecon.find(programs).ok_or(Error::NoProgram)?;
    let mut command = process::Command {
        program,
        args: ["-n", "-v", "-R", "--"].map(Into::into).to_vec(),
        env: vec![("PATH".into(), PROGRAMS.into()), ("LC_ALL".into(), "C".into())],
    };
    command.args.extend(paths.iter().map(|p| p.as_os_str().to_owned()));
    let output = tokio::runtime::Handle::current().block_on(process::run(&command, LIMIT))?;
    if !output.success() {
        return Err(Error::Failed(String::from_utf8_lossy(&output.stderr.bytes).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout.bytes).lines().filter_map(told).collect())
}

/// A line of `restorecon -nv`: `Would relabel PATH from IS to POLICY`, and on CentOS 7 `restorecon
/// reset PATH context IS->POLICY`.
fn told(line: &str) -> Option<Differing> {
    let (path, is, policy) = match line.strip_prefix("Would relabel ") {
        Some(rest) => {
            let (rest, policy) = rest.rsplit_once(" to ")?;
            let (path, is) = rest.rsplit_once(" from ")?;
            (path, is, policy)
        }
        None => {
            let (path, labels) =
                line.strip_prefix("restorecon reset ")?.rsplit_once(" context ")?;
            let (is, policy) = labels.split_once("->")?;
            (path, is, policy)
        }
    };
    Some(Differing { path: path.into(), policy: policy.to_owned(), is: is.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn paths_are_labelled_with_selinux_or_restorecon_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let programs = directory.path().join("bin");
        let restore = move |root: Root| {
            let programs = programs.display().to_string();
            tokio::task::spawn_blocking(move || {
                let paths = [Path::new("/opt/mesosphere"), Path::new("/etc/x")];
                restore_with(&programs, &root, &["-R", "-F", "--"], &paths)
            })
        };
        restore(root.clone()).await.unwrap().unwrap();
        files::make_directories(&directory.path().join("sys/fs/selinux"), 0o755).unwrap();
        files::place(&directory.path().join("sys/fs/selinux/enforce"), b"0", 0o644, None).unwrap();
        assert!(matches!(restore(root.clone()).await.unwrap(), Err(Error::NoProgram)));
        files::make_directories(&directory.path().join("bin"), 0o755).unwrap();
        let said = directory.path().join("said");
        let script = format!("#!/bin/sh\necho \"$@\" > {}\n", said.display());
        process::tests::write_program(&directory.path().join("bin/restorecon"), &script);
        restore(root).await.unwrap().unwrap();
        assert_eq!(files::read(&said, 100).unwrap().unwrap(), b"-R -F -- /opt/mesosphere /etc/x\n");
    }

    #[test]
    fn restorecon_dry_run_is_read_in_both_forms() {
        let new = told(
            "Would relabel /opt/a from b/x from unconfined_u:object_r:tmp_t:s0 to \
             system_u:object_r:usr_t:s0",
        );
        let old = told(
            "restorecon reset /opt/a from b/x context \
             unconfined_u:object_r:tmp_t:s0->system_u:object_r:usr_t:s0",
        );
        let expected = Differing {
            path: "/opt/a from b/x".into(),
            policy: "system_u:object_r:usr_t:s0".into(),
            is: "unconfined_u:object_r:tmp_t:s0".into(),
        };
        assert_eq!((new, old), (Some(expected.clone()), Some(expected)));
        assert_eq!(told("restorecon: something else"), None);
    }
}
