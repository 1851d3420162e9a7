//! The records of PAX extended headers: `LENGTH KEY=VALUE\n`.
//!
//! Read here and not by the `tar` crate, which splits them at newlines, although a value may
//! contain some.

use super::sparse::Segment;

/// What the extended headers of one member say about it; what we do not use is left out.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub user: Option<Vec<u8>>,
    pub group: Option<Vec<u8>>,
    pub mtime: Option<(i64, u32)>,
    /// The member has extended attributes, which are dropped.
    pub attributes: bool,
    pub sparse: Sparse,
}

/// The three ways in which GNU tar has written sparse files into PAX archives.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub name: Option<Vec<u8>>,
    pub real_size: Option<u64>,
    /// Versions 0.0 and 0.1: the map is in the header.
    pub map: Option<Vec<Segment>>,
    /// Version 1.0: the map is the first thing in the data.
    pub map_in_data: bool,
    offset: Option<u64>,
    major: Option<u64>,
}

impl Records {
    /// Takes over the records of one header; later ones replace earlier ones.
    pub fn read(&mut self, data: &[u8]) -> Result<(), String> {
        for record in records(data) {
            let (key, value) = record?;
            let text = || {
                str::from_utf8(value).map_err(|_| {
                    format!("the value of {:?} is no text", String::from_utf8_lossy(key))
                })
            };
            let number = || {
                text()?
                    .parse::<u64>()
                    .map_err(|_| format!("{:?} is no number", String::from_utf8_lossy(value)))
            };
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"uname" => self.user = Some(value.to_vec()),
                b"gname" => self.group = Some(value.to_vec()),
                b"mtime" => {
                    self.mtime = Some(time(text()?).ok_or_else(|| {
                        format!("{:?} is no time", String::from_utf8_lossy(value))
                    })?)
                }
                b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
                b"GNU.sparse.realsize" | b"GNU.sparse.size" => {
                    self.sparse.real_size = Some(number()?)
                }
                b"GNU.sparse.major" => self.sparse.major = Some(number()?),
                b"GNU.sparse.minor" => match (self.sparse.major, number()?) {
                    (Some(1), 0) => self.sparse.map_in_data = true,
                    (Some(0), _) => {}
                    _ => return Err("a version of sparse files that is not known".to_owned()),
                },
                b"GNU.sparse.offset" => self.sparse.offset = Some(number()?),
                b"GNU.sparse.numbytes" => {
                    let offset = self
                        .sparse
                        .offset
                        .take()
                        .ok_or("a part of a sparse file without its place")?;
                    self.sparse
                        .map
                        .get_or_insert_default()
                        .push(Segment { offset, length: number()? });
                }
                b"GNU.sparse.map" => {
                    self.sparse.map =
                        Some(map(text()?).ok_or("a map of a sparse file that is none")?)
                }
                _ if key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"LIBARCHIVE.xattr.") => {
                    self.attributes = true
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The keys of a global header; all that is said there would hold for every later member.
pub(super) fn keys(data: &[u8]) -> Result<Vec<String>, String> {
    records(data)
        .map(|record| record.map(|(key, _)| String::from_utf8_lossy(key).into_owned()))
        .collect()
}

/// The records one after another.
fn records(mut data: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), String>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let record = split(data).ok_or_else(|| "an extended header that cannot be read".to_owned());
        data = match &record {
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(record.map(|(pair, _)| pair))
    })
}

type Pair<'a> = (&'a [u8], &'a [u8]);

/// The first record, and what comes after it.
fn split(data: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let mut words = data.splitn(2, |&byte| byte == b' ');
    let digits = words.next()?;
    let length: usize = str::from_utf8(digits).ok()?.parse().ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let record = record.get(digits.len() + 1..)?.strip_suffix(b"\n")?;
    let mut pair = record.splitn(2, |&byte| byte == b'=');
    Some(((pair.next()?, pair.next()?), rest))
}

/// Seconds and nanoseconds after them, of a decimal number that may be negative and have a
/// fraction.
fn time(text: &str) -> Option<(i64, u32)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit())
        || !whole.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((-seconds, 0)),
        // Nanoseconds always count upwards.
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanoseconds)),
    }
}

/// `OFFSET,LENGTH,OFFSET,LENGTH,...`
fn map(text: &str) -> Option<Vec<Segment>> {
    let numbers =
        text.split(',').map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let (pairs, []) = numbers.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|&[offset, length]| Segment { offset, length }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_contain_newlines() {
        let mut records = Records::default();
        records.read(b"12 path=a\nb\n21 mtime=-1.25000000\n").unwrap();
        assert_eq!(records.path.unwrap(), b"a\nb");
        assert_eq!(records.mtime.unwrap(), (-2, 750_000_000));
    }

    #[test]
    fn invalid_pax_record_is_refused() {
        for data in [
            &b"x"[..],
            b"7 path=a\n",
            b"8 path=a\n",
            b"10 pathxxa\n",
            b"99999999999999999999 a=b\n",
            b"0 a=b\n",
            b"12 size=abcd\n",
        ] {
            assert!(Records::default().read(data).is_err(), "{}", data.escape_ascii());
        }
    }
}
