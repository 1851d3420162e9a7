//! The node's address and place, as the build's detection scripts tell them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::Facts;
use super::excuse::{unless_confined, unless_refused};
use super::rule::{Finding, Rule, Severity};
use crate::dcos::identity::correct_script;
use crate::dcos::role::Role;
use crate::dcos::{detected, layout};
use crate::observe::addresses::InterfaceAddress;
use crate::observe::ip_detect::{Detection, RUNS, Run};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ip-detect.output",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the same IPv4 address three times, in under 1 s each, nothing else on stdout, \
                   nothing on stderr",
        why: "every DC/OS service asks it for the node's address",
        source: "packages/dcos-net/extra/dcos-net-env, dcos-checks ip, dcos-go nodeutil",
        cure: "correct genconf/ip-detect on the bootstrap machine, generate the build again, and \
               try it here with --ip-detect FILE",
        look: output,
    },
    Rule {
        id: "ip-detect.unprivileged",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "the same address when the user nobody runs ip-detect",
        why: "services of DC/OS that run as users of their own ask it too",
        source: "packages/exhibitor/extra/start_exhibitor.py (User=dcos_exhibitor)",
        cure: "let ip-detect use nothing that only root may read or do, generate the build again, \
               and try it here with --ip-detect FILE",
        look: unprivileged,
    },
    Rule {
        id: "ip-detect.proxy",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "ip-detect works with the proxy settings of the build",
        why: "DC/OS' units run it with /opt/mesosphere/etc/proxy.env",
        source: "EnvironmentFile=/opt/mesosphere/etc/proxy.env of the units that run detect_ip",
        cure: "add what ip-detect asks (for example 169.254.169.254) to no_proxy in \
               genconf/config.yaml, or let its curl use --noproxy '*', and generate the build \
               again",
        look: proxy,
    },
    Rule {
        id: "ip-detect.address",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "an address of this node that the other nodes reach",
        why: "the other nodes talk to this node at that address",
        source: "DC/OS documentation, system requirements; 198.51.100.0/24 is DC/OS' own \
                 (COPS-4616)",
        cure: "correct genconf/ip-detect on the bootstrap machine, and generate the build again",
        look: |facts| doubted(facts, address(facts)),
    },
    Rule {
        id: "ip-detect.master-list",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the address of a master is in the build's master_list",
        why: "Exhibitor refuses to start otherwise",
        source: "packages/exhibitor/extra/start_exhibitor.py: \"X is not in the configured list of \
                 masters\" (COPS-3485)",
        cure: "install a master on one of these, or correct master_list in genconf/config.yaml and \
               generate the build again",
        look: |facts| doubted(facts, master_list(facts)),
    },
    Rule {
        id: "ip-detect.kept",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the address that an earlier install kept in /var/lib/dcos/navstar/ip, if there \
                   is one",
        why: "dcos-net refuses to start with another address, and nothing starts without it",
        source: "packages/dcos-net/extra/dcos-net-env: \"ERROR: IP address was changed\"",
        cure: "if this node may forget what it was: dcos-node install ROLE --reset-identity",
        look: |facts| doubted(facts, kept(facts)),
    },
    Rule {
        id: "ip6-detect.output",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "exactly one IPv6 address, nothing on stderr",
        why: "DC/OS' network asks it for the node's IPv6 address",
        source: "ip6-detect of the documentation; /opt/mesosphere/bin/detect_ip6",
        cure: "correct genconf/ip6-detect on the bootstrap machine, or remove it, and generate the \
               build again",
        look: ip6,
    },
    Rule {
        id: "ip-detect-public.output",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "an IPv4 address or a host name, nothing on stderr",
        why: "certificates and links for clients outside of the cluster carry it",
        source: "ip-detect-public of the documentation; /opt/mesosphere/bin/detect_ip_public",
        cure: "correct genconf/ip-detect-public on the bootstrap machine, and generate the build \
               again",
        look: public,
    },
    Rule {
        id: "fault-domain.output",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "{\"fault_domain\":{\"region\":{\"name\":..},\"zone\":{\"name\":..}}}",
        why: "Mesos starts with it, and does not start if the script fails",
        source: "packages/mesos/extra/start_mesos.sh (set -e, MESOS_DOMAIN)",
        cure: "correct genconf/fault-domain-detect on the bootstrap machine, and generate the \
               build again",
        look: fault_domain,
    },
];

/// `dcos-checks ip` gives ip-detect, and no other script, so long.
const PROMPT: Duration = Duration::from_secs(1);

