//! Decoding and unpacking: ordinary archives as GNU tar does, hostile and damaged ones not at all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dcos_node::dcos::accounts::Accounts;
use dcos_node::system::archive::{self, Format, decode};
use dcos_node::system::digest::sha256;
use dcos_node::system::unpack::{Error, Kind, Names, Options, Owners, Unpacked, select, unpack};
use support::build::{Compression, compress};

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

/// What is said to be there is there, and nothing else.
fn agree(unpacked: &Unpacked, into: &Path) {
    for entry in &unpacked.entries {
        let path = into.join(&entry.path);
        let meta = fs::symlink_metadata(&path).unwrap();
        match &entry.kind {
            Kind::File { size, sha256: digest } => {
                assert_eq!(
                    (meta.len(), sha256(&fs::read(&path).unwrap())),
                    (*size, *digest),
                    "{entry:?}"
                );
            }
            Kind::Directory => assert!(meta.is_dir()),
            Kind::Symlink { target } => assert_eq!(&fs::read_link(&path).unwrap(), target),
            Kind::Hardlink { to } => assert_eq!(
                meta.ino(),
                fs::symlink_metadata(into.join(to)).unwrap().ino(),
                "{entry:?}"
            ),
        }
        assert_eq!(meta.mode() & 0o7777, entry.mode, "{entry:?}");
        if root() && entry.path != Path::new(".") {
            assert_eq!((meta.uid(), meta.gid()), (entry.uid, entry.gid), "{entry:?}");
        }
    }
    let said: Vec<&Path> = unpacked
        .entries
        .iter()
        .map(|entry| entry.path.as_path())
        .filter(|path| *path != Path::new("."))
        .collect();
    let there: Vec<PathBuf> = listing(into).into_keys().collect();
    assert_eq!(said, there);
}

/// Everything below a directory, with all that tar keeps; the first of its names stands for an
/// inode.
fn listing(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(relative) = todo.pop() {
        for entry in fs::read_dir(directory.join(&relative)).unwrap() {
            let path = relative.join(entry.unwrap().file_name());
            let full = directory.join(&path);
            let meta = fs::symlink_metadata(&full).unwrap();
            let content = if meta.is_symlink() {
                format!("{:?}", fs::read_link(&full).unwrap())
            } else if meta.is_file() {
                format!(
                    "{} {:02x?} {}",
                    meta.len(),
                    sha256(&fs::read(&full).unwrap()),
                    meta.nlink()
                )
            } else {
                todo.push(path.clone());
                String::new()
            };
            let line = format!(
                "{:o} {}:{} {}.{:09} {content}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec()
            );
            found.insert(path, line);
        }
    }
    found
}

/// A directory with every case that ordinary packages have.
fn odd_tree(directory: &Path) {
    let write = |name: &str, content: &[u8], mode: u32| {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("bin/tool", b"#!/bin/sh\n", 0o755);
    write("bin/setuid", b"x", 0o4755);
    write("bin/setgid", b"x", 0o2644);
    write("private/secret", b"s", 0o600);
    write("empty", b"", 0o444);
    write("with space/\u{fc}n\u{ef} \\ back", b"u", 0o640);
    write(".hidden", b"h", 0o664);
    write(&format!("long/{}/{}", "d".repeat(120), "f".repeat(200)), b"long", 0o644);
    write("big", &(0..700_000_u32).flat_map(|i| i.to_le_bytes()).collect::<Vec<u8>>(), 0o644);
    fs::write(directory.join(OsStr::from_bytes(b"not-utf8-\xff")), b"n").unwrap();
    fs::hard_link(directory.join("bin/tool"), directory.join("private/tool")).unwrap();
    symlink("bin/tool", directory.join("relative")).unwrap();
    symlink("/nowhere/at/all", directory.join("absolute")).unwrap();
    symlink("../../up", directory.join("bin/up")).unwrap();
    symlink("bin", directory.join("to-directory")).unwrap();
    symlink("t".repeat(300), directory.join("long-target")).unwrap();
    let sparse = File::create(directory.join("sparse")).unwrap();
    sparse.write_at(b"start", 0).unwrap();
    for i in 1..40 {
        sparse.write_at(b"middle", i * 100_000).unwrap();
    }
    sparse.set_len(5_000_000).unwrap();
    fs::create_dir(directory.join("nothing in it")).unwrap();
    for (name, mode) in [("private", 0o700), ("with space", 0o1777), ("nothing in it", 0o2755)] {
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let times = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_500_000_000, 123_456_789));
    for name in ["bin/setuid", "private"] {
        File::open(directory.join(name)).unwrap().set_times(times).unwrap();
    }
}

