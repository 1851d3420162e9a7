//! The lock by which programs for accounts take turns: a file that one of them has locked
//! (`lckpwdf(3)`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::cancellation::{Cancellation, Cancelled, Ended};
use super::fault::{self, Effect};
use super::files;

/// Between two attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why the lock was not taken, or is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it all the time, or the kernel refuses.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The wait for the other process was ended.
    #[error("cannot lock {}", path.display())]
    Cancelled {
        /// The lock's file.
        path: PathBuf,
        /// By whom.
        source: Cancelled,
    },
}

/// The lock, held until this is dropped. It is the process', so that nothing else in it opens the
/// file meanwhile: the kernel would release the lock with that file (`fcntl(2)`).
#[derive(Debug)]
pub struct AccountLock(#[expect(dead_code, reason = "closed with this value")] File);

/// Takes the lock, and makes its file if it does not exist. Waits at most `limit` for whoever has
/// it.
///
/// # Errors
/// The lock was not taken.
pub fn take(
    path: &Path,
    limit: Duration,
    cancellation: &Cancellation,
) -> Result<AccountLock, Error> {
    let create = !files::exists(path);
    if create {
        fault::point(Effect::Open, path).map_err(|error| failed("create", path, error))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(create).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).map_err(|error| failed("open", path, error))?;
    lock(&file, path, limit, cancellation)?;
    Ok(AccountLock(file))
}

/// Removes the file while no other process has it locked. Waits at most `limit` for that; a file
/// that does not exist is fine.
///
/// # Errors
/// The file was not removed.
pub fn remove(path: &Path, limit: Duration, cancellation: &Cancellation) -> Result<(), Error> {
    let file = match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", path, error)),
    };
    lock(&file, path, limit, cancellation)?;
    // The lock ends when the file is closed, which is after this.
    Ok(files::remove_file(path)?)
}

fn lock(
    file: &File,
    path: &Path,
    limit: Duration,
    cancellation: &Cancellation,
) -> Result<(), Error> {
    let mut all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let locked = cancellation.poll_blocking(POLL_INTERVAL, limit, || {
        match fcntl(file, FcntlArg::F_SETLK(&all)) {
            Ok(_) => Some(Ok(())),
            Err(Errno::EAGAIN | Errno::EACCES) => None,
            Err(errno) => Some(Err(errno)),
        }
    });
    match locked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(errno)) => Err(failed("lock", path, errno.into())),
        Err(Ended::TimeUp) => {
            // It may be free by now.
            let pid = fcntl(file, FcntlArg::F_GETLK(&mut all)).map(|_| all.l_pid).unwrap_or(0);
            let why = format!("the process {pid} changes accounts and has it");
            Err(failed("lock", path, io::Error::other(why)))
        }
        Err(Ended::Cancelled) => Err(Error::Cancelled { path: path.to_owned(), source: Cancelled }),
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> Error {
    files::Error { operation, path: path.to_owned(), source }.into()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests make their own files, and a lock of another process"
    )]
    fn a_lock_that_another_process_holds_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let cancellation = Cancellation::default();
        remove(&path, Duration::ZERO, &cancellation).unwrap();
        std::fs::write(&path, "").unwrap();
        let program = "use Fcntl; open(my $f, '+<', $ARGV[0]) or die; my $l = pack('s s x4 l! l! i \
                       x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; $| = 1; print \
                       qq(held\\n); sleep 600";
        let mut holder = Command::new("perl")
            .args(["-e", program])
            .arg(&path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
        let refused = remove(&path, POLL_INTERVAL, &cancellation);
        let busy = take(&path, POLL_INTERVAL, &cancellation).unwrap_err();
        let named = std::error::Error::source(&busy).map(ToString::to_string).unwrap_or_default();
        assert!(named.contains(&format!("process {}", holder.id())), "{busy:?}");
        // Longer than the suite may take: only the cancellation ends it.
        let stopped = std::thread::scope(|scope| {
            let wait = scope.spawn(|| remove(&path, Duration::from_secs(86_400), &cancellation));
            cancellation.request();
            wait.join().unwrap()
        });
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(matches!(refused, Err(Error::File(files::Error { operation: "lock", .. }))));
        assert!(matches!(stopped, Err(Error::Cancelled { .. })), "{stopped:?}");
        assert!(path.exists());
        drop(take(&path, Duration::from_secs(60), &Cancellation::default()).unwrap());
        remove(&path, Duration::from_secs(60), &Cancellation::default()).unwrap();
        assert!(!path.exists());
    }
}
