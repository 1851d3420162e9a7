//! One holder at a time, by a lock that the kernel keeps.
//!
//! The lock is on the open file, not the file's existence: it ends with its process, however that
//! ends, so none is ever stale. The file stays, because removing it would let a third process lock
//! a new file while a second one waits for the old. Its text is for people.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;

use super::fault::{self, Effect};

/// Who holds a lock, as the file's text tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process id, as the holder itself sees it.
    pub pid: u32,
    /// What it was asked to do, in one line.
    pub command: String,
}

impl Holder {
    fn to_text(&self) -> String {
        format!("{}\n{}\n", self.pid, self.command.replace('\n', " "))
    }

    fn from_text(text: &str) -> Option<Self> {
        let (pid, command) = text.strip_suffix('\n')?.split_once('\n')?;
        Some(Self { pid: pid.parse().ok()?, command: command.to_owned() })
    }
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("{} is held by process {pid} ({command})", path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// [`Holder::pid`]; 0 if the file does not tell.
        pid: u32,
        /// [`Holder::command`]; "unknown" if the file does not tell.
        command: String,
    },
    /// The file could not be opened, locked or written.
    #[error("cannot {operation} lock file {}", path.display())]
    Io {
        /// The verb: open, lock or write.
        operation: &'static str,
        /// The lock's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A lock that is held until this value is dropped or its process ends.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock at `path`, or fails at once if another open file has it (also one of this
    /// process).
    ///
    /// The file is created with mode 0600, whatever the umask: who can open it could take the lock
    /// too, and keep us out. Its directory must exist. Programs that are run meanwhile do not
    /// inherit the lock (`O_CLOEXEC`).
    pub fn acquire(path: &Path, content: &Holder) -> Result<Self, Error> {
        let failed =
            |operation| move |source| Error::Io { operation, path: path.to_owned(), source };
        fault::point(Effect::Open, path).map_err(failed("open"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // the text is the present holder's until we have the lock
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let Holder { pid, command } = read_holder(&mut file)
                    .unwrap_or_else(|| Holder { pid: 0, command: "unknown".to_owned() });
                return Err(Error::Held { path: path.to_owned(), pid, command });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        fault::point(Effect::Write, path).map_err(failed("write"))?;
        file.set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.set_len(0))
            .map_err(failed("write"))?;
        // The lock is the kernel's, and holds without a name on a disk that is full.
        let _ = file.write_all_at(content.to_text().as_bytes(), 0);
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that the next holder's rival does not read our name; nothing is lost if the text
        // stays.
        let _ = self.file.set_len(0);
        // Closing would not do: a child that another thread has forked but that has not yet run its
        // program has the file open too.
        let _ = self.file.unlock();
    }
}

/// The present holder may have the lock without having written its name yet: what stands there is
/// then nothing, or a dead process'.
fn read_holder(file: &mut File) -> Option<Holder> {
    const TRIES: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(10);
    const LONGEST: u64 = 64 * 1024;
    let mut holder = None;
    for _ in 0..TRIES {
        let mut text = Vec::new();
        file.rewind().ok()?;
        file.by_ref().take(LONGEST).read_to_end(&mut text).ok()?;
        holder = Holder::from_text(&String::from_utf8_lossy(&text));
        if holder.as_ref().is_some_and(|holder| is_alive(holder.pid)) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    holder
}

fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .is_ok_and(|pid| pid > 0 && signal::kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use std::fs;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    fn me(command: &str) -> Holder {
        Holder { pid: std::process::id(), command: command.to_owned() }
    }

    #[test]
    fn second_holder_learns_the_first_holder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let lock = Lock::acquire(&path, &me("install master")).unwrap();
        let error = Lock::acquire(&path, &me("uninstall")).unwrap_err();
        let Error::Held { pid, ref command, .. } = error else { panic!("{error:?}") };
        assert_eq!((pid, command.as_str()), (std::process::id(), "install master"));
        assert!(
            error.to_string().ends_with(&format!("lock is held by process {pid} (install master)")),
            "{error}"
        );
        drop(lock);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let _second = Lock::acquire(&path, &me("uninstall")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), me("uninstall").to_text());
    }

    #[test]
    fn lock_file_text_without_lock_does_not_block() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        fs::write(
            &path,
            "1\nleft behind by a process that was killed, and rather longer than ours\n",
        )
        .unwrap();
        let _lock = Lock::acquire(&path, &me("status")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), me("status").to_text());
    }

    #[test]
    fn holder_missing_from_the_file_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let _lock = Lock::acquire(&path, &me("install")).unwrap();
        for text in [&b""[..], b"\xff\xfe\n\n", b"12", b"x\ny\n"] {
            fs::write(&path, text).unwrap();
            let error = Lock::acquire(&path, &me("status")).unwrap_err();
            assert!(
                matches!(error, Error::Held { pid: 0, ref command, .. } if command == "unknown"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn programs_do_not_inherit_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(&root.path().join("lock"), &me("install")).unwrap();
        let flags = FdFlag::from_bits_retain(fcntl(&lock.file, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
    }

    #[test]
    fn a_symlink_is_not_followed_and_errors_name_the_file() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path().join("target"), &link).unwrap();
        let error = Lock::acquire(&link, &me("install")).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot open lock file {}", link.display()));
        assert!(!root.path().join("target").exists());
    }

    #[test]
    fn lock_holder_command_is_shown_on_one_line() {
        let holder = Holder { pid: 7, command: "install\nmaster".to_owned() };
        assert_eq!(Holder::from_text(&holder.to_text()).unwrap().command, "install master");
    }
}
