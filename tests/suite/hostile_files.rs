//! What others may have put in the place of a file that `bundle` and `status` read: neither waits,
//! and neither reads without an end.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::Value;
use support::image::{Image, Mounted, Said};

/// Bytes of a file that has none.
const SPARSE: u64 = 1 << 40;

/// Files that are read, each with its part of a bundle; the last one has no part of its own.
const FILES: [(&str, &str); 14] = [
    ("etc/hosts", "machine/hosts"),
    ("etc/hostname", "machine/hostname"),
    ("etc/nsswitch.conf", "machine/nsswitch.conf"),
    ("etc/docker/daemon.json", "machine/docker-daemon.json"),
    ("etc/mesosphere/setup-flags/repository-url", "node/repository-url"),
    ("etc/mesosphere/mesos/agent.env", "node/agent.env"),
    ("etc/systemd/system/dcos-x.service", "units/dcos-x.service"),
    ("etc/systemd/system/docker.service.d/a.conf", "units/docker.service.d/a.conf"),
    ("opt/mesosphere/environment", "node/environment"),
    ("opt/mesosphere/etc/user.config.yaml", "etc/user.config.yaml"),
    ("opt/mesosphere/etc/dcos-version.json", "etc/dcos-version.json"),
    ("var/lib/dcos/mesos-resources", "node/mesos-resources"),
    ("var/lib/dcos/navstar/ip", "node/navstar-ip"),
    ("var/log/journal/0123456789abcdef0123456789abcdef/system.journal", ""),
];
/// Records of ours, without which `status` judges nothing else.
const RECORDS: [(&str, &str); 3] = [
    ("var/lib/dcos-node/receipt.json", "receipt.json"),
    ("var/lib/dcos-node/journal", "journal"),
    ("var/lib/dcos-node/journal.damaged", "journal.damaged"),
];

/// What is put there instead of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pipe,
    /// One that never ends (`/dev/zero`).
    CharacterDevice,
    BlockDevice,
    Socket,
    Directory,
    LinkLoop,
    /// A file of `/proc` that has no length, and ends after 256 GB.
    Endless,
    Sparse,
}

const KINDS: [Kind; 8] = [
    Kind::Pipe,
    Kind::CharacterDevice,
    Kind::BlockDevice,
    Kind::Socket,
    Kind::Directory,
    Kind::LinkLoop,
    Kind::Endless,
    Kind::Sparse,
];

impl Kind {
    fn make(self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let node = |kind: SFlag, number: u64| mknod(path, kind, Mode::S_IRWXU, number).unwrap();
        match self {
            Kind::Pipe => node(SFlag::S_IFIFO, 0),
            Kind::CharacterDevice => node(SFlag::S_IFCHR, makedev(1, 5)),
            Kind::BlockDevice => node(SFlag::S_IFBLK, makedev(7, 0)),
            Kind::Socket => drop(UnixListener::bind(path).unwrap()),
            Kind::Directory => fs::create_dir(path).unwrap(),
            Kind::LinkLoop => symlink(path.file_name().unwrap(), path).unwrap(),
            Kind::Endless => {
                fs::write(path, "").unwrap();
                let endless = PathBuf::from("/proc/self/pagemap");
                let endless = endless.canonicalize().unwrap();
                mount(Some(&endless), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            }
            Kind::Sparse => fs::File::create(path).unwrap().set_len(SPARSE).unwrap(),
        }
    }
}

/// Runs a command with little memory. One that waits is killed, which no exit code of ours is.
fn run(image: &Image, words: &[&str]) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 4000000; exec timeout -s KILL 200 \"$@\"", "sh"]);
    command.arg(support::node::binary()).args(words).arg("--root").arg(image.path());
    Said::of(command.output().unwrap())
}

#[test]
fn bundle_and_status_end_whatever_is_in_place_of_a_file() {
    if !support::is_root() {
        return;
    }
    for kind in KINDS {
        for files in [&FILES[..], &RECORDS[..]] {
            // A file system of its own, where devices work; its mounts end with it.
            let (image, _mounted): (Image, Mounted) = Image::of_size(64 << 20);
            for (path, _) in files {
                let _ = fs::remove_file(image.at(path));
                kind.make(&image.at(path));
            }
            let bundle = image.at("bundle.tar.gz");
            let said = run(&image, &["bundle", bundle.to_str().unwrap(), "--json"]);
            assert_eq!(said.code(), Some(0), "{kind:?}: {}", said.err);
            let told: Value = serde_json::from_str(&said.out).unwrap();
            for (path, name) in files.iter().filter(|(_, name)| !name.is_empty()) {
                let part = told["parts"].as_array().unwrap().iter().find(|p| p["name"] == *name);
                let why = part.and_then(|part| part["missing_because"].as_str());
                assert!(why.is_some(), "{kind:?} at {path}: {part:?}");
            }
            let said = run(&image, &["status", "--json"]);
            assert!(matches!(said.code(), Some(0..=12)), "{kind:?}: {:?}", said.code());
            serde_json::from_str::<Value>(&said.out).unwrap();
        }
    }
}
