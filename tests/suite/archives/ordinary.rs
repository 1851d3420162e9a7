//! What an ordinary archive unpacks to, and parts of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dcos_node::system::digest::sha256;
use dcos_node::system::unpack::{Error, Kind, Names, Options, Owners, Unpacked, select, unpack};

use super::{Archive, root, tar, unpacked, unpacked_with};

/// What is said to be there is there, and nothing else.
pub(super) fn agree(unpacked: &Unpacked, into: &Path) {
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
pub(super) fn listing(directory: &Path) -> BTreeMap<PathBuf, String> {
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
