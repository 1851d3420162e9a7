//! The kernel's table of mounts, line by line (`/proc/PID/mountinfo`, `proc_pid_mountinfo(5)`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number.
    pub id: u32,
    /// The number of the mount that it lies on.
    pub parent: u32,
    /// The numbers of the device that it shows, as `major:minor`.
    pub device: String,
    /// Which directory of that file system it shows.
    pub root: PathBuf,
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

    /// Whether it hides no file: a directory that is mounted on itself, what was copied with it, or
    /// a namespace that is kept by a name. What is below is the same without it.
    pub fn hides_nothing(&self, all: &[Mount]) -> bool {
        // Before Linux 3.19 namespaces were files of proc.
        let old_namespace =
            || self.kind == "proc" && self.point.file_name().is_some_and(|name| name == "ns");
        self.kind == "nsfs" || old_namespace() || self.is_on_itself(all) || self.is_copy(all)
    }

    /// Whether it came with a directory that was mounted on itself with all that is below: the same
    /// is mounted there without that.
    fn is_copy(&self, all: &[Mount]) -> bool {
        let is_on_copy = all.iter().any(|below| below.id == self.parent && below.is_on_itself(all));
        let is_same = |other: &Mount| {
            other.id != self.id && other.parent != self.parent && other.point == self.point
        };
        is_on_copy
            && all.iter().any(|other| {
                is_same(other) && (&other.device, &other.root) == (&self.device, &self.root)
            })
    }

    fn is_on_itself(&self, all: &[Mount]) -> bool {
        let Some(below) = all.iter().find(|mount| mount.id == self.parent && mount.id != self.id)
        else {
            return false;
        };
        let shows = self.point.strip_prefix(&below.point).map(|inside| below.root.join(inside));
        // A path that ends in nothing is the same with a slash.
        self.device == below.device
            && shows.is_ok_and(|shows| shows.components().eq(self.root.components()))
    }
}

/// All lines of the table that are whole, in their order.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Mount> {
    text.split(|b| *b == b'\n').filter_map(mount)
}

/// One line: id, parent, device, root, point, options, optional fields, a dash, kind, source,
/// options of the file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let text = |at: usize| Some(String::from_utf8_lossy(fields.get(at)?).into_owned());
    let list = |at: usize| Some(text(at)?.split(',').map(str::to_owned).collect());
    let path = |at: usize| Some(PathBuf::from(OsString::from_vec(unescaped(fields.get(at)?))));
    Some(Mount {
        id: text(0)?.parse().ok()?,
        parent: text(1)?.parse().ok()?,
        device: text(2)?,
        root: path(3)?,
        point: path(4)?,
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
        let octal = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
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
    fn mountinfo_line_is_read_with_escapes_and_optional_fields() {
        let text = b"23 22 0:20 / /opt rw,noexec master:1 shared:2 - tmpfs tmpfs rw,size=16k\n\
                     24 22 0:21 / /mnt/with\\040blank\\134 rw - nfs4 server:/export rw\n\
                     short line\n";
        let mounts: Vec<Mount> = parse(text).collect();
        assert_eq!(mounts.len(), 2, "{mounts:?}");
        assert!(
            mounts[0].has("noexec")
                && !mounts[0].has("size=16k")
                && mounts[0].super_options[1] == "size=16k"
        );
        assert_eq!(
            (mounts[1].point.as_path(), mounts[1].source.as_str()),
            (Path::new("/mnt/with blank\\"), "server:/export")
        );
    }

    #[test]
    fn bind_of_itself_and_namespace_mounts_hide_nothing() {
        let text = b"22 1 253:0 / / rw - xfs /dev/vda1 rw\n\
                     30 22 253:1 /@var /var rw - btrfs /dev/vdb rw\n\
                     31 30 253:1 /@var/lib/mesos/slave /var/lib/mesos/slave rw shared:9 - btrfs \
                     /dev/vdb rw\n\
                     32 31 253:1 /@var/lib/mesos/slave /var/lib/mesos/slave rw shared:10 - btrfs \
                     /dev/vdb rw\n\
                     33 32 253:1 /@var/lib/mesos/slave/volumes/x \
                     /var/lib/mesos/slave/slaves/s/volume rw - btrfs /dev/vdb rw\n\
                     34 32 253:2 /lib/mesos/slave/slaves/t /var/lib/mesos/slave/slaves/t rw - ext4 \
                     /dev/vdc rw\n\
                     35 22 0:21 / /run rw - tmpfs tmpfs rw\n\
                     36 35 0:21 /mesos/isolators/network/cni /run/mesos/isolators/network/cni rw \
                     shared:3 - tmpfs tmpfs rw\n\
                     37 36 0:4 net:[4026532281] /run/mesos/isolators/network/cni/c/ns rw - nsfs \
                     nsfs rw\n\
                     38 36 0:5 / /run/mesos/isolators/network/cni/d/ns rw - proc proc rw\n\
                     39 35 0:5 / /run/mesos/proc rw - proc proc rw\n\
                     40 30 253:3 / /var/lib/mesos/slave/volumes rw - ext4 /dev/vdd rw\n\
                     41 31 253:3 / /var/lib/mesos/slave/volumes rw - ext4 /dev/vdd rw\n";
        let mounts: Vec<Mount> = parse(text).collect();
        let hiding_nothing: Vec<u32> = mounts
            .iter()
            .filter(|mount| mount.hides_nothing(&mounts))
            .map(|mount| mount.id)
            .collect();
        assert_eq!(hiding_nothing, [31, 32, 36, 37, 38, 41]);
    }
}
