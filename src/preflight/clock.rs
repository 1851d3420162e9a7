//! The kernel clock, judged as DC/OS' own check-time does, and who keeps it.

use std::time::Duration;

use super::Facts;
use super::rule::{Finding, Rule, Severity};
use crate::observe::time::{ClockState, Daemon, Time};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "time.sync",
        skippable: true,
        severity: Severity::Fail,
        except: &[],
        expected: "synchronised, estimated error up to 100 ms",
        why: "dcos-net refuses to start with an unsynchronised clock, and everything waits for \
              dcos-net",
        source: "packages/check-time/extra/check-time.c, 1.10 to 2.2",
        cure: "start chronyd, ntpd or systemd-timesyncd and wait until it has synchronised \
               (--wait-time-sync 15m waits; chrony needs `rtcsync`)",
        look: sync,
    },
    Rule {
        id: "time.daemon",
        skippable: true,
        severity: Severity::Warn,
        except: &[],
        expected: "a time daemon that runs",
        why: "without one the kernel takes the clock for unsynchronised after about nine hours, \
              and DC/OS does not start again",
        source: "documentation: system requirements, NTP; the nine hours are the kernel's \
                 (maxerror grows by 500 us a second up to 16 s)",
        cure: "install one (package chrony, with `rtcsync` in its configuration) and start it: \
               systemctl enable --now chronyd",
        look: daemon,
    },
];

/// From here on check-time takes the clock for less stable than allowed.
const MOST_ESTIMATED: Duration = Duration::from_micros(100_000);
/// The kernel's NTP_PHASE_LIMIT: at this maximum error it says that the clock is not synchronised.
const MOST_ERROR: Duration = Duration::from_secs(16);
/// By so much the maximum error grows in each second without a daemon (the kernel's MAXFREQ).
const GROWTH: Duration = Duration::from_micros(500);

/// What check-time finds wrong, the first that holds in its order; none for a clock with which
/// DC/OS starts.
pub fn fault(clock: &ClockState) -> Option<String> {
    if clock.marked_bad {
        Some("the kernel marks the clock as bad (TIME_ERROR)".to_owned())
    } else if clock.estimated_error > MOST_ESTIMATED {
        let over = clock.estimated_error - MOST_ESTIMATED;
        Some(format!(
            "the clock is less stable than allowed (the estimated error is {over:?} over the limit \
             of {MOST_ESTIMATED:?})"
        ))
    } else if clock.unsynchronised {
        Some("the clock is not synchronised (STA_UNSYNC)".to_owned())
    } else {
        None
    }
}

fn figures(clock: &ClockState) -> String {
    format!(
        "estimated error {:?}, maximum error {:?}, offset {:?}",
        clock.estimated_error, clock.max_error, clock.offset
    )
}

fn sync(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    judge(&facts.host.time, facts.settings.check_time)
}

fn judge(time: &Time, check_time: Option<bool>) -> Finding {
    let clock = match &time.clock {
        Err(why) => return Finding::unknown(why),
        Ok(clock) => clock,
    };
    let unchecked = check_time == Some(false);
    match fault(clock) {
        None if unchecked => Finding::good(format!(
            "synchronised; {}; the build has check_time: false",
            figures(clock)
        )),
        None => Finding::good(format!("synchronised; {}", figures(clock))),
        Some(fault) if unchecked => {
            let found = format!(
                "{fault}; {}; the build has check_time: false, so DC/OS starts all the same",
                figures(clock)
            );
            Finding::doubtful(found).cured_by(cure(time))
        }
        Some(fault) => Finding::bad(format!("{fault}; {}", figures(clock))).cured_by(cure(time)),
    }
}

