//! Whether an installed node is healthy: what of its role does not run, does not stay up or is not
//! ready in time, and whether installed files are missing.

use std::path::PathBuf;
use std::time::Duration;

use super::services::{Condition, UnitReport};
use crate::dcos::ailment::Ailment;
use crate::dcos::layout;
use crate::system::clock::monotonic_micros;
use crate::system::journald::{self, Since};
use crate::system::root::Root;

/// A unit that was restarted so often within [`WINDOW`] does not stay up.
const RESTARTS: u32 = 3;
/// The time in which restarts are counted.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// More starts of one unit than the window has room for where restarts are not healthy.
const STARTS: usize = 64;
/// `SD_MESSAGE_UNIT_STARTED` (`systemd/sd-messages.h`): a start that came to its end, so that tries
/// that end in an `ExecStartPre` command do not count.
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";

/// All that makes a node not healthy, one for each unit; nothing of units that the role does
/// without. `late` says that since the boot and the last change there was time enough to come up.
pub fn ailments(units: &[UnitReport], late: bool, missing: usize) -> Vec<Ailment> {
    let of_units = units.iter().filter(|unit| !unit.auxiliary).filter_map(|report| {
        let unit = report.name.clone();
        match (report.condition, report.restarted) {
            (Condition::Failed, _) => {
                Some(Ailment::Failed { unit, why: report.why.as_ref().map(ToString::to_string) })
            }
            (_, Some(times)) if times >= RESTARTS => Some(Ailment::Restarted { unit, times }),
            _ if late && report.is_converging() => Some(Ailment::Late { unit }),
            _ => None,
        }
    });
    let of_files = (missing > 0).then_some(Ailment::Missing { count: missing });
    of_units.chain(of_files).collect()
}

/// Counts for each service of this machine that the role needs how often it was restarted lately.
/// Where the journal cannot be read, that is not known.
pub fn count_restarts(root: &Root, reports: &mut [UnitReport]) {
    let now = Duration::from_micros(monotonic_micros());
    let (Ok(boot), Ok(window)) =
        (Since::this_boot(Duration::ZERO), Since::this_boot(now.saturating_sub(WINDOW)))
    else {
        return;
    };
    let directories: Vec<PathBuf> =
        layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    let starts = |unit: &str, since| {
        let log = journald::last_messages(&directories, unit, STARTED, STARTS, since);
        log.ok().map(|log| log.lines.len())
    };
    for report in reports {
        // What systemd never started again by itself needs no look at the journal.
        let may_fall = report.restarts.is_none_or(|restarts| restarts >= RESTARTS);
        if report.auxiliary || !may_fall || !report.name.ends_with(".service") {
            continue;
        }
        let Some(lately) = starts(&report.name, window).filter(|lately| *lately > 0) else {
            continue;
        };
        // The first start since the boot is no restart.
        let is_first = starts(&report.name, boot) == Some(lately);
        let times = u32::try_from(lately - usize::from(is_first)).unwrap_or(u32::MAX);
        report.restarted = Some(report.restarts.map_or(times, |all| all.min(times)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::cause::Cause;

    fn unit(name: &str, condition: Condition) -> UnitReport {
        UnitReport { condition, ..UnitReport::of(name) }
    }

    #[test]
    fn each_unit_that_the_role_needs_has_one_ailment_at_most() {
        let units = [
            unit("a.service", Condition::Well),
            unit("b.service", Condition::Failed),
            unit("c.service", Condition::Converging),
            UnitReport { restarted: Some(3), ..unit("d.service", Condition::Well) },
            UnitReport { restarted: Some(2), ..unit("e.service", Condition::Well) },
            UnitReport {
                restarted: Some(9),
                why: Some(Cause::NotRunning),
                ..unit("f.service", Condition::Failed)
            },
            UnitReport { auxiliary: true, ..unit("g.service", Condition::AuxiliaryFailed) },
            UnitReport { auxiliary: true, restarted: Some(9), ..unit("h.timer", Condition::Well) },
        ];
        let texts = |late, missing| -> Vec<String> {
            ailments(&units, late, missing).iter().map(ToString::to_string).collect()
        };
        let always = [
            "b.service does not run",
            "d.service was restarted 3 times in 10 minutes",
            "f.service: is not running",
        ];
        assert_eq!(texts(false, 0), always);
        let late = "c.service is not ready 20 minutes after the boot or the last change";
        let missing = "2 installed files are missing";
        assert_eq!(texts(true, 2), [always[0], late, always[1], always[2], missing]);
    }
}
