//! What of a node's network is DC/OS' own: by its names, its routing table and its ranges of
//! addresses (`dcos-net`, Mesos' CNI networks, calico).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::firewall::Line;

/// The routing table of the overlay (`dcos_overlay`).
pub const TABLE: u32 = 42;
/// Where the load balancer puts the addresses of virtual services.
pub const MINUTEMAN: &str = "minuteman";
/// The variable that calico's unit gives to all of systemd's services
/// (`dcos-calico-confd.service`).
pub const NODENAME: &str = "NODENAME";
/// Modules that DC/OS' units load, or the kernel for what they make. They stay loaded: whether
/// others need them by now cannot be known.
pub const MODULES: [&str; 9] = [
    "dummy",
    "vxlan",
    "overlay",
    "ip_vs",
    "ip_vs_wlc",
    "ip_set",
    "ip_set_hash_ipport",
    "ip_set_hash_net",
    "xt_set",
];

/// The network of a node as far as DC/OS changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// All interfaces.
    pub interfaces: Vec<Interface>,
    /// Addresses of interfaces that have names of DC/OS, and those of its resolver wherever they
    /// are.
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
    /// Tables of the packet filter that no program here shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// Overlay networks that this node knows of besides the default ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
}

/// Tables of the older flavour of the packet filter, where the newer one does not show them and the
/// program that does is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// The program that shows them: `iptables-legacy`.
    pub program: String,
    /// Their names.
    pub tables: Vec<String>,
}

/// An overlay network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overlay {
    /// Its name, after which docker's and Mesos' bridges of it are named.
    pub name: String,
    /// Where its containers have their addresses, if that is known.
    pub subnets: Vec<String>,
}

impl Network {
    /// Whether a network is, or lies in, one where an overlay has its addresses. Where an agent
    /// does not know those, the rules for its table tell them, by the routes out of DC/OS' own
    /// interfaces that it has.
    pub fn is_overlay(&self, network: &str) -> bool {
        let leaves = |route: &str| {
            word_after(route, "dev")
                .is_some_and(|dev| maker_among(dev, &self.overlays) == Some(Maker::Dcos))
        };
        let has_route = |source: &str| {
            self.routes.iter().any(|route| {
                leaves(route) && route.split(' ').nth(1).is_some_and(|to| is_within(to, source))
            })
        };
        let sources = self
            .rules
            .iter()
            .filter(|rule| leads_to_table(rule))
            .filter_map(|rule| word_after(rule, "from"));
        let known =
            self.overlays.iter().flat_map(|overlay| overlay.subnets.iter().map(String::as_str));
        SUBNETS
            .into_iter()
            .chain(known)
            .chain(sources.filter(|source| has_route(source)))
            .any(|subnet| is_within(network, subnet))
    }
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What the kernel calls its kind: `bridge`, `vxlan`; none for a physical one, and in snapshots
    /// of a dcos-node that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
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
    /// calico, which DC/OS brings (2.1 and 2.2) and others too.
    Calico,
}

/// Who makes interfaces of this name, if DC/OS has a part in it.
pub fn maker(name: &str) -> Option<Maker> {
    let numbered = |begin: &str| {
        name.strip_prefix(begin)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
    };
    match name {
        "spartan" | MINUTEMAN | "ucr-br0" => Some(Maker::Dcos),
        _ if name.starts_with("m-dcos") || numbered("vtep") => Some(Maker::Dcos),
        _ if name.starts_with("d-dcos") => Some(Maker::Docker),
        "vxlan.calico" => Some(Maker::Calico),
        // calico names an interface by a digest of its container.
        _ if name.strip_prefix("cali").is_some_and(|rest| {
            rest.len() == 11 && rest.chars().all(|c| c.is_ascii_hexdigit())
        }) =>
        {
            Some(Maker::Calico)
        }
        _ => None,
    }
}

/// The same, where overlay networks have other names than the default ones (`dcos_overlay`,
/// `bridge` of its two networks).
pub fn maker_among(name: &str, overlays: &[Overlay]) -> Option<Maker> {
    let is_of = |begin: &str| {
        name.strip_prefix(begin)
            .is_some_and(|rest| overlays.iter().any(|overlay| overlay.name == rest))
    };
    maker(name).or(is_of("m-").then_some(Maker::Dcos)).or(is_of("d-").then_some(Maker::Docker))
}

/// Reads the overlay networks in the configuration of a master (`etc/overlay/config/master.json`);
/// none in anything else.
pub fn overlays(text: &[u8]) -> Vec<Overlay> {
    let config: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let all = config
        .get("network")
        .and_then(|network| network.get("overlays")?.as_array())
        .cloned()
        .unwrap_or_default();
    let overlay = |one: &serde_json::Value| Overlay {
        name: one.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned(),
        subnets: ["subnet", "subnet6"]
            .iter()
            .filter_map(|key| one.get(*key)?.as_str().map(str::to_owned))
            .collect(),
    };
    all.iter().map(overlay).filter(|overlay| !overlay.name.is_empty()).collect()
}

/// Where the default overlay networks have their addresses (`dcos_overlay_network`, 1.10 to 2.2).
pub const SUBNETS: [&str; 2] = ["9.0.0.0/8", "fd01:b::/64"];

