//! What of the machine's network and settings goes with DC/OS: by what stands now, and by what stood before the install.

use std::path::PathBuf;

use crate::dcos::firewall::{self, Line, Owner};
use crate::dcos::layout;
use crate::dcos::network::{self, Interface, MINUTEMAN, Maker, NODENAME, Service};
use crate::dcos::proof::Item;
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;

/// The files by which DC/OS keeps others from its interfaces, if they stand and did not before.
pub fn files(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let files = [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE].map(PathBuf::from);
    let is_new = |file: &PathBuf| now.paths.contains(file) && before.is_none_or(|before| !before.paths.contains(file));
    files.into_iter().filter(is_new).map(|path| Object::Scratch { path }).collect()
}

/// What is DC/OS' own and was not there before, in an order in which the last goes first: rules before the sets and chains that they use,
/// services before the interface that has their addresses.
pub fn objects(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let mut objects = settings(now, before);
    let is_new = |variable: &String| before.is_none_or(|b| !b.environment.contains(variable));
    if now.environment.iter().any(is_new) {
        // `dcos-calico-confd.service` sets it (2.1 and 2.2); what an operator had set comes back.
        let value = |variable: &String| variable.strip_prefix(NODENAME)?.strip_prefix('=').map(str::to_owned);
        let before = before.and_then(|b| b.environment.iter().find_map(value));
        objects.push(Object::Environment { name: NODENAME.to_owned(), before });
    }
    let (network, was) = (&now.network, before.map(|b| b.network.clone()).unwrap_or_default());
    let had = |interface: &str| was.interfaces.iter().any(|i| i.name == interface);
    objects.extend(network.interfaces.iter().filter(|i| is_own(i) && !had(&i.name)).map(|i| Object::Interface { name: i.name.clone() }));
    // Those of an interface that goes, go with it.
    let stays = |interface: &str| had(interface) || network::maker(interface).is_none();
    let addresses = network.addresses.iter().filter(|a| stays(&a.interface) && !was.addresses.contains(a) && is_spartan(&a.address));
    objects.extend(addresses.map(|a| Object::Address { interface: a.interface.clone(), address: a.address.clone() }));
    objects.extend(network.routes.iter().filter(|r| !was.routes.contains(r)).map(|r| Object::Route { route: r.clone() }));
    let ours = |rule: &&String| rule.ends_with(&format!(" lookup {}", network::TABLE)) && !was.rules.contains(rule);
    objects.extend(network.rules.iter().filter(ours).map(|r| Object::RoutingRule { rule: r.clone() }));
    let services = network.services.iter().filter(|s| is_virtual(s, now) && !was.services.contains(s));
    objects.extend(services.map(|s| Object::IpvsService { service: s.text.clone() }));
    let sets = network.sets.iter().filter(|s| firewall::SETS.contains(&s.as_str()) && !was.sets.contains(s));
    objects.extend(sets.map(|s| Object::IpSet { name: s.clone() }));
    let lines = || network.firewall.iter().filter(|line| !was.firewall.contains(line));
    objects.extend(lines().filter_map(chain));
    objects.extend(lines().filter(|line| line.owner == Owner::Rule).map(|line| Object::FirewallRule {
        program: line.program.clone(),
        table: line.table.clone(),
        rule: line.text.clone(),
    }));
    objects
}

