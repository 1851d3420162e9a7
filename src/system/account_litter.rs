//! What a program for accounts leaves beside its files when it is cut in the middle: the new text
//! (`passwd+`), the lock (`passwd.lock`), and the file that the lock is a link to (`passwd.PID`).
//!
//! `useradd` refuses for ever where the lock has no number in it, as after a power cut, or the
//! number of a process that lives, whatever that is (`commonio.c` of shadow). By now that may be
//! another process: of another program, or one that began after the lock was made.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{SysconfVar, sysconf};

use super::files::{self, Error, FileKind};

/// What programs for accounts are called, as far as the kernel keeps it (`comm`, 15 bytes).
const PROGRAMS: [&str; 21] = [
    "useradd",
    "userdel",
    "usermod",
    "groupadd",
    "groupdel",
    "groupmod",
    "groupmems",
    "passwd",
    "chpasswd",
    "gpasswd",
    "chgpasswd",
    "chage",
    "chfn",
    "chsh",
    "newusers",
    "vipw",
    "vigr",
    "pwconv",
    "pwunconv",
    "grpconv",
    "grpunconv",
];
/// The kernel counts in seconds when it was booted, and a clock may be set a little.
const TOLERANCE: Duration = Duration::from_secs(5);
/// Longer than any table of `/proc` that is read here.
const MAX_TABLE: u64 = 4 << 20;
/// Longer than the number of a process.
const MAX_LOCK: u64 = 64;

/// Whether anything lies beside this file that looks like it.
///
/// # Errors
/// The directory cannot be listed.
pub fn exists(file: &Path) -> Result<bool, Error> {
    Ok(!found(file)?.is_empty())
}

/// Removes what dead programs left beside this file. Only for who has the lock that programs for
/// accounts take first: no other one is at work then.
///
/// # Errors
/// A program for accounts is alive and has the lock all the same; the kernel refuses.
pub fn remove(proc: &Path, file: &Path) -> Result<(), Error> {
    let found = found(file)?;
    for path in &found {
        let made = files::lstat(path)?.map(|stat| stat.modified);
        let is_holder = |pid: &u32| {
            is_account_program(proc, *pid)
                && !(made.is_some_and(|made| began_after(proc, *pid, made)))
        };
        let holder = holder(path)?.filter(is_holder);
        if let Some(pid) = holder {
            let why = format!("the process {pid} has it, which changes accounts");
            return Err(Error {
                operation: "remove the lock",
                path: path.clone(),
                source: io::Error::other(why),
            });
        }
    }
    for path in &found {
        files::remove_file(path)?;
    }
    match file.parent().filter(|_| !found.is_empty()) {
        Some(directory) => files::sync_directory(directory),
        None => Ok(()),
    }
}

