//! How jobs ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::{JobKind, JobResult};

/// How many ends are remembered. A job whose end was forgotten is judged by the state of its unit.
const REMEMBERED: usize = 8192;

/// The end of every job that systemd told us of, ours or not: the end of a fast one comes before
/// the answer that names it.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    ends: Mutex<Ends>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Ends {
    results: HashMap<String, JobResult>,
    order: VecDeque<String>,
}

impl Jobs {
    /// Remembers how the job with this object path ended.
    pub(super) fn ended(&self, path: String, result: JobResult) {
        {
            let mut ends = self.lock();
            if ends.results.insert(path.clone(), result).is_none() {
                ends.order.push_back(path);
            }
            if ends.order.len() > REMEMBERED
                && let Some(oldest) = ends.order.pop_front()
            {
                ends.results.remove(&oldest);
            }
        }
        self.changed.notify_waiters();
    }

    /// How it ended, if it has.
    pub(super) fn result(&self, path: &str) -> Option<JobResult> {
        self.lock().results.get(path).cloned()
    }

    /// Ends with the next end of any job, or the loss of a connection. Enable it before looking at
    /// [`Jobs::result`].
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Makes every waiter look again: the connection is gone that would have told it.
    pub(super) fn lost(&self) {
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a unit tells of itself when nobody saw how its job ended.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    /// `ActiveState`.
    pub(super) active: String,
    /// `SubState`.
    pub(super) sub: String,
    /// `Result` of a service; none for other units.
    pub(super) result: Option<String>,
    /// When it last became active, and when it last left the inactive state, in monotonic
    /// microseconds; 0 for never.
    pub(super) active_enter: u64,
    pub(super) inactive_exit: u64,
    /// When its conditions were last looked at, and whether they held.
    pub(super) condition_checked: u64,
    pub(super) condition_held: bool,
}

/// How a job that was queued at `queued` (monotonic microseconds) must have ended; none while the
/// unit is still on its way.
pub(super) fn judge(kind: JobKind, queued: u64, unit: &Witness) -> Option<JobResult> {
    match (kind, unit.active.as_str()) {
        (_, "deactivating") => None,
        (JobKind::Stop, "inactive" | "failed") => Some(JobResult::Done),
        (JobKind::Stop, _) => Some(JobResult::Canceled),
        (_, "failed") => Some(JobResult::Failed),
        // A start that failed ends its job although systemd will try again by itself.
        (_, "activating") => unit.sub.starts_with("auto-restart").then_some(JobResult::Failed),
        (JobKind::Restart, "active") if unit.active_enter < queued => Some(JobResult::Canceled),
        (_, "active" | "reloading" | "refreshing") => Some(JobResult::Done),
        (_, "inactive") if unit.inactive_exit >= queued => {
            let failed = unit.result.as_ref().is_some_and(|result| result != "success");
            Some(if failed { JobResult::Failed } else { JobResult::Done })
        }
        // A condition that does not hold is no failure: systemd ends such a job as done.
        (_, "inactive") if unit.condition_checked >= queued && !unit.condition_held => {
            Some(JobResult::Done)
        }
        // Nothing tells a finished oneshot that systemd has unloaded from a start that never
        // happened.
        _ => Some(JobResult::Other("lost".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, sub: &str) -> Witness {
        Witness {
            active: active.to_owned(),
            sub: sub.to_owned(),
            result: Some("success".to_owned()),
            active_enter: 0,
            inactive_exit: 0,
            condition_checked: 0,
            condition_held: true,
        }
    }

    #[test]
    fn a_start_is_judged_by_the_state_of_its_unit() {
        let start = |unit: &Witness| judge(JobKind::Start, 100, unit);
        assert_eq!(start(&unit("active", "running")), Some(JobResult::Done));
        assert_eq!(start(&unit("failed", "failed")), Some(JobResult::Failed));
        assert_eq!(start(&unit("activating", "start-pre")), None);
        assert_eq!(start(&unit("activating", "auto-restart")), Some(JobResult::Failed));
        assert_eq!(start(&unit("inactive", "dead")), Some(JobResult::Other("lost".to_owned())));
        let ran = Witness { inactive_exit: 100, ..unit("inactive", "dead") };
        assert_eq!(start(&ran), Some(JobResult::Done));
        assert_eq!(
            start(&Witness { result: Some("exit-code".to_owned()), ..ran }),
            Some(JobResult::Failed)
        );
        let skipped =
            Witness { condition_checked: 100, condition_held: false, ..unit("inactive", "dead") };
        assert_eq!(start(&skipped), Some(JobResult::Done));
    }

    #[test]
    fn a_restart_needs_a_new_activation() {
        let restart = |active_enter| {
            judge(JobKind::Restart, 100, &Witness { active_enter, ..unit("active", "running") })
        };
        assert_eq!(restart(99), Some(JobResult::Canceled));
        assert_eq!(restart(100), Some(JobResult::Done));
    }

    #[test]
    fn stop_is_complete_when_the_unit_is_inactive() {
        let stop = |active| judge(JobKind::Stop, 100, &unit(active, ""));
        assert_eq!(stop("inactive"), Some(JobResult::Done));
        assert_eq!(stop("failed"), Some(JobResult::Done));
        assert_eq!(stop("deactivating"), None);
        assert_eq!(stop("active"), Some(JobResult::Canceled));
    }

    #[test]
    fn oldest_job_results_are_forgotten() {
        let jobs = Jobs::default();
        for id in 0..=REMEMBERED {
            jobs.ended(format!("/job/{id}"), JobResult::Done);
            jobs.ended(format!("/job/{id}"), JobResult::Failed);
        }
        assert_eq!(jobs.result("/job/0"), None);
        assert_eq!(jobs.result("/job/1"), Some(JobResult::Failed));
        assert_eq!(jobs.lock().results.len(), REMEMBERED);
    }
}