#[test]
fn ordinary_archives_unpack_as_with_gnu_tar() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).unwrap();
    odd_tree(&tree);
    let formats = [
        vec!["--format=gnu"],
        vec!["--format=gnu", "--sparse"],
        vec!["--format=pax"],
        vec!["--format=pax", "--sparse"],
        vec!["--format=pax", "--sparse", "--sparse-version=0.0"],
        vec!["--format=pax", "--sparse", "--sparse-version=0.1"],
        vec!["--format=ustar", "--exclude=./long*"],
        vec!["--format=gnu", "--owner=nobody:4321", "--group=somebody-unknown:5432"],
        vec!["--format=v7", "--exclude=./long*"],
    ];
    for (number, format) in formats.iter().enumerate() {
        let archive = tar(&tree, &[&["-c", "-f", "-"], format.as_slice(), &["."]].concat());
        let (theirs, ours) = (
            scratch.path().join(format!("theirs{number}")),
            scratch.path().join(format!("ours{number}")),
        );
        fs::create_dir(&theirs).unwrap();
        fs::write(scratch.path().join("a.tar"), &archive).unwrap();
        let arguments = ["-x", "-p", "-f", "../a.tar"];
        tar(&theirs, &arguments);
        unpacked(&archive, &ours).unwrap();
        assert_eq!(listing(&theirs), listing(&ours), "{format:?}");
        assert_eq!(fs::metadata(&theirs).unwrap().mode(), fs::metadata(&ours).unwrap().mode());
        if format.contains(&"--sparse") {
            let [blocks, expected] = [&ours, &theirs]
                .map(|directory| fs::metadata(directory.join("sparse")).unwrap().blocks());
            assert!(blocks <= expected, "holes stay holes");
        }
    }
}

#[test]
fn owners_are_found_by_name_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_uid(77);
    header.set_gid(78);
    header.set_username("app").unwrap();
    header.set_groupname("unknown").unwrap();
    let archive = Archive::default().member(header, b'0', b"f", b"", b"x").end();
    let names = Names::new([("app", 1234)].into_iter(), [("app", 1234)].into_iter());
    let options =
        Options { owners: Owners::Record(&names), strip: None, max_bytes: 10, max_entries: 10 };
    let unpacked =
        unpack(&archive[..], File::open(directory.path()).unwrap().as_fd(), &options, &mut |_| {})
            .unwrap();
    let entry = &unpacked.entries[0];
    assert_eq!(
        (entry.uid, entry.gid, entry.owner.as_deref(), entry.group.as_deref()),
        (1234, 78, Some("app"), Some("unknown"))
    );
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

