//! The kernel clock, judged as DC/OS' own check-time does.

use std::time::Duration;

use super::Facts;
use super::rule::{Finding, Rule, Severity};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "time.sync",
    skippable: true,
    severity: Severity::Fail,
    except: &[],
    expected: "synchronised, estimated error up to 100 ms",
    why: "dcos-net refuses to start with an unsynchronised clock, and everything waits for dcos-net",
    source: "packages/check-time/extra/check-time.c, 1.10 to 2.2",
    cure: "start chronyd, ntpd or systemd-timesyncd and wait until it has synchronised (chrony needs `rtcsync`)",
    look: sync,
}];

fn sync(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    let found = match &facts.host.clock {
        Err(why) => return Finding::unknown(why),
        Ok(clock) if !clock.synchronised => format!("the kernel's clock is not synchronised (maximum error {:?})", clock.max_error),
        Ok(clock) if clock.estimated_error > Duration::from_millis(100) => format!("estimated error {:?}", clock.estimated_error),
        Ok(clock) => return Finding::good(format!("synchronised, estimated error {:?}", clock.estimated_error)),
    };
    match facts.settings.check_time {
        Some(false) => Finding::doubtful(format!("{found}; the build's check_time is false, so DC/OS starts all the same")),
        _ => Finding::bad(found),
    }
}
