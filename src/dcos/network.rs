//! What of a node's network is DC/OS' own: by its names, its routing table and its ranges of addresses (`dcos-net`, Mesos' CNI networks, calico).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::firewall::Line;

/// The routing table of the overlay (`dcos_overlay`).
pub const TABLE: u32 = 42;
/// Where the load balancer puts the addresses of virtual services.
pub const MINUTEMAN: &str = "minuteman";
/// The variable that calico's unit gives to all of systemd's services (`dcos-calico-confd.service`).
pub const NODENAME: &str = "NODENAME";
/// Modules that DC/OS' units load. They stay loaded: whether others need them by now cannot be known.
pub const MODULES: [&str; 8] = ["dummy", "vxlan", "overlay", "ip_vs", "ip_vs_wlc", "ip_set", "ip_set_hash_ipport", "xt_set"];

/// The network of a node as far as DC/OS changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// All interfaces.
    pub interfaces: Vec<Interface>,
    /// Addresses of interfaces that have names of DC/OS, and those of its resolver wherever they are.
    pub addresses: Vec<Address>,
    /// All routing rules, one text each.
    pub rules: Vec<String>,
    /// Routes of [`TABLE`], one text each.
    pub routes: Vec<String>,
    /// Virtual services of IPVS.
    pub services: Vec<Service>,
    /// The names of all sets of addresses.
    pub sets: Vec<String>,
    /// What the packet filter has that is, or may be, of DC/OS.
    pub firewall: Vec<Line>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The interfaces that are its ports, if it is a bridge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The name of the interface.
    pub interface: String,
    /// `198.51.100.1/32`.
    pub address: String,
}

/// A virtual service of IPVS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `tcp 11.1.2.3:80`.
    pub text: String,
    /// Its address, if it has one.
    pub address: Option<IpAddr>,
}

/// Who makes interfaces of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// DC/OS itself.
    Dcos,
    /// docker, for a network that DC/OS asked it for: a container may still be on it.
    Docker,
}

/// Who makes interfaces of this name, if DC/OS has a part in it.
pub fn maker(name: &str) -> Option<Maker> {
    let numbered = |begin: &str| name.strip_prefix(begin).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
    match name {
        "spartan" | MINUTEMAN | "ucr-br0" | "vxlan.calico" => Some(Maker::Dcos),
        _ if numbered("m-dcos") || (numbered("vtep") && name != "vtep") => Some(Maker::Dcos),
        _ if numbered("d-dcos") => Some(Maker::Docker),
        // calico names an interface by a digest of its container.
        _ if name.strip_prefix("cali").is_some_and(|rest| rest.len() == 11 && rest.chars().all(|c| c.is_ascii_hexdigit())) => {
            Some(Maker::Dcos)
        }
        _ => None,
    }
}

/// Whether DC/OS' load balancer gives such an address to a service with a name (`dcos_l4lb`, `min_named_ip` to `max_named_ip6`).
pub fn is_named_virtual(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 11,
        IpAddr::V6(address) => address.segments()[..4] == [0xfd01, 0xc, 0, 0],
    }
}

/// The addresses of DC/OS' resolver on `spartan` (`dcos-net.service`).
pub fn is_spartan(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => (1..=3).any(|last| address == Ipv4Addr::new(198, 51, 100, last)),
        IpAddr::V6(address) => address == Ipv6Addr::new(0xfd01, 0xd, 0, 0, 0, 0, 0xc633, 0x6401),
    }
}

/// What DC/OS' units set a setting of the kernel to (`dcos-service-configuration.json`; the Mesos units for `rp_filter`; 1.10 to 2.2).
/// The name has slashes between its parts.
pub fn setting(name: &str) -> Option<&'static str> {
    match name {
        "vm/max_map_count" => Some("262144"),
        "vm/swappiness" | "net/ipv4/vs/conntrack" => Some("1"),
        _ if name.starts_with(CONF) && name.ends_with(RP_FILTER) => Some("2"),
        _ => None,
    }
}

/// Settings with one name.
pub const SETTINGS: [&str; 3] = ["vm/max_map_count", "vm/swappiness", "net/ipv4/vs/conntrack"];
/// The directory of settings with one directory an interface.
pub const CONF: &str = "net/ipv4/conf/";
/// The setting in each of them.
pub const RP_FILTER: &str = "/rp_filter";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dcos_are_its_interfaces() {
        for ours in ["spartan", "minuteman", "vtep1024", "m-dcos", "m-dcos6", "ucr-br0", "vxlan.calico", "cali0a1b2c3d4e5"] {
            assert_eq!(maker(ours), Some(Maker::Dcos), "{ours}");
        }
        assert_eq!((maker("d-dcos"), maker("d-dcos6")), (Some(Maker::Docker), Some(Maker::Docker)));
        for other in ["eth0", "vtep", "vtep0x", "spartan0", "d-dcosx", "docker0", "tunl0", "calibration0", "cali", "br-0a1b2c", ""] {
            assert_eq!(maker(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_beside_its_ranges_are_not_of_dcos() {
        let named = |text: &str| is_named_virtual(text.parse().unwrap());
        assert!(named("11.0.0.0") && named("11.255.255.255") && named("fd01:c::1"));
        assert!(!named("10.255.255.255") && !named("12.0.0.0") && !named("fd01:d::1") && !named("fd01:c:1::1"));
        let spartan = |text: &str| is_spartan(text.parse().unwrap());
        assert!(spartan("198.51.100.3") && spartan("fd01:d::c633:6401") && !spartan("198.51.100.4"));
        assert_eq!(setting("net/ipv4/conf/eth0.100/rp_filter"), Some("2"));
        assert_eq!(setting("vm/overcommit_memory"), None);
    }
}
