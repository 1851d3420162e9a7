//! The addresses of this machine, and which interfaces carry them.

use std::net::IpAddr;

use crate::dcos::layout;
use crate::dcos::network::maker;
use crate::system::netlink::route::{Link, Routing};
use crate::system::root::Root;
use crate::system::sysctl;

/// The addresses of a machine.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Each address; none if they cannot be listed.
    pub all: Vec<InterfaceAddress>,
    /// Whether programs may bind to an address that is on no interface (ip(7),
    /// `ip_nonlocal_bind`).
    pub allows_nonlocal_bind: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// The name of the interface.
    pub interface: String,
    /// Whether the interface connects containers, and not the node with other nodes.
    pub is_of_containers: bool,
}

/// Bridges of docker that have a fixed name.
const DOCKER_BRIDGES: [&str; 2] = ["docker0", "docker_gwbridge"];

impl Addresses {
    /// Asks the kernel.
    pub fn look(root: &Root) -> Addresses {
        let setting = sysctl::read(&root.resolved(layout::PROC), "net/ipv4/ip_nonlocal_bind");
        Addresses {
            all: list().unwrap_or_default(),
            allows_nonlocal_bind: setting.ok().flatten().is_some_and(|value| value == "1"),
        }
    }

    /// What carries an address; none if it is on no interface.
    pub fn find(&self, address: IpAddr) -> Option<&InterfaceAddress> {
        self.all.iter().find(|one| one.address == address)
    }
}

fn list() -> Option<Vec<InterfaceAddress>> {
    let mut routing = Routing::open().ok()?;
    let links = routing.links().ok()?;
    let of_link = |address: crate::system::netlink::route::Address| {
        let link = links.iter().find(|link| link.index == address.index)?;
        Some(InterfaceAddress {
            address: address.address,
            interface: link.name.clone(),
            is_of_containers: is_of_containers(link, &links),
        })
    };
    Some(routing.addresses().ok()?.into_iter().filter_map(of_link).collect())
}

/// Interfaces of docker, DC/OS and calico; bridges without an uplink; and virtual cables that lead
/// to a container, or back to this machine. A node that is a container itself has a cable too, with
/// a name of its own and its other end elsewhere.
fn is_of_containers(link: &Link, links: &[Link]) -> bool {
    let is_uplink = |port: &&Link| port.kind.as_deref() != Some("veth");
    let is_named = DOCKER_BRIDGES.contains(&link.name.as_str()) || maker(&link.name).is_some();
    is_named
        || match link.kind.as_deref() {
            Some("bridge") => {
                !links.iter().filter(|port| port.master == Some(link.index)).any(|p| is_uplink(&p))
            }
            Some("veth") => {
                link.name.starts_with("veth")
                    || links
                        .iter()
                        .any(|end| end.peer == Some(link.index) && link.peer == Some(end.index))
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: &str, master: u32, peer: u32) -> Link {
        Link {
            index,
            name: name.into(),
            kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
            master: Some(master).filter(|master| *master != 0),
            peer: Some(peer).filter(|peer| *peer != 0),
        }
    }

    #[test]
    fn interfaces_of_containers_are_told_from_uplinks() {
        let links = [
            link(1, "eth0", "", 2, 0),
            link(2, "br0", "bridge", 0, 0),
            link(3, "br-0a1b2c3d4e5f", "bridge", 0, 0),
            link(4, "veth1a2b", "veth", 3, 99),
            link(5, "host0", "veth", 0, 4),
            link(6, "left", "veth", 0, 7),
            link(7, "right", "veth", 0, 6),
            link(8, "docker0", "veth", 0, 0),
            link(9, "d-dcos", "bridge", 0, 0),
            link(10, "vtep1024", "vxlan", 0, 0),
            link(11, "bond0", "bond", 0, 0),
            link(12, "lo", "", 0, 0),
        ];
        let found: Vec<&str> = links
            .iter()
            .filter(|link| is_of_containers(link, &links))
            .map(|link| link.name.as_str())
            .collect();
        let expected =
            ["br-0a1b2c3d4e5f", "veth1a2b", "left", "right", "docker0", "d-dcos", "vtep1024"];
        assert_eq!(found, expected);
    }
}