/// Every kind of hostile archive, with a word of why it is refused.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let new = Archive::default;
    let deep = "d/".repeat(40);
    vec![
        ("absolute", new().file("/tmp/evil", b"x").end(), "absolute"),
        ("dots", new().file("../outside/victim", b"x").end(), "\"..\""),
        ("dots inside", new().file("a/../../outside/victim", b"x").end(), "\"..\""),
        (
            "dots by PAX",
            new().pax(&[("path", "../outside/victim")]).file("fine", b"x").end(),
            "\"..\"",
        ),
        (
            "dots by GNU",
            new().add(b'L', "././@LongLink", "", b"../outside/victim\0").file("fine", b"x").end(),
            "\"..\"",
        ),
        ("NUL", new().pax(&[("path", "a\0b")]).file("fine", b"x").end(), "NUL"),
        ("empty name", new().pax(&[("path", "")]).file("fine", b"x").end(), "empty"),
        (
            "file as root",
            new().file("./", b"").add(b'2', ".", "x", b"").end(),
            "replace the directory",
        ),
        (
            "through symlink",
            new().add(b'2', "l", "../outside", b"").file("l/victim", b"x").end(),
            "no directory",
        ),
        (
            "through own symlink",
            new().add(b'5', "d", "", b"").add(b'2', "l", "d", b"").file("l/x", b"x").end(),
            "no directory",
        ),
        ("through file", new().file("f", b"").file("f/x", b"x").end(), "no directory"),
        (
            "directory through symlink",
            new().add(b'2', "l", "../outside", b"").add(b'5', "l/d", "", b"").end(),
            "no directory",
        ),
        ("hard link outside", new().add(b'1', "h", "../outside/victim", b"").end(), "\"..\""),
        ("hard link absolute", new().add(b'1', "h", "/etc/passwd", b"").end(), "absolute"),
        (
            "hard link through symlink",
            new().add(b'2', "l", "../outside", b"").add(b'1', "h", "l/victim", b"").end(),
            "no file before it",
        ),
        ("hard link to nothing", new().add(b'1', "h", "nothing", b"").end(), "no file before it"),
        (
            "hard link to directory",
            new().add(b'5', "d", "", b"").add(b'1', "h", "d", b"").end(),
            "no file before it",
        ),
        (
            "hard link with data",
            new().file("f", b"").add(b'1', "h", "f", b"data").end(),
            "disagree",
        ),
        ("character device", new().add(b'3', "null", "", b"").end(), "device"),
        ("block device", new().add(b'4', "disk", "", b"").end(), "device"),
        ("pipe", new().add(b'6', "pipe", "", b"").end(), "pipe"),
        ("unknown type", new().add(b'Z', "z", "", b"").end(), "not known"),
        ("symlink to nowhere", new().add(b'2', "l", "", b"").end(), "nowhere"),
        ("replace a full directory", new().file("d/x", b"").file("d", b"x").end(), "not empty"),
        (
            "too many bytes",
            new().file("a", &[1; 600 << 10]).file("b", &[1; 600 << 10]).end(),
            "more than 1048576 bytes",
        ),
        (
            "too many files",
            (0..1001).fold(new(), |archive, i| archive.file(&i.to_string(), b"")).end(),
            "more than 1000 files",
        ),
        (
            "too many implied directories",
            (0..26).fold(new(), |archive, i| archive.file(&format!("{i}/{deep}f"), b"")).end(),
            "more than 1000 files",
        ),
        (
            "too deep",
            new().pax(&[("path", &("d/".repeat(200) + "f"))]).file("fine", b"x").end(),
            "too many directories",
        ),
        (
            "sparse bomb",
            new()
                .pax(&[("GNU.sparse.map", "0,1"), ("GNU.sparse.size", "99999999999")])
                .file("s", b"x")
                .end(),
            "more than 1048576 bytes",
        ),
        (
            "sparse beyond its end",
            new().pax(&[("GNU.sparse.map", "5,1"), ("GNU.sparse.size", "3")]).file("s", b"x").end(),
            "beyond its end",
        ),
        (
            "sparse overlap",
            new()
                .pax(&[("GNU.sparse.map", "0,512,0,1"), ("GNU.sparse.size", "600")])
                .file("s", &[1; 513])
                .end(),
            "overlap",
        ),
        (
            "global size",
            new().add(b'g', "g", "", &pax_record("size", "9")).file("f", b"x").end(),
            "global header sets",
        ),
        (
            "broken PAX",
            new().add(b'x', "x", "", b"99 path=a\n").file("f", b"x").end(),
            "cannot be read",
        ),
        ("PAX size too large", new().pax(&[("size", "9999")]).file("f", b"x").end(), "cut short"),
        (
            "PAX size cannot be",
            new().pax(&[("size", "18446744073709551615")]).file("f", b"x").end(),
            "cannot be",
        ),
        (
            "long name bomb",
            new().add(b'L', "././@LongLink", "", &vec![b'a'; 2 << 20]).file("f", b"x").end(),
            "header of 2097152 bytes",
        ),
        (
            "headers without end",
            (0..9).fold(new(), |archive, _| archive.add(b'L', "l", "", b"x")).file("f", b"x").end(),
            "more than eight headers",
        ),
        ("header for nothing", new().add(b'L', "l", "", b"x").end(), "member to come"),
        (
            "user beyond numbers",
            new().pax(&[("uid", "4294967296")]).file("f", b"x").end(),
            "user number",
        ),
        ("one large file", new().file("bomb", &vec![0; 2 << 20]).end(), "more than 1048576 bytes"),
        ("cut short", new().file("f", &[1; 600]).0[..1024].to_vec(), "cut short"),
        ("without an end", new().file("f", b"x").0, "cut short"),
        (
            "garbage after the end",
            [new().file("f", b"x").end(), b"x".to_vec()].concat(),
            "follows its end",
        ),
        (
            "flipped bit",
            new()
                .file("a", b"")
                .file("f", b"x")
                .end()
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ u8::from(at == 612))
                .collect(),
            "wrong check sum",
        ),
    ]
}