fn output(facts: &Facts<'_>) -> Finding {
    let detection = match detection(facts) {
        Ok(detection) => detection,
        Err(not_here) => return not_here,
    };
    let mut addresses = Vec::new();
    for (index, run) in detection.runs.iter().enumerate() {
        match told(run, detected::ipv4) {
            Ok(address) => addresses.push(address),
            Err(why) if works_at_times(detection) => {
                return Finding::bad(format!(
                    "it fails now and then: run {} of {RUNS} {why}",
                    index + 1
                ))
                .cured_by(
                    "let ip-detect use what always answers, for example the node's own routes \
                     and interfaces, or let it try again; generate the build again",
                );
            }
            Err(why) if only_with_proxy(detection) => {
                return Finding::bad(format!("{why}; without the build's proxy settings it works"));
            }
            Err(why) => return unless_confined(run, why),
        }
    }
    let Some(first) = addresses.first() else { return Finding::unknown("it was not run") };
    if addresses.iter().any(|a| a != first) {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        return Finding::bad(format!("it changes from run to run: {}", list.join(", ")));
    }
    let slowest = detection.runs.iter().map(|run| run.took).max().unwrap_or_default();
    if slowest > PROMPT {
        return Finding::doubtful(format!("{first}, after {:.1} s", slowest.as_secs_f32()));
    }
    if !detection.for_a_shell {
        return Finding::doubtful(format!("{first}, by a script that is not for a shell"))
            .cured_by(
                "write it for bash: DC/OS' programs in Go run it with /bin/bash, whatever its \
                 first line says",
            );
    }
    Finding::good(first.to_string())
}

/// What worked once can work with the proxy settings and in the confinement.
fn works_at_times(detection: &Detection) -> bool {
    detection.runs.iter().any(|run| told(run, detected::ipv4).is_ok())
}

fn unprivileged(facts: &Facts<'_>) -> Finding {
    let detection = match detection(facts) {
        Ok(detection) => detection,
        Err(not_here) => return not_here,
    };
    let Some(run) = &detection.as_nobody else {
        return Finding::not_here("only where ip-detect works when root runs it");
    };
    let by_root = detection.runs.first().and_then(|run| told(run, detected::ipv4).ok());
    match told(run, detected::ipv4) {
        Ok(address) if by_root == Some(address) => Finding::good(address.to_string()),
        Ok(address) => Finding::bad(match by_root {
            Some(by_root) => format!("nobody gets {address}, root gets {by_root}"),
            None => format!("nobody gets {address}"),
        }),
        // It was confined as root's runs were, which worked: the user alone makes the difference.
        Err(why) if run.confinement.is_some() => Finding::bad(format!("as nobody {why}")),
        Err(why) => unless_confined(run, format!("as nobody {why}")),
    }
}

fn proxy(facts: &Facts<'_>) -> Finding {
    match detection(facts) {
        Err(not_here) => not_here,
        Ok(detection) if !detection.with_proxy => {
            Finding::not_here("the build has no proxy settings")
        }
        Ok(detection) if works_at_times(detection) => Finding::good("it works with them"),
        Ok(detection) if only_with_proxy(detection) => {
            Finding::bad("it works only without the proxy settings of the build")
        }
        Ok(Detection { without_proxy: Some(_), .. }) => {
            Finding::not_here("it works neither with nor without them")
        }
        Ok(_) => Finding::not_here("it was not run without them"),
    }
}

fn address(facts: &Facts<'_>) -> Finding {
    let address = match detected_address(facts) {
        Ok(address) => address,
        Err(not_here) => return not_here,
    };
    if let Some(why) = detected::unreachable(address) {
        return Finding::bad(format!("{address} {why}"));
    }
    let addresses = &facts.host.addresses;
    if addresses.all.is_empty() {
        return Finding::unknown("the addresses of this node cannot be listed");
    }
    let carrier = addresses.find(IpAddr::V4(address));
    if carrier.is_none() && facts.host.gateways.contains(&address) {
        return Finding::bad(format!(
            "{address} is no address of this node but a gateway of its \
                                     routes, the field after via"
        ))
        .cured_by(
            "let ip-detect print the node's own address, which ip route get has after src, and \
             generate the build again",
        );
    }
    match carrier {
        None if addresses.allows_nonlocal_bind => Finding::doubtful(format!(
            "{address} is on no interface of this node; net.ipv4.ip_nonlocal_bind lets DC/OS bind \
             to it all the same"
        ))
        .cured_by(
            "correct ip-detect, or make sure that the other nodes reach this node at that address",
        ),
        None => Finding::bad(format!(
            "{address} is on no interface of this node, so no service of DC/OS can bind to it"
        )),
        Some(InterfaceAddress { interface, is_of_containers: true, .. }) => {
            Finding::doubtful(format!(
                "{address} is on {interface}, which connects containers: other nodes do not reach \
                 this node at it"
            ))
            .cured_by(
                "let ip-detect print the address of the interface that leads to the masters, and \
                 generate the build again",
            )
        }
        Some(InterfaceAddress { interface, .. }) => {
            Finding::good(format!("{address} is on {interface} of this node"))
        }
    }
}

fn master_list(facts: &Facts<'_>) -> Finding {
    let (Some(Role::Master), Some(masters)) = (facts.role, &facts.settings.masters) else {
        return Finding::not_here("only for masters with a static list");
    };
    match detected_address(facts) {
        Err(not_here) => not_here,
        Ok(address) if masters.iter().any(|master| master.parse() == Ok(address)) => {
            Finding::good(address.to_string())
        }
        Ok(address) => Finding::bad(format!("{address} is not among {}", masters.join(", "))),
    }
}