/// Whether a network, as `9.1.0.0/16`, is the same as another or lies in it.
pub fn is_within(network: &str, other: &str) -> bool {
    let bits = |text: &str| -> Option<(u128, u32, bool)> {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        match address.parse().ok()? {
            // In the first bits, so that both kinds are compared in one way.
            IpAddr::V4(address) => {
                Some((u128::from(u32::from(address)) << 96, length.min(32), true))
            }
            IpAddr::V6(address) => Some((u128::from(address), length.min(128), false)),
        }
    };
    let (Some((inner, inner_length, inner_is_v4)), Some((outer, length, is_v4))) =
        (bits(network), bits(other))
    else {
        return false;
    };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    inner_is_v4 == is_v4 && inner_length >= length && inner & mask == outer & mask
}

/// The word that follows another one in what a rule or route is told in: `dev` of a route, `from`
/// of a rule.
pub fn word_after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split(' ').skip_while(|w| *w != word).nth(1)
}

/// Whether a routing rule leads to [`TABLE`].
pub fn leads_to_table(rule: &str) -> bool {
    rule.ends_with(&format!(" lookup {TABLE}"))
}

/// Whether DC/OS' load balancer gives such an address to a service with a name (`dcos_l4lb`,
/// `min_named_ip` to `max_named_ip6`).
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

/// What DC/OS' units set a setting of the kernel to (`dcos-service-configuration.json`; the Mesos
/// units for `rp_filter`; 1.10 to 2.2). The name has slashes between its parts.
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
        for ours in
            ["spartan", "minuteman", "vtep1024", "m-dcos", "m-dcos6", "m-dcos-east", "ucr-br0"]
        {
            assert_eq!(maker(ours), Some(Maker::Dcos), "{ours}");
        }
        assert_eq!((maker("d-dcos"), maker("d-dcos6")), (Some(Maker::Docker), Some(Maker::Docker)));
        assert_eq!(
            (maker("vxlan.calico"), maker("cali0a1b2c3d4e5")),
            (Some(Maker::Calico), Some(Maker::Calico))
        );
        for other in [
            "eth0",
            "vtep",
            "vtep0x",
            "spartan0",
            "d-prod",
            "docker0",
            "tunl0",
            "calibration0",
            "cali",
            "br-0a1b2c",
            "",
        ] {
            assert_eq!(maker(other), None, "{other}");
        }
        let config = br#"{"network": {"overlays": [{"name": "prod", "subnet": "12.0.0.0/8", "prefix": 24}, {"subnet": "13.0.0.0/8"}]}}"#;
        let overlays = overlays(config);
        assert_eq!((overlays.len(), overlays[0].subnets[0].as_str()), (1, "12.0.0.0/8"));
        assert_eq!(
            ["m-prod", "d-prod", "m-pro", "x-prod"].map(|name| maker_among(name, &overlays)),
            [Some(Maker::Dcos), Some(Maker::Docker), None, None]
        );
        assert!(
            super::overlays(b"{\"master\": \"leader.mesos:5050\"}").is_empty()
                && super::overlays(b"<html>").is_empty()
        );
    }

    #[test]
    fn a_network_lies_in_another_by_its_first_bits() {
        for (inner, outer) in [
            ("9.1.0.0/16", "9.0.0.0/8"),
            ("9.0.0.0/8", "9.0.0.0/8"),
            ("fd01:b::/64", "fd01:b::/64"),
            ("10.0.0.0/8", "0.0.0.0/0"),
        ] {
            assert!(is_within(inner, outer), "{inner} {outer}");
        }
        for (inner, outer) in [
            ("10.9.0.0/16", "9.0.0.0/8"),
            ("8.0.0.0/7", "9.0.0.0/8"),
            ("fd01:b:1::/80", "fd01:b::/64"),
            ("900::/8", "9.0.0.0/8"),
            ("all", "9.0.0.0/8"),
        ] {
            assert!(!is_within(inner, outer), "{inner} {outer}");
        }
        let mut node = Network {
            rules: vec!["ipv4 9: from 12.0.0.0/8 lookup 42".into()],
            ..Network::default()
        };
        assert!(node.is_overlay("9.0.0.0/8") && !node.is_overlay("12.0.0.0/8"));
        node.routes = vec!["ipv4 12.1.0.0/24 dev eth0 table 42".into()];
        assert!(!node.is_overlay("12.0.0.0/8"));
        node.routes = vec!["ipv4 12.1.0.0/24 dev vtep1024 table 42".into()];
        assert!(node.is_overlay("12.0.0.0/8") && !node.is_overlay("13.0.0.0/8"));
        assert_eq!(word_after("ipv4 32764: from 9.0.0.0/8 lookup 42", "from"), Some("9.0.0.0/8"));
        assert_eq!(word_after("ipv4 default table 42", "dev"), None);
    }

    #[test]
    fn address_outside_dcos_ranges_is_not_of_dcos() {
        let named = |text: &str| is_named_virtual(text.parse().unwrap());
        assert!(named("11.0.0.0") && named("11.255.255.255") && named("fd01:c::1"));
        assert!(
            !named("10.255.255.255")
                && !named("12.0.0.0")
                && !named("fd01:d::1")
                && !named("fd01:c:1::1")
        );
        let spartan = |text: &str| is_spartan(text.parse().unwrap());
        assert!(
            spartan("198.51.100.3") && spartan("fd01:d::c633:6401") && !spartan("198.51.100.4")
        );
        assert_eq!(setting("net/ipv4/conf/eth0.100/rp_filter"), Some("2"));
        assert_eq!(setting("vm/overcommit_memory"), None);
    }
}
