//! What a running node is beyond its files: its units and processes, its network, its settings and
//! mounts.

use std::collections::BTreeMap;

use super::Node;

/// How each part is asked for; a line of an answer is one thing. systemd learns of mounts some time
/// later, and they are asked for themselves. Addresses that a link gives itself come and go with
/// the link.
const PARTS: &[(&str, &str)] = &[
    ("unit file", "systemctl list-unit-files --no-legend --full"),
    (
        "unit",
        "systemctl list-units --all --plain --no-legend --full | awk '{print $1, $2, $3, $4}' | \
         grep -Ev '[.](device|mount) '",
    ),
    ("job", "systemctl list-jobs --no-legend"),
    ("environment", "systemctl show-environment | grep -v ^PATH="),
    // One that has ended and was not waited for yet is none any more. Those that look are none
    // either: while one of them begins or ends, ps has its name in brackets.
    (
        "process",
        "ps -eo state,user:32,args | grep -v ^Z | cut -c3- | grep -Ev '[ /[](sh|ps|grep|cut)( \
         |]|$)|systemd-executor|^USER '",
    ),
    ("user", "getent passwd; getent group"),
    ("link", "ip -o link | cut -d: -f2-"),
    ("address", "ip -o address | awk '{print $2, $3, $4}' | grep -v ' fe80:'"),
    ("rule", "ip -4 rule; ip -6 rule"),
    ("route", "ip -4 route show table all; ip -6 route show table 42"),
    ("listening", "ss -Hltun | awk '{print $1, $5}'"),
    (
        "firewall",
        "for p in iptables ip6tables; do for t in filter nat mangle; do $p -w -t $t -S | sed \
         \"s/^/$p $t /\"; done; done",
    ),
    ("set of addresses", "ipset list -name"),
    // Those of the kernel itself are of the machine that all nodes are on.
    ("setting", "sysctl -a | grep -E '^(net|vm)[.]' | grep -v nf_conntrack_count"),
    ("mount", "findmnt -rno TARGET,FSTYPE,OPTIONS"),
];

/// The state of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(BTreeMap<&'static str, Vec<String>>);

impl State {
    /// As it is now; [`Node::state`].
    #[track_caller]
    pub(super) fn of(node: &Node) -> State {
        let script: Vec<String> = PARTS
            .iter()
            .map(|(_, command)| format!("{{ {command}; }} 2>/dev/null; echo; echo ===="))
            .collect();
        let all = node.shell(&script.join("\n"));
        let answers = all.succeeds().stdout().split("====\n");
        let lines = |answer: &str| {
            let mut lines: Vec<String> = answer
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        State(PARTS.iter().map(|(name, _)| *name).zip(answers.map(lines)).collect())
    }

    /// What is there or gone since an earlier moment, one line each.
    pub fn changes_since(&self, before: &State) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, now) in &self.0 {
            let was = &before.0[name];
            changes.extend(
                now.iter()
                    .filter(|line| !was.contains(line))
                    .map(|line| format!("new {name}: {line}")),
            );
            changes.extend(
                was.iter()
                    .filter(|line| !now.contains(line))
                    .map(|line| format!("gone {name}: {line}")),
            );
            if now.len() != was.len() {
                changes.push(format!("{name}: {} now, {} before", now.len(), was.len()));
            }
        }
        changes
    }
}
