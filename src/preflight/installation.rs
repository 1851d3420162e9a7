//! Who we are, and what stands here already.

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::role::Role;
use crate::observe::node::State;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "privileges.root",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "root",
        why: "packages are owned by root, and accounts and units are made",
        source: "dcos_install.sh: \"This script must be run as root\"",
        cure: "run the same command with sudo",
        look: root,
    },
    Rule {
        id: "systemd.running",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "219 or newer, answering on D-Bus",
        why: "DC/OS is a set of systemd units",
        source: "gen/build_deploy/bash.py: check systemctl 200; 219 is that of CentOS 7, the \
                 oldest that DC/OS 1.10 to 2.2 supports",
        cure: "boot this machine with systemd 219 or newer, or install into a directory with \
               --root",
        look: systemd,
    },
    Rule {
        id: "installation.existing",
        skippable: false,
        severity: Severity::Fail,
        except: &[],
        expected: "no other DC/OS",
        why: "two installations in /opt/mesosphere destroy each other",
        source: "gen/build_deploy/bash.py: check_preexisting_dcos",
        cure: "dcos-node adopt takes a whole node over; if nothing of DC/OS runs on it any more, \
               dcos-node uninstall removes what is left",
        look: existing,
    },
    Rule {
        id: "installation.masks",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "no masked unit of DC/OS",
        why: "install puts DC/OS' unit in the place of the mask, and starts it",
        source: "ours; pkgpanda/__init__.py: copies units over what is there",
        cure: "if the unit must not run, stop it after the install: systemctl stop UNIT",
        look: masks,
    },
];

fn root(facts: &Facts<'_>) -> Finding {
    match (facts.host.uid, facts.live) {
        (0, _) => Finding::good("root"),
        (uid, false) => Finding::good(format!(
            "user {uid}: owners and accounts are left for the first boot of the image"
        )),
        (uid, true) => Finding::bad(format!("user {uid}")),
    }
}

fn systemd(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    match &facts.host.systemd {
        Err(why) => Finding::bad(why),
        Ok(version) => {
            match version.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u32>().ok()) {
                Some(number) if number < 219 => {
                    Finding::bad(version).cured_by("update the operating system")
                }
                _ => Finding::good(version),
            }
        }
    }
}

fn existing(facts: &Facts<'_>) -> Finding {
    let role = facts.node.role();
    match facts.node.state() {
        State::Clean if facts.node.foreign.is_empty() => Finding::good("none"),
        State::Installing | State::Prepared | State::Installed
            if facts.role.is_some() && role.is_some() && role != facts.role =>
        {
            let (is, asked) = (role.map_or("?", Role::word), facts.role.map_or("?", Role::word));
            Finding::bad(format!("this node is a {is}, not a {asked}"))
                .cured_by(format!("keep it a {is}; a {asked} needs a machine without DC/OS"))
        }
        State::Installing | State::Prepared => {
            Finding::good("an interrupted install, which goes on")
        }
        State::Uninstalling => Finding::good("an interrupted uninstall, which is finished first"),
        State::Installed => Finding::good("installed by dcos-node"),
        State::Clean => Finding::bad(in_the_way(facts)).cured_by("move that somewhere else"),
        State::Foreign => {
            Finding::bad(in_the_way(facts)).cured_by(facts.node.fix_of_another_dcos())
        }
    }
}

fn masks(facts: &Facts<'_>) -> Finding {
    let masked = &facts.node.masked_units;
    match facts.node.state() {
        // Masked since the install, which replaces nothing there.
        State::Installed => Finding::good("installed by dcos-node"),
        _ if masked.is_empty() => Finding::good("none"),
        _ => Finding::bad(masked.join(", ")),
    }
}

fn in_the_way(facts: &Facts<'_>) -> String {
    let list: Vec<String> = facts.node.foreign.iter().take(5).map(ToString::to_string).collect();
    let more = facts.node.foreign.len().saturating_sub(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", list.join(", "))
}
