//! Tells the service manager how far a run is (`sd_notify(3)`): one datagram a message, to the
//! socket that it names in the environment.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How long a start may go on without another message, in microseconds: jobs are followed for five
/// minutes at most.
const PATIENCE: u64 = 600 * 1_000_000;

/// Somebody who wants to be told.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notify {
    /// Whoever started this process and wants to be told; nobody where `NOTIFY_SOCKET` is not set
    /// or cannot be used.
    pub fn from_environment() -> Option<Notify> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        Notify::to(name.as_bytes()).ok()
    }

    /// A name that begins with `@` is not in the file system.
    fn to(name: &[u8]) -> io::Result<Notify> {
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        };
        Ok(Notify { socket: UnixDatagram::unbound()?, address })
    }

    /// Tells what is being done, in one line. Nobody waits for a reader that is gone or slow.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}\nEXTEND_TIMEOUT_USEC={PATIENCE}", text.replace('\n', " ")));
    }

    /// Tells that everything that was asked is done.
    pub fn ready(&self) {
        self.send("READY=1\nSTATUS=done");
    }

    fn send(&self, message: &str) {
        let _ = self.socket.send_to_addr(message.as_bytes(), &self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn a_status_is_one_line_and_one_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str().as_bytes()).unwrap();
        notify.status("fetch\nmesos");
        notify.ready();
        assert_eq!(heard(&manager), format!("STATUS=fetch mesos\nEXTEND_TIMEOUT_USEC={PATIENCE}"));
        assert_eq!(heard(&manager), "READY=1\nSTATUS=done");
        drop(manager);
        notify.status("nobody hears this, and it does not matter");
    }

    #[test]
    fn a_name_that_is_not_in_the_file_system_is_reached() {
        let name = format!("dcos-node-test-{}", std::process::id());
        let manager =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notify::to(format!("@{name}").as_bytes()).unwrap().ready();
        assert_eq!(heard(&manager), "READY=1\nSTATUS=done");
        assert!(Notify::to(&[b'x'; 200]).is_err());
    }
}
