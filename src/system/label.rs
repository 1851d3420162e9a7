//! SELinux labels: what is placed gets the label that the policy gives its path.
//!
//! Only `restorecon` knows the policy, and it works by paths. So it never recurses (`-R`): it gets
//! lists of paths in directories that only root can write, where no other user can exchange a
//! directory for a link between the walk and its work. What users keep in directories of their own
//! is not listed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{self, Next, Place};
use super::process;
use super::program::Tool;
use super::root::Root;

/// Where `restorecon` is, whatever the caller's own PATH.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// A package of some ten thousand files takes seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// The most bytes of paths for one run: every kernel takes 128 KiB of arguments and environment,
/// whatever the limit of the stack is.
const MAX_ARGUMENTS: usize = 96 << 10;

/// Why labels could not be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy's own program is missing.
    #[error("SELinux is on, but restorecon is not on this machine (package policycoreutils)")]
    NoProgram,
    /// It ran and failed.
    #[error("restorecon failed: {0}")]
    Failed(String),
    /// What is to be labelled cannot be listed.
    #[error(transparent)]
    List(#[from] files::Error),
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

/// Restores the labels of these paths and of everything below them, as far as only root can write
/// there. Does nothing where SELinux is off. Blocks: call it from a thread that may.
///
/// # Errors
/// `restorecon` is missing or fails; a directory cannot be listed.
pub fn restore(root: &Root, paths: &[&Path]) -> Result<(), Error> {
    restore_with(PROGRAMS, root, paths)
}

/// Restores the label of one path alone, as [`restore`] does.
///
/// # Errors
/// As [`restore`].
pub fn restore_itself(root: &Root, path: &Path) -> Result<(), Error> {
    if is_on(root) { run(PROGRAMS, &["-F"], vec![path.into()]).map(drop) } else { Ok(()) }
}

fn restore_with(programs: &str, root: &Root, paths: &[&Path]) -> Result<(), Error> {
    if !is_on(root) {
        return Ok(());
    }
    list(paths)?.into_iter().try_for_each(|paths| run(programs, &["-F"], paths).map(drop))
}

/// These paths and what is below them, in parts that fit a command line. A directory that others
/// than root can write is listed without what is in it, and so is what no path can name.
fn list(tops: &[&Path]) -> Result<Vec<Vec<OsString>>, files::Error> {
    let (mut lists, mut bytes) = (Vec::<Vec<OsString>>::new(), MAX_ARGUMENTS);
    for top in tops {
        files::walk(top, &mut |place: &Place<'_>| -> Result<Next, files::Error> {
            if !place.has_usable_path() {
                return Ok(Next::Over);
            }
            let path = place.path.as_os_str();
            // The kernel counts the NUL and a pointer to each argument.
            let length = path.len() + 1 + size_of::<usize>();
            bytes += length;
            match lists.last_mut().filter(|_| bytes <= MAX_ARGUMENTS) {
                Some(list) => list.push(path.to_owned()),
                None => {
                    bytes = length;
                    lists.push(vec![path.to_owned()]);
                }
            }
            Ok(if place.is_directory_of_root() { Next::Into } else { Next::Over })
        })?;
    }
    Ok(lists)
}

