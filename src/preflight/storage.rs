//! The file systems that hold what DC/OS writes.

use super::Facts;
use super::rule::{Except, Finding, Rule, Severity};
use crate::dcos::bytes::Bytes;
use crate::dcos::layout;
use crate::dcos::role::Role;
use crate::observe::node::State;
use crate::observe::server::Layer;
use crate::observe::storage::{Place, Places};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "storage.packages",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "2 GB and 100000 inodes left for /opt/mesosphere",
        why: "the packages are unpacked there, and an upgrade needs the room twice",
        source: "ours: the archives of the build, of which the packages are unpacked; without a \
                 build Java, Python and Mesos, which alone have more than 512 MB and 5000 files",
        cure: "make room, or give /opt/mesosphere a file system of its own",
        look: packages,
    },
    Rule {
        id: "storage.writable",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "file systems that can be written where DC/OS is installed and keeps its state",
        why: "nothing can be installed on a file system that is read-only, and no component starts \
              without its state",
        source: "ours: what install writes; pkgpanda/__init__.py: /opt/mesosphere, \
                 /etc/mesosphere, /etc/systemd/system",
        cure: "mount -o remount,rw; a file system that became read-only by itself had an error: \
               dmesg tells, and fsck mends",
        look: writable,
    },
    Rule {
        id: "storage.state",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "20 GB left for /var",
        why: "sandboxes, logs and state grow there",
        source: "docs: system requirements",
        cure: "make room, or give /var/lib/mesos a file system of its own",
        look: state,
    },
    Rule {
        id: "storage.ftype",
        skippable: true,
        severity: Severity::Warn,
        except: &[Except {
            roles: &[Role::Slave, Role::SlavePublic],
            from: (0, 0),
            to: (u32::MAX, u32::MAX),
            severity: Severity::Fail,
        }],
        expected: "ftype=1 where Mesos and docker keep their state on XFS",
        why: "overlayfs loses files without it",
        source: "gen/build_deploy/bash.py: check_xfs_ftype (COPS-3158, DCOS-59406)",
        cure: "make the file system anew: mkfs.xfs -n ftype=1",
        look: file_types,
    },
    Rule {
        id: "storage.remote",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "local file systems for /var/lib/mesos and /var/lib/docker",
        why: "a server that is slow or away stops all tasks",
        source: "docs: system requirements",
        cure: "mount a local file system there",
        look: remote,
    },
    Rule {
        id: "storage.noexec",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "programs may be run where DC/OS keeps and runs them",
        why: "what lies on a noexec mount cannot be started",
        source: "docs: troubleshooting; every unit runs programs in /opt/mesosphere, Mesos' \
                 executors run in /var/lib/dcos/exec",
        cure: "mount -o remount,exec, and correct /etc/fstab",
        look: noexec,
    },
    Rule {
        id: "storage.tmp-noexec",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "programs may be run in /tmp",
        why: "ZooKeeper's JNA runs code from there",
        source: "DCOS-53077, fixed in 1.12.4 and 1.13.1",
        cure: "mount -o remount,exec /tmp",
        look: tmp_noexec,
    },
];

/// Less than this cannot hold any release from 1.10 on: Java, Python and Mesos alone have more
/// bytes and more files. An estimate that is low on purpose; what a build really needs is not known
/// before its packages are.
const TOO_SMALL: (u64, u64) = (512 << 20, 5_000);
/// Less than this holds a release, but not the next one beside it.
const TIGHT: (u64, u64) = (2_000_000_000, 100_000);
/// What the documentation asks for.
const STATE: u64 = 20_000_000_000;

/// File systems that lie on another machine.
const REMOTE: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs"];

/// The place with this path, or why it cannot be told.
pub(super) fn place<'a>(facts: &Facts<'a>, path: &str) -> Result<&'a Place, Finding> {
    let Some(places) = &facts.host.storage else {
        return Err(Finding::not_here("the node is a directory"));
    };
    among(places, path)
}

/// The place with this path among those that were looked at, or why it cannot be told.
pub(super) fn among<'a>(places: &'a Places, path: &str) -> Result<&'a Place, Finding> {
    match places.iter().find(|(known, _)| known == path) {
        Some((_, Ok(place))) => Ok(place),
        Some((_, Err(why))) => Err(Finding::unknown(why)),
        None => Err(Finding::unknown(format!("{path} was not looked at"))),
    }
}

/// Where docker keeps its state; it may have been told another place than the usual one.
fn docker_state(facts: &Facts<'_>) -> String {
    let engine = facts.host.docker.as_ref().and_then(|docker| docker.as_ref().ok());
    engine.map_or_else(|| layout::DOCKER_STATE.to_owned(), |engine| engine.root.clone())
}

fn packages(facts: &Facts<'_>) -> Finding {
    let place = match place(facts, layout::MESOSPHERE) {
        Err(finding) => return finding,
        Ok(place) => place,
    };
    let inodes = place.free_inodes.map(|n| format!(" and {n} inodes")).unwrap_or_default();
    let told = format!(
        "{}{inodes} left on {} ({})",
        Bytes(place.free_bytes),
        place.mounted_at,
        place.kind
    );
    let too_small = archives(facts)
        .map_or(TOO_SMALL, |bytes| (bytes, if bytes < TOO_SMALL.0 / 4 { 0 } else { TOO_SMALL.1 }));
    let below = |(bytes, files): (u64, u64)| {
        // Whatever is unpacked, zero inodes hold no file.
        place.free_bytes < bytes || place.free_inodes.is_some_and(|n| n < files.max(1))
    };
    let has_packages =
        matches!(facts.node.state(), State::Installed | State::Prepared | State::Installing);
    match (below(too_small), below(TIGHT)) {
        (_, true) if has_packages => {
            Finding::doubtful(format!("{told}; packages are there already"))
        }
        (true, _) => Finding::bad(told),
        (false, true) => Finding::doubtful(told),
        (false, false) => Finding::good(told),
    }
}

