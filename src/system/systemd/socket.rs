//! A stream socket to systemd, as the D-Bus library wants it.
//!
//! On its private socket systemd signs every message as `org.freedesktop.systemd1`. A sender has to
//! be a unique name (D-Bus specification, "Header Fields"), and the library ends the connection
//! over one that is not. So that one field is rewritten in place, in a form of the same length,
//! before the library sees the message. systemd 219 signs nothing there, and a bus signs with
//! unique names: both pass through untouched.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};

/// What systemd calls itself on its private socket.
const WELL_KNOWN: &[u8] = b"org.freedesktop.systemd1";
/// The same number of bytes, as a unique name.
const UNIQUE: &[u8] = b":org.freedesktop.systemd";
/// The fixed part of a message, up to and including the length of the header fields.
const HEADER: usize = 16;
/// The longest message, header included (D-Bus specification, "Message Format").
const LONGEST: usize = 128 << 20;
/// The code of the header field SENDER.
const SENDER: u8 = 7;

/// A connected stream, authenticated by the library with our user id.
#[derive(Debug)]
pub(super) struct Stream(pub(super) UnixStream);

impl Socket for Stream {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.0.into_split();
        Split::new(Reader { stream: read, frames: Frames::default() }, Writer(write))
    }
}

/// The half that receives, message by message.
#[derive(Debug)]
pub(super) struct Reader {
    stream: OwnedReadHalf,
    frames: Frames,
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        loop {
            let taken = self.frames.take(buffer);
            if taken > 0 || buffer.is_empty() {
                return Ok((taken, Vec::new()));
            }
            let mut chunk = [0; 16 << 10];
            let read = self.stream.read(&mut chunk).await?;
            if read == 0 {
                return Ok((0, Vec::new()));
            }
            self.frames.push(chunk.get(..read).unwrap_or_default())?;
        }
    }
}

/// The half that sends.
#[derive(Debug)]
pub(super) struct Writer(OwnedWriteHalf);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(
        &mut self,
        buffer: &[u8],
        _descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        // Neither half says that it can pass descriptors, so the library never hands any over.
        self.0.write(buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Cuts what arrives into lines of the authentication and messages, and lets out whole ones only.
#[derive(Debug, Default)]
struct Frames {
    arrived: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Moves what is ready into `buffer`; 0 when more has to arrive first.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.ready.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.taken += count;
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
        count
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.arrived.extend_from_slice(bytes);
        while let Some(length) = self.first()? {
            let mut frame: Vec<u8> = self.arrived.drain(..length).collect();
            rename_sender(&mut frame);
            self.ready.append(&mut frame);
        }
        Ok(())
    }

    /// The length of the first whole line or message that has arrived.
    fn first(&self) -> io::Result<Option<usize>> {
        // A message starts with its byte order; no answer of the authentication protocol starts
        // with these letters.
        let Some(length) = message_length(&self.arrived) else {
            let line = !matches!(self.arrived.first(), Some(b'l' | b'B'));
            let end = self.arrived.iter().position(|byte| line && *byte == b'\n');
            return Ok(end.map(|end| end + 1));
        };
        if length > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a D-Bus message of {length} bytes"),
            ));
        }
        Ok((length <= self.arrived.len()).then_some(length))
    }
}

/// How long the message is that `bytes` start with; none where they start with something else or
/// with too little of it.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let body = number(bytes, 4)?;
    let fields = number(bytes, 12)?;
    aligned(HEADER.checked_add(fields)?, 8).checked_add(body)
}

/// Replaces the sender that is no unique name; leaves everything else as it came, malformed
/// messages too.
fn rename_sender(message: &mut [u8]) {
    if let Some(at) = sender_at(message)
        && let Some(name) = message.get_mut(at..at + WELL_KNOWN.len())
        && name == WELL_KNOWN
    {
        name.copy_from_slice(UNIQUE);
    }
}

