//! The masters as one of them sees them: whether the others can do without it.

use std::net::IpAddr;

use super::cluster::{self, Answer, BEFORE_GOING};
use crate::dcos::cluster::{EXHIBITOR_PORT, Ensemble, Member, Mode, Serving};
use crate::dcos::settings::Version;
use crate::system::netlink::route::Routing;
use crate::system::root::Root;

/// What one master knows.
#[derive(Clone, Debug)]
pub struct Masters {
    /// All of them.
    pub ensemble: Answer<Ensemble>,
    /// The addresses of this one.
    pub addresses: Vec<IpAddr>,
    /// Agents that are connected, as this master's Mesos counts them while it leads.
    pub agents: Answer<u64>,
}

impl Masters {
    /// Asks on a master: Exhibitor, and the ZooKeepers where its word is not worth much or cannot
    /// be had.
    pub async fn look(root: &Root, version: Option<&Version>) -> Masters {
        let address = cluster::address(root);
        let (exhibitor, mesos) = tokio::join!(
            cluster::exhibitor(root, EXHIBITOR_PORT, BEFORE_GOING),
            cluster::mesos(address, true, BEFORE_GOING)
        );
        let hosts = exhibitor.told().map(cluster::hosts).or_else(|| cluster::master_list(root));
        let asks = exhibitor.told().is_none() || cluster::exhibitor_may_lie(version);
        let ensemble = match hosts {
            Some(hosts) if asks => {
                by_keepers(cluster::zookeepers(hosts, BEFORE_GOING).await, exhibitor)
            }
            None => alone(
                cluster::keeper(cluster::HERE, BEFORE_GOING).await.flatten(),
                cluster::master_count(root),
                exhibitor,
            ),
            Some(_) => exhibitor,
        };
        let agents = match mesos {
            Answer::Told(metrics) if metrics.is("master/elected") => {
                Answer::Told(metrics.count(&["master/slaves_active"]))
            }
            Answer::Told(_) => Answer::Silent("its Mesos does not lead".into()),
            Answer::Locked => Answer::Locked,
            Answer::Silent(why) => Answer::Silent(why),
        };
        let own = Routing::open().and_then(|mut routing| routing.addresses()).unwrap_or_default();
        Masters {
            ensemble,
            addresses: own.into_iter().map(|own| own.address).chain([address]).collect(),
            agents,
        }
    }
}

/// The masters by their ZooKeepers if any of them serves, else by what Exhibitor said.
fn by_keepers(keepers: Ensemble, exhibitor: Answer<Ensemble>) -> Answer<Ensemble> {
    if keepers.serving() > 0 { Answer::Told(keepers) } else { exhibitor }
}

/// The same where only this master's own ZooKeeper can be asked: that tells all there is of a
/// master alone, and of others nothing.
fn alone(
    own: Option<Mode>,
    masters: Option<usize>,
    exhibitor: Answer<Ensemble>,
) -> Answer<Ensemble> {
    match own {
        Some(mode) if mode == Mode::Standalone || masters == Some(1) => {
            let own = Member {
                host: cluster::HERE.to_owned(),
                serving: Serving::Serving,
                leads: mode != Mode::Follower,
            };
            Answer::Told(Ensemble { members: vec![own] })
        }
        Some(_) => {
            let all = masters.map_or_else(
                || "a number of masters that is not known".to_owned(),
                |masters| format!("{masters} masters"),
            );
            let why = format!(
                "its ZooKeeper serves, with {all}, and Exhibitor does not tell how the others are"
            );
            Answer::Silent(why.into())
        }
        None => exhibitor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zookeeper_lists_masters_if_exhibitor_is_silent() {
        let silent = || Answer::Silent("refused".into());
        let member = |(n, serving): (usize, Serving)| Member {
            host: format!("10.0.0.{n}"),
            serving,
            leads: n == 1,
        };
        let keepers = |states: &[Serving]| Ensemble {
            members: states.iter().copied().enumerate().map(member).collect(),
        };
        let told =
            by_keepers(keepers(&[Serving::Serving, Serving::Serving, Serving::Down]), silent());
        let ensemble = told.told().unwrap();
        assert_eq!(
            (ensemble.serving(), ensemble.leaders(), ensemble.missing()),
            (2, 1, vec!["10.0.0.2".to_owned()])
        );
        assert!(ensemble.would_lose_quorum_without("10.0.0.0"));
        assert_eq!(by_keepers(keepers(&[Serving::Down]), silent()), silent());

        for (mode, masters) in [(Mode::Standalone, None), (Mode::Leader, Some(1))] {
            assert_eq!(
                alone(Some(mode), masters, silent()).told().map(|e| (e.members.len(), e.serving())),
                Some((1, 1))
            );
        }
        let of_three = alone(Some(Mode::Follower), Some(3), silent());
        assert!(
            of_three
                .silence()
                .is_some_and(|why| why.to_string().contains("serves, with 3 masters")),
            "{of_three:?}"
        );
        assert_eq!(alone(None, Some(1), silent()), silent());
    }
}
