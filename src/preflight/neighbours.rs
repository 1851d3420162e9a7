//! Services of the distribution that share the network with DC/OS.

use super::Facts;
use super::rule::{Except, Finding, Rule, Severity};
use crate::observe::neighbours::Neighbours;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "services.firewalld",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "not running",
        why: "it and docker remove each other's rules, and DC/OS' nodes must reach each other",
        source: "docs: system requirements (firewalld must be stopped and disabled)",
        cure: "systemctl disable --now firewalld",
        look: firewalld,
    },
    Rule {
        id: "services.dnsmasq",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "not running",
        why: "it answers on port 53, which dcos-net needs",
        source: "docs: system requirements (dnsmasq must be stopped and disabled)",
        cure: "systemctl disable --now dnsmasq",
        look: dnsmasq,
    },
    Rule {
        id: "services.resolved",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "not running",
        why: "it answers on port 53, and writes /etc/resolv.conf as DC/OS does",
        source: "docs: system requirements (port 53); packages/dcos-net/extra/gen_resolvconf.py",
        cure: "systemctl disable --now systemd-resolved, and make /etc/resolv.conf a file",
        look: resolved,
    },
    Rule {
        id: "services.network-manager",
        skippable: true,
        severity: Severity::Warn,
        except: &[Except {
            roles: &[],
            from: (2, 2),
            to: (u32::MAX, u32::MAX),
            severity: Severity::Ignore,
        }],
        expected: "NetworkManager leaves DC/OS' interfaces alone",
        why: "it takes the addresses off DC/OS' interfaces, and names no longer resolve",
        source: "COPS-6519, D2IQ-73113; DC/OS 2.2 brings such a rule itself",
        cure: "write /etc/NetworkManager/conf.d/dcos-net.conf: [keyfile] \
               unmanaged-devices=interface-name:docker*;interface-name:m-*;interface-name:d-*;interface-name:vtep*;interface-name:spartan;interface-name:minuteman",
        look: network_manager,
    },
    Rule {
        id: "services.networkd",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "systemd-networkd leaves DC/OS' interfaces alone",
        why: "it changes the addresses of DC/OS' interfaces, and overlay networks break",
        source: "DCOS_OSS-1790, DCOS-60956, COPS-5575",
        cure: "match interfaces by narrower names, or name the file so that it sorts behind \
               dcos.network",
        look: networkd,
    },
];

/// Interfaces that DC/OS makes, and docker's, as examples of their names.
const INTERFACES: [&str; 6] = ["docker0", "m-dcos", "d-dcos", "vtep1024", "spartan", "minuteman"];

fn neighbours<'a>(facts: &Facts<'a>) -> Result<&'a Neighbours, Finding> {
    match &facts.host.neighbours {
        None => Err(Finding::not_here("the node is a directory")),
        Some(Err(why)) => Err(Finding::unknown(why)),
        Some(Ok(neighbours)) => Ok(neighbours),
    }
}

fn runs(neighbours: &Neighbours, service: &str) -> bool {
    neighbours.active.iter().any(|active| active == service)
}

fn is_not_running(facts: &Facts<'_>, service: &str) -> Finding {
    match neighbours(facts) {
        Err(finding) => finding,
        Ok(neighbours) if runs(neighbours, service) => Finding::bad("running"),
        Ok(_) => Finding::good("not running"),
    }
}

fn firewalld(facts: &Facts<'_>) -> Finding {
    is_not_running(facts, "firewalld.service")
}

fn dnsmasq(facts: &Facts<'_>) -> Finding {
    is_not_running(facts, "dnsmasq.service")
}

fn resolved(facts: &Facts<'_>) -> Finding {
    is_not_running(facts, "systemd-resolved.service")
}

fn network_manager(facts: &Facts<'_>) -> Finding {
    let neighbours = match neighbours(facts) {
        Err(finding) => return finding,
        Ok(neighbours) if !runs(neighbours, "NetworkManager.service") => {
            return Finding::good("not running");
        }
        Ok(neighbours) => neighbours,
    };
    let left_alone = |interface: &str| {
        let patterns =
            neighbours.unmanaged.iter().map(|p| p.strip_prefix("interface-name:").unwrap_or(p));
        patterns
            .clone()
            .any(|pattern| matches(pattern.strip_prefix('=').unwrap_or(pattern), interface))
    };
    let managed: Vec<&str> =
        INTERFACES.into_iter().filter(|interface| !left_alone(interface)).collect();
    if managed.is_empty() {
        return Finding::good("running, and leaves them alone");
    }
    Finding::bad(format!("it runs, and would manage {}", managed.join(", ")))
}

fn networkd(facts: &Facts<'_>) -> Finding {
    let neighbours = match neighbours(facts) {
        Err(finding) => return finding,
        Ok(neighbours) if !runs(neighbours, "systemd-networkd.service") => {
            return Finding::good("not running");
        }
        Ok(neighbours) => neighbours,
    };
    let catches = |(_, names): &&(String, Vec<String>)| {
        INTERFACES.iter().any(|i| names.iter().any(|name| matches(name, i)))
    };
    match neighbours.networkd.iter().find(catches) {
        None => Finding::good("running, and leaves them alone"),
        Some((file, names)) => Finding::bad(format!("{file} matches {}", names.join(" "))),
    }
}

/// Whether a name fits a pattern of which `*` and `?` have a meaning.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern_left, mut name_left) = (pattern.chars(), name.chars());
    match (pattern_left.next(), name_left.next()) {
        (None, first) => first.is_none(),
        (Some('*'), first) => {
            matches(pattern_left.as_str(), name)
                || (first.is_some() && matches(pattern, name_left.as_str()))
        }
        (Some(p), Some(c)) => {
            (p == '?' || p == c) && matches(pattern_left.as_str(), name_left.as_str())
        }
        (Some(_), None) => false,
    }
}
