//! The Debians that nodes are copies of: each made once, kept outside the checkout.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::outcome::{attempt, must};
use super::place::{cache, entries, lock_file, unique};

/// What a node has beyond the smallest Debian: what DC/OS expects of a machine, and what tests look
/// with.
const INCLUDE: &str = "systemd,systemd-sysv,dbus,iproute2,iptables,procps,ca-certificates,curl,xz-utils,bsdutils,iputils-ping,kmod,openssh-server";
/// What is taken out again (shell patterns), because it makes every copy slower and no test reads
/// it. Packages that are installed later still find the small perl-base.
const EXCLUDE: &str = "usr/share/locale usr/share/doc usr/share/man usr/share/info usr/share/perl \
                       usr/lib/*/perl usr/lib/*/gconv usr/share/zoneinfo/[A-Z]* \
                       usr/share/zoneinfo/right";

/// A Debian, by its release and by what it has more and less than the others.
#[derive(Clone, Copy)]
pub(super) struct Debian {
    /// The name of the release.
    suite: &'static str,
    /// More packages, each with a comma before it.
    packages: &'static str,
    /// More that is taken out, each with a blank before it.
    without: &'static str,
    /// What is done in it at the end, in shell.
    last: &'static str,
}

/// What most nodes are. Its sshd does not start by itself.
pub(super) const SMALL: Debian = Debian {
    suite: "bookworm",
    packages: "",
    without: "",
    last: "chroot . systemctl disable ssh.service",
};

/// Debian 11, whose systemd is 247.
pub(super) const BULLSEYE: Debian = Debian { suite: "bullseye", packages: ",usrmerge", ..SMALL };

/// Debian 13, whose systemd is 257.
pub(super) const TRIXIE: Debian = Debian { suite: "trixie", ..SMALL };

/// With the daemons of a real machine. None of them starts by itself; and of docker's programs
/// there are those that a daemon without containers needs, for each copy is in memory.
pub(super) const EQUIPPED: Debian = Debian {
    suite: "bookworm",
    packages: ",docker.io,chrony,xfsprogs",
    without: " usr/bin/ctr usr/sbin/dnet usr/sbin/ovrouter usr/bin/dnet usr/bin/ovrouter \
              usr/bin/containerd-shim usr/bin/containerd-shim-runc-v1 usr/lib/python3* \
              usr/bin/python3*",
    last: "chroot . systemctl disable ssh.service docker.service docker.socket containerd.service \
           chrony.service",
};

/// True if all were made already.
pub(super) fn are_there() -> bool {
    [SMALL, EQUIPPED].iter().all(|debian| debian.path().is_dir())
}

impl Debian {
    fn path(self) -> PathBuf {
        let sum = Sha256::digest(format!("{INCLUDE}{} {EXCLUDE}{}", self.packages, self.without));
        let sum: String = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        cache().join(format!("{}-{sum}", self.suite))
    }

    /// Its root directory, which was never booted. The first caller makes it, which takes about a
    /// minute; others wait.
    pub(super) fn root(self) -> PathBuf {
        let root = self.path();
        if root.is_dir() {
            return root;
        }
        let lock = lock_file("debian.lock");
        lock.lock().expect("lock the Debian roots");
        if root.is_dir() {
            return root;
        }
        // Under another name until it is whole. An attempt that was killed is removed first; nobody
        // else is here.
        for old in
            entries(&cache()).iter().filter(|path| path.to_string_lossy().ends_with(".unfinished"))
        {
            must(Command::new("rm").args(["-rf", "--one-file-system"]).arg(old));
        }
        let unfinished = root.with_extension("unfinished");
        let packages = format!("{INCLUDE}{}", self.packages);
        let hook = format!(
            "--customize-hook=cd \"$1\" && {} && rm -rf {EXCLUDE}{}",
            self.last, self.without
        );
        let make = || {
            must(Command::new("rm").args(["-rf", "--one-file-system"]).arg(&unfinished));
            attempt(
                Command::new("mmdebstrap")
                    .args([
                        "--mode=root",
                        "--variant=minbase",
                        "--include",
                        &packages,
                        &hook,
                        self.suite,
                    ])
                    .arg(&unfinished),
            )
        };
        let mut made = make();
        // A server of Debian's that fails once does not fail a test.
        for _ in 0..2 {
            if made.code() != Some(0) {
                made = make();
            }
        }
        assert!(made.code() == Some(0), "a Debian for the test nodes could not be made: {made}");
        fs::rename(&unfinished, &root).expect("give the Debian root its name");
        root
    }
}

/// Copies a root for one node, and gives the copy what tells machines apart.
pub(super) fn copy(root: &Path, to: &Path, name: &str) {
    must(Command::new("cp").args(["-a", "-T"]).arg(root).arg(to));
    let write = |path: &str, text: String| {
        fs::write(to.join(path), text)
            .unwrap_or_else(|error| panic!("{name}: write {path}: {error}"))
    };
    write("etc/hostname", format!("{name}\n"));
    write("etc/machine-id", format!("{}\n", unique()));
    write("etc/hosts", "127.0.0.1\tlocalhost\n".to_owned());
    // The server's address. It refuses, which is an answer; no answer would cost every lookup its
    // time limit.
    write("etc/resolv.conf", format!("nameserver {}\n", super::network::SERVER));
    // Debian's own timers come at any hour, and what they start writes files: of apt and dpkg
    // around midnight, and others some time after a boot.
    must(Command::new("rm").arg("-rf").arg(to.join("etc/systemd/system/timers.target.wants")));
    symlink("/dev/null", to.join("etc/systemd/system/systemd-tmpfiles-clean.timer"))
        .expect("mask a timer");
    // Nobody logs in at a console, and a login prompt would restart for ever.
    symlink("/dev/null", to.join("etc/systemd/system/console-getty.service"))
        .expect("mask the console's login");
}
