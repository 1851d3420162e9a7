//! The node's address, as the build's ip-detect tells it.

use std::net::IpAddr;
use std::time::Duration;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::dcos::role::Role;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ip-detect.output",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the same IPv4 address three times, in under 1 s each, nothing on stderr",
        why: "every DC/OS service asks it for the node's address",
        source: "packages/dcos-net/extra/dcos-net-env, dcos-checks ip, dcos-go nodeutil",
        cure: "correct genconf/ip-detect on the bootstrap machine, generate the build again, and try it here with --ip-detect FILE",
        look: output,
    },
    Rule {
        id: "ip-detect.master-list",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "the address of a master is in the build's master_list",
        why: "Exhibitor refuses to start otherwise",
        source: "packages/exhibitor/extra/start_exhibitor.py: \"X is not in the configured list of masters\" (COPS-3485)",
        cure: "install a master on one of these, or correct master_list in genconf/config.yaml and generate the build again",
        look: master_list,
    },
];

fn output(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    let Some(detected) = &facts.host.ip_detect else { return Finding::not_here("no build to take ip-detect from") };
    if let Some(why) = detected.runs.iter().find_map(|run| run.as_ref().err()) {
        return Finding::bad(why);
    }
    let addresses: Vec<_> = detected.runs.iter().flatten().collect();
    let Some(first) = addresses.first() else { return Finding::unknown("it was not run") };
    if addresses.iter().any(|a| a != first) {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        return Finding::bad(format!("changes from run to run: {}", list.join(", ")));
    }
    if let Some(complaint) = &detected.complaint {
        return Finding::bad(format!("{first}, but it writes to stderr: {complaint}"));
    }
    if detected.slowest > Duration::from_secs(1) {
        return Finding::doubtful(format!("{first}, after {:.1} s", detected.slowest.as_secs_f32()));
    }
    if !facts.host.addresses.contains(&IpAddr::V4(**first)) {
        return Finding::doubtful(format!("{first}, which is on no interface of this node (NAT?)"))
            .cured_by("make sure that the other nodes reach this node at that address");
    }
    Finding::good(first.to_string())
}

fn master_list(facts: &Facts<'_>) -> Finding {
    let address = facts.host.ip_detect.as_ref().and_then(|d| d.runs.iter().flatten().next());
    match (facts.role, &facts.settings.masters, address) {
        (Some(Role::Master), Some(masters), Some(address)) if !masters.contains(&address.to_string()) => {
            Finding::bad(format!("{address} is not among {}", masters.join(", ")))
        }
        (Some(Role::Master), Some(_), Some(address)) => Finding::good(address.to_string()),
        (Some(Role::Master), Some(_), None) => Finding::not_here("no address to look for"),
        _ => Finding::not_here("only for masters with a static list"),
    }
}
