//! A file on its way to a thread that reads it.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Error;
use crate::system::http::Body;

/// Pieces that may wait between the network and the reader; a piece has at most some hundred KiB.
const WAITING: usize = 8;

/// A file that is being read.
#[derive(Debug)]
pub struct Download {
    /// Its length in bytes, if the source tells; exactly so many come, or an error.
    pub length: Option<u64>,
    /// Its bytes.
    pub reader: Reader,
}

/// The bytes of a file, for a thread that may block: reading inside of an async task panics.
///
/// Dropping it ends the download. Errors of the source come out as an [`io::Error`] that carries an
/// [`Error`].
#[derive(Debug)]
pub struct Reader(Inner);

#[derive(Debug)]
enum Inner {
    Network {
        pieces: mpsc::Receiver<Piece>,
        current: Bytes,
        task: AbortHandle,
        address: String,
        ended: bool,
    },
    File {
        file: File,
        length: u64,
        read: u64,
        path: PathBuf,
    },
}

/// The end is said, so that a task that died is not taken for the end of the file.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
    Failed(Error),
}

impl Download {
    /// Starts the task that feeds the reader; it waits while the reader does not read.
    pub(super) fn of_body(mut body: Body, address: String) -> Self {
        let length = body.length;
        let (sender, pieces) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            loop {
                let (piece, last) = match body.chunk().await {
                    Ok(Some(bytes)) => (Piece::Bytes(bytes), false),
                    Ok(None) => (Piece::End, true),
                    Err(error) => (Piece::Failed(error.into()), true),
                };
                if sender.send(piece).await.is_err() || last {
                    break;
                }
            }
        });
        Self {
            length,
            reader: Reader(Inner::Network {
                pieces,
                current: Bytes::new(),
                task: task.abort_handle(),
                address,
                ended: false,
            }),
        }
    }

    pub(super) fn of_file(file: File, length: u64, path: PathBuf) -> Self {
        Self { length: Some(length), reader: Reader(Inner::File { file, length, read: 0, path }) }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Network { pieces, current, address, ended, .. } => {
                if *ended || buf.is_empty() {
                    return Ok(0);
                }
                while current.is_empty() {
                    match pieces.blocking_recv() {
                        Some(Piece::Bytes(bytes)) => *current = bytes,
                        Some(Piece::End) => {
                            *ended = true;
                            return Ok(0);
                        }
                        Some(Piece::Failed(error)) => return Err(io::Error::other(error)),
                        None => return Err(io::Error::other(Error::GivenUp(address.clone()))),
                    }
                }
                let now = current.split_to(current.len().min(buf.len()));
                now.as_ref().read(buf)
            }
            Inner::File { file, length, read, path } => {
                let n = match file.read(buf) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                    Err(source) => {
                        return Err(io::Error::other(Error::File { path: path.clone(), source }));
                    }
                    Ok(n) => n,
                };
                *read += n as u64;
                if *read > *length || (n == 0 && !buf.is_empty() && *read < *length) {
                    return Err(io::Error::other(Error::Changed {
                        path: path.clone(),
                        length: *length,
                        read: *read,
                    }));
                }
                Ok(n)
            }
        }
    }
}

impl Drop for Reader {
    /// A task that waits for a stalled server would otherwise outlive its reader.
    fn drop(&mut self) {
        if let Inner::Network { task, .. } = &self.0 {
            task.abort();
        }
    }
}
