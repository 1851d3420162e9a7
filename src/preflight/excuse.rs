//! Whether a script failed by itself, or perhaps only because it was confined.

use super::rule::Finding;
use crate::observe::ip_detect::{Detection, Excuse, Run};

/// What to do about a script whose answer confinement may have changed.
const RUN_BY_HAND: &str = "read the script, and run it by hand as root on this node: here it runs \
                           without capabilities, without the sockets of local services, with \
                           limits, and on a copy of the files; DC/OS does not confine it";

/// A failure of the script, unless only its confinement may have caused it: DC/OS runs it without.
pub(super) fn unless_confined(detection: &Detection, run: &Run, why: String) -> Finding {
    let cause = match (&run.excuse, detection.beyond_confinement) {
        (Some(Excuse::NotConfined), _) => "it could not be confined".to_owned(),
        (Some(Excuse::Limit(_)), _) => "a limit of the confinement, which DC/OS has not".to_owned(),
        (Some(Excuse::Complaint(words)), _) => format!("the confinement may be why: {words}"),
        (None, Some(program)) => {
            format!("the confinement may be why: {program} does not work in it")
        }
        (None, None) => return Finding::bad(why),
    };
    Finding::Unclear { why: format!("{why} ({cause})"), cure: RUN_BY_HAND.to_owned() }
}
