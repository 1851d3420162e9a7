//! Archives: what their first bytes say they are, decoded under a memory limit.

use std::fmt;
use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// One block of a tar archive: as much as is needed to tell any format.
const BLOCK: usize = 512;
/// What the decoders read at a time.
const BUFFER: usize = 64 * 1024;
/// Windows that every zstd decoder must take, and the largest there are, as powers of two.
const ZSTD_WINDOW: std::ops::RangeInclusive<u32> = 10..=31;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// xz, one stream or several one after another (`pxz` writes those).
    Xz,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
    /// A tar archive that is not compressed.
    Tar,
}

impl Format {
    /// What an archive with these first bytes is; 512 of them are enough, fewer if there are no more.
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // The second is a skippable frame, with which parallel compressors start.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ if is_tar(first) => Some(Self::Tar),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Tar => "tar",
        })
    }
}

/// Old archives have no magic, so it is the check sum that counts; an archive without members starts with zeros.
fn is_tar(first: &[u8]) -> bool {
    let Some(block) = first.get(..BLOCK) else { return false };
    if block.iter().all(|&byte| byte == 0) {
        return true;
    }
    let sum =
        block.iter().map(|&byte| u32::from(byte)).sum::<u32>() - block[148..156].iter().map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
    tar::Header::from_byte_slice(block).cksum().is_ok_and(|told| told == sum)
}

/// Why an archive cannot be decoded. Out of [`Decoder::read`] it comes inside an [`io::Error`]; errors of the reader below come out as they are.
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
    #[error("the {format} data needs more than the {limit} bytes of memory that its decoder may have")]
    Memory {
        /// The archive's format.
        format: Format,
        /// The limit, in bytes.
        limit: u64,
    },
}

/// Decodes what `reader` gives; the format is told by the first bytes.
///
/// `memory_limit` is in bytes. For xz it bounds the whole decoder, for zstd the window (rounded down to a power of two, at least 1 KiB);
/// gzip always needs less than 100 KiB.
pub fn decode<R: Read>(mut reader: R, memory_limit: u64) -> Result<Decoder<R>, Error> {
    let mut first = Vec::with_capacity(BLOCK);
    reader.by_ref().take(BLOCK as u64).read_to_end(&mut first).map_err(Error::Read)?;
    let Some(format) = Format::of(&first) else {
        return Err(Error::Unknown(match first.len() {
            0 => "it is empty".to_owned(),
            _ => format!("it starts with \"{}\"", first[..first.len().min(16)].escape_ascii()),
        }));
    };
    let input = BufReader::with_capacity(BUFFER, Input { inner: Cursor::new(first).chain(reader), failed: false });
    let start = |cause: String| Error::Start { format, cause };
    let inner = match format {
        Format::Xz => {
            let stream = Stream::new_stream_decoder(memory_limit, CONCATENATED).map_err(|error| start(error.to_string()))?;
            Inner::Xz(XzDecoder::new_stream(input, stream))
        }
        Format::Gzip => Inner::Gzip(MultiGzDecoder::new(input)),
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).map_err(|error| start(error.to_string()))?;
            let window = memory_limit.max(1).ilog2().clamp(*ZSTD_WINDOW.start(), *ZSTD_WINDOW.end());
            decoder.window_log_max(window).map_err(|error| start(error.to_string()))?;
            Inner::Zstd(decoder)
        }
        Format::Tar => Inner::Tar(input),
    };
    Ok(Decoder { inner, format, memory_limit, ended: false })
}

/// A reader of what was compressed. It ends without an error only when the archive is whole and nothing follows it.
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    format: Format,
    memory_limit: u64,
    ended: bool,
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

    /// An error of the decoder gets our words; one of the reader below stays what it is, so that a lost connection is not taken for a damaged archive.
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
        let (format, limit) = (self.format, self.memory_limit);
        let out_of_memory = match error.get_ref().and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>()) {
            Some(error) => matches!(error, liblzma::stream::Error::MemLimit),
            None => format == Format::Zstd && error.to_string().contains("too much memory"),
        };
        io::Error::new(
            io::ErrorKind::InvalidData,
            if out_of_memory { Error::Memory { format, limit } } else { Error::Damaged { format, cause: error.to_string() } },
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
