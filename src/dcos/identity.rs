//! What a node is known by from one install to the next.

use super::role::Role;

/// The commands by which a node whose address changed becomes a new one. An uninstall keeps the old
/// address with the data, and an install that is not told to forget it refuses.
pub fn renewal(role: Option<Role>) -> String {
    let role = role.map_or_else(|| "ROLE".to_owned(), |role| role.to_string());
    format!("dcos-node uninstall, then dcos-node install {role} --reset-identity")
}