/// Where the text of the SENDER field starts, if it is as long as the name we look for.
fn sender_at(message: &[u8]) -> Option<usize> {
    let end = HEADER.checked_add(number(message, 12)?)?;
    let mut at = HEADER;
    while at < end {
        // Each field is a byte with its code and a variant: the length of the signature, the
        // signature, NUL, the value.
        let code = *message.get(at)?;
        if *message.get(at + 1)? != 1 {
            return None;
        }
        let value = at + 4;
        at = match *message.get(at + 2)? {
            b's' | b'o' => {
                let start = aligned(value, 4);
                let length = number(message, start)?;
                if code == SENDER && length == WELL_KNOWN.len() {
                    return Some(start + 4);
                }
                start.checked_add(length)?.checked_add(5)?
            }
            b'g' => value + 2 + usize::from(*message.get(value)?),
            b'u' => aligned(value, 4) + 4,
            _ => return None,
        };
        at = aligned(at, 8);
    }
    None
}

/// The 32-bit number at `at`, in the byte order that the message starts with.
fn number(message: &[u8], at: usize) -> Option<usize> {
    let bytes = message.get(at..at.checked_add(4)?)?.try_into().ok()?;
    let number = match message.first()? {
        b'l' => u32::from_le_bytes(bytes),
        b'B' => u32::from_be_bytes(bytes),
        _ => return None,
    };
    usize::try_from(number).ok()
}

/// `at`, or the next multiple of `to` after it.
fn aligned(at: usize, to: usize) -> usize {
    at.next_multiple_of(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A method return as systemd 252 sends it on its private socket: REPLY_SERIAL, SIGNATURE,
    /// SENDER, in that order.
    fn reply(sender: &[u8], body: &[u8]) -> Vec<u8> {
        let mut fields = vec![5, 1, b'u', 0, 9, 0, 0, 0];
        fields.extend([8, 1, b'g', 0, 1, b's', 0, 0]);
        fields.extend([SENDER, 1, b's', 0]);
        fields.extend(u32::try_from(sender.len()).unwrap().to_le_bytes());
        fields.extend(sender);
        fields.push(0);
        let mut message = vec![b'l', 2, 1, 1];
        message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        message.extend([3, 0, 0, 0]);
        message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
        message.extend(fields);
        message.resize(message.len().next_multiple_of(8), 0);
        message.extend(body);
        message
    }

    fn drain(frames: &mut Frames) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 5];
        loop {
            let taken = frames.take(&mut buffer);
            if taken == 0 {
                return all;
            }
            all.extend(&buffer[..taken]);
        }
    }

    #[test]
    fn replaced_bus_names_have_equal_length() {
        assert_eq!(WELL_KNOWN.len(), UNIQUE.len());
    }

    #[test]
    fn sender_is_renamed_across_split_reads() {
        let mut sent = b"OK 0123456789abcdef0123456789abcdef\r\n".to_vec();
        let mut expected = sent.clone();
        for body in [&b""[..], b"l\n", b"org.freedesktop.systemd1"] {
            sent.extend(reply(WELL_KNOWN, body));
            expected.extend(reply(UNIQUE, body));
        }
        for size in [1, 2, 7, 16, 64, sent.len()] {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in sent.chunks(size) {
                frames.push(piece).unwrap();
                got.extend(drain(&mut frames));
            }
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn other_senders_are_unchanged() {
        for sender in [&b":1.1"[..], b"org.freedesktop.DBus", b"org.freedesktop.systemd2", b""] {
            let mut message = reply(sender, b"body");
            rename_sender(&mut message);
            assert_eq!(message, reply(sender, b"body"));
        }
    }

    #[test]
    fn truncated_or_broken_header_is_unchanged() {
        let whole = reply(WELL_KNOWN, b"");
        for length in 0..whole.len() - 1 {
            let mut cut = whole[..length].to_vec();
            rename_sender(&mut cut);
            assert_eq!(cut.len(), length);
        }
        let mut lying = whole.clone();
        lying[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut frames = Frames::default();
        assert_eq!(frames.push(&lying).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