/// Runs `restorecon` and returns what it prints.
fn run(programs: &str, options: &[&str], paths: Vec<OsString>) -> Result<String, Error> {
    let program = Tool::Restorecon.find(programs).ok_or(Error::NoProgram)?;
    let mut command = process::Command {
        program,
        args: options.iter().chain(&["--"]).map(Into::into).collect(),
        env: vec![("PATH".into(), PROGRAMS.into()), ("LC_ALL".into(), "C".into())],
    };
    command.args.extend(paths);
    let output = tokio::runtime::Handle::current().block_on(process::run(&command, LIMIT))?;
    if !output.success() {
        return Err(Error::Failed(String::from_utf8_lossy(&output.stderr.bytes).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout.bytes).into_owned())
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

/// Labels at and below these paths that are not what the policy says, as far as only root can
/// write there; by `restorecon` itself, which changes none here. Only the type counts, as it does
/// for the policy. Nothing where SELinux is off. Of very many only the last of each run are told.
/// Blocks: call it from a thread that may.
///
/// # Errors
/// `restorecon` is missing or fails; a directory cannot be listed.
pub fn differing(root: &Root, paths: &[&Path]) -> Result<Vec<Differing>, Error> {
    if !is_on(root) {
        return Ok(Vec::new());
    }
    let mut differing = Vec::new();
    for paths in list(paths)? {
        differing.extend(run(PROGRAMS, &["-n", "-v"], paths)?.lines().filter_map(told));
    }
    Ok(differing)
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
    use std::os::unix::fs::PermissionsExt;

    use nix::fcntl::{OFlag, open, openat};
    use nix::sys::stat::{Mode, mkdirat};

    use super::*;

    /// A root with SELinux on, and a `restorecon` that writes its arguments to `said`.
    fn selinux(directory: &Path) -> Root {
        files::make_directories(&directory.join("sys/fs/selinux"), 0o755).unwrap();
        files::place(&directory.join("sys/fs/selinux/enforce"), b"0", 0o644, None).unwrap();
        Root::new(directory)
    }

    fn restorecon(directory: &Path) -> String {
        let programs = directory.join("programs");
        files::make_directories(&programs, 0o755).unwrap();
        let said = directory.join("said");
        let script = format!("#!/bin/sh\necho \"$@\" >> {}\n", said.display());
        process::tests::write_program(&programs.join("restorecon"), &script);
        programs.display().to_string()
    }

    async fn restore(programs: &str, root: &Root, top: &Path) -> Result<(), Error> {
        let (programs, root, top) = (programs.to_owned(), root.clone(), top.to_owned());
        tokio::task::spawn_blocking(move || restore_with(&programs, &root, &[&top])).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    #[expect(clippy::disallowed_methods, reason = "tests make their own files")]
    async fn labels_are_restored_by_paths_in_directories_of_root() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("top");
        for below in ["mine/file", "shared/file"] {
            files::make_directories(top.join(below).parent().unwrap(), 0o755).unwrap();
            files::place(&top.join(below), b"", 0o644, None).unwrap();
        }
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(top.join("shared"), everybody).unwrap();
        let root = selinux(directory.path());
        restore(&restorecon(directory.path()), &root, &top).await.unwrap();
        let paths = ["", "/mine", "/mine/file", "/shared"]
            .map(|below| format!("{}{below}", top.display()))
            .join(" ");
        let said = files::read(&directory.path().join("said"), 1 << 16).unwrap().unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), format!("-F -- {paths}\n"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn missing_restorecon_is_reported_where_selinux_is_on() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        restore("/nowhere", &root, directory.path()).await.unwrap();
        let root = selinux(directory.path());
        let missing = restore("/nowhere", &root, directory.path()).await;
        assert!(matches!(missing, Err(Error::NoProgram)), "{missing:?}");
    }

    #[test]
    fn deep_tree_is_listed_up_to_the_longest_path() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("top");
        files::make_directories(&top, 0o755).unwrap();
        let mut inside = open(&top, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        // Twice the longest path; tests/suite/trees.rs goes deeper by the same walk.
        for _ in 0..4_096 {
            mkdirat(&inside, "d", Mode::S_IRWXU).unwrap();
            inside = openat(&inside, "d", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        let paths = list(&[&top]).unwrap().concat();
        assert!(paths.len() > 1000 && paths.iter().all(|path| path.len() < 4096));
        files::remove_tree(&top).unwrap();
    }

    #[test]
    fn list_of_many_paths_is_in_parts_that_fit_a_command_line() {
        let directory = tempfile::tempdir().unwrap();
        let name = "n".repeat(200);
        for number in 0..1000 {
            let path = directory.path().join(format!("{name}{number}"));
            files::place(&path, b"", 0o644, None).unwrap();
        }
        let lists = list(&[directory.path()]).unwrap();
        let bytes = |list: &Vec<OsString>| list.iter().map(|path| path.len() + 1).sum::<usize>();
        assert!(lists.len() > 1 && lists.iter().all(|list| bytes(list) <= MAX_ARGUMENTS));
        assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), 1001);
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
