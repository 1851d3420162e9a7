//! Archives of a build: the members in order, the numbers and times of the release builds.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::{BOOTSTRAP_ARCHIVE, Build, Compression, Damage, Entry, Kind, MODIFIED, Package};

impl Build {
    pub(super) fn archive(&self, name: &str, tar: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        let mut bytes = match self.raw_archives.get(name) {
            Some(bytes) => bytes.clone(),
            None => compress(&tar(), self.compression),
        };
        match self.damages.get(name) {
            None => {}
            Some(Damage::BitFlip) => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            Some(Damage::Truncated) => bytes.truncate(bytes.len() / 2),
            Some(Damage::TrailingGarbage) => {
                bytes.extend((0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8))
            }
            Some(Damage::Empty) => bytes.clear(),
            Some(Damage::Page) => {
                bytes = b"<html><body>Please log in to use this network.</body></html>\n".to_vec()
            }
        }
        bytes
    }

    pub(super) fn check_archive_name(&self, name: &str) {
        assert!(
            name == BOOTSTRAP_ARCHIVE || self.packages.contains_key(name),
            "the build has no package {name}"
        );
    }
}

pub(super) fn archive_name(package: &str, id: &str) -> String {
    format!("packages/{package}/{id}.tar.xz")
}

/// One tar file of several trees, each below its own directory: `./` first, names sorted, hard
/// links after all else.
pub(super) fn tar_of(parts: &[(&str, &Package)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    add_member(&mut tar, Path::new(""), &Entry::new(Kind::Directory), None);
    for last in [false, true] {
        for (below, package) in parts {
            if !last && !below.is_empty() {
                add_member(&mut tar, Path::new(below), &Entry::new(Kind::Directory), None);
            }
            for (path, entry) in &package.entries {
                match &entry.kind {
                    Kind::HardLink(first) if last => {
                        let original = package
                            .entries
                            .get(first)
                            .unwrap_or_else(|| panic!("hard link to nothing: {}", first.display()));
                        let entry = Entry {
                            mode: original.mode,
                            owner: original.owner.clone(),
                            ..entry.clone()
                        };
                        add_member(
                            &mut tar,
                            &Path::new(below).join(path),
                            &entry,
                            Some(&Path::new(below).join(first)),
                        );
                    }
                    Kind::HardLink(_) => {}
                    _ if last => {}
                    _ => add_member(&mut tar, &Path::new(below).join(path), entry, None),
                }
            }
        }
    }
    tar.into_inner().expect("written to memory")
}

/// Appends a member named `./path`, as `tar -C dir .` names it.
fn add_member(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    entry: &Entry,
    hard_link_to: Option<&Path>,
) {
    let mut name = dotted(path);
    let (kind, link, content) = match &entry.kind {
        Kind::Directory => (tar::EntryType::Directory, None, [].as_slice()),
        Kind::File(content) => (tar::EntryType::Regular, None, content.as_slice()),
        Kind::Symlink(target) => {
            (tar::EntryType::Symlink, Some(target.as_os_str().to_owned()), [].as_slice())
        }
        Kind::HardLink(_) => (tar::EntryType::Link, hard_link_to.map(dotted), [].as_slice()),
    };
    if kind.is_dir() && !path.as_os_str().is_empty() {
        name.push("/");
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(entry.mode);
    header.set_mtime(MODIFIED);
    header.set_size(content.len() as u64);
    header.set_uid(entry.owner.user.1);
    header.set_gid(entry.owner.group.1);
    header.set_username(&entry.owner.user.0).expect("short");
    header.set_groupname(&entry.owner.group.0).expect("short");
    if let Some(link) = &link {
        add_long(tar, tar::EntryType::GNULongLink, link);
        copy(&mut header.as_gnu_mut().expect("GNU").linkname, link);
    }
    add_long(tar, tar::EntryType::GNULongName, &name);
    copy(&mut header.as_gnu_mut().expect("GNU").name, &name);
    header.set_cksum();
    tar.append(&header, content).expect("written to memory");
}

/// `./path`; `./` for the root.
fn dotted(path: &Path) -> OsString {
    OsString::from_vec([b"./", path.as_os_str().as_bytes()].concat())
}

/// The member that GNU tar puts before one whose name does not fit.
fn add_long(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, text: &OsStr) {
    if text.len() < 100 {
        return;
    }
    let content = [text.as_bytes(), b"\0"].concat();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    copy(&mut header.as_gnu_mut().expect("GNU").name, OsStr::new("././@LongLink"));
    header.set_cksum();
    tar.append(&header, content.as_slice()).expect("written to memory");
}

fn copy(field: &mut [u8; 100], text: &OsStr) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// A tar file in this form.
pub fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
        encoder.write_all(bytes).expect("written to memory");
        encoder.finish().expect("written to memory")
    };
    match compression {
        Compression::Plain => tar.to_vec(),
        Compression::Xz => xz(tar),
        Compression::XzStreams => tar.chunks(tar.len().div_ceil(4)).flat_map(xz).collect(),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(tar).expect("written to memory");
            encoder.finish().expect("written to memory")
        }
        Compression::Zstd => zstd::encode_all(tar, 3).expect("written to memory"),
    }
}
