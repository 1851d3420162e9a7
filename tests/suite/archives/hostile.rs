//! Members that lead outside, contradict each other or are not what they say.

use std::fs::{self};
use std::path::Path;

use dcos_node::system::unpack::Error;

use super::ordinary::listing;
use super::{Archive, pax_record, tar, unpacked};

/// Every kind of hostile archive, with a word of why it is refused.
pub(super) fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
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
