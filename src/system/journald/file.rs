//! One journal file, by systemd's [Journal File Format](https://systemd.io/JOURNAL_FILE_FORMAT).
//!
//! A file is a header and objects that refer to each other by offset. We go from the table of field
//! names to the field, along its data objects (one for each value that ever occurred) to the wanted
//! one, and from there through arrays of offsets to the entries. That needs no hash, of which the
//! format has two kinds, and takes few steps for a field with few values.
//!
//! Objects are only ever appended, so each kind of chain has one direction; a link that runs
//! against it is a loop, and ends the chain.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::compression::{Compression, UnknownFlags, decompress, lz4_size};

const KEYED_HASH: u32 = 4;
const COMPACT: u32 = 16;
const COMPRESSED: u32 = 1 | 2 | 8; // xz, lz4, zstd

const DATA: u8 = 1;
const FIELD: u8 = 2;
const ENTRY: u8 = 3;
const FIELD_HASH_TABLE: u8 = 5;
const ENTRY_ARRAY: u8 = 6;

/// The smallest header that there ever was.
const HEADER_SIZE_MIN: u64 = 208;
const OBJECT_HEADER_SIZE: u64 = 16;
/// Up to the name.
const FIELD_SIZE: u64 = 40;
/// Up to the items.
const ENTRY_SIZE: u64 = 64;
/// Up to the items.
const ENTRY_ARRAY_SIZE: u64 = 24;

/// journald takes 1024 fields from a program, and adds some.
const ENTRY_ITEMS_MAX: u64 = 4096;
/// journald makes 1023 buckets.
const BUCKETS_MAX: u64 = 65536;
/// The chain's arrays double in length.
const ARRAYS_MAX: usize = 256;
/// Enough for a hundred thousand units in one file; a hostile file takes a few seconds to spend it.
const READS_MAX: u32 = 2_000_000;

/// Decoded bytes that count as one read.
const BYTES_PER_READ: u64 = 64 * 1024;

/// An open journal file.
pub(super) struct JournalFile {
    file: File,
    length: u64,
    header_size: u64,
    compact: bool,
    /// Where the buckets begin, and how many there are.
    field_table: (u64, u64),
    seqnum_id: [u8; 16],
    reads_left: Cell<u32>,
    unknown_flags: Cell<Option<UnknownFlags>>,
}

/// Why a file is not an open journal file.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It is not a journal file, or its header is torn.
    NotJournal,
    /// It is one of a later format: it has these incompatible flags.
    UnknownFormat(u32),
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A log entry, its fields still to be looked up.
pub(super) struct Entry {
    /// Its place in the log.
    pub seqnum: u64,
    /// Since 1970.
    pub realtime: Duration,
    /// Since the boot.
    pub monotonic: Duration,
    pub boot_id: [u8; 16],
    /// The offsets of its data objects, one for each field.
    pub items: Vec<u64>,
}

/// The checked head of an object: all of it lies in the file.
struct Object {
    offset: u64,
    size: u64,
    flags: u8,
}