#[test]
fn a_symlink_is_stored_and_never_followed() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("victim"), "whole").unwrap();
    let into = scratch.path().join("into");
    let archive = Archive::default()
        .add(b'2', "l", "../victim", b"")
        .file("l", b"mine")
        .add(b'2', "h", "../victim", b"")
        .add(b'1', "h2", "h", b"");
    let unpacked = unpacked(&archive.end(), &into).unwrap();
    assert_eq!(fs::read(scratch.path().join("victim")).unwrap(), b"whole");
    assert_eq!(fs::read(into.join("l")).unwrap(), b"mine");
    assert_eq!(fs::read_link(into.join("h2")).unwrap(), Path::new("../victim"));
    assert_eq!(unpacked.warnings, ["l is in the archive more than once; the last one counts"]);
}

#[test]
fn last_member_of_one_name_wins() {
    let scratch = tempfile::tempdir().unwrap();
    let archive = Archive::default()
        .file("a", b"old")
        .add(b'1', "b", "a", b"")
        .add(b'1', "c", "b", b"")
        .file("./a", b"new")
        .add(b'5', "d", "", b"")
        .file("d", b"a file now")
        .add(b'2', "e", "a", b"")
        .file("e/", b"")
        .file("e/f", b"below")
        .end();
    fs::write(scratch.path().join("a.tar"), &archive).unwrap();
    let theirs = scratch.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    tar(&theirs, &["-xpf", "../a.tar"]);
    let ours = scratch.path().join("ours");
    let unpacked = unpacked(&archive, &ours).unwrap();
    assert_eq!(listing(&theirs), listing(&ours));
    assert_eq!(unpacked.warnings.len(), 3);
}

