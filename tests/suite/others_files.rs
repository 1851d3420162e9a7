//! What other users may have placed is read without waiting and within limits; and what an operator
//! names in their directories is neither followed nor replaced.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use dcos_node::system::append::Growing;
use dcos_node::system::files;
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::stat::Mode;
use support::image::{Image, Said};

const ADDRESS: &str = "var/lib/dcos/navstar/ip";
/// Another user, who owns nothing here but what a test gives him.
const STRANGER: u32 = 65_534;

fn pipe(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
}

/// Runs a command that would end by itself. What waits for ever is killed, and fails the test.
fn run(image: &Image, words: &[&str]) -> Said {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "120"]).arg(support::node::binary()).args(words);
    Said::of(command.arg("--root").arg(image.path()).output().unwrap())
}

#[test]
fn pipe_device_or_huge_file_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    pipe(&at("pipe"));
    symlink("/dev/zero", at("zero")).unwrap();
    File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
    for name in ["pipe", "zero", "huge"] {
        let error = files::read(&at(name), 4096).unwrap_err();
        let why = error.source.to_string();
        assert!(why.contains("not a regular file") || why.contains("longer than 4096"), "{why}");
    }
    assert_eq!(files::read(&at("none"), 4096).unwrap(), None);
}

#[test]
fn commands_end_beside_a_pipe_a_device_and_a_huge_file() {
    let image = Image::new();
    fs::create_dir_all(image.at(ADDRESS).parent().unwrap()).unwrap();
    let bundle = image.at("bundle.tar.gz");
    let spoil: [&dyn Fn(&Path); 3] =
        [&|path| pipe(path), &|path| symlink("/dev/zero", path).unwrap(), &|path| {
            File::create(path).unwrap().set_len(1 << 40).unwrap()
        }];
    for spoil in spoil {
        spoil(&image.at(ADDRESS));
        for words in [&["status"][..], &["preflight"], &["bundle", bundle.to_str().unwrap()]] {
            let code = run(&image, words).code();
            assert!(code.is_some_and(|code| code < 100), "{words:?} ended with {code:?}");
        }
        fs::remove_file(image.at(ADDRESS)).unwrap();
    }
}

/// A directory that everybody can write, as `/tmp`.
fn shared() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    (directory, shared)
}

#[test]
fn events_go_to_no_link_or_file_of_another_user() {
    if !support::is_root() {
        return;
    }
    let (directory, shared) = shared();
    let precious = directory.path().join("precious");
    fs::write(&precious, "as it was").unwrap();
    let at = |name: &str| shared.join(name);
    symlink(&precious, at("link")).unwrap();
    symlink(directory.path(), at("way")).unwrap();
    fs::write(at("file"), "").unwrap();
    pipe(&at("pipe"));
    let _reader = fs::OpenOptions::new().read(true).write(true).open(at("pipe")).unwrap();
    fs::hard_link(&precious, at("second")).unwrap();
    for name in ["link", "way", "file", "pipe"] {
        std::os::unix::fs::lchown(at(name), Some(STRANGER), Some(STRANGER)).unwrap();
    }
    for name in ["link", "way/precious", "file", "pipe", "second"] {
        let error = Growing::make(&at(name)).unwrap_err();
        assert!(error.source.to_string().contains("others can write"), "{name}: {error:?}");
    }
    assert_eq!(fs::read(&precious).unwrap(), b"as it was");
    // One's own link, file and pipe are as good as elsewhere, and so is a new file.
    for name in ["link", "way", "file", "pipe"] {
        std::os::unix::fs::lchown(at(name), Some(0), Some(0)).unwrap();
    }
    for name in ["link", "way/new", "file", "new", "pipe"] {
        Growing::make(&at(name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

#[test]
fn events_go_to_the_home_of_another_user() {
    if !support::is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (home, file) = (directory.path().join("home"), directory.path().join("home/events"));
    fs::create_dir(&home).unwrap();
    fs::write(&file, "").unwrap();
    for path in [&home, &file] {
        chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    }
    writeln!(Growing::make(&file).unwrap(), "line").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"line\n");
}

#[test]
fn events_of_a_run_are_refused_behind_a_link_of_another() {
    if !support::is_root() {
        return;
    }
    let (directory, shared) = shared();
    let precious = directory.path().join("precious");
    fs::write(&precious, "as it was").unwrap();
    symlink(&precious, shared.join("events")).unwrap();
    std::os::unix::fs::lchown(shared.join("events"), Some(STRANGER), Some(STRANGER)).unwrap();
    let image = Image::new();
    run(&image, &["status", "--events", shared.join("events").to_str().unwrap()])
        .ends(2, &[&["a link that user 65534 made"], &["nothing was changed"]]);
    assert_eq!(fs::read(&precious).unwrap(), b"as it was");
}

/// A gzip file whose first header announces a name of one gigabyte.
fn bomb(path: &Path) {
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let mut packed = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    packed.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..(1 << 10) {
        packed.write_all(&zeros).unwrap();
    }
    packed.finish().unwrap();
}

#[test]
fn bundle_replaces_no_bomb_link_pipe_or_file_of_another() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    let (_directory, shared) = shared();
    let at = |name: &str| shared.join(name);
    let own = at("own.tar.gz");
    run(&image, &["bundle", own.to_str().unwrap()]).ends(0, &[]);
    fs::copy(&own, at("theirs.tar.gz")).unwrap();
    chown(at("theirs.tar.gz"), Some(STRANGER), None).unwrap();
    bomb(&at("bomb.tar.gz"));
    pipe(&at("pipe.tar.gz"));
    symlink("/dev/zero", at("zero.tar.gz")).unwrap();
    for name in ["theirs.tar.gz", "bomb.tar.gz", "pipe.tar.gz", "zero.tar.gz"] {
        let path = at(name);
        // What the bomb would unpack to does not fit.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -v 1000000; exec timeout -k 1 120 \"$0\" bundle \"$1\" --root \"$2\"",
        ]);
        command.arg(support::node::binary()).arg(&path).arg(image.path());
        Said::of(command.output().unwrap())
            .ends(2, &[&["is no bundle that a new one could replace"]]);
    }
    symlink(&own, at("link.tar.gz")).unwrap();
    std::os::unix::fs::lchown(at("link.tar.gz"), Some(STRANGER), None).unwrap();
    run(&image, &["bundle", at("link.tar.gz").to_str().unwrap()])
        .ends(1, &[&["a link that user 65534 made"], &["no bundle was written"]]);
    run(&image, &["bundle", own.to_str().unwrap()]).ends(0, &[]);
    let mut first = [0; 2];
    File::open(&own).unwrap().read_exact(&mut first).unwrap();
    assert_eq!(first, [0x1f, 0x8b]);
}
