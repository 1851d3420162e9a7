//! Whether an installed node is healthy, as `install`, `status` and `adopt` judge it alike.

use std::time::Duration;

use super::{World, wait};
use crate::dcos::ailment::Ailment;
use crate::dcos::layout;
use crate::dcos::moment;
use crate::observe::health;
use crate::observe::node::Node;
use crate::observe::services::UnitReport;
use crate::system::root::Root;
use crate::system::{clock, files};

/// All that makes this node not healthy.
pub(super) fn look(
    node: &Node,
    units: &[UnitReport],
    missing: usize,
    world: &World,
) -> Vec<Ailment> {
    health::ailments(units, is_late(node, world), missing)
}

/// Whether since the boot and the last change there was more time than a node usually needs to
/// come up.
pub(super) fn is_late(node: &Node, world: &World) -> bool {
    let since_boot = Duration::from_micros(clock::monotonic_micros());
    was_long_ago(changed(node, &world.root).as_deref(), &world.ago(wait::LIMIT), since_boot)
}

/// When what stands here was begun, or activated by pkgpanda, whichever was later.
fn changed(node: &Node, root: &Root) -> Option<String> {
    let of_receipt = || node.receipt.as_ref().map(|receipt| receipt.installed_at.clone());
    let begun = node.story.asked_at.clone().or_else(of_receipt);
    let activation = files::lstat(&root.at(layout::active_name("active.buildinfo.full.json")));
    let activated = activation.ok().flatten().map(|stat| moment::rfc3339(stat.changed));
    begun.max(activated)
}

fn was_long_ago(changed: Option<&str>, long_ago: &str, since_boot: Duration) -> bool {
    since_boot > wait::LIMIT && changed.is_none_or(|changed| changed < long_ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_late_counting_from_the_change_and_the_boot() {
        let (changed, minutes) =
            (Some("2026-11-22T16:03:59Z"), |minutes: u64| Duration::from_secs(minutes * 60));
        assert!(was_long_ago(changed, "2026-11-22T16:04:00Z", minutes(21)));
        assert!(was_long_ago(None, "2026-11-22T16:04:00Z", minutes(21)));
        assert!(!was_long_ago(changed, "2026-11-22T16:03:58Z", minutes(21)));
        assert!(!was_long_ago(changed, "2026-11-22T16:04:00Z", minutes(19)));
    }
}
