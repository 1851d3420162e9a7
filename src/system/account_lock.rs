//! The lock by which programs for accounts take turns: a file that one of them has locked
//! (`lckpwdf(3)`).

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::cancellation::{Cancellation, Cancelled, Ended};
use super::files;

/// Between two attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why the lock is still there.
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

/// Removes the file while no other process has it locked. Waits at most `limit` for that; a file
/// that does not exist is fine.
///
/// # Errors
/// The file was not removed.
pub fn remove(path: &Path, limit: Duration, cancellation: &Cancellation) -> Result<(), Error> {
    let failed = |operation| {
        move |source: io::Error| files::Error { operation, path: path.to_owned(), source }
    };
    let file = match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open")(error).into()),
    };
    let all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let mut refusal = Errno::EAGAIN;
    let locked = cancellation.poll_blocking(POLL_INTERVAL, limit, || {
        match fcntl(&file, FcntlArg::F_SETLK(&all)) {
            Ok(_) => Some(Ok(())),
            Err(errno @ (Errno::EAGAIN | Errno::EACCES)) => {
                refusal = errno;
                None
            }
            Err(errno) => Some(Err(errno)),
        }
    });
    match locked {
        Ok(Ok(())) => {}
        Ok(Err(errno)) => return Err(failed("lock")(errno.into()).into()),
        Err(Ended::TimeUp) => return Err(failed("lock")(refusal.into()).into()),
        Err(Ended::Cancelled) => {
            return Err(Error::Cancelled { path: path.to_owned(), source: Cancelled });
        }
    }
    // The lock ends when the file is closed, which is after this.
    Ok(files::remove_file(path)?)
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
        remove(&path, Duration::from_secs(60), &Cancellation::default()).unwrap();
        assert!(!path.exists());
    }
}