#[test]
fn one_directory_of_an_archive_is_unpacked() {
    let scratch = tempfile::tempdir().unwrap();
    let archive = || {
        Archive::default()
            .file("./other", b"no")
            .add(b'5', "./p/x--1/", "", b"")
            .file("./p/x--1/bin/f", b"f")
            .file("./p/x--10/f", b"no")
    };
    let unpacked = unpacked_with(
        &*archive().add(b'1', "./p/x--1/g", "./p/x--1/bin/f", b"").end(),
        &scratch.path().join("a"),
        Some("p/x--1"),
        1,
        4,
    )
    .unwrap();
    let paths: Vec<_> = unpacked.entries.iter().map(|entry| entry.path.to_str().unwrap()).collect();
    assert_eq!(paths, [".", "bin", "bin/f", "g"]);
    let outside = archive().add(b'1', "./p/x--1/g", "./other", b"").end();
    let error =
        unpacked_with(&*outside, &scratch.path().join("b"), Some("p/x--1"), 1, 4).unwrap_err();
    assert!(error.to_string().contains("hard link to outside"), "{error}");
}

#[test]
fn incomplete_archive_and_trailing_data_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = Archive::default().file("a", &[7; 1000]).file("b", b"b").end();
    let check =
        |archive: &[u8], name: &str| unpacked(archive, &scratch.path().join(name)).map(drop);
    check(&whole, "whole").unwrap();
    for cut in (0..whole.len()).step_by(128) {
        assert!(
            matches!(check(&whole[..cut], &format!("cut{cut}")), Err(Error::Damaged { .. })),
            "{cut}"
        );
    }
    check(&[&whole[..], &[0; 9000]].concat(), "padded").unwrap();
    for (after, name) in
        [(&b"x"[..], "x"), (&whole[..], "again"), (&[&[0; 5000][..], b"x"].concat(), "later")]
    {
        assert!(
            matches!(check(&[&whole[..], after].concat(), name), Err(Error::Damaged { .. })),
            "{name}"
        );
    }
    for position in [0, 100, 124, 148, 500] {
        let mut flipped = whole.clone();
        flipped[position] ^= 4;
        assert!(
            matches!(check(&flipped, &format!("flip{position}")), Err(Error::Damaged { .. })),
            "{position}"
        );
    }
}

#[test]
fn small_files_are_selected() {
    let archive = Archive::default()
        .file("./bootstrap/active.json", b"old")
        .file("bootstrap/active.json", b"new")
        .file("large", &[0; 100]);
    let archive = archive.add(b'2', "link", "large", b"").end();
    let found = select(&archive[..], &["bootstrap/active.json", "link", "nothing"], 99).unwrap();
    assert_eq!(found, BTreeMap::from([("bootstrap/active.json".to_owned(), b"new".to_vec())]));
    assert!(matches!(select(&archive[..], &["large"], 99), Err(Error::Hostile { .. })));
    assert!(matches!(
        select(&archive[..archive.len() - 1024], &["link"], 99),
        Err(Error::Damaged { .. })
    ));
}

/// One archive in every form that we read.
fn forms(plain: &[u8]) -> Vec<(&'static str, Format, Vec<u8>)> {
    let (first, second) = plain.split_at(plain.len() / 3);
    let twice = |program: &str, arguments: &[&str]| {
        [filter(program, arguments, first), filter(program, arguments, second)].concat()
    };
    vec![
        ("xz", Format::Xz, filter("xz", &["-c"], plain)),
        ("xz of blocks", Format::Xz, filter("xz", &["-c", "--block-size=10000"], plain)),
        ("xz streams", Format::Xz, twice("xz", &["-c"])),
        (
            "xz streams with padding",
            Format::Xz,
            [filter("xz", &["-c"], first), vec![0; 8], filter("xz", &["-c"], second)].concat(),
        ),
        ("gzip", Format::Gzip, filter("gzip", &["-c"], plain)),
        ("gzip members", Format::Gzip, twice("gzip", &["-c"])),
        ("zstd", Format::Zstd, filter("zstd", &["-c"], plain)),
        ("zstd frames", Format::Zstd, twice("zstd", &["-c"])),
        (
            "zstd after a skippable frame",
            Format::Zstd,
            [&b"\x50\x2a\x4d\x18\x04\0\0\0abcd"[..], &filter("zstd", &["-c"], plain)].concat(),
        ),
        ("tar", Format::Tar, plain.to_vec()),
    ]
}

