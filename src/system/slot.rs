//! A slot in a program file that holds a text, put there after the program was compiled.
//!
//! It has a section of its own and a fixed length: a magic, the length of the text (32 bits,
//! little-endian), a SHA-256, the text, and zeros. The sum is over the whole slot with zeros in its
//! own place. A slot that was never filled has nothing but zeros after its magic.

use std::iter;
use std::ops::Range;

use super::digest;
use super::empty_slot::{MAGIC_BYTES, SLOT_BYTES};
use super::kernel;

const SECTION: &[u8] = b".dcos_node_stamp";
const LENGTH_BYTES: usize = 4;
const SUM_BYTES: usize = 32;
/// The longest text, in bytes.
pub const ROOM: usize = SLOT_BYTES - MAGIC_BYTES - LENGTH_BYTES - SUM_BYTES;

/// Why a slot cannot be read or filled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The sum is wrong.
    #[error("its stamp is damaged: the SHA-256 in it is not that of the stamp")]
    Damaged,
    /// The program is none of ours.
    #[error("it has no slot for a stamp; is it a dcos-node of this version?")]
    NoSlot,
    /// The magic is there more than once and no section tells which is the slot.
    #[error(
        "it has {0} slots for a stamp, and no section headers that would tell which one counts"
    )]
    Several(usize),
    /// The text does not fit.
    #[error("a stamp of {0} bytes does not fit; there is room for {ROOM}")]
    TooLong(usize),
}

/// The text in the slot of the program that runs; none if it was never filled.
///
/// # Errors
/// The slot is damaged.
pub fn own() -> Result<Option<Vec<u8>>, Error> {
    text(&kernel::slot())
}

/// The text in the slot of a program file; none if it was never filled.
///
/// # Errors
/// The slot is damaged, or there is none.
pub fn of(program: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    text(program.get(find(program)?).ok_or(Error::NoSlot)?)
}

/// Puts a text into the slot of a program file; what was in it, whole or damaged, is replaced.
///
/// # Errors
/// There is no slot, or the text is too long.
pub fn fill(program: &mut [u8], text: &[u8]) -> Result<(), Error> {
    let place = find(program)?;
    let slot = program.get_mut(place).ok_or(Error::NoSlot)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|_| text.len() <= ROOM)
        .ok_or(Error::TooLong(text.len()))?;
    put(slot, length, [0; SUM_BYTES], text);
    put(slot, length, digest::sha256(slot), text);
    Ok(())
}

/// Writes all that comes after the magic.
fn put(slot: &mut [u8], length: u32, sum: [u8; SUM_BYTES], text: &[u8]) {
    let content = length
        .to_le_bytes()
        .into_iter()
        .chain(sum)
        .chain(text.iter().copied())
        .chain(iter::repeat(0));
    slot.iter_mut().skip(MAGIC_BYTES).zip(content).for_each(|(byte, new)| *byte = new);
}

fn text(slot: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let (magic, length, sum, room) =
        parts(slot).filter(|_| slot.len() == SLOT_BYTES).ok_or(Error::NoSlot)?;
    if slot.iter().skip(MAGIC_BYTES).all(|byte| *byte == 0) {
        return Ok(None);
    }
    if digest::sha256(&[magic, length, &[0; SUM_BYTES], room].concat()) != *sum {
        return Err(Error::Damaged);
    }
    let text =
        usize::try_from(u32::from_le_bytes(*length)).ok().and_then(|length| room.get(..length));
    text.map(|text| Some(text.to_vec())).ok_or(Error::Damaged)
}

/// Magic, length, sum, and the room for the text.
type Parts<'a> = (&'a [u8], &'a [u8; LENGTH_BYTES], &'a [u8; SUM_BYTES], &'a [u8]);

fn parts(slot: &[u8]) -> Option<Parts<'_>> {
    let (magic, rest) = slot.split_at_checked(MAGIC_BYTES)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, room) = rest.split_first_chunk()?;
    Some((magic, length, sum, room))
}