/// What is new since the install and may be DC/OS' or not.
pub fn foreign(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Item> {
    let was = before.map(|b| b.network.clone()).unwrap_or_default();
    let mut items = Vec::new();
    for line in now.network.firewall.iter().filter(|line| !was.firewall.contains(line)) {
        if let Owner::Untold(why) = &line.owner {
            items.push(Item::new("firewall-rule", format!("{} ({} -t {})", line.text, line.program, line.table), why.clone()));
        }
    }
    let in_use = |i: &&Interface| network::maker(&i.name) == Some(Maker::Docker) && !i.ports.is_empty();
    for interface in now.network.interfaces.iter().filter(in_use) {
        let why = format!("docker's network, and containers are on it ({})", interface.ports.join(", "));
        items.push(Item::new("interface", interface.name.clone(), why));
    }
    for service in now.network.services.iter().filter(|s| !is_virtual(s, now) && !was.services.contains(s)) {
        items.push(Item::new("ipvs-service", service.text.clone(), "its address is none that DC/OS gives"));
    }
    items
}

/// Settings that changed and stay as they are.
pub fn kept(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Item> {
    let going = settings(now, before);
    let goes = |name: &str| going.iter().any(|o| matches!(o, Object::Sysctl { name: going, .. } if going == name));
    let mut items = Vec::new();
    for (name, value) in now.sysctls.iter().filter(|(name, _)| !goes(name)) {
        let was = before.and_then(|b| b.sysctls.get(name));
        let is_ours = network::setting(name) == Some(value);
        match was {
            Some(was) if was == value => {}
            Some(was) if is_ours => items.push(Item::new("sysctl", name.clone(), format!("{value}, was {was}; a reboot sets it back"))),
            Some(was) => items.push(Item::new("sysctl", name.clone(), format!("{value}, was {was}: DC/OS does not set it so"))),
            // An interface that came since has its settings from the kernel.
            None if is_ours && network::SETTINGS.contains(&name.as_str()) => {
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

/// An interface with a name of DC/OS. A bridge of docker's goes only if no container is on it.
fn is_own(interface: &Interface) -> bool {
    match network::maker(&interface.name) {
        Some(Maker::Dcos) => true,
        Some(Maker::Docker) => interface.ports.is_empty(),
        None => false,
    }
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

fn chain(line: &Line) -> Option<Object> {
    match &line.owner {
        Owner::Chain(chain) => {
            Some(Object::FirewallChain { program: line.program.clone(), table: line.table.clone(), chain: chain.clone() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::network::{Address, Network};

    fn node() -> Snapshot {
        let interface =
            |name: &str, ports: &[&str]| Interface { name: name.to_owned(), ports: ports.iter().map(|p| (*p).to_owned()).collect() };
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
                ],
                routes: vec!["ipv4 9.1.0.0/16 table 42".into()],
                services: vec![service("11.1.2.3:80"), service("192.168.7.7:80"), service("203.0.113.1:80")],
                sets: vec!["dcos-l4lb".into(), "operator".into()],
                firewall: vec![
                    line("-N X", Owner::Chain("X".into())),
                    line("-A X", Owner::Rule),
                    line("-A FORWARD", Owner::Untold("why".into())),
                ],
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
        let going = words(&objects(&node(), Some(&before)));
        let expected = [
            "the setting vm/swappiness",
            "NODENAME in systemd's environment",
            "the interface spartan",
            "the interface d-dcos6",
            "the route ipv4 9.1.0.0/16 table 42",
            "the routing rule ipv4 9: from 9.0.0.0/8 lookup 42",
            "the IPVS service tcp 11.1.2.3:80",
            "the IPVS service tcp 192.168.7.7:80",
            "the ipset dcos-l4lb",
            "the chain X (iptables -t nat)",
            "the rule -A X (iptables -t nat)",
        ];
        assert_eq!(going, expected);
        let alone: Vec<String> = foreign(&node(), Some(&before)).into_iter().map(|item| item.what).collect();
        assert_eq!(alone, ["-A FORWARD (iptables -t nat)", "d-dcos", "tcp 203.0.113.1:80"]);
    }

    #[test]
    fn what_was_there_before_is_nobody_elses_to_remove() {
        assert_eq!(words(&objects(&node(), Some(&node()))), Vec::<String>::new());
        assert!(kept(&node(), Some(&node())).is_empty());
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
        assert_eq!(objects(&now, Some(&before)), [environment(Some("theirs"))]);
        assert_eq!(objects(&now, None), [environment(None)]);
        assert_eq!(objects(&before, Some(&before)), []);
    }

    #[test]
    fn a_setting_without_a_record_is_reported_and_not_guessed() {
        assert!(!words(&objects(&node(), None)).iter().any(|w| w.contains("setting")));
        let kept: Vec<String> = kept(&node(), None).into_iter().map(|item| item.what).collect();
        assert_eq!(kept, ["vm/swappiness"]);
    }
}
