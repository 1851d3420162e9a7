//! The kernel's network over netlink (`netlink(7)`): requests, their answers, and what the kernel
//! says to a change.
//!
//! Our own and not a crate's: of each message we want two or three attributes, from kernels 3.10 to
//! today's, and must send some back as they came; the crates parse every attribute there is and
//! refuse those of another length.

pub mod ipvs;
mod message;
pub mod route;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

pub use message::Message;

use super::fault::{self, Effect};

/// How long the kernel may be silent; it answers at once.
const SILENCE: i64 = 10;
/// How long one request may take with all its answers: a table that changes all the time is listed
/// again and again.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a list is asked for again that changed meanwhile, or did not fit into the socket's
/// buffer.
const TRIES: u32 = 8;
/// More messages than this are no answer to what we ask.
const MOST: usize = 1_000_000;
/// More than the kernel puts into one datagram of a list (`NLMSG_GOODSIZE`, at most 32 KiB).
const DATAGRAM: usize = 128 << 10;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACKNOWLEDGE: u16 = libc::NLM_F_ACK as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;
/// The list changed while it was told.
const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;
const OVERRUN: u16 = libc::NLMSG_OVERRUN as u16;

/// Why the kernel did not do or tell what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the kernel does not {what}")]
pub struct Error {
    /// What it was asked: a verb and its object.
    pub what: String,
    /// What it said.
    pub source: io::Error,
}

impl Error {
    fn number(&self) -> Option<Errno> {
        self.source.raw_os_error().map(Errno::from_raw)
    }

    /// What was to be removed is not there.
    pub fn is_absence(&self) -> bool {
        matches!(
            self.number(),
            Some(
                Errno::ENODEV | Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL | Errno::ENXIO
            )
        )
    }
}

/// One end of a conversation with the kernel; tests play the kernel.
pub trait Talk {
    /// Sends one datagram.
    ///
    /// # Errors
    /// What the system says.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Receives one datagram that the kernel itself sent.
    ///
    /// # Errors
    /// What the system says; `ENOBUFS` if something was lost.
    fn receive(&mut self) -> io::Result<Vec<u8>>;
}

/// A netlink socket.
pub struct Socket(OwnedFd);

impl Talk for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match sendto(self.0.as_raw_fd(), datagram, &NetlinkAddr::new(0, 0), MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                sent => return sent.map(drop).map_err(io::Error::from),
            }
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                Err(Errno::EINTR) => {}
                // Any process may send to our port; only port 0 is the kernel.
                Ok((_, Some(from))) if from.pid() != 0 => {}
                Ok((length, _)) => {
                    buffer.truncate(length);
                    return Ok(buffer);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A conversation: requests are numbered, and answers to others than the last are passed over.
pub struct Conversation<T> {
    end: T,
    sequence: u32,
}

impl Conversation<Socket> {
    /// Opens a socket of one of netlink's protocols.
    ///
    /// # Errors
    /// The kernel has no netlink, or a sandbox keeps us from it.
    pub fn open(protocol: SockProtocol) -> Result<Conversation<Socket>, Error> {
        let open = || -> nix::Result<OwnedFd> {
            let fd =
                socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(SILENCE, 0))?;
            setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(SILENCE, 0))?;
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
            Ok(fd)
        };
        let end = open()
            .map(Socket)
            .map_err(|e| Error { what: "open a netlink socket".to_owned(), source: e.into() })?;
        Ok(Conversation::over(end))
    }
}

impl<T: Talk> Conversation<T> {
    /// A conversation over this end.
    pub fn over(end: T) -> Conversation<T> {
        Conversation { end, sequence: 0 }
    }

    /// Asks for a list, again as long as it changes meanwhile. `what` is for the error: a verb and
    /// its object.
    ///
    /// # Errors
    /// The kernel refuses, is silent, or the list never holds still.
    pub fn list(&mut self, kind: u16, payload: &[u8], what: &str) -> Result<Vec<Message>, Error> {
        let failed = |source: io::Error| Error { what: what.to_owned(), source };
        let began = Instant::now();
        for _ in 0..TRIES {
            self.ask(kind, REQUEST | DUMP, payload).map_err(failed)?;
            match self.answers(began) {
                Ok(Some(messages)) => return Ok(messages),
                Ok(None) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::Error::other("the list changed each time before it was told")))
    }

    /// Asks for a change and waits for the kernel's word.
    ///
    /// # Errors
    /// The kernel refuses or is silent.
    pub fn change(&mut self, kind: u16, payload: &[u8], what: &str) -> Result<(), Error> {
        let failed = |source: io::Error| Error { what: what.to_owned(), source };
        fault::point(Effect::Call, what).map_err(failed)?;
        self.ask(kind, REQUEST | ACKNOWLEDGE, payload).map_err(failed)?;
        self.answers(Instant::now()).map(drop).map_err(failed)
    }

    fn ask(&mut self, kind: u16, flags: u16, payload: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.end.send(&message::request(kind, flags, self.sequence, payload))
    }

    /// Everything up to the end of the answer; none if it was not whole or changed meanwhile.
    fn answers(&mut self, began: Instant) -> io::Result<Option<Vec<Message>>> {
        let mut found = Vec::new();
        let mut sound = true;
        loop {
            if began.elapsed() > LIMIT {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let (messages, whole) = message::messages(&self.end.receive()?);
            if !whole {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer is torn"));
            }
            for message in messages.into_iter().filter(|m| m.sequence == self.sequence) {
                sound &= message.flags & INTERRUPTED == 0 && message.kind != OVERRUN;
                match message.kind {
                    ERROR | DONE => {
                        // The end of a list has the word too, if something stopped it.
                        let word = message::u32_at(&message.payload, 0).map_or(0, u32::cast_signed);
                        return match word {
                            0 => Ok(sound.then_some(found)),
                            refusal => Err(io::Error::from_raw_os_error(refusal.saturating_neg())),
                        };
                    }
                    _ if found.len() >= MOST => {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "the answer has no end",
                        ));
                    }
                    _ => found.push(message),
                }
            }
        }
    }
}

#[cfg(test)]
pub(in crate::system) mod recorded;
#[cfg(test)]
mod tests;
