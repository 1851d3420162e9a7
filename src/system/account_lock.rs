//! The lock by which programs for accounts take turns: a file that one of them has locked
//! (`lckpwdf(3)`).

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::files::{self, Error};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Removes the file while nobody else has it locked, and waits so long for that; nothing there is
/// fine.
///
/// # Errors
/// Somebody has it all the time, or the kernel refuses.
pub fn remove(path: &Path, patience: Duration) -> Result<(), Error> {
    let failed =
        |operation| move |source: io::Error| Error { operation, path: path.to_owned(), source };
    let file = match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open")(error)),
    };
    let all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let began = Instant::now();
    while let Err(errno) = fcntl(&file, FcntlArg::F_SETLK(&all)) {
        if !matches!(errno, Errno::EAGAIN | Errno::EACCES) || began.elapsed() >= patience {
            return Err(failed("lock")(errno.into()));
        }
        std::thread::sleep(PAUSE);
    }
    // The lock ends when the file is closed, which is after this.
    files::remove_file(path)
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
        remove(&path, Duration::ZERO).unwrap();
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
        let refused = remove(&path, PAUSE);
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(refused.unwrap_err().operation, "lock");
        assert!(path.exists());
        remove(&path, Duration::from_secs(60)).unwrap();
        assert!(!path.exists());
    }
}
