//! Files that only grow: opened for adding, cut where a write was torn, added to with or without
//! waiting for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate, fcntl};
use nix::libc::{ENXIO, O_NONBLOCK};

use super::fault::{self, Effect};
use super::files::{self, Error};

/// A file that is added to; what is in it stays.
#[derive(Debug)]
pub struct Growing {
    file: File,
    path: PathBuf,
    /// Where the file was to be cut after a write that failed, and could not be.
    torn_at: Option<u64>,
}

impl Growing {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// It is not there, or cannot be written.
    pub fn open(path: &Path) -> Result<Growing, Error> {
        let opened = fault::point(Effect::Open, path)
            .and_then(|()| OpenOptions::new().append(true).custom_flags(O_NONBLOCK).open(path));
        Growing::with(opened, path)
    }

    /// Opens what an operator names: `fd:N`, or a file.
    ///
    /// # Errors
    /// As [`Growing::descriptor`] and [`Growing::make`].
    pub fn named(place: &str) -> Result<Growing, Error> {
        match place.strip_prefix("fd:").map(str::parse) {
            None => Growing::make(Path::new(place)),
            Some(Ok(number)) => Growing::descriptor(number),
            Some(Err(_)) => Err(Error {
                operation: "open",
                path: place.into(),
                source: io::Error::other("fd: needs a number after it"),
            }),
        }
    }

    /// Opens a file, which is made if it is not there: for its owner only, since it quotes what
    /// scripts, servers and units said. One that is there keeps its mode. Nothing that another user
    /// put there is opened ([`files::hold`]).
    ///
    /// # Errors
    /// It can neither be made nor written.
    pub fn make(path: &Path) -> Result<Growing, Error> {
        let held = files::hold(path)?;
        match held.append() {
            Ok(file) => Growing::with(Ok(file), path),
            Err(error) => Growing::with(Err(error.source), path),
        }
    }

    /// Opens what the caller of this program left open under this number: by its name in `/proc`,
    /// so that the number stays the caller's.
    ///
    /// # Errors
    /// Nothing is open under it, or it cannot be written.
    pub fn descriptor(number: u32) -> Result<Growing, Error> {
        Growing::open(Path::new(&format!("/proc/self/fd/{number}")))
    }

    /// A pipe that nobody reads yet would be waited for here, perhaps for ever: it is refused. One
    /// that is read is waited for with every write, so that a slow reader loses nothing.
    fn with(opened: io::Result<File>, path: &Path) -> Result<Growing, Error> {
        let opened = opened.and_then(|file| {
            let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
            fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
            Ok(file)
        });
        let is_pipe = || path.metadata().is_ok_and(|found| found.file_type().is_fifo());
        let file = opened.map_err(|source| match source.raw_os_error() {
            Some(ENXIO) if is_pipe() => {
                io::Error::other("nobody reads this pipe; its reader has to be there first")
            }
            _ => source,
        });
        let file =
            file.map_err(|source| Error { operation: "open", path: path.to_owned(), source })?;
        Ok(Growing { file, path: path.to_owned(), torn_at: None })
    }

    /// Whether this is where standard output goes: the same file, pipe or terminal, by whatever
    /// name. What keeps nothing, as `/dev/null` does, cannot mix anything.
    pub fn is_standard_output(&self) -> bool {
        let (Ok(own), Ok(output)) = (self.file.metadata(), Path::new("/proc/self/fd/1").metadata())
        else {
            return false;
        };
        let keeps = !own.file_type().is_char_device() || self.file.is_terminal();
        keeps && (own.dev(), own.ino()) == (output.dev(), output.ino())
    }

    /// Takes room on the disk for so many bytes in all, so that adding up to there cannot meet a
    /// full one. Its length stays. A file system that cannot promise room promises none, which is
    /// no error.
    ///
    /// # Errors
    /// There is not so much room.
    pub fn reserve(&mut self, bytes: u32) -> Result<(), Error> {
        let reserved = fault::point(Effect::Write, &self.path).and_then(|()| {
            Ok(fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, bytes.into())?)
        });
        match reserved {
            Err(e)
                if matches!(e.raw_os_error(), Some(nix::libc::EOPNOTSUPP | nix::libc::ENOSYS)) =>
            {
                Ok(())
            }
            reserved => reserved.map_err(|source| Error {
                operation: "reserve room for",
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Gives back the room that [`Growing::reserve`] took and nothing has filled.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn release(&mut self) -> Result<(), Error> {
        let length = self
            .file
            .metadata()
            .map_err(|source| Error { operation: "look at", path: self.path.clone(), source })?
            .len();
        self.cut(length)
    }

    /// Cuts off everything after so many bytes, durably.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn cut(&mut self, length: u64) -> Result<(), Error> {
        let cut = fault::point(Effect::Write, &self.path)
            .and_then(|()| self.file.set_len(length))
            .and_then(|()| fault::point(Effect::Sync, &self.path))
            .and_then(|()| self.file.sync_all());
        cut.map_err(|source| Error {
            operation: "cut the torn end off",
            path: self.path.clone(),
            source,
        })
    }

    /// Adds these bytes by one call; they are on disk when this returns.
    ///
    /// # Errors
    /// The disk refuses. A full one may have taken a part, which is cut off again, at the latest
    /// before the next bytes are added: what follows a torn part could not be read.
    pub fn add_durably(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(length) = self.torn_at {
            self.cut(length)?;
            self.torn_at = None;
        }
        let length = self
            .file
            .metadata()
            .map_err(|source| Error { operation: "look at", path: self.path.clone(), source })?
            .len();
        let added = fault::point(Effect::Write, &self.path)
            .and_then(|()| self.file.write_all(bytes))
            .and_then(|()| fault::point(Effect::Sync, &self.path))
            .and_then(|()| self.file.sync_data())
            .inspect(|()| fault::told(bytes));
        added.map_err(|source| {
            self.torn_at = self.cut(length).is_err().then_some(length);
            Error { operation: "add to", path: self.path.clone(), source }
        })
    }
}

/// Adds without waiting for the disk.
impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_and_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        assert_eq!(
            Growing::open(&path).unwrap_err().to_string(),
            format!("cannot open {}", path.display())
        );
        Growing::make(&path).unwrap().add_durably(b"one\ntw").unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777, 0o600);
        let mut file = Growing::open(&path).unwrap();
        file.cut(4).unwrap();
        file.add_durably(b"two\n").unwrap();
        writeln!(file, "three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn unread_pipe_fails_at_once_and_read_pipe_gets_all() {
        use std::io::Read;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = Growing::make(&path).unwrap_err();
        assert!(refused.source.to_string().starts_with("nobody reads this pipe"), "{refused:?}");
        let mut reader =
            OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let mut writer = Growing::make(&path).unwrap();
        // More than a pipe holds.
        let writing = std::thread::spawn(move || writer.write_all(&[b'x'; 1 << 20]));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(read.len(), 1 << 20);
    }

    #[test]
    fn a_descriptor_of_the_caller_stays_open() {
        use std::os::fd::AsRawFd;
        let file = tempfile::NamedTempFile::new().unwrap();
        let number = u32::try_from(file.as_file().as_raw_fd()).unwrap();
        writeln!(Growing::descriptor(number).unwrap(), "line").unwrap();
        assert!(file.as_file().metadata().is_ok());
        assert_eq!(std::fs::read(file.path()).unwrap(), b"line\n");
        assert!(Growing::descriptor(u32::MAX).is_err());
    }
}
