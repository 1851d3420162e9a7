//! Tells the journal what happens, in journald's own protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): one datagram an entry.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of one value: so no entry outgrows what the kernel takes as one datagram (some
/// 200 KiB).
const LONGEST: usize = 8 * 1024;
/// How long a journal that is busy, or is being restarted, is waited for. Once only: then entries
/// that it does not take at once are lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where journald listens. Whether it does makes no difference to whoever tells it something.
#[derive(Debug)]
pub struct JournalSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl JournalSocket {
    /// The journal behind this socket; none where there is no such file.
    pub fn at(path: &Path) -> Option<JournalSocket> {
        JournalSocket::with(path, PATIENCE)
    }

    fn with(path: &Path, patience: Duration) -> Option<JournalSocket> {
        let socket = path.exists().then(UnixDatagram::unbound)?.ok()?;
        socket.set_write_timeout(Some(patience)).ok()?;
        Some(JournalSocket { socket, path: path.to_owned() })
    }

    /// Adds an entry. A name is upper-case letters, digits and underscores, and begins with a
    /// letter.
    pub fn send(&self, fields: &[(&str, String)]) {
        if self
            .socket
            .send_to(&datagram(fields), &self.path)
            .is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
        {
            let _ = self.socket.set_nonblocking(true);
        }
    }
}

/// Whether standard error leads to the journal already, as that of a unit does (`JOURNAL_STREAM`,
/// systemd 231).
pub fn is_standard_error() -> bool {
    let (Ok(stream), Ok(error)) =
        (std::env::var("JOURNAL_STREAM"), std::fs::metadata("/proc/self/fd/2"))
    else {
        return false;
    };
    stream == format!("{}:{}", error.dev(), error.ino())
}

/// `NAME=value`, or the name, the length and the value where that has lines.
fn datagram(fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        let value = cut(value);
        bytes.extend(name.as_bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend((value.len() as u64).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn cut(value: &str) -> &str {
    let end = (0..=value.len().min(LONGEST)).rev().find(|at| value.is_char_boundary(*at));
    value.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_datagram_whatever_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        assert!(JournalSocket::at(&path).is_none(), "there is no journal");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = JournalSocket::at(&path).unwrap();
        journal.send(&[("MESSAGE", "two\nlines".to_owned()), ("PRIORITY", "6".to_owned())]);
        let mut bytes = vec![0; 1 << 20];
        let length = journald.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=6\n");

        let long = "é".repeat(LONGEST);
        journal.send(&vec![("DCOS_NODE_ERROR", format!("x{long}")); 20]);
        let length = journald.recv(&mut bytes).unwrap();
        assert_eq!(
            length,
            20 * ("DCOS_NODE_ERROR=\n".len() + LONGEST - 1),
            "no half letter is left"
        );
    }

    #[test]
    fn journal_without_listener_is_awaited_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = JournalSocket::with(&path, Duration::from_millis(10)).unwrap();
        let tell =
            |count: usize| (0..count).for_each(|_| journal.send(&[("MESSAGE", "x".to_owned())]));
        tell(10_000);
        journald.set_nonblocking(true).unwrap();
        let heard = || std::iter::from_fn(|| journald.recv(&mut [0; 64]).ok()).count();
        let first = heard();
        assert!((1..10_000).contains(&first), "no queue holds {first} entries");
        tell(1);
        assert_eq!(heard(), 1, "when it listens again it is told");
        drop(journald);
        journal.send(&[("MESSAGE", "nobody hears this, and it does not matter".to_owned())]);
    }
}
