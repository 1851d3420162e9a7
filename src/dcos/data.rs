//! Data that DC/OS keeps on a node: what it is, and what it means to a later install. An uninstall
//! keeps it unless it is told to purge it.

use std::path::{Path, PathBuf};

use super::layout;
use super::snapshot::Snapshot;

/// A place where DC/OS keeps data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the node sees it. One that lies below another is a part of that one.
    pub path: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// What DC/OS makes in it, if others use the name of the place too; one with a star at its end
    /// is the beginning of a name. Empty for a name that is DC/OS' alone.
    pub inside: &'static [&'static str],
    /// What it holds besides, which others make there too: it tells nothing.
    pub shared: &'static [&'static str],
}

const fn place(path: &'static str, holds: &'static str, inside: &'static [&'static str]) -> Place {
    Place { path, holds, inside, shared: &[] }
}

/// Whose the data in a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// DC/OS': the place has its name, or holds what only it makes there. A purge removes it at any
    /// time.
    Dcos,
    /// It came after the install, by the snapshot, and nothing in it says whose it is: a purge
    /// removes it while the snapshot is there.
    New,
    /// It was there before the install, with something of others in it.
    Before,
    /// Others use the name too, and nobody knows.
    Untold,
}

impl Whose {
    /// Whether a purge removes it.
    pub fn is_purged(self) -> bool {
        matches!(self, Whose::Dcos | Whose::New)
    }
}

/// What is to be known of a name in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// DC/OS makes this.
    Dcos,
    /// The names in it tell.
    Below,
    /// Made by others too.
    Shared,
    /// Not DC/OS'.
    Other,
}

/// Every place, parts after the whole.
pub const PLACES: [Place; 12] = [
    place(layout::STATE, "state of DC/OS' services", &[]),
    place("/var/lib/dcos/exhibitor", "ZooKeeper: the state of the cluster", &[]),
    place("/var/lib/dcos/mesos", "Mesos masters: their log and state", &[]),
    place(
        layout::MESOS_STATE,
        "Mesos agents: sandboxes and persistent volumes of tasks",
        &["slave", "master", "isolators"],
    ),
    place("/var/lib/mesosphere", "state of services of old releases", &[]),
    place("/var/lib/zookeeper", "ZooKeeper of old releases", &["snapshot", "transactions"]),
    place("/var/log/mesos", "logs of Mesos", &["archive", "mesos-agent.log*", "mesos-master.log*"]),
    // `dcos-diagnostics-mesos-state.service` appends, and compresses in the end (1.12 to 2.2).
    place("/var/log/mesos-state.tar", "what Mesos said of itself, once a day", &[]),
    place("/var/log/mesos-state.tar.gz", "what Mesos said of itself, once a day", &[]),
    // `dcos-calico-confd.service`, `start-calico-felix.sh` (2.1 and 2.2). An operator of another
    // calico has a `calicoctl.cfg`, too.
    Place {
        shared: &["calicoctl.cfg"],
        ..place("/etc/calico", "settings that calico wrote", &["confd"])
    },
    // Other calicos have a `nodename` there; only DC/OS' has its profile beside it.
    Place {
        shared: &["nodename"],
        ..place("/var/lib/calico", "the node's name in calico, and its profile", &["profile.yaml"])
    },
    place(
        "/var/lib/cni",
        "addresses that containers hold",
        &["networks/dcos*", "networks/mesos-bridge"],
    ),
];

impl Place {
    /// What a path in it, relative to it, says.
    pub fn mark(&self, below: &Path) -> Mark {
        let text = below.to_string_lossy();
        let is = |known: &&&str| {
            known.strip_suffix('*').map_or(text == **known, |begins| text.starts_with(begins))
        };
        match self.inside.iter().find(is) {
            Some(_) => Mark::Dcos,
            None if self.shared.iter().any(|shared| text == **shared) => Mark::Shared,
            None if self.inside.iter().any(|known| Path::new(known).starts_with(below)) => {
                Mark::Below
            }
            None => Mark::Other,
        }
    }

    /// Whose it is, by what stood before the install and by whether all in it is what DC/OS makes
    /// there.
    pub fn whose(&self, before: Option<&Snapshot>, is_marked: bool) -> Whose {
        let has = |paths: &[PathBuf]| paths.iter().any(|path| path == Path::new(self.path));
        match before {
            _ if self.inside.is_empty() => Whose::Dcos,
            Some(before) if has(&before.paths) && !has(&before.left) && !has(&before.empty) => {
                Whose::Before
            }
            _ if is_marked => Whose::Dcos,
            Some(_) => Whose::New,
            None => Whose::Untold,
        }
    }
}

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
        _ => {
            "the agent comes back under its old id, and refuses a role, attributes or resources \
             that do not fit"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_data_is_not_of_dcos_unless_dcos_left_it() {
        let zookeeper = PLACES.iter().find(|p| p.path == "/var/lib/zookeeper").unwrap();
        let path = vec![PathBuf::from(zookeeper.path)];
        let before = Snapshot { paths: path.clone(), ..Snapshot::default() };
        let left = Snapshot { left: path.clone(), ..before.clone() };
        let empty = Snapshot { empty: path, ..before.clone() };
        let judged = [None, Some(&before), Some(&left), Some(&empty)]
            .map(|s| (zookeeper.whose(s, true), zookeeper.whose(s, false)));
        use Whose::*;
        assert_eq!(judged, [(Dcos, Untold), (Before, Before), (Dcos, New), (Dcos, New)]);
        assert_eq!(
            PLACES[0].whose(Some(&Snapshot { paths: vec![layout::STATE.into()], ..before }), false),
            Dcos
        );
    }

    #[test]
    fn data_directory_names_are_of_dcos_or_foreign() {
        let cni = PLACES.iter().find(|p| p.path == "/var/lib/cni").unwrap();
        let marks = ["networks", "networks/dcos6", "networks/podman", "cache"]
            .map(|name| cni.mark(Path::new(name)));
        assert_eq!(marks, [Mark::Below, Mark::Dcos, Mark::Other, Mark::Other]);
        let calico = PLACES.iter().find(|p| p.path == "/var/lib/calico").unwrap();
        let marks = ["profile.yaml", "nodename", "mtu"].map(|name| calico.mark(Path::new(name)));
        assert_eq!(marks, [Mark::Dcos, Mark::Shared, Mark::Other]);
    }

    #[test]
    fn data_part_is_listed_but_not_purged_alone() {
        let names: Vec<&str> = whole().map(|p| p.path).collect();
        assert_eq!(names.len(), 10);
        assert!(!names.contains(&"/var/lib/dcos/exhibitor"));
        assert_eq!(whole().map(|p| parts(p).count()).sum::<usize>(), 2);
    }
}
