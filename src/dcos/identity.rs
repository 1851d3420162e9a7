//! The address by which a cluster knows a node. It must not change while the node is installed.

use super::layout::KEPT_ADDRESS;

/// The fix where a node has the recorded address and ip-detect prints another one: the node did not
/// move.
pub fn correct_script(recorded: &str) -> String {
    format!(
        "this node still has {recorded}: correct genconf/ip-detect so that it prints {recorded} \
         here, and generate the build again"
    )
}

/// The fix where the node does not have the recorded address any more, or where that is not known.
pub fn restore_address(recorded: Option<&str>) -> String {
    let address = recorded
        .map_or_else(|| format!("its earlier address ({KEPT_ADDRESS} has it)"), str::to_owned);
    format!(
        "give this node {address} again and reboot it; if it must have the new address, it joins \
         the cluster as a new node (docs/recovery.md)"
    )
}
