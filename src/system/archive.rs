//! Archives: what their first bytes say they are, decoded under a memory limit.

mod budget;
mod format;
mod window;

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;

pub use budget::{Budget, Grant};
use format::BLOCK;
pub use format::Format;
pub(super) use format::check_sum;
use window::memory_needed;

/// What the decoders read at a time.
const BUFFER: usize = 64 * 1024;
/// Windows that every zstd decoder must take, and the largest there are, as powers of two.
const ZSTD_WINDOW: std::ops::RangeInclusive<u32> = 10..=31;

/// Why an archive cannot be decoded. Out of [`Decoder::read`] it comes inside an [`io::Error`];
/// errors of the reader below come out as they are.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading the first bytes failed.
    #[error("cannot read the start of the archive")]
    Read(#[source] io::Error),
    /// Nothing that we know.
    #[error("this is no archive: it is neither xz, gzip, zstd nor tar ({0})")]
    Unknown(String),
    /// The decoder could not be made.
    #[error("cannot start the {format} decoder: {cause}")]
    Start {
        /// The archive's format.
        format: Format,
        /// What the decoder said.
        cause: String,
    },
    /// Damaged, cut short, or followed by bytes that do not belong to it.
    #[error("the {format} data is damaged: {cause}")]
    Damaged {
        /// The archive's format.
        format: Format,
        /// What the decoder said.
        cause: String,
    },
    /// The header asks for more memory than the decoder may have.
    #[error(
        "the {format} data needs more than the {limit} bytes of memory that its decoder may have"
    )]
    Memory {
        /// The archive's format.
        format: Format,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The system gives no memory to the decoder.
    #[error("not enough memory to decode the {format} data")]
    OutOfMemory {
        /// The archive's format.
        format: Format,
    },
    /// A later part asks for more memory than the first one did: it has to be begun again with
    /// more.
    #[error("a later part of the {format} data needs more memory than its first one")]
    Grows {
        /// The archive's format.
        format: Format,
        /// What to begin again with, in bytes.
        at_least: u64,
    },
}

/// Decodes what `reader` gives; the format is told by the first bytes.
///
/// `memory_limit` is in bytes. For xz it bounds the whole decoder, for zstd the window (rounded
/// down to a power of two, at least 1 KiB); gzip always needs less than 100 KiB.
pub fn decode<R: Read>(reader: R, memory_limit: u64) -> Result<Decoder<R>, Error> {
    decode_within(reader, &Budget::of(memory_limit), memory_limit)
}

/// The same with memory from a budget: as much as the first header asks for, and at least
/// `at_least` bytes. Waits until it is free.
///
/// # Errors
/// [`Error::Memory`] if the header asks for more than the whole budget; out of the decoder also
/// [`Error::Grows`].
pub fn decode_within<R: Read>(
    mut reader: R,
    budget: &Arc<Budget>,
    at_least: u64,
) -> Result<Decoder<R>, Error> {
    let mut first = Vec::with_capacity(BLOCK);
    reader.by_ref().take(BLOCK as u64).read_to_end(&mut first).map_err(Error::Read)?;
    let Some(format) = Format::of(&first) else {
        return Err(Error::Unknown(match first.len() {
            0 => "it is empty".to_owned(),
            _ => format!("it starts with \"{}\"", first.get(..16).unwrap_or(&first).escape_ascii()),
        }));
    };
    let needed = memory_needed(format, &first).max(at_least);
    let grant = budget.take(needed).ok_or(Error::Memory { format, limit: budget.total() })?;
    let memory_limit = grant.bytes();
    let input = BufReader::with_capacity(
        BUFFER,
        Input { inner: Cursor::new(first).chain(reader), failed: false },
    );
    let start = |error: &(dyn std::error::Error + 'static)| match is_without_memory(error) {
        true => Error::OutOfMemory { format },
        false => Error::Start { format, cause: error.to_string() },
    };
    let inner = match format {
        Format::Xz => {
            let stream = Stream::new_stream_decoder(memory_limit, CONCATENATED)
                .map_err(|error| start(&error))?;
            Inner::Xz(XzDecoder::new_stream(input, stream))
        }
        Format::Gzip => Inner::Gzip(MultiGzDecoder::new(input)),
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).map_err(|error| start(&error))?;
            let window =
                memory_limit.max(1).ilog2().clamp(*ZSTD_WINDOW.start(), *ZSTD_WINDOW.end());
            decoder.window_log_max(window).map_err(|error| start(&error))?;
            Inner::Zstd(decoder)
        }
        Format::Tar => Inner::Tar(input),
    };
    Ok(Decoder { inner, format, ended: false, most: budget.total(), grant })
}

