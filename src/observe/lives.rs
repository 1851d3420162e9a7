//! What is remembered of services from one look to the next: a service that lives for a minute,
//! again and again, is well at almost every look.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::Cause;
use crate::system::systemd::Service;

/// A service that never fell is trusted after so long.
const STEADY: Duration = Duration::from_secs(10);
/// One that fell is looked at for longer: DC/OS restarts what fails every 5 to 30 seconds
/// (`RestartSec=`).
const STEADY_AFTER_A_FALL: Duration = Duration::from_secs(30);
/// Whoever lived for so long does not flap in a way that a wait could show; a service of days that
/// was replaced need not live for days again.
const LONGEST_LIFE: Duration = Duration::from_secs(5 * 60);

/// The services that were looked at before, by name.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    lives: BTreeMap<String, Life>,
    reasons: BTreeMap<String, Cause>,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    /// As the first look found them.
    restarts: Option<u32>,
    exited: u64,
    /// When the life began that was seen last.
    began: u64,
    /// The longest life whose end was seen.
    longest: Duration,
}

/// What a service has to show before it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Whether it was active before, and fell.
    pub(super) fell: bool,
    /// Whether it fell since it was looked at first.
    pub(super) falls: bool,
    /// How long it has to be active.
    pub(super) needed: Duration,
}

impl Lives {
    /// Takes note of a service, and tells what it has to show.
    pub(super) fn note(&mut self, name: &str, service: &Service) -> Proof {
        let (began, exited) = (service.active_enter_monotonic, service.active_exit_monotonic);
        let life = self.lives.entry(name.to_owned()).or_insert(Life {
            restarts: service.restarts,
            exited,
            began,
            longest: Duration::ZERO,
        });
        if exited > life.began && life.began > 0 {
            life.longest = life.longest.max(Duration::from_micros(exited - life.began));
        }
        life.began = began;
        // A polling `ExecStartPre` counts as a restart without a life, and a restart by hand ends a
        // life without counting. Before systemd 235 there is no count.
        let falls = exited != life.exited
            && (service.restarts.is_none() || service.restarts != life.restarts);
        // Who was never started again by itself was stopped and started by somebody.
        let fell = exited > 0 && service.restarts != Some(0);
        let needed = match (fell, falls) {
            (false, _) => STEADY,
            (true, false) => STEADY_AFTER_A_FALL,
            (true, true) => {
                let again = life.longest.min(LONGEST_LIFE)
                    + Duration::from_micros(service.restart_micros).min(LONGEST_LIFE);
                again.max(STEADY_AFTER_A_FALL)
            }
        };
        Proof { fell, falls, needed }
    }

    /// Why a unit is not as it should be. While it passes from one try to the next systemd knows no
    /// more why it has to: then what was seen last is told.
    pub(super) fn reason(&mut self, unit: &str, why: Option<Cause>) -> Option<Cause> {
        match why {
            Some(why) if why.is_passing() => Some(self.reasons.get(unit).cloned().unwrap_or(why)),
            Some(why) => {
                self.reasons.insert(unit.to_owned(), why.clone());
                Some(why)
            }
            None => {
                self.reasons.remove(unit);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn service(restarts: Option<u32>, enter: u64, exit: u64) -> Service {
        Service {
            restarts,
            restart_micros: 5 * SECOND,
            active_enter_monotonic: enter * SECOND,
            active_exit_monotonic: exit * SECOND,
            ..Service::default()
        }
    }

    fn needs(lives: &mut Lives, service: &Service) -> (bool, u64) {
        let proof = lives.note("a.service", service);
        (proof.falls, proof.needed.as_secs())
    }

    #[test]
    fn restarted_service_must_outlive_its_last_run() {
        for restarts in [Some(7), None] {
            let mut lives = Lives::default();
            let once_more = restarts.map(|n| n + 1);
            assert_eq!(needs(&mut lives, &service(restarts, 100, 0)), (false, 10));
            // It lived for 60 s, and is down.
            assert_eq!(needs(&mut lives, &service(once_more, 100, 160)), (true, 65));
            assert_eq!(needs(&mut lives, &service(once_more, 165, 160)), (true, 65));
            // A short life after that is no excuse.
            assert_eq!(needs(&mut lives, &service(restarts.map(|n| n + 2), 165, 167)), (true, 65));
        }
    }

    #[test]
    fn restarted_unit_keeps_the_last_failure_reason() {
        let mut lives = Lives::default();
        for (found, reported) in [
            (Some(Cause::Starting), Some(Cause::Starting)),
            (Some(Cause::Queued), Some(Cause::Queued)),
            (Some(Cause::Starting), Some(Cause::Queued)),
            (None, None),
            (Some(Cause::Starting), Some(Cause::Starting)),
        ] {
            assert_eq!(lives.reason("a.service", found), reported);
        }
    }

    #[test]
    fn early_failure_and_manual_restart_are_soon_ignored() {
        let mut lives = Lives::default();
        assert_eq!(needs(&mut lives, &service(Some(3), 200, 190)), (false, 30));
        assert_eq!(needs(&mut lives, &service(Some(3), 300, 295)), (false, 30));
        assert_eq!(needs(&mut Lives::default(), &service(Some(0), 300, 295)), (false, 10));
    }

    #[test]
    fn polling_before_first_start_is_no_failure() {
        let mut lives = Lives::default();
        assert_eq!(needs(&mut lives, &service(Some(0), 0, 0)), (false, 10));
        assert_eq!(needs(&mut lives, &service(Some(40), 300, 0)), (false, 10));
        let mut lives = Lives::default();
        assert_eq!(needs(&mut lives, &service(Some(0), 1, 0)), (false, 10));
        assert_eq!(needs(&mut lives, &service(Some(1), 1, 300_000)), (true, 305));
    }
}
