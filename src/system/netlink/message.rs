//! Messages of netlink and their attributes, as bytes (`netlink(7)`): a header of 16 bytes, a fixed
//! part, and attributes, each padded to 4 bytes.
//!
//! What is read is only what fits: a length that leads beyond the end, or back, ends the reading.

/// Of a message.
const HEADER: usize = 16;
/// Of an attribute.
const ATTRIBUTE_HEADER: usize = 4;
/// The bits of an attribute's kind that name it; the others say how it is encoded
/// (`NLA_TYPE_MASK`).
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// One message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// A request as it is sent.
pub fn request(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    // Our own port: the kernel fills it in.
    bytes.extend_from_slice(&0u32.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// One attribute with its padding.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(padded(bytes.len()), 0);
    bytes
}

/// The messages of one datagram, and whether it was whole.
pub fn messages(datagram: &[u8]) -> (Vec<Message>, bool) {
    let mut found = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let Some(length) =
            number(rest, 0).filter(|length| *length >= HEADER && *length <= rest.len())
        else {
            return (found, false);
        };
        let field = |at: usize| {
            rest.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes)
        };
        let (Some(kind), Some(flags), Some(sequence), Some(payload)) =
            (field(4), field(6), u32_at(rest, 8), rest.get(HEADER..length))
        else {
            return (found, false);
        };
        found.push(Message { kind, flags, sequence, payload: payload.to_vec() });
        rest = rest.get(padded(length)..).unwrap_or_default();
    }
    (found, true)
}

/// The attributes in these bytes: kind and value.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = rest
            .get(..2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_ne_bytes)
            .map(usize::from)?;
        let kind = rest.get(2..4).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes)?
            & ATTRIBUTE_KIND;
        let value = rest.get(ATTRIBUTE_HEADER..length)?;
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of a kind.
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A number of this machine's order at an offset.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A text that ends with a NUL byte, or with the value.
pub fn text(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    std::str::from_utf8(value.get(..end)?).ok().filter(|t| !t.is_empty()).map(str::to_owned)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    u32_at(bytes, at).and_then(|n| usize::try_from(n).ok())
}

fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_message_can_be_decoded() {
        let payload =
            [attribute(3, b"spartan\0"), attribute(0x8000 | 18, &attribute(1, b"dummy"))].concat();
        let two = [request(16, 2, 7, &payload), request(3, 0, 7, &[])].concat();
        let (found, whole) = messages(&two);
        assert!(whole && found.len() == 2);
        assert_eq!((found[0].kind, found[0].sequence), (16, 7));
        assert_eq!(find(&found[0].payload, 3).and_then(text).as_deref(), Some("spartan"));
        assert_eq!(
            find(&found[0].payload, 18).and_then(|inner| find(inner, 1)),
            Some(&b"dummy"[..])
        );
    }

    #[test]
    fn hostile_lengths_end_the_decoding_without_harm() {
        let good = request(16, 0, 1, b"abcd");
        for length in [0u32, 3, 15, 21, u32::MAX] {
            let mut bad = request(16, 0, 1, b"wxyz");
            bad[..4].copy_from_slice(&length.to_ne_bytes());
            let (found, whole) = messages(&[good.clone(), bad].concat());
            assert!(!whole && found.len() == 1, "{length}");
        }
        for length in [0u16, 1, 3, 9, u16::MAX] {
            let mut bad = attribute(1, b"abcd");
            bad[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(attributes(&[attribute(2, b"x"), bad].concat()).count(), 1, "{length}");
        }
        for cut in 0..good.len() {
            assert!(messages(&good[..cut]).0.is_empty());
        }
    }
}
