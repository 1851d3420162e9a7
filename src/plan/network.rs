//! What of the machine's network and settings goes with DC/OS: by what stands now, and by what
//! stood before the install.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::firewall;
use crate::dcos::layout;
use crate::dcos::network::{self, Interface, MINUTEMAN, Maker, NODENAME, Overlay, Service};
use crate::dcos::proof::{Item, Subject};
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;

/// The files by which DC/OS keeps others from its interfaces, if they stand and did not before.
pub fn files(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let files = [layout::NETWORKD_FILE, layout::NETWORK_MANAGER_FILE].map(PathBuf::from);
    let is_new = |file: &PathBuf| {
        now.paths.contains(file) && before.is_none_or(|before| !before.paths.contains(file))
    };
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
        let is_calicos =
            |interface: &Interface| network::maker(&interface.name) == Some(Maker::Calico);
        let had_calico =
            before.is_some_and(|before| before.network.interfaces.iter().any(is_calicos));
        Signs {
            calico: brings_calico(inventory) && !had_calico,
            overlays: now.network.overlays.clone(),
        }
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

    /// A route out of an interface of DC/OS, or out of none and to one of its networks: the table
    /// is not its own alone.
    fn is_own_route(&self, route: &str) -> bool {
        let destination = route.split(' ').nth(1).unwrap_or_default();
        // Routes of IPv6 that lead nowhere have the loopback interface.
        match network::word_after(route, "dev").filter(|interface| *interface != "lo") {
            Some(interface) => {
                self.maker(interface).is_some_and(|maker| maker != Maker::Calico || self.calico)
            }
            None => self.has_network(destination),
        }
    }

    /// A rule that leads to the table from one of its networks. Where an agent does not know those,
    /// the routes tell them.
    fn is_own_rule(&self, rule: &str, now: &Snapshot) -> bool {
        let source = network::word_after(rule, "from").unwrap_or_default();
        let leads_there = |route: &&String| {
            route.split(' ').nth(1).is_some_and(|to| network::is_within(to, source))
                && self.is_own_route(route)
        };
        network::leads_to_table(rule)
            && (self.has_network(source)
                || now.network.routes.iter().any(|route| leads_there(&route)))
    }

    fn has_network(&self, network: &str) -> bool {
        let known =
            self.overlays.iter().flat_map(|overlay| overlay.subnets.iter().map(String::as_str));
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

/// What is DC/OS' own and was not there before, in an order in which the last goes first: rules
/// before the sets and chains that they use, services before the interface that has their
/// addresses.
pub fn objects(now: &Snapshot, before: Option<&Snapshot>, signs: &Signs) -> Vec<Object> {
    let mut objects = settings(now, before);
    let is_new = |variable: &String| before.is_none_or(|b| !b.environment.contains(variable));
    if now.environment.iter().any(is_new) {
        // `dcos-calico-confd.service` sets it (2.1 and 2.2); what an operator had set comes back.
        let value = |variable: &String| {
            variable.strip_prefix(NODENAME)?.strip_prefix('=').map(str::to_owned)
        };
        let before = before.and_then(|b| b.environment.iter().find_map(value));
        objects.push(Object::Environment { name: NODENAME.to_owned(), before });
    }
    // Outer ones before those in them.
    let is_new = |point: &&PathBuf| before.is_none_or(|b| !b.mesos_mounts.contains(point));
    objects.extend(
        now.mesos_mounts.iter().filter(is_new).map(|path| Object::Mount { path: path.clone() }),
    );
    let (network, was) = (&now.network, before.map(|b| b.network.clone()).unwrap_or_default());
    let had = |interface: &str| was.interfaces.iter().any(|i| i.name == interface);
    objects.extend(
        network
            .interfaces
            .iter()
            .filter(|i| signs.is_own(i) && !had(&i.name))
            .map(|i| Object::Interface { name: i.name.clone() }),
    );
    // Those of an interface that goes, go with it.
    let goes = |interface: &str| {
        network.interfaces.iter().any(|i| i.name == interface && signs.is_own(i) && !had(interface))
    };
    let addresses = network
        .addresses
        .iter()
        .filter(|a| !goes(&a.interface) && !was.addresses.contains(a) && is_spartan(&a.address));
    objects.extend(
        addresses.map(|a| Object::Address {
            interface: a.interface.clone(),
            address: a.address.clone(),
        }),
    );
    let ours = |route: &&String| signs.is_own_route(route) && !was.routes.contains(route);
    objects.extend(network.routes.iter().filter(ours).map(|r| Object::Route { route: r.clone() }));
    let ours = |rule: &&String| signs.is_own_rule(rule, now) && !was.rules.contains(rule);
    objects
        .extend(network.rules.iter().filter(ours).map(|r| Object::RoutingRule { rule: r.clone() }));
    let services =
        network.services.iter().filter(|s| is_virtual(s, now) && !was.services.contains(s));
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
    for interface in
        now.network.interfaces.iter().filter(is_new).filter(|interface| !signs.is_own(interface))
    {
        let why = match signs.maker(&interface.name) {
            Some(Maker::Calico) => {
                calico.push(interface.name.clone());
                continue;
            }
            Some(_) => format!(
                "docker's network, and containers are on it ({})",
                interface.ports.join(", ")
            ),
            None if before.is_some() && interface.kind.as_deref() == Some("bridge") => {
                "a bridge that is new since the install, and has no name that DC/OS gives"
                    .to_owned()
            }
            None => continue,
        };
        let subject = Subject::Interface(interface.name.clone());
        items.push(Item::about("interface", subject, why));
    }
    if !calico.is_empty() {
        let why = "calico's, and nothing tells that DC/OS brought it: others bring it too";
        items.push(Item::new("interface", calico.join(", "), why));
    }
    let strange = "in the table that DC/OS uses, and none that DC/OS makes";
    for route in
        now.network.routes.iter().filter(|r| !was.routes.contains(r) && !signs.is_own_route(r))
    {
        items.push(Item::new("route", route.clone(), strange));
    }
    for rule in now.network.rules.iter().filter(|r| {
        network::leads_to_table(r) && !was.rules.contains(r) && !signs.is_own_rule(r, now)
    }) {
        items.push(Item::new("routing-rule", rule.clone(), strange));
    }
    for service in
        now.network.services.iter().filter(|s| !is_virtual(s, now) && !was.services.contains(s))
    {
        items.push(Item::new(
            "ipvs-service",
            service.text.clone(),
            "its address is none that DC/OS gives",
        ));
    }
    items
}

/// What docker's networks are called of which it made a bridge for DC/OS: those that went, and
/// those that stay because a container is on them. docker keeps the network itself.
pub fn docker_networks(
    undone: &[Object],
    now: &Snapshot,
    before: Option<&Snapshot>,
    signs: &Signs,
) -> Vec<String> {
    let had =
        |name: &str| before.is_some_and(|b| b.network.interfaces.iter().any(|i| i.name == name));
    let gone = undone.iter().filter_map(|object| {
        if let Object::Interface { name } = object { Some(name.as_str()) } else { None }
    });
    let stay = now
        .network
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .filter(|name| !had(name));
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
            Some(was) if is_ours => items.push(Item::new(
                "sysctl",
                name.clone(),
                format!("{value}, was {was}; a reboot sets it back"),
            )),
            Some(was) => items.push(Item::new(
                "sysctl",
                name.clone(),
                format!("{value}, was {was}: DC/OS does not set it so"),
            )),
            // An interface that came since has its settings from the kernel.
            None if is_ours
                && (network::SETTINGS.contains(&name.as_str())
                    || (before.is_none() && is_of_machine(name, now, signs))) =>
            {
                items.push(Item::new(
                    "sysctl",
                    name.clone(),
                    format!("{value}; what it was is not recorded, a reboot sets it back"),
                ));
            }
            None => {}
        }
    }
    for module in
        now.modules.iter().filter(|module| before.is_none_or(|b| !b.modules.contains(module)))
    {
        items.push(Item::new(
            "module",
            module.clone(),
            "loaded, and perhaps used by others by now; a reboot unloads it",
        ));
    }
    items
}