impl JournalFile {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // A pipe of that name would wait for a writer, and a terminal would become ours.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        let mut header = [0; HEADER_SIZE_MIN as usize];
        let complete = metadata.is_file() && file.read_exact_at(&mut header, 0).is_ok();
        let header_size = u64_at(&header, 88);
        if !complete || !header.starts_with(b"LPKSHHRH") || header_size < HEADER_SIZE_MIN {
            return Err(OpenError::NotJournal);
        }
        let flags = u32_at(&header, 12);
        if flags & !(KEYED_HASH | COMPACT | COMPRESSED) != 0 {
            return Err(OpenError::UnknownFormat(flags));
        }
        let mut seqnum_id = [0; 16];
        seqnum_id.copy_from_slice(&header[72..88]);
        Ok(Self {
            file,
            length: metadata.len(),
            header_size,
            compact: flags & COMPACT != 0,
            field_table: (u64_at(&header, 120), u64_at(&header, 128) / 16),
            seqnum_id,
            reads_left: Cell::new(READS_MAX),
            unknown_flags: Cell::new(None),
        })
    }

    /// Which sequence [`Entry::seqnum`] counts in.
    pub fn seqnum_id(&self) -> [u8; 16] {
        self.seqnum_id
    }

    /// Flags of an object read so far that this reader does not know, if there are any.
    pub fn unknown_flags(&self) -> Option<UnknownFlags> {
        self.unknown_flags.get()
    }

    /// The offset of the data object for `field` with `value`, if that occurs in this file.
    pub fn find_data(&self, field: &str, value: &str) -> Option<u64> {
        let mut next = self.first_data(field)?;
        loop {
            if self.is_data(next, field, value) {
                return Some(next);
            }
            // New values come first in their field's chain.
            let previous = next;
            next = self.link(previous, DATA, 32).filter(|&next| next < previous)?;
        }
    }

    /// Whether the object at `offset` is the data object for `field` with `value`.
    pub fn is_data(&self, offset: u64, field: &str, value: &str) -> bool {
        let wanted = field.len() + 1 + value.len();
        let Some(object) = self.object(offset, DATA, self.data_size()) else { return false };
        let size = match Compression::of(object.flags) {
            Ok(None) => Some(object.size - self.data_size()),
            Ok(Some(Compression::Lz4)) => {
                self.read(offset + self.data_size(), 8).and_then(|head| lz4_size(&head))
            }
            _ => None,
        };
        if size.is_some_and(|size| size != wanted as u64) {
            return false;
        }
        self.payload_of(&object, wanted + 1).is_some_and(|payload| {
            let (name, rest) = payload.split_at(field.len().min(payload.len()));
            name == field.as_bytes() && rest.strip_prefix(b"=") == Some(value.as_bytes())
        })
    }

    /// The `FIELD=value` of the data object at `offset`, decompressed and cut at `limit` bytes.
    pub fn payload(&self, offset: u64, limit: usize) -> Option<Vec<u8>> {
        self.payload_of(&self.object(offset, DATA, self.data_size())?, limit)
    }

    /// The offsets of the entries that have the data object at `data`, the newest first. They are
    /// not checked.
    pub fn entries_backwards(&self, data: u64) -> impl Iterator<Item = u64> {
        let first = self.link(data, DATA, 40);
        let arrays = self.entry_arrays(data);
        arrays
            .into_iter()
            .rev()
            .flat_map(|(items, count)| self.items_backwards(items, count))
            .chain(first)
    }

    /// The entry at `offset`.
    pub fn entry(&self, offset: u64) -> Option<Entry> {
        let object = self.object(offset, ENTRY, ENTRY_SIZE)?;
        let item_size: u64 = if self.compact { 4 } else { 16 };
        let count = (object.size - ENTRY_SIZE) / item_size;
        if count > ENTRY_ITEMS_MAX {
            return None;
        }
        let bytes = self.read(offset, (ENTRY_SIZE + count * item_size) as usize)?;
        let boot_id = *bytes.get(40..)?.first_chunk::<16>()?;
        Some(Entry {
            seqnum: u64_at(&bytes, 16),
            realtime: Duration::from_micros(u64_at(&bytes, 24)),
            monotonic: Duration::from_micros(u64_at(&bytes, 32)),
            boot_id,
            items: self.offsets(bytes.get(ENTRY_SIZE as usize..)?, item_size as usize),
        })
    }

    /// The first of the data objects of `field`.
    fn first_data(&self, field: &str) -> Option<u64> {
        let (buckets, count) = self.field_table;
        // The header points behind the table's own head.
        let table = self.object(
            buckets.checked_sub(OBJECT_HEADER_SIZE)?,
            FIELD_HASH_TABLE,
            OBJECT_HEADER_SIZE,
        )?;
        let count = count.min((table.size - OBJECT_HEADER_SIZE) / 16).min(BUCKETS_MAX);
        let table = self.read(buckets, (count * 16) as usize)?;
        let chain = |bucket: &[u8]| {
            let mut next = Some(u64_at(bucket, 0)).filter(|&offset| offset != 0);
            std::iter::from_fn(move || {
                let this = next?;
                // New names come last in their bucket's chain.
                next = self.link(this, FIELD, 24).filter(|&next| next > this);
                Some(this)
            })
        };
        let is_wanted = |&offset: &u64| {
            self.object(offset, FIELD, FIELD_SIZE).is_some_and(|object| {
                object.size - FIELD_SIZE == field.len() as u64
                    && self
                        .read(offset + FIELD_SIZE, field.len())
                        .is_some_and(|name| name == field.as_bytes())
            })
        };
        let found = table.chunks_exact(16).flat_map(chain).find(is_wanted)?;
        self.link(found, FIELD, 32)
    }

    /// Where the items of the entry arrays of a data object begin, and how many fit in, the oldest
    /// first.
    fn entry_arrays(&self, data: u64) -> Vec<(u64, u64)> {
        let item_size = if self.compact { 4 } else { 8 };
        let mut arrays = Vec::new();
        let mut next = self.link(data, DATA, 48);
        while let Some(offset) = next {
            let Some(object) = self.object(offset, ENTRY_ARRAY, ENTRY_ARRAY_SIZE) else { break };
            arrays.push((offset + ENTRY_ARRAY_SIZE, (object.size - ENTRY_ARRAY_SIZE) / item_size));
            next = self
                .link(offset, ENTRY_ARRAY, 16)
                .filter(|&next| next > offset && arrays.len() < ARRAYS_MAX);
        }
        arrays
    }

    /// The items of an entry array from the last one in use. How many are in use the file tells
    /// elsewhere, but journald may be writing.
    fn items_backwards(&self, items: u64, count: u64) -> impl Iterator<Item = u64> {
        const BLOCK: u64 = 512;
        let item_size: u64 = if self.compact { 4 } else { 8 };
        let blocks = (0..count.div_ceil(BLOCK)).rev();
        blocks
            .map_while(move |block| {
                let length = (count - block * BLOCK).min(BLOCK) * item_size;
                let bytes = self.read(items + block * BLOCK * item_size, length as usize)?;
                Some(
                    self.offsets(&bytes, item_size as usize)
                        .into_iter()
                        .rev()
                        .filter(|&offset| offset != 0),
                )
            })
            .flatten()
    }

    /// The head of the object at `offset`, if it is of that kind, has at least `size_min` bytes,
    /// and lies in the file.
    fn object(&self, offset: u64, kind: u8, size_min: u64) -> Option<Object> {
        if offset < self.header_size || !offset.is_multiple_of(8) {
            return None;
        }
        let head = self.read(offset, OBJECT_HEADER_SIZE as usize)?;
        let size = u64_at(&head, 8);
        let fits =
            size >= size_min && offset.checked_add(size).is_some_and(|end| end <= self.length);
        let [is, flags, ..] = *head.as_slice() else { return None };
        (is == kind && fits).then_some(Object { offset, size, flags })
    }

    /// The offset that stands `place` bytes into the object at `offset`; none if that is zero.
    fn link(&self, offset: u64, kind: u8, place: u64) -> Option<u64> {
        let object = self.object(offset, kind, place + 8)?;
        Some(u64_at(&self.read(object.offset + place, 8)?, 0)).filter(|&link| link != 0)
    }

    fn payload_of(&self, object: &Object, limit: usize) -> Option<Vec<u8>> {
        let (offset, size) = (object.offset + self.data_size(), object.size - self.data_size());
        let read = |limit: usize| self.read(offset, size.min(limit as u64) as usize);
        match Compression::of(object.flags) {
            Ok(None) => read(limit),
            Ok(Some(compression)) => {
                let input = read(compression.input_for(limit))?;
                if compression == Compression::Lz4 {
                    // What is decoded beyond the limit counts as further reads.
                    self.spend(lz4_size(&input)? / BYTES_PER_READ)?;
                }
                decompress(compression, &input, limit)
            }
            Err(flags) => {
                self.unknown_flags.set(Some(flags));
                None
            }
        }
    }

    /// The size of a data object up to its payload.
    fn data_size(&self) -> u64 {
        if self.compact { 72 } else { 64 }
    }

    /// The offsets in an array of items that begin with one.
    fn offsets(&self, bytes: &[u8], item_size: usize) -> Vec<u64> {
        let offset =
            |item: &[u8]| if self.compact { u64::from(u32_at(item, 0)) } else { u64_at(item, 0) };
        bytes.chunks_exact(item_size).map(offset).collect()
    }

    fn spend(&self, reads: u64) -> Option<()> {
        let reads = u32::try_from(reads).ok()?;
        self.reads_left.set(self.reads_left.get().checked_sub(reads)?);
        Some(())
    }

    fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.spend(1)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
