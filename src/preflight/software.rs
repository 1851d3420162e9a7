//! What DC/OS needs of the distribution: programs, accounts and settings.

use super::Facts;
use super::rule::{Except, Finding, Rule, Severity};
use crate::dcos::{commands, layout};
use crate::observe::account_files::Obstacle;
use crate::observe::node::State;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "software.commands",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the programs that this version runs",
        why: "the classic script refuses without them, and units fail",
        source: "gen/build_deploy/bash.py: check_all; dcos-net.service: ip, iptables, modprobe; \
                 pkgpanda: useradd",
        cure: "install the packages of the distribution that have them",
        look: commands,
    },
    Rule {
        id: "software.paths",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the programs that units name by their paths",
        why: "a unit whose program is not there does not start",
        source: "ExecStartPre of DC/OS' units; gen/dcos-services.yaml",
        cure: "link the programs there",
        look: paths,
    },
    Rule {
        id: "accounts.groups",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "DC/OS' users have their groups, and the groups docker and systemd-journal are \
                   there",
        why: "a user with another group is refused, and none can be made for a group that is not \
              there",
        source: "pkgpanda/__init__.py: UserManagement; the pkginfo.json of the packages",
        cure: "install docker, which makes the group docker; correct users with usermod -g GROUP \
               USER, or remove them",
        look: groups,
    },
    Rule {
        id: "accounts.files",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "account files that programs can replace",
        why: "useradd writes a new file and renames it; it cannot make DC/OS' users otherwise",
        source: "ours; pkgpanda/__init__.py: UserManagement runs useradd",
        cure: "make these ordinary files until DC/OS is installed",
        look: account_files,
    },
    Rule {
        id: "accounts.nogroup",
        skippable: true,
        severity: Severity::Warn,
        except: &[
            Except { roles: &[], from: (0, 0), to: (1, 13), severity: Severity::Fail },
            Except {
                roles: &[],
                from: (2, 0),
                to: (u32::MAX, u32::MAX),
                severity: Severity::Ignore,
            },
        ],
        expected: "the group nogroup",
        why: "the classic script of 1.10 to 1.13 refuses without it",
        source: "gen/build_deploy/bash.py: check_all (removed in 2.0, COPS-5220)",
        cure: "groupadd nogroup",
        look: nogroup,
    },
    Rule {
        id: "system.locale",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "a locale with UTF-8",
        why: "programs of DC/OS read and write UTF-8",
        source: "docs: system requirements",
        cure: "localectl set-locale LANG=en_US.utf-8",
        look: locale,
    },
    Rule {
        id: "system.umask",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "others may read new files",
        why: "files that only root may read break components that run as other users; what \
              dcos-node writes is right anyhow",
        source: "pkgpanda/cli.py sets 022 itself; dcos_install.sh does not",
        cure: "umask 022",
        look: umask,
    },
    Rule {
        id: "system.journal",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "the group systemd-journal may read the journal",
        why: "dcos-log, dcos-diagnostics and DC/OS' own check read it as members of that group",
        source: "dcos-checks journald (DCOS_OSS-711)",
        cure: "chgrp -R systemd-journal and chmod g+rx what was found",
        look: journal,
    },
];

/// DC/OS' users with a group of the distribution, of all versions.
const USERS: [(&str, &str); 4] = [
    ("dcos_diagnostics", "systemd-journal"),
    ("dcos_docker_gc", "docker"),
    ("dcos_fluent_bit", "systemd-journal"),
    ("dcos_log", "systemd-journal"),
];

fn commands(facts: &Facts<'_>) -> Finding {
    let Some(programs) = &facts.host.programs else {
        return Finding::not_here("the node is a directory");
    };
    let missing: Vec<&str> =
        commands::needed(facts.version()).filter(|name| !programs.found.contains(*name)).collect();
    if missing.is_empty() {
        Finding::good("all there")
    } else {
        Finding::bad(format!("not found: {}", missing.join(", ")))
    }
}

