//! The members of a tar stream, as its headers tell them.
//!
//! The `tar` crate reads the header blocks. It does not frame them for us, because its iterator
//! takes an archive that was cut between two members for a whole one, reads long names of any size
//! into memory, and knows no sparse files in PAX archives.

use std::io::{self, BufReader, Read};

use tar::{GnuExtSparseHeader, Header};

use super::error::printable;
use super::sparse::{self, MAX_SEGMENTS, Segment};
use super::{Error, pax};
use crate::system::archive::check_sum;

const BLOCK: usize = 512;
/// Long names and PAX records of one member together; names end at 4 KiB on Linux, attributes are
/// larger.
const MAX_EXTENSION: u64 = 1024 * 1024;
/// Extension headers before one member; three are in use.
const MAX_EXTENSIONS: u32 = 8;
/// What is read from the decoder at a time.
const BUFFER: usize = 64 * 1024;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    File,
    Directory,
    Symlink,
    Hardlink,
}

/// A member as it is in the archive, its names verbatim.
#[derive(Debug)]
pub(super) struct Member {
    pub path: Vec<u8>,
    pub what: What,
    /// Where a link goes.
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub user: Option<String>,
    pub group: Option<String>,
    /// Seconds since 1970 and nanoseconds after them.
    pub mtime: (i64, u32),
    /// Bytes of the file, zeros between the parts of a sparse one included.
    pub size: u64,
    /// The parts of a sparse file that are in the archive.
    pub sparse: Option<Vec<Segment>>,
    /// Extended attributes are in the archive.
    pub attributes: bool,
}

impl Member {
    /// Its name in messages.
    pub fn name(&self) -> String {
        printable(&self.path)
    }
}

/// Zeros behind the end marker: `tar` fills its last record, which has 10 KiB unless it is told
/// otherwise. A server can send zeros for ever.
const MAX_TAIL: u64 = 1 << 20;

/// Reads a tar stream member by member, and to its very end.
pub(super) struct Members<R> {
    reader: BufReader<R>,
    /// Bytes of the current member's data that were not read yet.
    left: u64,
    /// Zeros after them, up to a whole block.
    padding: u64,
    /// The name of the current member, for messages.
    current: String,
}