fn sample() -> Vec<u8> {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(60_000)
    .collect();
    Archive::default().file("noise", &noise).file("zeros", &[0; 100_000]).end()
}

#[test]
fn every_form_is_recognised_and_decoded_whole() {
    let plain = sample();
    for (name, format, data) in forms(&plain) {
        assert_eq!(Format::of(&data[..512]), Some(format), "{name}");
        assert!(decoded(&data, LIMIT).unwrap() == plain, "{name}");
        // Also when it comes byte by byte.
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = buf.len().min(1);
                self.0.read(&mut buf[..n])
            }
        }
        let mut out = Vec::new();
        decode(Dribble(&data), LIMIT).unwrap().read_to_end(&mut out).unwrap();
        assert!(out == plain, "{name}");
    }
    for data in [&b""[..], b"x", b"<html>404</html>", &[b'x'; 600]] {
        assert!(matches!(decode(data, LIMIT), Err(archive::Error::Unknown(_))));
    }
}

#[test]
fn hostile_archives_are_refused_in_every_form() {
    for (what, plain, expected) in hostile() {
        for form in [
            Compression::Xz,
            Compression::XzStreams,
            Compression::Gzip,
            Compression::Zstd,
            Compression::Plain,
        ] {
            let reason = refusal(decode(&compress(&plain, form)[..], LIMIT).unwrap());
            assert!(reason.contains(expected), "{what} in {form:?}: {reason}");
        }
    }
}

#[test]
fn damaged_archive_is_never_unpacked_as_content() {
    let plain = sample();
    for (name, format, data) in forms(&plain) {
        // What a cut or a changed bit leaves is an error of the decoder or, in plain tar, of the
        // reader of members.
        let read = |data: &[u8]| -> bool {
            let Ok(decoder) = decode(data, LIMIT) else { return false };
            select(decoder, &[], 0).is_ok()
        };
        assert!(read(&data), "{name}");
        for cut in (0..data.len()).step_by(data.len() / 40).chain([data.len() - 1]) {
            assert!(!read(&data[..cut]), "{name} cut at {cut}");
        }
        assert!(!read(&[&data[..], b"garbage after the end"].concat()), "{name} with garbage");
        if format == Format::Tar {
            continue;
        }
        for position in (20..data.len()).step_by(data.len() / 60) {
            let mut flipped = data.clone();
            flipped[position] ^= 0x10;
            // Some bits mean nothing (a time stamp, a flag), but none may change the content.
            assert!(
                decoded(&flipped, LIMIT).is_err() || decoded(&flipped, LIMIT).unwrap() == plain,
                "{name} flipped at {position}"
            );
        }
    }
}

#[test]
fn decoders_stay_within_their_memory() {
    let plain = sample();
    for (data, format) in [
        (filter("xz", &["-9", "-c"], &plain), Format::Xz),
        (filter("zstd", &["--long=27", "-c"], &plain), Format::Zstd),
    ] {
        let error = decoded(&data, 1 << 20).unwrap_err();
        let error = error.get_ref().unwrap().downcast_ref::<archive::Error>().unwrap();
        assert!(
            matches!(
                error,
                archive::Error::Memory { limit: 1_048_576, format: it } if *it == format
            ),
            "{error}"
        );
        assert!(decoded(&data, 160 << 20).unwrap() == plain);
    }
}

#[test]
fn read_error_is_not_reported_as_a_damaged_archive() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the network is gone"))
        }
    }
    for (name, _, data) in forms(&sample()) {
        let reader = data[..data.len() / 2].chain(Broken);
        let error = select(decode(reader, LIMIT).unwrap(), &[], 0).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Read { source, .. } if source.to_string() == "the network is gone"
            ),
            "{name}: {error:?}"
        );
    }
}