/// The bytes of the build's archives, where all are known: unpacked it has more. Without a build
/// they are not known.
fn archives(facts: &Facts<'_>) -> Option<u64> {
    match &facts.host.server.as_ref()?.artifacts {
        Layer::Reached { result: Ok(artifacts), .. }
            if artifacts.of_unknown_length == 0 && artifacts.bytes > 0 =>
        {
            Some(artifacts.bytes)
        }
        _ => None,
    }
}

fn writable(facts: &Facts<'_>) -> Finding {
    all_without(
        facts,
        "ro",
        "read-only",
        &[
            layout::MESOSPHERE,
            layout::ETC_MESOSPHERE,
            layout::SYSTEM_UNITS,
            layout::STATE,
            layout::MESOS_WORK,
        ],
    )
}

/// Whether no place is on a mount with an option that must not be.
fn all_without(facts: &Facts<'_>, option: &str, word: &str, paths: &[&str]) -> Finding {
    let mut wrong = Vec::new();
    for path in paths {
        match place(facts, path) {
            Err(finding) => return finding,
            Ok(place) if has(place, option) => {
                wrong.push(format!("{path} is on {}, which is {word}", place.mounted_at))
            }
            Ok(_) => {}
        }
    }
    if wrong.is_empty() { Finding::good("as it should be") } else { Finding::bad(wrong.join("; ")) }
}

fn state(facts: &Facts<'_>) -> Finding {
    match place(facts, layout::VAR) {
        Err(finding) => finding,
        Ok(place) => {
            let has_none = place.free_inodes == Some(0);
            let told = format!(
                "{}{} left on {} ({})",
                Bytes(place.free_bytes),
                if has_none { " and 0 inodes" } else { "" },
                place.mounted_at,
                place.kind
            );
            if place.free_bytes < STATE || has_none {
                Finding::bad(told)
            } else {
                Finding::good(told)
            }
        }
    }
}

fn file_types(facts: &Facts<'_>) -> Finding {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for path in [layout::MESOS_WORK, &docker_state(facts)] {
        match place(facts, path).map(|place| &place.file_types) {
            Err(finding) => return finding,
            Ok(Some(Err(why))) => return Finding::unknown(why),
            Ok(Some(Ok(false))) => without.push(path.to_owned()),
            Ok(Some(Ok(true))) => with.push(path.to_owned()),
            Ok(None) => {}
        }
    }
    match (without.is_empty(), with.is_empty()) {
        (false, _) => Finding::bad(format!("ftype=0 under {}", without.join(", "))),
        (true, false) => Finding::good(format!("ftype=1 under {}", with.join(", "))),
        (true, true) => Finding::good("no XFS there"),
    }
}

fn remote(facts: &Facts<'_>) -> Finding {
    let mut remote = Vec::new();
    for path in [layout::MESOS_WORK, &docker_state(facts)] {
        match place(facts, path) {
            Err(finding) => return finding,
            Ok(place) if is_remote(place) => {
                remote.push(format!("{path} is on {} ({})", place.mounted_at, place.kind))
            }
            Ok(_) => {}
        }
    }
    if remote.is_empty() { Finding::good("local") } else { Finding::bad(remote.join("; ")) }
}

fn noexec(facts: &Facts<'_>) -> Finding {
    all_without(facts, "noexec", "noexec", &[layout::MESOSPHERE, layout::STATE])
}

fn tmp_noexec(facts: &Facts<'_>) -> Finding {
    match place(facts, layout::TMP) {
        Err(finding) => finding,
        Ok(place) if !has(place, "noexec") => Finding::good("as it should be"),
        Ok(_) => {
            let told = format!("{} is noexec", layout::TMP);
            if facts.role == Some(Role::Master) && runs_code_in_tmp(facts) {
                Finding::bad(told)
            } else {
                Finding::doubtful(told)
            }
        }
    }
}

/// Whether ZooKeeper of this version does not start without: before 1.12.4, and 1.13.0.
fn runs_code_in_tmp(facts: &Facts<'_>) -> bool {
    let patch = facts
        .settings
        .version
        .as_ref()
        .and_then(|v| v.version.split('.').nth(2)?.parse::<u32>().ok());
    match (facts.version(), patch) {
        (Some(version), _) if version < (1, 12) => true,
        (Some((1, 12)), Some(patch)) => patch < 4,
        (Some((1, 13)), Some(patch)) => patch < 1,
        _ => false,
    }
}

/// Whether what is written there goes to another machine.
pub(super) fn is_remote(place: &Place) -> bool {
    REMOTE.contains(&place.kind.as_str())
}

/// Whether it is mounted with this option.
pub(super) fn has(place: &Place, option: &str) -> bool {
    place.options.iter().any(|o| o == option)
}
