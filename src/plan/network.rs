//! What of the machine's network and settings goes with DC/OS: by what stands now, and by what stood before the install.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::firewall;
use crate::dcos::layout;
use crate::dcos::network::{self, Interface, MINUTEMAN, Maker, NODENAME, Overlay, Service};
use crate::dcos::proof::Item;
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;

/// The files by which DC/OS keeps others from its interfaces, if they stand and did not before.
pub fn files(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let files = [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE].map(PathBuf::from);
    let is_new = |file: &PathBuf| now.paths.contains(file) && before.is_none_or(|before| !before.paths.contains(file));
    files.into_iter().filter(is_new).map(|path| Object::Scratch { path }).collect()
}

/// What tells DC/OS' own things from others of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// calico came with DC/OS.
    calico: bool,
    /// Networks besides the default ones.
    overlays: Vec<Overlay>,
}

impl Signs {
    /// By what is removed, and what the node knows of its networks while that stands.
    pub fn of(inventory: &[Object], now: &Snapshot, before: Option<&Snapshot>) -> Signs {
        let is_calicos = |interface: &Interface| network::maker(&interface.name) == Some(Maker::Calico);
        let had_calico = before.is_some_and(|before| before.network.interfaces.iter().any(is_calicos));
        Signs { calico: brings_calico(inventory) && !had_calico, overlays: now.network.overlays.clone() }
    }

    fn maker(&self, interface: &str) -> Option<Maker> {
        network::maker_among(interface, &self.overlays)
    }

    /// An interface with a name of DC/OS. A bridge of docker's goes only if no container is on it.
    fn is_own(&self, interface: &Interface) -> bool {
        match self.maker(&interface.name) {
            Some(Maker::Dcos) => true,
            Some(Maker::Docker) => interface.ports.is_empty(),
            Some(Maker::Calico) => self.calico,
            None => false,
        }
    }

    /// A route out of an interface of DC/OS, or out of none and to one of its networks: the table is not its own alone.
    fn is_own_route(&self, route: &str) -> bool {
        let destination = route.split(' ').nth(1).unwrap_or_default();
        // Routes of IPv6 that lead nowhere have the loopback interface.
        match network::word_after(route, "dev").filter(|interface| *interface != "lo") {
            Some(interface) => self.maker(interface).is_some_and(|maker| maker != Maker::Calico || self.calico),
            None => self.has_network(destination),
        }
    }

    /// A rule that leads to the table from one of its networks. Where an agent does not know those, the routes tell them.
    fn is_own_rule(&self, rule: &str, now: &Snapshot) -> bool {
        let source = network::word_after(rule, "from").unwrap_or_default();
        let leads_there =
            |route: &&String| route.split(' ').nth(1).is_some_and(|to| network::is_within(to, source)) && self.is_own_route(route);
        network::leads_to_table(rule) && (self.has_network(source) || now.network.routes.iter().any(|route| leads_there(&route)))
    }

    fn has_network(&self, network: &str) -> bool {
        let known = self.overlays.iter().flat_map(|overlay| overlay.subnets.iter().map(String::as_str));
        network::SUBNETS.into_iter().chain(known).any(|subnet| network::is_within(network, subnet))
    }
}

/// Whether calico came with DC/OS (2.1 and 2.2): by its units or its package.
pub fn brings_calico(inventory: &[Object]) -> bool {
    inventory.iter().any(|object| match object {
        Object::Units { names } => names.iter().any(|name| name.starts_with("dcos-calico-")),
        Object::Package { id } => id.name() == "calico",
        _ => false,
    })
}