/// What helps against an unsynchronised clock depends on who should keep it.
fn cure(time: &Time) -> String {
    let daemons = time.daemons.as_deref().unwrap_or_default();
    if let Some(failed) =
        daemons.iter().find(|d| !d.runs).filter(|_| !daemons.iter().any(|d| d.runs))
    {
        return format!("{0} failed: look at journalctl -u {0}, and start it again", failed.unit);
    }
    let Some(running) = daemons.iter().find(|d| d.runs) else {
        let known = if time.daemons.is_ok() {
            "no time daemon runs"
        } else {
            "it is not known whether a time daemon runs"
        };
        return format!(
            "{known}: install chrony (with `rtcsync` in its configuration), start it, and run this \
             again with --wait-time-sync 5m"
        );
    };
    let Daemon { unit, .. } = running;
    let look = match unit.split(['.', '@']).next().unwrap_or_default() {
        "chronyd" | "chrony" => {
            "`chronyc tracking` tells how far it is, and its configuration needs `rtcsync`; \
             --wait-time-sync 5m waits"
        }
        "ntpd" | "ntp" | "ntpsec" => {
            "`ntpq -p` tells how far it is; the first time it takes about 15 minutes: \
             --wait-time-sync 20m waits"
        }
        "systemd-timesyncd" => {
            "`timedatectl timesync-status` or its journal tells how far it is; --wait-time-sync 5m \
             waits"
        }
        "openntpd" => "`ntpctl -s all` tells how far it is; --wait-time-sync 20m waits",
        _ => {
            "it keeps the clock of the network card; phc2sys (or timemaster) must hand that on to \
             the kernel's"
        }
    };
    format!("{unit} runs, but has not synchronised the kernel's clock: {look}")
}

fn daemon(facts: &Facts<'_>) -> Finding {
    if !facts.live {
        return Finding::not_here("the node is a directory");
    }
    keeper(&facts.host.time)
}

