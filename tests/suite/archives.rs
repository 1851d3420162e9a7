//! Decoding and unpacking: ordinary archives as GNU tar does, hostile and damaged ones not at all.

mod forms;
mod hostile;
mod ordinary;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dcos_node::dcos::accounts::Accounts;
use dcos_node::system::archive::decode;
use dcos_node::system::unpack::{Error, Names, Options, Owners, Unpacked, unpack};

use ordinary::{agree, listing};

const LIMIT: u64 = 80 << 20;

/// What a program makes of its standard input.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    output
}

fn tar(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn decoded(data: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decode(data, limit).map_err(io::Error::other)?.read_to_end(&mut out)?;
    Ok(out)
}

fn names() -> Names {
    let accounts = Accounts::load(|path| fs::read_to_string(path).map(Some)).unwrap();
    Names::new(accounts.users(), accounts.groups())
}

fn root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Unpacks as this user may, without caps.
fn unpacked(archive: &[u8], into: &Path) -> Result<Unpacked, Error> {
    unpacked_with(archive, into, None, u64::MAX, u64::MAX)
}

fn unpacked_with(
    archive: impl Read,
    into: &Path,
    strip: Option<&str>,
    max_bytes: u64,
    max_entries: u64,
) -> Result<Unpacked, Error> {
    fs::create_dir_all(into).unwrap();
    let names = names();
    let owners = if root() { Owners::Apply(&names) } else { Owners::Record(&names) };
    let options = Options { owners, strip: strip.map(PathBuf::from), max_bytes, max_entries };
    let mut written = 0;
    let result =
        unpack(archive, File::open(into).unwrap().as_fd(), &options, &mut |bytes| written += bytes);
    if let Ok(unpacked) = &result {
        assert_eq!(unpacked.bytes, written);
        agree(unpacked, into);
    }
    result
}

/// Archives by hand: what no program would write.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn member(
        self,
        mut header: tar::Header,
        kind: u8,
        name: &[u8],
        link: &[u8],
        data: &[u8],
    ) -> Self {
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(if kind == b'5' || name.ends_with(b"/") { 0o755 } else { 0o644 });
        header.set_mtime(1_500_000_000);
        header.set_size(data.len() as u64);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link);
        self.raw(header, data)
    }

    fn raw(mut self, mut header: tar::Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn add(self, kind: u8, name: &str, link: &str, data: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_uid(nix::unistd::getuid().as_raw().into());
        header.set_gid(nix::unistd::getgid().as_raw().into());
        self.member(header, kind, name.as_bytes(), link.as_bytes(), data)
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.add(b'0', name, "", data)
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let data =
            records.iter().flat_map(|(key, value)| pax_record(key, value)).collect::<Vec<u8>>();
        self.add(b'x', "pax", "", &data)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
    format!("{length} {key}={value}\n").into_bytes()
}

/// Unpacks into a directory of its own with a file beside it that must stay; the reason of the
/// refusal.
fn refusal(archive: impl Read) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "whole").unwrap();
    let before = listing(&outside);
    let error = unpacked_with(archive, &scratch.path().join("into"), None, 1 << 20, 1000)
        .expect_err("it was unpacked");
    assert_eq!(listing(&outside), before);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    match error {
        Error::Hostile { reason, .. } | Error::Damaged { reason } => reason,
        other => panic!("{other:?}"),
    }
}