/// What is DC/OS' own and was not there before, in an order in which the last goes first: rules before the sets and chains that they use,
/// services before the interface that has their addresses.
pub fn objects(now: &Snapshot, before: Option<&Snapshot>, signs: &Signs) -> Vec<Object> {
    let mut objects = settings(now, before);
    let is_new = |variable: &String| before.is_none_or(|b| !b.environment.contains(variable));
    if now.environment.iter().any(is_new) {
        // `dcos-calico-confd.service` sets it (2.1 and 2.2); what an operator had set comes back.
        let value = |variable: &String| variable.strip_prefix(NODENAME)?.strip_prefix('=').map(str::to_owned);
        let before = before.and_then(|b| b.environment.iter().find_map(value));
        objects.push(Object::Environment { name: NODENAME.to_owned(), before });
    }
    // Outer ones before those in them.
    let is_new = |point: &&PathBuf| before.is_none_or(|b| !b.mesos_mounts.contains(point));
    objects.extend(now.mesos_mounts.iter().filter(is_new).map(|path| Object::Mount { path: path.clone() }));
    let (network, was) = (&now.network, before.map(|b| b.network.clone()).unwrap_or_default());
    let had = |interface: &str| was.interfaces.iter().any(|i| i.name == interface);
    objects
        .extend(network.interfaces.iter().filter(|i| signs.is_own(i) && !had(&i.name)).map(|i| Object::Interface { name: i.name.clone() }));
    // Those of an interface that goes, go with it.
    let goes = |interface: &str| network.interfaces.iter().any(|i| i.name == interface && signs.is_own(i) && !had(interface));
    let addresses = network.addresses.iter().filter(|a| !goes(&a.interface) && !was.addresses.contains(a) && is_spartan(&a.address));
    objects.extend(addresses.map(|a| Object::Address { interface: a.interface.clone(), address: a.address.clone() }));
    let ours = |route: &&String| signs.is_own_route(route) && !was.routes.contains(route);
    objects.extend(network.routes.iter().filter(ours).map(|r| Object::Route { route: r.clone() }));
    let ours = |rule: &&String| signs.is_own_rule(rule, now) && !was.rules.contains(rule);
    objects.extend(network.rules.iter().filter(ours).map(|r| Object::RoutingRule { rule: r.clone() }));
    let services = network.services.iter().filter(|s| is_virtual(s, now) && !was.services.contains(s));
    objects.extend(services.map(|s| Object::IpvsService { service: s.text.clone() }));
    objects.extend(firewall::objects(network, &was));
    objects
}

/// What is new since the install and may be DC/OS' or not.
pub fn foreign(now: &Snapshot, before: Option<&Snapshot>, signs: &Signs) -> Vec<Item> {
    let was = before.map(|b| b.network.clone()).unwrap_or_default();
    let mut items = firewall::foreign(&now.network, before.map(|b| &b.network));
    let is_new = |interface: &&Interface| !was.interfaces.iter().any(|i| i.name == interface.name);
    let mut calico = Vec::new();
    for interface in now.network.interfaces.iter().filter(is_new).filter(|interface| !signs.is_own(interface)) {
        let why = match signs.maker(&interface.name) {
            Some(Maker::Calico) => {
                calico.push(interface.name.clone());
                continue;
            }
            Some(_) => format!("docker's network, and containers are on it ({})", interface.ports.join(", ")),
            None if before.is_some() && interface.kind.as_deref() == Some("bridge") => {
                "a bridge that is new since the install, and has no name that DC/OS gives".to_owned()
            }
            None => continue,
        };
        items.push(Item::new("interface", interface.name.clone(), why));
    }
    if !calico.is_empty() {
        let why = "calico's, and nothing tells that DC/OS brought it: others bring it too";
        items.push(Item::new("interface", calico.join(", "), why));
    }
    let strange = "in the table that DC/OS uses, and none that DC/OS makes";
    for route in now.network.routes.iter().filter(|r| !was.routes.contains(r) && !signs.is_own_route(r)) {
        items.push(Item::new("route", route.clone(), strange));
    }
    for rule in now.network.rules.iter().filter(|r| network::leads_to_table(r) && !was.rules.contains(r) && !signs.is_own_rule(r, now)) {
        items.push(Item::new("routing-rule", rule.clone(), strange));
    }
    for service in now.network.services.iter().filter(|s| !is_virtual(s, now) && !was.services.contains(s)) {
        items.push(Item::new("ipvs-service", service.text.clone(), "its address is none that DC/OS gives"));
    }
    items
}