/// The lock, the new text, and files of locks, as far as they exist.
fn found(file: &Path) -> Result<Vec<PathBuf>, Error> {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for other in files::names(directory)?.unwrap_or_default() {
        let Some(suffix) = other.to_str().and_then(|other| other.strip_prefix(name.to_str()?))
        else {
            continue;
        };
        let path = directory.join(&other);
        let is_litter = match suffix {
            "+" | ".lock" => true,
            // An administrator may keep a copy under a number: only a lock is empty, or has the
            // same number in it.
            _ => match suffix.strip_prefix('.').and_then(|number| number.parse::<u32>().ok()) {
                Some(number) => {
                    let is_short = files::lstat(&path)?.is_some_and(|stat| stat.size <= MAX_LOCK);
                    is_short && [Lock::Empty, Lock::Of(number)].contains(&lock(&path)?)
                }
                None => false,
            },
        };
        if is_litter && matches!(files::file_kind(&path)?, Some(FileKind::File)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What a lock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    /// Nothing, as after a power cut.
    Empty,
    /// The number of the process that made it.
    Of(u32),
    /// It is no lock.
    Other,
}

fn lock(path: &Path) -> Result<Lock, Error> {
    let bytes = files::read(path, MAX_LOCK)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.trim_matches(['\0', '\n', ' ']) {
        "" => Lock::Empty,
        number => number.parse().map_or(Lock::Other, Lock::Of),
    })
}

/// The process that a lock names.
fn holder(path: &Path) -> Result<Option<u32>, Error> {
    // The new text of a file is as long as the file, and names none.
    match path.extension() {
        Some(_) => Ok(match lock(path)? {
            Lock::Of(pid) => Some(pid),
            Lock::Empty | Lock::Other => None,
        }),
        None => Ok(None),
    }
}

fn is_account_program(proc: &Path, pid: u32) -> bool {
    let comm = files::read(&proc.join(pid.to_string()).join("comm"), MAX_LOCK).ok().flatten();
    let name = String::from_utf8_lossy(&comm.unwrap_or_default()).trim_end().to_owned();
    PROGRAMS.contains(&name.as_str())
}

/// Whether a process began after this moment. What cannot be told is no.
fn began_after(proc: &Path, pid: u32, moment: SystemTime) -> bool {
    let table = |path: PathBuf| {
        let bytes = files::read(&path, MAX_TABLE).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let began = || {
        let booted = table(proc.join("stat"))?;
        let booted = booted.lines().find_map(|line| line.strip_prefix("btime "))?;
        // The 22nd field; the second one, the name in parentheses, may hold spaces.
        let about = table(proc.join(pid.to_string()).join("stat"))?;
        let ticks = about.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse::<u64>().ok()?;
        let a_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let since_1970 =
            booted.trim().parse::<u64>().ok()?.checked_add(ticks.checked_div(a_second)?)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since_1970))
    };
    began().is_some_and(|began| began > moment + TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litter_of_a_dead_account_program_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        let passwd = at("passwd");
        // The lock's number is another process by now; a power cut emptied others.
        let others = format!("{}\0", std::process::id());
        for (lock, text) in [("passwd.lock", others.as_str()), ("passwd.lock", "")] {
            write(lock, text);
            write("passwd+", "root:x:0:0::/:/bin/sh\n");
            write("passwd.77", "77\0");
            write("passwd.78", "");
            let kept = ["passwd", "passwd-", "passwd.20240101", "passwd.bak", "passwd.lock.old"];
            kept.iter().for_each(|name| write(name, "root:x:0:0::/:/bin/sh\n"));
            assert!(exists(&passwd).unwrap());
            remove(Path::new("/proc"), &passwd).unwrap();
            assert!(!exists(&passwd).unwrap());
            let names: Vec<_> = files::names(directory.path()).unwrap().unwrap();
            assert_eq!(names, kept);
        }
    }

    #[test]
    fn lock_of_a_live_account_program_stays() {
        let directory = tempfile::tempdir().unwrap();
        let proc = directory.path().join("proc");
        std::fs::create_dir_all(proc.join("77")).unwrap();
        let (file, lock) = (directory.path().join("group"), directory.path().join("group.lock"));
        std::fs::write(&lock, "77\0").unwrap();
        std::fs::write(proc.join("77/comm"), "useradd\n").unwrap();
        assert!(remove(&proc, &file).unwrap_err().source.to_string().contains("process 77"));
        std::fs::write(proc.join("77/comm"), "agetty\n").unwrap();
        remove(&proc, &file).unwrap();
        assert!(!lock.exists());
    }

    #[test]
    fn lock_is_not_that_of_a_process_that_began_later() {
        let directory = tempfile::tempdir().unwrap();
        let proc = directory.path().join("proc");
        std::fs::create_dir_all(proc.join("77")).unwrap();
        let (file, lock) = (directory.path().join("group"), directory.path().join("group.lock"));
        std::fs::write(&lock, "77\0").unwrap();
        std::fs::write(proc.join("77/comm"), "useradd\n").unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        std::fs::write(proc.join("stat"), format!("cpu 1 2\nbtime {}\n", now - 1000)).unwrap();
        let a_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
        let begins = |seconds: i64| {
            let fields = "S 1 77 77 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0";
            let ticks = seconds * a_second;
            std::fs::write(proc.join("77/stat"), format!("77 (a) b) {fields} {ticks} 0\n"))
                .unwrap();
        };
        // Ten seconds before the lock was made, and a minute after.
        begins(990);
        remove(&proc, &file).unwrap_err();
        assert!(lock.exists());
        begins(1060);
        remove(&proc, &file).unwrap();
        assert!(!lock.exists());
    }
}
