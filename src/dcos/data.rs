//! Data that DC/OS keeps on a node: what it is, and what it means to a later install. An uninstall keeps it unless it is told to purge it.

use std::path::Path;

use super::layout;

/// A place where DC/OS keeps data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the node sees it. One that lies below another is a part of that one.
    pub path: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// Whether others than DC/OS use the name, so that it counts only where DC/OS is or was.
    pub shared_name: bool,
}

const fn place(path: &'static str, holds: &'static str, shared_name: bool) -> Place {
    Place { path, holds, shared_name }
}

/// Every place, parts after the whole.
pub const PLACES: [Place; 9] = [
    place(layout::STATE, "state of DC/OS' services", false),
    place("/var/lib/dcos/exhibitor", "ZooKeeper: the state of the cluster", false),
    place("/var/lib/dcos/mesos", "Mesos masters: their log and state", false),
    place(layout::MESOS_STATE, "Mesos agents: sandboxes and persistent volumes of tasks", false),
    place("/var/lib/mesosphere", "state of services of old releases", false),
    place("/var/lib/zookeeper", "ZooKeeper of old releases", true),
    place("/var/log/mesos", "logs of Mesos", true),
    place("/etc/calico", "settings that calico wrote", true),
    place("/var/lib/cni", "addresses that containers hold", true),
];

/// Places that are not a part of another one: what a purge removes.
pub fn whole() -> impl Iterator<Item = &'static Place> {
    PLACES.iter().filter(|place| !PLACES.iter().any(|other| is_part(place.path, other.path)))
}

/// The parts of a place that are listed on their own.
pub fn parts(of: &Place) -> impl Iterator<Item = &'static Place> {
    PLACES.iter().filter(move |place| is_part(place.path, of.path))
}

fn is_part(path: &str, of: &str) -> bool {
    path != of && Path::new(path).starts_with(of)
}

/// What a part of the node's identity means to a later install, if it is kept.
pub fn effect(identity: &str) -> &'static str {
    match identity {
        layout::KEPT_ADDRESS => "dcos-net refuses to run here under another address",
        layout::CLUSTER_ID => "services refuse to join another cluster",
        _ => "the agent comes back under its old id, and refuses a role, attributes or resources that do not fit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_listed_but_not_purged_by_itself() {
        let names: Vec<&str> = whole().map(|p| p.path).collect();
        assert_eq!(names.len(), 7);
        assert!(!names.contains(&"/var/lib/dcos/exhibitor"));
        assert_eq!(whole().map(|p| parts(p).count()).sum::<usize>(), 2);
    }
}
