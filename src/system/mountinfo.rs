//! The kernel's table of mounts, line by line (`/proc/PID/mountinfo`, `proc_pid_mountinfo(5)`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its kind, for example `xfs`.
    pub kind: String,
    /// The device or server that it comes from.
    pub source: String,
    /// Options of this mount, such as `noexec`.
    pub options: Vec<String>,
    /// Options of the file system itself.
    pub super_options: Vec<String>,
}

impl Mount {
    /// Whether this mount was made, or made again, with the option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// All lines of the table that are whole, in their order.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Mount> {
    text.split(|b| *b == b'\n').filter_map(mount)
}

/// One line: id, parent, device, root, point, options, optional fields, a dash, kind, source, options of the file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let text = |at: usize| Some(String::from_utf8_lossy(fields.get(at)?).into_owned());
    let list = |at: usize| Some(text(at)?.split(',').map(str::to_owned).collect());
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(unescaped(fields.get(4)?))),
        kind: text(dash + 1)?,
        source: text(dash + 2)?,
        options: list(5)?,
        super_options: list(dash + 3)?,
    })
}

/// Blanks, line ends and backslashes are written as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes_and_whatever_optional_fields_it_has() {
        let text = b"23 22 0:20 / /opt rw,noexec master:1 shared:2 - tmpfs tmpfs rw,size=16k\n\
            24 22 0:21 / /mnt/with\\040blank\\134 rw - nfs4 server:/export rw\n\
            short line\n";
        let mounts: Vec<Mount> = parse(text).collect();
        assert_eq!(mounts.len(), 2, "{mounts:?}");
        assert!(mounts[0].has("noexec") && !mounts[0].has("size=16k") && mounts[0].super_options[1] == "size=16k");
        assert_eq!((mounts[1].point.as_path(), mounts[1].source.as_str()), (Path::new("/mnt/with blank\\"), "server:/export"));
    }
}