/// A reader of what was compressed. It ends without an error only when the archive is whole and
/// nothing follows it.
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    format: Format,
    ended: bool,
    /// What there is for all decoders.
    most: u64,
    // Given back last, when the decoder itself is gone.
    grant: Grant,
}

enum Inner<R: Read> {
    Xz(XzDecoder<BufReader<Input<R>>>),
    Gzip(MultiGzDecoder<BufReader<Input<R>>>),
    Zstd(zstd::Decoder<'static, BufReader<Input<R>>>),
    Tar(BufReader<Input<R>>),
}

impl<R: Read> Decoder<R> {
    /// The format that was recognised.
    pub fn format(&self) -> Format {
        self.format
    }

    /// An error of the decoder gets our words; one of the reader below stays what it is, so that a
    /// lost connection is not taken for a damaged archive.
    fn explain(&self, error: io::Error) -> io::Error {
        let input = match &self.inner {
            Inner::Xz(decoder) => decoder.get_ref(),
            Inner::Gzip(decoder) => decoder.get_ref(),
            Inner::Zstd(decoder) => decoder.get_ref(),
            Inner::Tar(input) => input,
        };
        if input.get_ref().failed {
            return error;
        }
        if is_without_memory(&error) {
            let error = Error::OutOfMemory { format: self.format };
            return io::Error::new(io::ErrorKind::OutOfMemory, error);
        }
        let (format, granted, limit) = (self.format, self.grant.bytes(), self.most);
        let window_too_large = ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
        let out_of_memory = error.get_ref().is_some_and(|inner| {
            matches!(inner.downcast_ref(), Some(liblzma::stream::Error::MemLimit))
                || inner.downcast_ref().is_some_and(|e: &zstd::Error| e.is(window_too_large))
        });
        io::Error::new(
            io::ErrorKind::InvalidData,
            match out_of_memory {
                true if granted < limit => {
                    Error::Grows { format, at_least: granted.saturating_mul(2).min(limit) }
                }
                true => Error::Memory { format, limit },
                false => Error::Damaged { format, cause: error.to_string() },
            },
        )
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended || buf.is_empty() {
            return Ok(0);
        }
        let result = match &mut self.inner {
            Inner::Xz(decoder) => decoder.read(buf),
            Inner::Gzip(decoder) => decoder.read(buf),
            Inner::Zstd(decoder) => decoder.read(buf),
            Inner::Tar(input) => input.read(buf),
        };
        match result {
            Ok(0) => {
                self.ended = true;
                Ok(0)
            }
            Ok(n) => Ok(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.explain(error)),
        }
    }
}

/// Whether this cause of an error is that the system gave no memory.
pub fn is_out_of_memory(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = |error: &io::Error| error.kind() == io::ErrorKind::OutOfMemory;
    matches!(cause.downcast_ref(), Some(Error::OutOfMemory { .. }))
        || cause.downcast_ref().is_some_and(kind)
}

/// Whether a decoder failed because the system gave it no memory.
fn is_without_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let inner = error.get_ref();
        return error.kind() == io::ErrorKind::OutOfMemory
            || inner.is_some_and(|inner| is_without_memory(inner));
    }
    let no_memory = ZSTD_ErrorCode::ZSTD_error_memory_allocation;
    matches!(error.downcast_ref(), Some(liblzma::stream::Error::Mem))
        || error.downcast_ref().is_some_and(|error: &zstd::Error| error.is(no_memory))
}

/// The bytes below the decoder; remembers whether an error came from there.
struct Input<R: Read> {
    inner: Chain<Cursor<Vec<u8>>, R>,
    failed: bool,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buf);
        self.failed = matches!(&result, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        result
    }
}