/// What docker's networks are called of which it made a bridge for DC/OS: those that went, and those that stay because a container is on them. docker
/// keeps the network itself.
pub fn docker_networks(undone: &[Object], now: &Snapshot, before: Option<&Snapshot>, signs: &Signs) -> Vec<String> {
    let had = |name: &str| before.is_some_and(|b| b.network.interfaces.iter().any(|i| i.name == name));
    let gone = undone.iter().filter_map(|object| if let Object::Interface { name } = object { Some(name.as_str()) } else { None });
    let stay = now.network.interfaces.iter().map(|interface| interface.name.as_str()).filter(|name| !had(name));
    let dockers = gone.chain(stay).filter(|name| signs.maker(name) == Some(Maker::Docker));
    let names: BTreeSet<&str> = dockers.filter_map(|name| name.strip_prefix("d-")).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Settings that changed and stay as they are, or could not be put back.
pub fn kept(now: &Snapshot, before: Option<&Snapshot>, signs: &Signs) -> Vec<Item> {
    let mut items = Vec::new();
    for (name, value) in &now.sysctls {
        let was = before.and_then(|b| b.sysctls.get(name));
        let is_ours = network::setting(name) == Some(value);
        match was {
            Some(was) if was == value => {}
            Some(was) if is_ours => items.push(Item::new("sysctl", name.clone(), format!("{value}, was {was}; a reboot sets it back"))),
            Some(was) => items.push(Item::new("sysctl", name.clone(), format!("{value}, was {was}: DC/OS does not set it so"))),
            // An interface that came since has its settings from the kernel.
            None if is_ours && (network::SETTINGS.contains(&name.as_str()) || (before.is_none() && is_of_machine(name, now, signs))) => {
                items.push(Item::new("sysctl", name.clone(), format!("{value}; what it was is not recorded, a reboot sets it back")));
            }
            None => {}
        }
    }
    for module in now.modules.iter().filter(|module| before.is_none_or(|b| !b.modules.contains(module))) {
        items.push(Item::new("module", module.clone(), "loaded, and perhaps used by others by now; a reboot unloads it"));
    }
    items
}

fn settings(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let changed = now.sysctls.iter().filter(|(name, value)| network::setting(name) == Some(value));
    let with_before = changed.filter_map(|(name, value)| Some((name, before?.sysctls.get(name).filter(|was| *was != value)?)));
    with_before.map(|(name, was)| Object::Sysctl { name: name.clone(), before: was.clone() }).collect()
}

/// A setting of all interfaces, or of one that is the machine's own: none of DC/OS, and no port of a bridge, as those of containers are.
fn is_of_machine(name: &str, now: &Snapshot, signs: &Signs) -> bool {
    let Some(interface) = name.strip_prefix(network::CONF).and_then(|rest| rest.strip_suffix(network::RP_FILTER)) else { return false };
    let is_port = || now.network.interfaces.iter().any(|bridge| bridge.ports.iter().any(|port| port == interface));
    interface != "lo" && signs.maker(interface).is_none() && !is_port()
}

fn is_spartan(address: &str) -> bool {
    address.split('/').next().and_then(|ip| ip.parse().ok()).is_some_and(network::is_spartan)
}

/// A service whose address is of the range for names, or on `minuteman`.
fn is_virtual(service: &Service, now: &Snapshot) -> bool {
    let Some(address) = service.address else { return false };
    let on_minuteman =
        |a: &&network::Address| a.interface == MINUTEMAN && a.address.split('/').next() == Some(address.to_string().as_str());
    network::is_named_virtual(address) || now.network.addresses.iter().any(|a| on_minuteman(&a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::firewall::{Line, Owner};
    use crate::dcos::network::{Address, Network};

    fn interface(name: &str, ports: &[&str]) -> Interface {
        Interface { name: name.to_owned(), kind: Some("bridge".into()), ports: ports.iter().map(|p| (*p).to_owned()).collect() }
    }

    fn node() -> Snapshot {
        let service =
            |text: &str| Service { text: format!("tcp {text}"), address: text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()) };
        let line = |text: &str, owner| Line { program: "iptables".into(), table: "nat".into(), text: text.into(), owner };
        Snapshot {
            live: true,
            network: Network {
                interfaces: vec![
                    interface("eth0", &[]),
                    interface("spartan", &[]),
                    interface("d-dcos", &["veth1"]),
                    interface("d-dcos6", &[]),
                ],
                addresses: vec![Address { interface: "minuteman".into(), address: "192.168.7.7/32".into() }],
                rules: vec![
                    "ipv4 0: from all lookup 255".into(),
                    "ipv4 9: from 9.0.0.0/8 lookup 42".into(),
                    "ipv4 9: from all lookup 142".into(),
                    "ipv4 9: from 12.0.0.0/8 lookup 42".into(),
                    "ipv4 9: from 10.9.0.0/16 lookup 42".into(),
                ],
                routes: vec![
                    "ipv4 9.1.0.0/16 via 44.128.0.2 dev vtep1024 table 42".into(),
                    "ipv4 12.1.0.0/24 dev vtep1024 table 42".into(),
                    "ipv6 fd01:b::/80 dev lo table 42".into(),
                    "ipv4 10.8.0.0/16 dev eth0 table 42".into(),
                    "ipv4 default via 192.0.2.1 dev eth0 table 42".into(),
                ],
                services: vec![service("11.1.2.3:80"), service("192.168.7.7:80"), service("203.0.113.1:80")],
                sets: vec!["dcos-l4lb".into(), "operator".into()],
                firewall: vec![
                    line("-N X", Owner::Chain("X".into())),
                    line("-A X", Owner::Rule),
                    line("-A FORWARD", Owner::Untold("why".into())),
                ],
                ..Network::default()
            },
            sysctls: [("vm/swappiness", "1"), ("vm/max_map_count", "300000")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            environment: vec!["NODENAME=192.0.2.1".into()],
            ..Snapshot::default()
        }
    }

    fn words(objects: &[Object]) -> Vec<String> {
        objects.iter().map(Object::words).collect()
    }

    #[test]
    fn what_is_new_and_of_dcos_goes_and_what_uses_it_goes_first() {
        let before = Snapshot { sysctls: [("vm/swappiness".to_owned(), "60".to_owned())].into(), ..Snapshot::default() };
        let going = words(&objects(&node(), Some(&before), &Signs::default()));
        let expected = [
            "the setting vm/swappiness",
            "NODENAME in systemd's environment",
            "the interface spartan",
            "the interface d-dcos6",
            "the route ipv4 9.1.0.0/16 via 44.128.0.2 dev vtep1024 table 42",
            "the route ipv4 12.1.0.0/24 dev vtep1024 table 42",
            "the route ipv6 fd01:b::/80 dev lo table 42",
            "the routing rule ipv4 9: from 9.0.0.0/8 lookup 42",
            "the routing rule ipv4 9: from 12.0.0.0/8 lookup 42",
            "the IPVS service tcp 11.1.2.3:80",
            "the IPVS service tcp 192.168.7.7:80",
            "the ipset dcos-l4lb",
            "the chain X (iptables -t nat)",
            "the rule -A X (iptables -t nat)",
        ];
        assert_eq!(going, expected);
        let alone: Vec<String> = foreign(&node(), Some(&before), &Signs::default()).into_iter().map(|item| item.what).collect();
        let expected = [
            "-A FORWARD (iptables -t nat)",
            "operator",
            "eth0",
            "d-dcos",
            "ipv4 10.8.0.0/16 dev eth0 table 42",
            "ipv4 default via 192.0.2.1 dev eth0 table 42",
            "ipv4 9: from 10.9.0.0/16 lookup 42",
            "tcp 203.0.113.1:80",
        ];
        assert_eq!(alone, expected);
        // docker has both networks still, and both come back with it.
        let went = [Object::Interface { name: "spartan".into() }, Object::Interface { name: "d-dcos6".into() }];
        assert_eq!(docker_networks(&went, &node(), Some(&before), &Signs::default()), ["dcos", "dcos6"]);
        assert_eq!(docker_networks(&[], &node(), Some(&node()), &Signs::default()), Vec::<String>::new());
    }

    #[test]
    fn calico_and_bridges_are_dcos_own_only_where_something_tells_so() {
        let mut now = Snapshot { live: true, ..Snapshot::default() };
        let names = ["vxlan.calico", "cali0a1b2c3d4e5", "m-prod", "d-prod"];
        now.network.interfaces = names.iter().map(|name| interface(name, &[])).collect();
        let going = |now: &Snapshot, before: Option<&Snapshot>, inventory: &[Object]| {
            objects(now, before, &Signs::of(inventory, now, before)).len()
        };
        let units = [Object::Units { names: vec!["dcos-calico-felix.service".into()] }];
        let package = [Object::Package { id: "calico--1".parse().unwrap() }];
        let (empty, kubernetes) = (Snapshot::default(), now.clone());
        assert_eq!([&units[..], &package, &[]].map(|inventory| going(&now, Some(&empty), inventory)), [2, 2, 0]);
        assert_eq!([None, Some(&kubernetes)].map(|before| going(&now, before, &units)), [2, 0]);
        let told = |now: &Snapshot, inventory: &[Object]| -> Vec<String> {
            foreign(now, Some(&empty), &Signs::of(inventory, now, Some(&empty))).into_iter().map(|item| item.what).collect()
        };
        assert_eq!(told(&now, &[]), ["m-prod", "d-prod", "vxlan.calico, cali0a1b2c3d4e5"]);
        now.network.overlays = vec![Overlay { name: "prod".into(), subnets: vec!["12.0.0.0/8".into()] }];
        now.network.rules = vec!["ipv4 9: from 12.0.0.0/8 lookup 42".into()];
        assert_eq!((going(&now, Some(&empty), &units), told(&now, &units)), (5, Vec::new()));
    }

    #[test]
    fn what_was_there_before_is_nobody_elses_to_remove() {
        assert_eq!(words(&objects(&node(), Some(&node()), &Signs::default())), Vec::<String>::new());
        assert!(kept(&node(), Some(&node()), &Signs::default()).is_empty());
    }

    #[test]
    fn a_file_for_networkd_that_was_there_before_stays() {
        let now = Snapshot { paths: vec![layout::NETWORKD_FILE.into(), layout::NETWORK_MANAGER_FILE.into()], ..Snapshot::default() };
        let before = Snapshot { paths: vec![layout::NETWORKD_FILE.into()], ..Snapshot::default() };
        assert_eq!(words(&files(&now, Some(&before))), [layout::NETWORK_MANAGER_FILE]);
        assert_eq!(files(&now, None).len(), 2);
    }

    #[test]
    fn a_variable_that_an_operator_had_set_comes_back() {
        let before = Snapshot { environment: vec!["NODENAME=theirs".into()], ..Snapshot::default() };
        let now = Snapshot { environment: vec!["NODENAME=192.0.2.1".into()], ..Snapshot::default() };
        let environment = |before: Option<&str>| Object::Environment { name: NODENAME.into(), before: before.map(str::to_owned) };
        assert_eq!(objects(&now, Some(&before), &Signs::default()), [environment(Some("theirs"))]);
        assert_eq!(objects(&now, None, &Signs::default()), [environment(None)]);
        assert_eq!(objects(&before, Some(&before), &Signs::default()), []);
    }

    #[test]
    fn a_setting_without_a_record_is_reported_and_not_guessed() {
        assert!(!words(&objects(&node(), None, &Signs::default())).iter().any(|w| w.contains("setting")));
        let mut node = node();
        let of = |interface: &str| (format!("net/ipv4/conf/{interface}/rp_filter"), "2".to_owned());
        node.sysctls.extend(["all", "eth0", "lo", "veth1", "spartan"].map(of));
        let told: Vec<String> = kept(&node, None, &Signs::default()).into_iter().map(|item| item.what).collect();
        assert_eq!(told, ["net/ipv4/conf/all/rp_filter", "net/ipv4/conf/eth0/rp_filter", "vm/swappiness"]);
    }

    #[test]
    fn a_setting_that_could_not_be_put_back_is_told() {
        let before = Snapshot { sysctls: [("vm/swappiness".to_owned(), "60".to_owned())].into(), ..Snapshot::default() };
        let told = kept(&node(), Some(&before), &Signs::default());
        assert_eq!((told.len(), told[0].why.as_str()), (1, "1, was 60; a reboot sets it back"));
    }
}
