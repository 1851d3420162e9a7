//! Ports that DC/OS needs and others hold.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::ports::{Kind, Need, needed};
use crate::observe::node::State;
use crate::observe::ports::{Holder, Listener, Ports};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ports.free",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the ports of this role and version are free",
        why: "a component whose port is taken does not start, or is tried again for ever",
        source: "gen/build_deploy/bash.py: check_service, and the documentation's table of ports",
        cure: "stop and disable what holds the port, or let it listen on another one",
        look: free,
    },
    Rule {
        id: "ports.ephemeral",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "ports that components chose once are free",
        why: "the classic script refuses them; the components take any other port as well",
        source: "gen/build_deploy/bash.py: check_service 36771 marathon, 41281 zookeeper, 46839 \
                 metronome and those of 1.10",
        cure: "nothing, or stop what holds the port",
        look: ephemeral,
    },
    Rule {
        id: "ports.local-range",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "connections get no local port that DC/OS listens on",
        why: "a connection that was given such a port by chance keeps a component from starting \
              until it ends",
        source: "ours: ip_local_port_range against the ports of this role above 32767",
        cure: "sysctl -w net.ipv4.ip_local_port_range='32768 60999', or add the ports to \
               net.ipv4.ip_local_reserved_ports",
        look: local_range,
    },
];

/// The first port of the kernel's default range, above which DC/OS' fixed ports are looked for in
/// the node's own.
const FIRST_LOCAL: u16 = 32768;

/// A port that is needed, and what holds it: several may, at different addresses.
struct Taken<'a> {
    need: Need,
    by: Vec<&'a Listener>,
}

fn free(facts: &Facts<'_>) -> Finding {
    let Some(ports) = &facts.host.ports else {
        return Finding::not_here("the node is a directory");
    };
    let taken = match taken(facts, ports) {
        Ok(taken) => taken,
        Err(why) => return Finding::unknown(why),
    };
    let (certain, perhaps): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .filter(|t| t.need.port.kind != Kind::Ephemeral)
        .partition(|t| t.need.certain);
    match (certain.is_empty(), perhaps.is_empty()) {
        (true, true) => {
            Finding::good(format!("all {} are free", wanted(facts, |n| n.certain).len()))
        }
        (true, false) => Finding::doubtful(format!(
            "{}; not every role, version or edition needs them",
            list(&perhaps)
        ))
        .cured_by(cure(&perhaps)),
        (false, _) => Finding::bad(list(&certain)).cured_by(cure(&certain)),
    }
}

fn ephemeral(facts: &Facts<'_>) -> Finding {
    let Some(ports) = &facts.host.ports else {
        return Finding::not_here("the node is a directory");
    };
    match taken(facts, ports) {
        Err(why) => Finding::unknown(why),
        Ok(mut taken) => {
            taken.retain(|t| t.need.port.kind == Kind::Ephemeral);
            if taken.is_empty() {
                Finding::good("they are free")
            } else {
                Finding::bad(list(&taken))
            }
        }
    }
}

fn local_range(facts: &Facts<'_>) -> Finding {
    let Some(ports) = &facts.host.ports else {
        return Finding::not_here("the node is a directory");
    };
    let (first, last) = match &ports.local_range {
        Err(why) => return Finding::unknown(why),
        Ok(range) => *range,
    };
    let reserved =
        |port: u16| ports.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port));
    let caught = |n: &Need| {
        n.port.kind == Kind::Fixed
            && n.port.number >= FIRST_LOCAL
            && (first..=last).contains(&n.port.number)
    };
    let mut caught: Vec<u16> = wanted(facts, caught)
        .iter()
        .map(|n| n.port.number)
        .filter(|port| !reserved(*port))
        .collect();
    caught.dedup();
    if caught.is_empty() {
        return Finding::good(format!("{first} to {last}"));
    }
    let numbers: Vec<String> = caught.iter().map(u16::to_string).collect();
    Finding::bad(format!("{first} to {last}, which has {}", numbers.join(", "))).cured_by(format!(
        "sysctl -w net.ipv4.ip_local_port_range='32768 60999', or \
         net.ipv4.ip_local_reserved_ports={}",
        numbers.join(",")
    ))
}

fn wanted(facts: &Facts<'_>, which: impl Fn(&Need) -> bool) -> Vec<Need> {
    needed(facts.role, facts.version()).into_iter().filter(which).collect()
}

/// The needed ports that somebody else holds.
fn taken<'a>(facts: &Facts<'_>, ports: &'a Ports) -> Result<Vec<Taken<'a>>, String> {
    let listeners = ports.listeners.as_ref()?;
    let is_ours = !matches!(facts.node.state(), State::Clean | State::Foreign);
    let holds = |listener: &&Listener, need: &Need| {
        (listener.port, listener.protocol) == (need.port.number, need.port.protocol)
            && !(is_ours && is_of_dcos(listener))
    };
    let taken = |need: Need| Taken {
        by: listeners.iter().filter(|listener| holds(listener, &need)).collect(),
        need,
    };
    Ok(wanted(facts, |_| true)
        .into_iter()
        .map(taken)
        .filter(|taken| !taken.by.is_empty())
        .collect())
}

/// On a node with a DC/OS of ours: whether a port is held by that. The kernel holds the overlay's
/// port itself, and systemd holds the sockets of units that it starts on demand.
fn is_of_dcos(listener: &Listener) -> bool {
    listener
        .holder
        .as_ref()
        .is_none_or(|h| h.pid == 1 || h.unit.as_ref().is_some_and(|u| u.starts_with("dcos-")))
}

fn list(taken: &[Taken<'_>]) -> String {
    let one = |t: &Taken<'_>| {
        let port = t.need.port;
        format!(
            "{}/{} ({}) is held by {}",
            port.number,
            port.protocol.word(),
            port.owner,
            holders(&t.by)
        )
    };
    taken.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Each holder once, with all addresses at which it holds the port.
fn holders(listeners: &[&Listener]) -> String {
    let mut by_holder: Vec<(&Option<Holder>, BTreeSet<IpAddr>)> = Vec::new();
    for listener in listeners {
        match by_holder.iter_mut().find(|(holder, _)| **holder == listener.holder) {
            Some((_, addresses)) => {
                addresses.insert(listener.address);
            }
            None => by_holder.push((&listener.holder, BTreeSet::from([listener.address]))),
        }
    }
    let one = |(holder, addresses): &(&Option<Holder>, BTreeSet<IpAddr>)| {
        let by = match holder {
            None => "a process that cannot be told".to_owned(),
            Some(Holder { pid, command, unit: Some(unit) }) => {
                format!("{command} (pid {pid}, {unit})")
            }
            Some(Holder { pid, command, unit: None }) => format!("{command} (pid {pid})"),
        };
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        format!("{by} at {}", addresses.join(" and "))
    };
    by_holder.iter().map(one).collect::<Vec<_>>().join(", and by ")
}

fn cure(taken: &[Taken<'_>]) -> String {
    let mut units: Vec<&str> = taken
        .iter()
        .flat_map(|t| &t.by)
        .filter_map(|by| by.holder.as_ref()?.unit.as_deref())
        .filter(|u| u.ends_with(".service"))
        .collect();
    units.sort_unstable();
    units.dedup();
    if units.is_empty() {
        return "stop what holds the port, or let it listen on another one".to_owned();
    }
    format!("systemctl disable --now {}, or let it listen on another port", units.join(" "))
}
