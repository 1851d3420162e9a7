//! The Debian that nodes are copies of: made once, kept outside the checkout.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::outcome::{attempt, must};
use super::place::{cache, entries, lock_file, unique};

const SUITE: &str = "bookworm";
/// What a node has beyond the smallest Debian: what DC/OS expects of a machine, and what tests look with.
const INCLUDE: &str = "systemd,systemd-sysv,dbus,iproute2,iptables,procps,ca-certificates,curl,xz-utils,bsdutils,iputils-ping,kmod";
/// What is taken out again (shell patterns), because it makes every copy slower and no test reads it. Packages that are
/// installed later still find the small perl-base.
const EXCLUDE: &str = "usr/share/locale usr/share/doc usr/share/man usr/share/info usr/share/perl usr/lib/*/perl usr/lib/*/gconv usr/share/zoneinfo/[A-Z]* usr/share/zoneinfo/right";

fn path() -> PathBuf {
    let sum = Sha256::digest(format!("{INCLUDE} {EXCLUDE}"));
    let sum: String = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    cache().join(format!("{SUITE}-{sum}"))
}

/// True if it was made already.
pub(super) fn is_there() -> bool {
    path().is_dir()
}

/// The root directory of a Debian that was never booted. The first caller makes it, which takes about half a minute; others wait.
pub(super) fn root() -> PathBuf {
    let root = path();
    if root.is_dir() {
        return root;
    }
    let lock = lock_file("debian.lock");
    lock.lock().expect("lock the Debian root");
    if root.is_dir() {
        return root;
    }
    // Under another name until it is whole. An attempt that was killed is removed first; nobody else is here.
    for old in entries(&cache()).iter().filter(|path| path.to_string_lossy().ends_with(".unfinished")) {
        must(Command::new("rm").args(["-rf", "--one-file-system"]).arg(old));
    }
    let unfinished = root.with_extension("unfinished");
    let hook = format!("--customize-hook=cd \"$1\" && rm -rf {EXCLUDE}");
    let made =
        attempt(Command::new("mmdebstrap").args(["--mode=root", "--variant=minbase", "--include", INCLUDE, &hook, SUITE]).arg(&unfinished));
    assert!(made.code() == Some(0), "a Debian for the test nodes could not be made: {made}");
    fs::rename(&unfinished, &root).expect("give the Debian root its name");
    root
}

/// Copies the root for one node, and gives the copy what tells machines apart.
pub(super) fn copy(root: &Path, to: &Path, name: &str) {
    must(Command::new("cp").args(["-a", "-T"]).arg(root).arg(to));
    let write = |path: &str, text: String| fs::write(to.join(path), text).unwrap_or_else(|error| panic!("{name}: write {path}: {error}"));
    write("etc/hostname", format!("{name}\n"));
    write("etc/machine-id", format!("{}\n", unique()));
    write("etc/hosts", "127.0.0.1\tlocalhost\n".to_owned());
    // The server's address. It refuses, which is an answer; no answer would cost every lookup its time limit.
    write("etc/resolv.conf", format!("nameserver {}\n", super::network::SERVER));
    // Nobody logs in at a console, and a login prompt would restart for ever.
    symlink("/dev/null", to.join("etc/systemd/system/console-getty.service")).expect("mask the console's login");
}
