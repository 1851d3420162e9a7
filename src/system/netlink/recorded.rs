//! A kernel that says what a test wrote down.

use std::collections::VecDeque;
use std::io;

use super::{DONE, ERROR, Talk, message};

/// What the kernel does to one request: datagrams, or an error of the socket.
pub(in crate::system) type Answer = io::Result<Vec<(u16, u16, Vec<u8>)>>;

/// Plays the kernel: each request is answered by the next datagrams, up to the one that ends the
/// answer.
#[derive(Default)]
pub(in crate::system) struct Recorded {
    /// Requests: kind, flags and payload.
    pub asked: Vec<(u16, u16, Vec<u8>)>,
    answers: VecDeque<Answer>,
    sequence: u32,
}

impl Recorded {
    pub fn saying(answers: Vec<Answer>) -> Recorded {
        Recorded { answers: answers.into(), ..Recorded::default() }
    }
}

/// The end of a list.
pub(in crate::system) fn done() -> (u16, u16, Vec<u8>) {
    (DONE, 2, vec![0; 4])
}

/// The word to a change, or a refusal.
pub(in crate::system) fn word(number: i32) -> (u16, u16, Vec<u8>) {
    (ERROR, 0, (-number).to_ne_bytes().to_vec())
}

impl Talk for &mut Recorded {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let (mut sent, whole) = message::messages(datagram);
        assert!(whole && sent.len() == 1, "a request is one whole message");
        let request = sent.remove(0);
        self.sequence = request.sequence;
        self.asked.push((request.kind, request.flags, request.payload));
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let answer =
            self.answers.pop_front().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
        Ok(answer
            .iter()
            .flat_map(|(kind, flags, payload)| {
                padded(message::request(*kind, *flags, self.sequence, payload))
            })
            .collect())
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