fn settings(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Object> {
    let changed = now.sysctls.iter().filter(|(name, value)| network::setting(name) == Some(value));
    let with_before = changed.filter_map(|(name, value)| {
        Some((name, before?.sysctls.get(name).filter(|was| *was != value)?))
    });
    with_before
        .map(|(name, was)| Object::Sysctl { name: name.clone(), before: was.clone() })
        .collect()
}

/// A setting of all interfaces, or of one that is the machine's own: none of DC/OS, and no port of
/// a bridge, as those of containers are.
fn is_of_machine(name: &str, now: &Snapshot, signs: &Signs) -> bool {
    let Some(interface) =
        name.strip_prefix(network::CONF).and_then(|rest| rest.strip_suffix(network::RP_FILTER))
    else {
        return false;
    };
    let is_port = || {
        now.network
            .interfaces
            .iter()
            .any(|bridge| bridge.ports.iter().any(|port| port == interface))
    };
    interface != "lo" && signs.maker(interface).is_none() && !is_port()
}

fn is_spartan(address: &str) -> bool {
    address.split('/').next().and_then(|ip| ip.parse().ok()).is_some_and(network::is_spartan)
}

/// A service whose address is of the range for names, or on `minuteman`.
fn is_virtual(service: &Service, now: &Snapshot) -> bool {
    let Some(address) = service.address else { return false };
    let on_minuteman = |a: &&network::Address| {
        a.interface == MINUTEMAN
            && a.address.split('/').next().and_then(|ip| ip.parse().ok()) == Some(address)
    };
    network::is_named_virtual(address) || now.network.addresses.iter().any(|a| on_minuteman(&a))
}

#[cfg(test)]
mod tests;
