//! What the machine is and has.

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::bytes::Bytes;
use crate::dcos::role::Role;
use crate::observe::machine::Machine;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "machine.architecture",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "x86_64",
        why: "all programs of DC/OS are built for it",
        source: "docs: system requirements; every package is built for x86_64",
        cure: "use another machine",
        look: architecture,
    },
    Rule {
        id: "machine.kernel",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "Linux 3.10 or newer",
        why: "overlay networks and containers need it",
        source: "gen/build_deploy/bash.py of 1.10 to 1.13: --install-prereqs refuses older \
                 kernels; docs: CentOS and RHEL 7 are the oldest systems",
        cure: "update the operating system",
        look: kernel,
    },
    Rule {
        id: "machine.processors",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "4 for a master, 2 for an agent",
        why: "less is slow, and timeouts follow",
        source: "docs: system requirements",
        cure: "give the machine more processors",
        look: processors,
    },
    Rule {
        id: "machine.memory",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "32 GB for a master, 16 GB for an agent",
        why: "components are killed when memory runs out",
        source: "docs: system requirements",
        cure: "give the machine more memory",
        look: memory,
    },
    Rule {
        id: "machine.swap",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "none on agents",
        why: "tasks that are swapped out miss their time limits",
        source: "docs: system requirements",
        cure: "swapoff -a, and remove swap from /etc/fstab",
        look: swap,
    },
    Rule {
        id: "machine.hostname",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "a name of its own",
        why: "Mesos and Marathon show nodes by it, and equal names cannot be told apart",
        source: "docs: system requirements",
        cure: "hostnamectl set-hostname NAME",
        look: hostname,
    },
];

/// What the documentation calls a GB, less what the kernel and firmware take off the top: a machine
/// with 32 GB tells some 31 GiB.
const MEMORY_TOLD: f64 = 0.9 * 1e9;

fn machine<'a>(facts: &Facts<'a>) -> Result<&'a Machine, Finding> {
    facts.host.machine.as_ref().ok_or_else(|| Finding::not_here("the node is a directory"))
}

fn architecture(facts: &Facts<'_>) -> Finding {
    match machine(facts) {
        Err(not_here) => not_here,
        Ok(machine) if machine.architecture == "x86_64" => Finding::good("x86_64"),
        Ok(machine) => Finding::bad(&machine.architecture),
    }
}

fn kernel(facts: &Facts<'_>) -> Finding {
    let machine = match machine(facts) {
        Err(not_here) => return not_here,
        Ok(machine) => machine,
    };
    let mut numbers = machine.kernel.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (3, 10) => {
            Finding::good(&machine.kernel)
        }
        (Some(Ok(_)), Some(Ok(_))) => Finding::bad(&machine.kernel),
        _ => Finding::unknown(format!("the kernel calls itself {:?}", machine.kernel)),
    }
}

/// What the documentation asks for: processors, and memory in GB.
fn wanted(role: Option<Role>) -> (usize, u64) {
    if role == Some(Role::Master) { (4, 32) } else { (2, 16) }
}

fn processors(facts: &Facts<'_>) -> Finding {
    match machine(facts).map(|machine| &machine.processors) {
        Err(not_here) => not_here,
        Ok(Err(why)) => Finding::unknown(why),
        Ok(Ok(number)) if *number < wanted(facts.role).0 => Finding::bad(number.to_string()),
        Ok(Ok(number)) => Finding::good(number.to_string()),
    }
}

fn memory(facts: &Facts<'_>) -> Finding {
    let wanted = wanted(facts.role).1;
    match machine(facts).map(|machine| &machine.memory) {
        Err(not_here) => not_here,
        Ok(Err(why)) => Finding::unknown(why),
        Ok(Ok(bytes)) => {
            let told = Bytes(*bytes).to_string();
            if (*bytes as f64) < wanted as f64 * MEMORY_TOLD {
                Finding::bad(told)
            } else {
                Finding::good(told)
            }
        }
    }
}

fn swap(facts: &Facts<'_>) -> Finding {
    match machine(facts).map(|machine| &machine.swap) {
        Err(not_here) => not_here,
        Ok(_) if facts.role == Some(Role::Master) => Finding::not_here("only for agents"),
        Ok(Err(why)) => Finding::unknown(why),
        Ok(Ok(0)) => Finding::good("none"),
        Ok(Ok(bytes)) => Finding::bad(Bytes(*bytes).to_string()),
    }
}

fn hostname(facts: &Facts<'_>) -> Finding {
    match machine(facts).map(|machine| machine.hostname.as_str()) {
        Err(not_here) => not_here,
        Ok("") => Finding::bad("none"),
        Ok(name) if name == "localhost" || name.starts_with("localhost.") || name == "(none)" => {
            Finding::bad(name)
        }
        Ok(name) => Finding::good(name),
    }
}