impl<R: Read> Members<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            left: 0,
            padding: 0,
            current: String::new(),
        }
    }

    /// The next member. `None` comes only after the end marker, and after the stream was read to
    /// its end.
    pub fn next(&mut self) -> Result<Option<Member>, Error> {
        self.skip(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let (mut name, mut link, mut records) = (None, None, pax::Records::default());
        let mut extensions = 0;
        loop {
            let block = self.block()?;
            if block.iter().all(|&byte| byte == 0) {
                if extensions > 0 {
                    return Err(Error::damaged(
                        "it ends after a header that describes a member to come",
                    ));
                }
                self.end()?;
                return Ok(None);
            }
            let header = checked(&block)?;
            let kind = header.entry_type().as_byte();
            if !matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g') {
                return self.member(header, name, link, records).map(Some);
            }
            extensions += 1;
            if extensions > MAX_EXTENSIONS {
                return Err(Error::damaged("a member has more than eight headers"));
            }
            let data = self.extension(header)?;
            match kind {
                b'L' => name = Some(text(data)),
                b'K' => link = Some(text(data)),
                b'g' => global(&data)?,
                _ => records.read(&data).map_err(Error::damaged)?,
            }
        }
    }

    /// The next data of the current member, at most so many bytes; nothing when there is no more.
    pub fn read<'b>(&mut self, buf: &'b mut [u8], most: u64) -> Result<&'b [u8], Error> {
        let most = most.min(self.left);
        if most == 0 || buf.is_empty() {
            return Ok(&[]);
        }
        loop {
            match self.reader.by_ref().take(most).read(buf) {
                Ok(0) => return Err(self.cut()),
                Ok(n) => {
                    self.left -= n as u64;
                    return Ok(buf.get(..n).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unread(error)),
            }
        }
    }

    /// Bytes of the current member's data that were not read yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn member(
        &mut self,
        header: &Header,
        name: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
        records: pax::Records,
    ) -> Result<Member, Error> {
        let pax::Records { path, link: pax_link, sparse: pax_sparse, .. } = records;
        let path =
            pax_sparse.name.or(path).or(name).unwrap_or_else(|| header.path_bytes().into_owned());
        self.current = printable(&path);
        let hostile =
            |reason: &str| Error::Hostile { member: printable(&path), reason: reason.to_owned() };
        let number = |number: io::Result<u64>| {
            number.map_err(|error| hostile(&format!("its header cannot be read: {error}")))
        };
        let id = |told: Option<u64>, header: io::Result<u64>| {
            told.map_or_else(|| number(header), Ok).and_then(|id| {
                u32::try_from(id).map_err(|_| hostile("its owner is no user number"))
            })
        };
        let what = match header.entry_type().as_byte() {
            // Before there was a type for directories, a slash at the end said it.
            b'0' | 0 | b'7' if path.ends_with(b"/") => What::Directory,
            b'0' | 0 | b'7' | b'S' => What::File,
            b'1' => What::Hardlink,
            b'2' => What::Symlink,
            b'3' | b'4' => return Err(hostile("device nodes are not unpacked")),
            b'5' => What::Directory,
            b'6' => return Err(hostile("named pipes are not unpacked")),
            other => {
                return Err(hostile(&format!(
                    "its type \"{}\" is not known",
                    other.escape_ascii()
                )));
            }
        };
        let size = records.size.map_or_else(|| number(header.entry_size()), Ok)?;
        if size > 0 && what != What::File {
            return Err(hostile("programs disagree on whether a link or directory has data"));
        }
        let mtime = match records.mtime {
            Some(time) => time,
            // Times before 1970 are written as the two's complement.
            None => (number(header.mtime())?.cast_signed(), 0),
        };
        let user = records.user.or_else(|| header.username_bytes().map(<[u8]>::to_vec));
        let group = records.group.or_else(|| header.groupname_bytes().map(<[u8]>::to_vec));
        let mut member = Member {
            what,
            link: pax_link
                .or(link)
                .or_else(|| header.link_name_bytes().map(|name| name.into_owned()))
                .unwrap_or_default(),
            mode: u32::try_from(number(header.mode().map(u64::from))?).unwrap_or_default() & 0o7777,
            uid: id(records.uid, header.uid())?,
            gid: id(records.gid, header.gid())?,
            user: user
                .filter(|name| !name.is_empty())
                .map(|name| String::from_utf8_lossy(&name).into_owned()),
            group: group
                .filter(|name| !name.is_empty())
                .map(|name| String::from_utf8_lossy(&name).into_owned()),
            mtime,
            size,
            sparse: None,
            attributes: records.attributes,
            path,
        };
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        if size.checked_add(self.padding).is_none() {
            return Err(Error::Hostile {
                member: member.name(),
                reason: "its size cannot be".to_owned(),
            });
        }
        let map = if header.entry_type().is_gnu_sparse() {
            let gnu = header
                .as_gnu()
                .ok_or_else(|| Error::damaged("a sparse file without the header of one"))?;
            member.size = gnu.real_size().map_err(Error::damaged)?;
            Some(self.old_map(gnu)?)
        } else if pax_sparse.map_in_data {
            member.size = pax_sparse.real_size.unwrap_or(size);
            Some(self.map_in_data()?)
        } else if pax_sparse.map.is_some() {
            member.size = pax_sparse.real_size.unwrap_or(size);
            pax_sparse.map
        } else {
            None
        };
        if let Some(map) = map {
            let map = sparse::check(&map, member.size, self.left);
            member.sparse = Some(map.map_err(|reason| Error::Hostile {
                member: member.name(),
                reason: reason.to_owned(),
            })?);
        }
        Ok(member)
    }

    /// The map of an old GNU archive: four parts in the header, the others in blocks after it.
    fn old_map(&mut self, gnu: &tar::GnuHeader) -> Result<Vec<Segment>, Error> {
        let mut map = sparse::of_headers(&gnu.sparse).map_err(Error::damaged)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            *block.as_mut_bytes() = self.block()?;
            map.extend(sparse::of_headers(&block.sparse).map_err(Error::damaged)?);
            more = block.is_extended();
            if map.len() > MAX_SEGMENTS {
                return Err(Error::damaged("the map of a sparse file does not end"));
            }
        }
        Ok(map)
    }

    /// The map at the start of the data: decimal numbers, one a line, the first says how many pairs
    /// follow; filled up to whole blocks.
    fn map_in_data(&mut self) -> Result<Vec<Segment>, Error> {
        const BROKEN: &str = "the map of a sparse file cannot be read";
        let mut map = Vec::new();
        let (mut line, mut pairs, mut offset) = (String::new(), None, None);
        while pairs != Some(map.len()) {
            if self.left < BLOCK as u64 {
                return Err(Error::damaged(BROKEN));
            }
            let block = self.block()?;
            self.left -= BLOCK as u64;
            for &byte in &block {
                match byte {
                    b'0'..=b'9' if line.len() < 20 => line.push(char::from(byte)),
                    b'\n' => {
                        let number: u64 = std::mem::take(&mut line)
                            .parse()
                            .map_err(|_| Error::damaged(BROKEN))?;
                        match (pairs, offset.take()) {
                            (None, _) => {
                                pairs = Some(
                                    usize::try_from(number)
                                        .ok()
                                        .filter(|&n| n <= MAX_SEGMENTS)
                                        .ok_or_else(|| Error::damaged(BROKEN))?,
                                )
                            }
                            (Some(_), None) => offset = Some(number),
                            (Some(_), Some(offset)) => map.push(Segment { offset, length: number }),
                        }
                        if pairs == Some(map.len()) {
                            break;
                        }
                    }
                    _ => return Err(Error::damaged(BROKEN)),
                }
            }
        }
        Ok(map)
    }

    /// The data of a header that describes the next member.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let size = header.entry_size().map_err(Error::damaged)?;
        if size > MAX_EXTENSION {
            return Err(Error::damaged(format!(
                "a header of {size} bytes before a member; the most is {MAX_EXTENSION}"
            )));
        }
        let mut data = Vec::new();
        self.reader
            .by_ref()
            .take(size)
            .read_to_end(&mut data)
            .map_err(|error| self.unread(error))?;
        if data.len() as u64 != size {
            return Err(self.cut());
        }
        self.skip(size.wrapping_neg() % BLOCK as u64)?;
        Ok(data)
    }

    /// One block; the stream must not end here.
    fn block(&mut self) -> Result<[u8; BLOCK], Error> {
        // Not read_exact, which makes an error of its own of the end of the stream, one that could
        // as well come from below.
        let mut block = [0; BLOCK];
        let mut rest = block.as_mut_slice();
        while !rest.is_empty() {
            match self.reader.read(rest) {
                Ok(0) => return Err(self.cut()),
                Ok(n) => {
                    rest = rest.split_at_mut_checked(n).map(|(_, rest)| rest).unwrap_or_default()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unread(error)),
            }
        }
        Ok(block)
    }

    /// After the first block of zeros: a second one, and nothing but zeros to the end.
    fn end(&mut self) -> Result<(), Error> {
        if self.block()?.iter().any(|&byte| byte != 0) {
            return Err(Error::damaged("a lone block of zeros is in its middle"));
        }
        let (mut buf, mut tail) = ([0; 8 * 1024], 0);
        loop {
            match self.reader.read(&mut buf) {
                Ok(0) => return Ok(()),
                Ok(n) if tail + n as u64 > MAX_TAIL => {
                    return Err(Error::damaged("more than 1 MiB of zeros follows its end"));
                }
                Ok(n) if buf.iter().take(n).any(|&byte| byte != 0) => {
                    return Err(Error::damaged("something follows its end"));
                }
                Ok(n) => tail += n as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unread(error)),
            }
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Error> {
        let skipped = io::copy(&mut self.reader.by_ref().take(bytes), &mut io::sink())
            .map_err(|error| self.unread(error))?;
        if skipped == bytes { Ok(()) } else { Err(self.cut()) }
    }

    fn unread(&self, source: io::Error) -> Error {
        Error::Read { member: self.current.clone(), source }
    }

    fn cut(&self) -> Error {
        Error::damaged(match self.current.as_str() {
            "" => "it ends before its first member".to_owned(),
            name => format!("it is cut short; the last member that was begun is {name}"),
        })
    }
}

/// A header whose check sum is right.
fn checked(block: &[u8; BLOCK]) -> Result<&Header, Error> {
    let header = Header::from_byte_slice(block);
    let told = header.cksum().map_err(Error::damaged)?;
    if told == check_sum(block) {
        Ok(header)
    } else {
        Err(Error::damaged("a header has a wrong check sum"))
    }
}

/// A long name, without the NUL after it.
fn text(mut data: Vec<u8>) -> Vec<u8> {
    if data.last() == Some(&0) {
        data.pop();
    }
    data
}

/// A global header may comment (git does); one that changes later members is not for us, because
/// programs disagree on what it means.
fn global(data: &[u8]) -> Result<(), Error> {
    match pax::keys(data).map_err(Error::damaged)?.iter().find(|key| *key != "comment") {
        None => Ok(()),
        Some(key) => Err(Error::Hostile {
            member: "(all)".to_owned(),
            reason: format!("a global header sets {key:?}"),
        }),
    }
}
