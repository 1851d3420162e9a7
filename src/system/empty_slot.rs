//! The slot in the program file that [`super::slot`] reads and fills, as it is compiled in.

/// Length of the slot, in bytes.
pub const SLOT_BYTES: usize = 8192;
/// Length of the magic at its beginning.
pub const MAGIC_BYTES: usize = 32;

/// The magic and zeros. Used at compile time only, so that the program has the magic at one place.
pub const EMPTY: [u8; SLOT_BYTES] = {
    const MAGIC: [u8; MAGIC_BYTES] =
        *b"\x00dcos-node stamp\xd2\x9c\x41\xe7\x0b\x86\xf3\x5a\x1d\xb8\x62\x94\xcf\x37\x0e\xa1";
    let mut slot = [0; SLOT_BYTES];
    if let Some(start) = slot.first_chunk_mut() {
        *start = MAGIC;
    }
    slot
};