fn keeper(time: &Time) -> Finding {
    let daemons = match &time.daemons {
        Err(why) => return Finding::unknown(why),
        Ok(daemons) => daemons,
    };
    let names = |runs: bool| {
        daemons
            .iter()
            .filter(|d| d.runs == runs)
            .map(|d| d.unit.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (names(true), names(false), &time.clock) {
        (running, _, _) if !running.is_empty() => Finding::good(running),
        (_, failed, _) if !failed.is_empty() => {
            Finding::bad(format!("{failed} failed")).cured_by(format!(
                "look at journalctl -u {}, and start it again",
                failed.split(", ").next().unwrap_or_default()
            ))
        }
        (_, _, Ok(clock)) if fault(clock).is_none() => Finding::bad(format!(
            "none that is known (chronyd, ntpd, systemd-timesyncd, openntpd, ptp4l); the clock \
             counts as synchronised for another {}",
            hours(MOST_ERROR.saturating_sub(clock.max_error).div_duration_f64(GROWTH))
        )),
        _ => Finding::bad("none that is known (chronyd, ntpd, systemd-timesyncd, openntpd, ptp4l)"),
    }
}

/// Seconds as hours and minutes.
fn hours(seconds: f64) -> String {
    let minutes = Duration::from_secs_f64(seconds.max(0.0)).as_secs() / 60;
    format!("{} h {} min", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: ClockState = ClockState {
        marked_bad: false,
        unsynchronised: false,
        estimated_error: Duration::from_micros(2),
        max_error: Duration::from_micros(6),
        offset: Duration::from_nanos(1500),
    };
    /// As a machine without a time daemon has it.
    const BAD: ClockState = ClockState {
        marked_bad: true,
        unsynchronised: true,
        estimated_error: Duration::from_secs(16),
        max_error: Duration::from_secs(16),
        offset: Duration::ZERO,
    };

    fn time(clock: ClockState, units: &[(&str, bool)]) -> Time {
        let daemons = units
            .iter()
            .map(|(unit, runs)| Daemon { unit: (*unit).to_owned(), runs: *runs })
            .collect();
        Time { clock: Ok(clock), daemons: Ok(daemons) }
    }

    fn found(finding: &Finding) -> (&str, &str) {
        match finding {
            Finding::Bad { found, cure } | Finding::Doubtful { found, cure } => {
                (found, cure.as_deref().unwrap_or_default())
            }
            Finding::Good(found) | Finding::Unknown(found) | Finding::NotHere(found) => (found, ""),
            Finding::Unclear { why, .. } => (why, ""),
        }
    }

    #[test]
    fn clock_faults_match_check_time_in_order() {
        let estimate =
            |micros| ClockState { estimated_error: Duration::from_micros(micros), ..GOOD };
        for (clock, expected) in [
            (GOOD, None),
            (estimate(100_000), None),
            (estimate(100_001), Some("1µs over the limit")),
            (BAD, Some("TIME_ERROR")),
            (ClockState { marked_bad: true, ..GOOD }, Some("TIME_ERROR")),
            (ClockState { unsynchronised: true, ..GOOD }, Some("STA_UNSYNC")),
            (
                ClockState { unsynchronised: true, ..estimate(16_000_000) },
                Some("15.9s over the limit"),
            ),
            (
                ClockState {
                    max_error: Duration::from_secs(15),
                    offset: Duration::from_secs(1),
                    ..GOOD
                },
                None,
            ),
        ] {
            let fault = fault(&clock);
            assert!(
                fault.is_some() == expected.is_some()
                    && fault.iter().all(|f| f.contains(expected.unwrap())),
                "{clock:?}: {fault:?}"
            );
        }
    }

    #[test]
    fn kernel_clock_values_are_shown() {
        let good = judge(&time(GOOD, &[]), Some(true));
        assert_eq!(
            good,
            Finding::good("synchronised; estimated error 2µs, maximum error 6µs, offset 1.5µs")
        );
        assert!(found(&judge(&time(BAD, &[]), None)).0.contains("maximum error 16s"));
        let unreadable = Time { clock: Err("cannot read".into()), daemons: Ok(vec![]) };
        assert_eq!(judge(&unreadable, None), Finding::unknown("cannot read"));
    }

    #[test]
    fn build_without_time_check_turns_clock_faults_into_warnings() {
        let Finding::Doubtful { found, .. } = judge(&time(BAD, &[]), Some(false)) else {
            panic!("it failed")
        };
        assert!(found.contains("TIME_ERROR") && found.contains("check_time: false"), "{found}");
        assert!(matches!(judge(&time(BAD, &[]), Some(true)), Finding::Bad { .. }));
        assert!(
            super::tests::found(&judge(&time(GOOD, &[]), Some(false)))
                .0
                .contains("check_time: false")
        );
    }

    #[test]
    fn clock_fix_depends_on_the_running_daemon() {
        for (unit, word) in [
            ("chronyd.service", "rtcsync"),
            ("chrony.service", "chronyc"),
            ("ntpd.service", "15 minutes"),
            ("ntpsec.service", "ntpq"),
            ("systemd-timesyncd.service", "timedatectl"),
            ("openntpd.service", "ntpctl"),
            ("ptp4l@eth0.service", "phc2sys"),
        ] {
            let finding = judge(&time(BAD, &[(unit, true)]), None);
            let cure = found(&finding).1;
            assert!(cure.starts_with(unit) && cure.contains(word), "{cure}");
        }
        for (units, word) in [
            (&[][..], "install chrony"),
            (&[("ntpd.service", false)][..], "journalctl -u ntpd.service"),
        ] {
            let finding = judge(&time(BAD, units), None);
            assert!(found(&finding).1.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn running_time_daemon_is_named_and_a_missing_one_warns() {
        assert_eq!(
            keeper(&time(BAD, &[("chrony.service", true), ("ntp.service", false)])),
            Finding::good("chrony.service")
        );
        assert!(
            found(&keeper(&time(GOOD, &[("ntp.service", false)]))).0.contains("ntp.service failed")
        );
        let left = keeper(&time(ClockState { max_error: Duration::from_secs(1), ..GOOD }, &[]));
        assert!(found(&left).0.ends_with("another 8 h 20 min"), "{left:?}");
        assert!(found(&keeper(&time(BAD, &[]))).0.starts_with("none"));
        let silent = Time { clock: Ok(GOOD), daemons: Err("systemd does not answer".into()) };
        assert_eq!(keeper(&silent), Finding::unknown("systemd does not answer"));
    }
}