/// Where the slot is: the section headers tell, or its magic if somebody removed them.
fn find(program: &[u8]) -> Result<Range<usize>, Error> {
    let slot = kernel::slot();
    let (magic, ..) = parts(&slot).ok_or(Error::NoSlot)?;
    let is_slot = |place: &Range<usize>| {
        program.get(place.clone()).is_some_and(|slot| slot.starts_with(magic))
    };
    if let Some(place) = section(program).filter(is_slot) {
        return Ok(place);
    }
    let places: Vec<Range<usize>> = finds(program, magic)
        .map(|start| start..start.saturating_add(SLOT_BYTES))
        .filter(is_slot)
        .collect();
    match places.as_slice() {
        [] => Err(Error::NoSlot),
        [place] => Ok(place.clone()),
        several => Err(Error::Several(several.len())),
    }
}

/// Every place of some bytes that are not rare at their beginning only.
fn finds<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    // The second byte: the first one is a zero, of which programs are full.
    let mark = needle.get(1).copied().unwrap_or_default();
    let marks = haystack
        .iter()
        .enumerate()
        .skip(1)
        .filter(move |(_, byte)| **byte == mark)
        .map(|(at, _)| at - 1);
    marks.filter(move |at| haystack.get(*at..).is_some_and(|rest| rest.starts_with(needle)))
}

/// The place of our section by the headers of a 64-bit little-endian ELF file (`elf(5)`).
fn section(program: &[u8]) -> Option<Range<usize>> {
    const HEADER: usize = 64;
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (first, count, names) =
        (number(program, 40, 8)?, number(program, 60, 2)?, number(program, 62, 2)?);
    let header = |index: usize| first.checked_add(index.checked_mul(HEADER)?);
    // Where its name is, and where it lies in the file.
    let place = |index: usize| {
        let at = header(index)?;
        Some((
            number(program, at, 4)?,
            number(program, at.checked_add(24)?, 8)?,
            number(program, at.checked_add(32)?, 8)?,
        ))
    };
    let (_, names, _) = place(names)?;
    let (_, start, length) = (0..count).filter_map(place).find(|(name, _, _)| {
        let name = names.checked_add(*name).and_then(|at| program.get(at..));
        name.is_some_and(|name| {
            name.strip_prefix(SECTION).is_some_and(|rest| rest.first() == Some(&0))
        })
    })?;
    (length >= SLOT_BYTES).then(|| start..start.saturating_add(SLOT_BYTES))
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Vec<u8> {
        [vec![0; 100], kernel::slot(), vec![0; 100]].concat()
    }

    #[test]
    fn stamp_is_written_and_replaced() {
        let mut program = program();
        assert_eq!(of(&program), Ok(None));
        for content in [&b"a longer text"[..], b"short", &[b'x'; ROOM]] {
            fill(&mut program, content).unwrap();
            assert_eq!(of(&program).unwrap().as_deref(), Some(content));
        }
        assert_eq!(fill(&mut program, &[b'x'; ROOM + 1]), Err(Error::TooLong(ROOM + 1)));
        assert_eq!(own(), Ok(None));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut program = program();
        fill(&mut program, b"text").unwrap();
        for at in (100 + MAGIC_BYTES..100 + SLOT_BYTES).step_by(7) {
            program[at] ^= 1;
            assert_eq!(of(&program), Err(Error::Damaged), "{at}");
            program[at] ^= 1;
        }
        let mut empty = self::program();
        empty[100 + SLOT_BYTES - 1] = 1;
        assert_eq!(of(&empty), Err(Error::Damaged));
    }

    #[test]
    fn other_programs_have_no_stamp() {
        for file in [&b""[..], b"\x7fELF\x02\x01", &[0xff; 200], &program()[..200]] {
            assert_eq!(of(file), Err(Error::NoSlot));
        }
        // Headers that lead nowhere.
        let mut elf = vec![0xff; 4096];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert_eq!(of(&elf), Err(Error::NoSlot));
        assert_eq!(of(&[program(), program()].concat()), Err(Error::Several(2)));
    }
}
