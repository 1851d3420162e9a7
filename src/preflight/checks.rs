//! The checks, one function each.

use std::time::Duration;

use super::Facts;
use super::report::{Check, Verdict};
use crate::dcos::role::Role;
use crate::observe::node::State;

/// All checks in the order in which they are shown.
pub(super) const ALL: [fn(&Facts<'_>) -> Check; 8] = [root, systemd, installation, server, server_clock, time, ip_detect, master_list];

/// Their ids, and whether an operator may take responsibility for them.
pub const CHECKS: [(&str, bool); 8] = [
    ("privileges.root", false),
    ("systemd.running", false),
    ("installation.existing", false),
    ("bootstrap.server", false),
    ("bootstrap.clock", true),
    ("time.sync", true),
    ("ip-detect.output", true),
    ("ip-detect.master-list", true),
];

/// What a check begins with: its unchanging part.
fn check(id: &'static str, expected: &'static str, why: &'static str) -> Check {
    let skippable = CHECKS.iter().any(|(known, skippable)| *known == id && *skippable);
    Check { id, verdict: Verdict::Pass, found: String::new(), expected, why, cure: None, skippable, skipped_because: None }
}

impl Check {
    fn is(self, verdict: Verdict, found: impl Into<String>) -> Check {
        Check { verdict, found: found.into(), ..self }
    }

    fn cured_by(self, cure: impl Into<String>) -> Check {
        Check { cure: Some(cure.into()), ..self }
    }
}

/// `dcos_install.sh`: "This script must be run as root".
fn root(facts: &Facts<'_>) -> Check {
    let check = check("privileges.root", "root", "packages are owned by root, and accounts and units are made");
    match (facts.host.uid, facts.live) {
        (0, _) => check.is(Verdict::Pass, "root"),
        (uid, false) => check.is(Verdict::Pass, format!("user {uid}: owners and accounts are left for the first boot of the image")),
        (uid, true) => check.is(Verdict::Fail, format!("user {uid}")).cured_by("run the same command with sudo"),
    }
}

/// systemd 219 is that of CentOS 7, the oldest that DC/OS 1.10 to 2.2 supports.
fn systemd(facts: &Facts<'_>) -> Check {
    let check = check("systemd.running", "219 or newer, answering on D-Bus", "DC/OS is a set of systemd units");
    if !facts.live {
        return check.is(Verdict::Skipped, "the node is a directory");
    }
    match &facts.host.systemd {
        Ok(version) if version.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u32>().ok()).is_some_and(|n| n < 219) => {
            check.is(Verdict::Fail, version).cured_by("update the operating system")
        }
        Ok(version) => check.is(Verdict::Pass, version),
        Err(why) => check.is(Verdict::Fail, why).cured_by("boot this machine with systemd, or install into a directory with --root"),
    }
}

fn installation(facts: &Facts<'_>) -> Check {
    let check = check("installation.existing", "no other DC/OS", "two installations in /opt/mesosphere destroy each other");
    let role = facts.node.role();
    match facts.node.state() {
        State::Clean => check.is(Verdict::Pass, "none"),
        State::Installing | State::Prepared | State::Installed if facts.role.is_some() && role.is_some() && role != facts.role => {
            let (is, asked) = (role.map_or("?", Role::word), facts.role.map_or("?", Role::word));
            check.is(Verdict::Fail, format!("this node is a {is}, not a {asked}")).cured_by("dcos-node uninstall")
        }
        State::Installing | State::Prepared => check.is(Verdict::Pass, "an interrupted install, which goes on"),
        State::Uninstalling => check.is(Verdict::Pass, "an interrupted uninstall, which is finished first"),
        State::Installed => check.is(Verdict::Pass, "installed by dcos-node"),
        State::Foreign => {
            let list: Vec<String> = facts.node.foreign.iter().take(5).map(|f| format!("{} ({})", f.path.display(), f.what)).collect();
            let more = facts.node.foreign.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            check
                .is(Verdict::Fail, format!("{}{more}", list.join(", ")))
                .cured_by("remove what is there, or use another node; DC/OS' own way is: pkgpanda uninstall, then rm -rf /etc/mesosphere")
        }
    }
}

fn server(facts: &Facts<'_>) -> Check {
    let check = check("bootstrap.server", "a DC/OS build that can be read", "the packages come from there");
    match &facts.host.server {
        None => check.is(Verdict::Skipped, "no --bootstrap-url given"),
        Some(Ok(what)) => check.is(Verdict::Pass, what),
        Some(Err(why)) => {
            check.is(Verdict::Fail, why).cured_by("look at --bootstrap-url, and whether the server is up and reachable from here")
        }
    }
}

/// A difference beyond five seconds makes TLS certificates and cluster services misbehave.
fn server_clock(facts: &Facts<'_>) -> Check {
    let check = check("bootstrap.clock", "within 5 s of this node's", "certificates and cluster services compare clocks");
    match facts.host.skew {
        None => check.is(Verdict::Skipped, "the server does not tell its time"),
        Some(skew) if skew.abs() <= 5 => check.is(Verdict::Pass, format!("{skew} s ahead")),
        Some(skew) => check.is(Verdict::Warn, format!("{skew} s ahead")).cured_by("synchronise the clocks of both"),
    }
}

/// `packages/check-time/extra/check-time.c`, 1.10 to 2.2: every dcos-net start runs it first, and without dcos-net nothing else starts.
fn time(facts: &Facts<'_>) -> Check {
    let check = check(
        "time.sync",
        "synchronised, estimated error up to 100 ms",
        "dcos-net refuses to start with an unsynchronised clock, and everything waits for dcos-net",
    );
    if !facts.live {
        return check.is(Verdict::Skipped, "the node is a directory");
    }
    let cure = "start chronyd, ntpd or systemd-timesyncd and wait until it has synchronised (chrony needs `rtcsync`)";
    let (verdict, found) = match &facts.host.clock {
        Err(why) => (Verdict::Unknown, why.clone()),
        Ok(clock) if !clock.synchronised => {
            (Verdict::Fail, format!("the kernel's clock is not synchronised (maximum error {:?})", clock.max_error))
        }
        Ok(clock) if clock.estimated_error > Duration::from_millis(100) => {
            (Verdict::Fail, format!("estimated error {:?}", clock.estimated_error))
        }
        Ok(clock) => (Verdict::Pass, format!("synchronised, estimated error {:?}", clock.estimated_error)),
    };
    match (verdict, facts.settings.check_time) {
        (Verdict::Pass, _) => check.is(verdict, found),
        (_, Some(false)) => {
            check.is(Verdict::Warn, format!("{found}; the build's check_time is false, so DC/OS starts all the same")).cured_by(cure)
        }
        _ => check.is(verdict, found).cured_by(cure),
    }
}

fn ip_detect(facts: &Facts<'_>) -> Check {
    let check = check(
        "ip-detect.output",
        "the same IPv4 address three times, in under 1 s each, nothing on stderr",
        "every DC/OS service asks it for the node's address",
    );
    if !facts.live {
        return check.is(Verdict::Skipped, "the node is a directory");
    }
    let Some(detected) = &facts.host.ip_detect else { return check.is(Verdict::Skipped, "no build to take ip-detect from") };
    let cure = "correct genconf/ip-detect on the bootstrap machine, generate the build again, and try it here with --ip-detect FILE";
    if let Some(why) = detected.runs.iter().find_map(|run| run.as_ref().err()) {
        return check.is(Verdict::Fail, why.clone()).cured_by(cure);
    }
    let addresses: Vec<_> = detected.runs.iter().flatten().collect();
    let Some(first) = addresses.first() else { return check.is(Verdict::Unknown, "it was not run") };
    if addresses.iter().any(|a| a != first) {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        return check.is(Verdict::Fail, format!("changes from run to run: {}", list.join(", "))).cured_by(cure);
    }
    if let Some(complaint) = &detected.complaint {
        return check.is(Verdict::Fail, format!("{first}, but it writes to stderr: {complaint}")).cured_by(cure);
    }
    if detected.slowest > Duration::from_secs(1) {
        return check.is(Verdict::Warn, format!("{first}, after {:.1} s", detected.slowest.as_secs_f32())).cured_by(cure);
    }
    if !facts.host.addresses.contains(&std::net::IpAddr::V4(**first)) {
        return check
            .is(Verdict::Warn, format!("{first}, which is on no interface of this node (NAT?)"))
            .cured_by("make sure that the other nodes reach this node at that address");
    }
    check.is(Verdict::Pass, first.to_string())
}

/// `start_exhibitor.py`: "ip-detect returned X. X is not in the configured list of masters" (COPS-3485).
fn master_list(facts: &Facts<'_>) -> Check {
    let check =
        check("ip-detect.master-list", "the address of a master is in the build's master_list", "Exhibitor refuses to start otherwise");
    let address = facts.host.ip_detect.as_ref().and_then(|d| d.runs.iter().flatten().next());
    match (facts.role, &facts.settings.masters, address) {
        (Some(Role::Master), Some(masters), Some(address)) if !masters.contains(&address.to_string()) => check
            .is(Verdict::Fail, format!("{address} is not among {}", masters.join(", ")))
            .cured_by("install a master on one of these, or correct master_list in genconf/config.yaml and generate the build again"),
        (Some(Role::Master), Some(_), Some(address)) => check.is(Verdict::Pass, address.to_string()),
        (Some(Role::Master), Some(_), None) => check.is(Verdict::Skipped, "no address to look for"),
        _ => check.is(Verdict::Skipped, "only for masters with a static list"),
    }
}