fn paths(facts: &Facts<'_>) -> Finding {
    let Some(programs) = &facts.host.programs else {
        return Finding::not_here("the node is a directory");
    };
    let missing = |of: &[&str]| {
        of.iter()
            .copied()
            .filter(|path| programs.missing_paths.contains(*path))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (missing(&layout::PROGRAMS_OF_UNITS), missing(&layout::PROGRAMS_OF_CLASSIC_UNITS)) {
        (needed, _) if !needed.is_empty() => Finding::bad(format!("not there: {needed}")),
        (_, classic) if !classic.is_empty() => Finding::doubtful(format!(
            "not there: {classic}, which only the classic installer's own units need"
        )),
        _ => Finding::good("all there"),
    }
}

fn groups(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    if facts.node.manual_accounts {
        return Finding::not_here(format!(
            "accounts are made by other means ({})",
            layout::MANUAL_HOST_USERS
        ));
    }
    let accounts = &facts.node.accounts;
    let mut wrong: Vec<String> = ["docker", "systemd-journal"]
        .iter()
        .filter(|group| !accounts.has_group(group))
        .map(|group| format!("there is no group {group}"))
        .collect();
    let of_another =
        |(user, group): &&(&str, &str)| accounts.has_user(user) && !accounts.is_in(user, group);
    wrong.extend(
        USERS
            .iter()
            .filter(of_another)
            .map(|(user, group)| format!("the user {user} is not in the group {group}")),
    );
    if wrong.is_empty() {
        Finding::good("as they should be")
    } else {
        Finding::bad(wrong.join("; "))
    }
}

fn account_files(facts: &Facts<'_>) -> Finding {
    if facts.node.manual_accounts {
        return Finding::not_here(format!(
            "accounts are made by other means ({})",
            layout::MANUAL_HOST_USERS
        ));
    }
    if !facts.live && facts.host.uid != 0 {
        return Finding::not_here("accounts are made at the first boot of the image");
    }
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (path, obstacle) in &facts.host.account_files {
        let (why, fix) = match obstacle {
            Obstacle::Immutable => ("is immutable", "chattr -i"),
            Obstacle::MountPoint => ("is a mount point", "umount"),
        };
        found.push(format!("{path} {why}"));
        fixes.push(format!("{fix} {path}"));
    }
    if found.is_empty() {
        return Finding::good("can be replaced");
    }
    let found = found.join("; ");
    // The accounts of an installed node exist already.
    match facts.node.state() {
        State::Installed => Finding::doubtful(found),
        _ => Finding::bad(found),
    }
    .cured_by(fixes.join("; "))
}

fn nogroup(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    if facts.node.accounts.has_group("nogroup") {
        Finding::good("there")
    } else {
        Finding::bad("there is no group nogroup")
    }
}

fn locale(facts: &Facts<'_>) -> Finding {
    let Some(machine) = &facts.host.machine else {
        return Finding::not_here("the node is a directory");
    };
    match &machine.locale {
        None => Finding::bad("none is set"),
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => {
            Finding::good(locale)
        }
        Some(locale) => Finding::bad(locale),
    }
}

fn umask(facts: &Facts<'_>) -> Finding {
    match facts.host.machine.as_ref().map(|machine| machine.umask) {
        None => Finding::not_here("the node is a directory"),
        Some(None) => Finding::unknown("this kernel does not tell it"),
        Some(Some(mask)) if mask & 0o055 != 0 => Finding::bad(format!("{mask:04o}")),
        Some(Some(mask)) => Finding::good(format!("{mask:04o}")),
    }
}

fn journal(facts: &Facts<'_>) -> Finding {
    let Some(machine) = &facts.host.machine else {
        return Finding::not_here("the node is a directory");
    };
    let Some(journal) = &machine.journal else {
        return Finding::bad(format!(
            "there is no directory of journals: {}",
            layout::JOURNALS.join(", ")
        ))
        .cured_by("start systemd-journald");
    };
    let path = &journal.path;
    match facts.node.accounts.group_number("systemd-journal") {
        Some(group) if group != journal.group => Finding::bad(format!(
            "{path} is of group number {}, not systemd-journal",
            journal.group
        )),
        Some(_) if journal.mode & 0o050 != 0o050 => {
            Finding::bad(format!("{path} has the mode {:04o}", journal.mode))
        }
        Some(_) => Finding::good(path),
        None => Finding::unknown("there is no group systemd-journal to compare with"),
    }
}