fn kept(facts: &Facts<'_>) -> Finding {
    match (&facts.host.identity.kept_address, detected_address(facts)) {
        (None, _) => Finding::not_here("no earlier install kept an address here"),
        (Some(_), _) if facts.reset_identity => {
            Finding::not_here(format!("{} is set aside", layout::KEPT_ADDRESS))
        }
        (Some(Err(why)), _) => Finding::unknown(why),
        (Some(Ok(_)), Err(not_here)) => not_here,
        (Some(Ok(kept)), Ok(now)) if kept.parse() == Ok(now) => Finding::good(kept),
        (Some(Ok(kept)), Ok(now)) => {
            let role = facts.role.map_or("ROLE", Role::word);
            if let Some(carrier) =
                kept.parse().ok().and_then(|kept| facts.host.addresses.find(kept))
            {
                return Finding::bad(format!(
                    "{} has {kept}, which is still on {}; ip-detect prints {now} now",
                    layout::KEPT_ADDRESS,
                    carrier.interface
                ))
                .cured_by(correct_script(kept));
            }
            Finding::bad(format!("{} has {kept:?}, and now it is {now}", layout::KEPT_ADDRESS))
                .cured_by(format!(
                    "give the node its old address, or, if it may forget what it was: dcos-node \
                     install {role} --reset-identity"
                ))
        }
    }
}

fn ip6(facts: &Facts<'_>) -> Finding {
    judged(facts, facts.host.identity.ip6.as_ref(), "the build has no ip6-detect", |out| {
        detected::ipv6(out).map(|a| a.to_string())
    })
}

fn public(facts: &Facts<'_>) -> Finding {
    judged(
        facts,
        facts.host.identity.public.as_ref(),
        "the build has none, or it is ip-detect itself",
        detected::address_or_name,
    )
}

fn fault_domain(facts: &Facts<'_>) -> Finding {
    let read = |out: &[u8]| {
        detected::fault_domain(out).map(|(region, zone)| format!("region {region}, zone {zone}"))
    };
    let detection = facts.host.identity.fault_domain.as_ref();
    // Mesos reads only what goes to standard output, so that complaints beside it are harmless.
    let quiet = detection
        .map(|d| Detection { runs: d.runs.iter().map(without_complaint).collect(), ..d.clone() });
    judged(facts, quiet.as_ref(), "the build has no fault-domain-detect", read)
}

fn without_complaint(run: &Run) -> Run {
    let stderr = if run.failure.is_some() { run.stderr.clone() } else { String::new() };
    Run { stderr, ..run.clone() }
}

/// A script that was run once.
fn judged(
    facts: &Facts<'_>,
    detection: Option<&Detection>,
    none: &str,
    read: impl Fn(&[u8]) -> Result<String, String>,
) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    let Some(run) = detection.and_then(|d| d.runs.first()) else { return Finding::not_here(none) };
    match told(run, &read) {
        Ok(answer) => Finding::good(answer),
        Err(why) => {
            let compared = detection
                .and_then(|d| d.without_proxy.as_ref())
                .is_some_and(|run| told(run, &read).is_ok());
            match detection {
                _ if compared => {
                    Finding::bad(format!("{why}; without the build's proxy settings it works"))
                }
                _ => unless_confined(run, why),
            }
        }
    }
}

/// What one run says, or everything that is wrong with it.
fn told<T>(run: &Run, read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, String> {
    let complaint = if run.stderr.is_empty() {
        String::new()
    } else {
        format!(", and wrote to stderr: {}", run.stderr)
    };
    if let Some(failure) = &run.failure {
        return Err(format!("it {failure}{complaint}"));
    }
    let answer = read(&run.stdout).map_err(|why| format!("it printed {why}{complaint}"))?;
    if run.stderr.is_empty() {
        Ok(answer)
    } else {
        Err(format!("it printed what it should{complaint}"))
    }
}

fn only_with_proxy(detection: &Detection) -> bool {
    detection.without_proxy.as_ref().is_some_and(|run| told(run, detected::ipv4).is_ok())
}

fn detection<'a>(facts: &Facts<'a>) -> Result<&'a Detection, Finding> {
    if !facts.live {
        return Err(Finding::not_here("the node is a directory"));
    }
    facts
        .host
        .identity
        .ip
        .as_ref()
        .ok_or_else(|| Finding::not_here("no build to take ip-detect from"))
}

/// A finding about an address that the script may not print without confinement.
fn doubted(facts: &Facts<'_>, finding: Finding) -> Finding {
    match detection(facts).ok().and_then(|detection| detection.runs.first()) {
        Some(run) => unless_refused(run, finding),
        None => finding,
    }
}

/// The address that the first run told, even if there is something else wrong with the script.
fn detected_address(facts: &Facts<'_>) -> Result<Ipv4Addr, Finding> {
    let run = detection(facts)?.runs.first();
    run.filter(|run| run.failure.is_none())
        .and_then(|run| detected::ipv4(&run.stdout).ok())
        .ok_or_else(|| Finding::not_here("ip-detect tells no address"))
}
