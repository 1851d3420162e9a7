//! Whether a script failed by itself, or perhaps only because it was confined.

use super::rule::Finding;
use crate::observe::excuse::Excuse;
use crate::observe::ip_detect::Run;

/// What to do about a script whose answer confinement may have changed.
const RUN_BY_HAND: &str = "read the script, and run it by hand as root on this node: here it runs \
                           without capabilities, without the sockets of local services, with \
                           limits, and on a copy of the files; DC/OS does not confine it";

/// What to do about a script that cannot be judged before the install.
const RUN_LATER: &str = "nothing before the install; after it, run the script by hand on this node";

/// A failure of the script, unless its confinement may have caused it: DC/OS runs it without.
pub(super) fn unless_confined(run: &Run, why: String) -> Finding {
    unless_excused(run, Finding::bad(why))
}

/// The same for a finding about what a script printed.
pub(super) fn unless_excused(run: &Run, finding: Finding) -> Finding {
    let (why, cure) = match (finding, &run.excuse) {
        (Finding::Bad { found, .. }, Some(excuse @ Excuse::AfterInstall(_))) => {
            (format!("{found} ({excuse})"), RUN_LATER)
        }
        (Finding::Bad { found, .. }, Some(excuse)) => (format!("{found} ({excuse})"), RUN_BY_HAND),
        (finding, _) => return finding,
    };
    Finding::Unclear { why, cure: cure.to_owned() }
}

/// The finding about an answer of a script, unless the kernel refused the script something: then
/// it may have another answer without confinement.
pub(super) fn unless_refused(run: &Run, finding: Finding) -> Finding {
    match run.excuse {
        Some(Excuse::Refused(_)) => unless_excused(run, finding),
        _ => finding,
    }
}
