//! The network of this machine as far as DC/OS changes it.

use crate::dcos::firewall::{self, Line};
use crate::dcos::layout;
use crate::dcos::network::{self, Address, Interface, MINUTEMAN, Network, Overlay, Service, TABLE, is_spartan, maker_among};
use crate::system::netlink::ipvs::Ipvs;
use crate::system::netlink::route::{Link, Routing};
use crate::system::packet_filter::{self, PROGRAMS, Place};
use crate::system::root::Root;
use crate::system::{files, netlink};

/// Looks at all of it. What cannot be looked at is told in words, and counts as absent.
pub async fn look(root: &Root) -> (Network, Vec<String>) {
    let (proc, here) = (root.at(layout::PROC), root.clone());
    let kernel = tokio::task::spawn_blocking(move || {
        let (mut network, mut unknown) = (Network { overlays: overlays(&here), ..Network::default() }, Vec::new());
        let mut tell = |result: Result<(), netlink::Error>| unknown.extend(result.err().map(|e| format!("{e}: {}", e.source)));
        tell(routing(&mut network));
        tell(services(&mut network));
        (network, unknown)
    });
    let (mut network, mut unknown) = kernel.await.unwrap_or_default();
    filter(&mut network, &mut unknown, Place { path: layout::USUAL_PATH, proc: &proc }).await;
    (network, unknown)
}

/// Overlay networks by a master's configuration, and by the addresses that containers have had on this node.
fn overlays(root: &Root) -> Vec<Overlay> {
    let text = files::read(&root.resolved(layout::OVERLAYS), 16 << 20).ok().flatten().unwrap_or_default();
    let mut overlays = network::overlays(&text);
    for directory in layout::CNI_NETWORKS {
        let names = files::names(&root.resolved(directory)).ok().flatten().unwrap_or_default();
        for name in names.into_iter().filter_map(|name| name.into_string().ok()) {
            if !overlays.iter().any(|known| known.name == name) {
                overlays.push(Overlay { name, subnets: Vec::new() });
            }
        }
    }
    overlays
}

fn routing(network: &mut Network) -> Result<(), netlink::Error> {
    let mut routing = Routing::open()?;
    let links = routing.links()?;
    let ports = |bridge: &Link| links.iter().filter(|l| l.master == Some(bridge.index)).map(|l| l.name.clone()).collect();
    let interface = |link: &Link| Interface { name: link.name.clone(), kind: link.kind.clone(), ports: ports(link) };
    network.interfaces = links.iter().map(interface).collect();
    let name_of = |index: u32| links.iter().find(|l| l.index == index).map(|l| l.name.clone());
    for address in routing.addresses()? {
        // The addresses of its resolver may be on another interface where the kernel has no dummy ones.
        let ours = |interface: &String| maker_among(interface, &network.overlays).is_some() || is_spartan(address.address);
        let interface = name_of(address.index).filter(ours);
        let told = interface.map(|interface| Address { interface, address: format!("{}/{}", address.address, address.prefix) });
        network.addresses.extend(told);
    }
    network.rules = routing.rules()?.into_iter().map(|rule| rule.text).collect();
    for route in routing.routes()? {
        if route.table == TABLE {
            network.routes.push(route.text);
        } else if let Some((interface, address)) = route.output.zip(route.destination)
            && route.table == u32::from(libc::RT_TABLE_LOCAL)
            && interface == MINUTEMAN
        {
            // Since 1.11 virtual addresses are local routes out of minuteman (`dcos_l4lb_route_mgr`).
            network.addresses.push(Address { interface, address: address.to_string() });
        }
    }
    Ok(())
}

fn services(network: &mut Network) -> Result<(), netlink::Error> {
    let services = Ipvs::open()?.services()?;
    network.services = services.into_iter().map(|s| Service { text: s.text, address: s.address }).collect();
    Ok(())
}

async fn filter(network: &mut Network, unknown: &mut Vec<String>, place: Place<'_>) {
    for program in PROGRAMS {
        for table in firewall::TABLES {
            let line = |text: String| {
                let owner = firewall::owner(&packet_filter::words(&text)?)?;
                Some(Line { program: program.to_owned(), table: table.to_owned(), text, owner })
            };
            match packet_filter::rules(place, program, table).await {
                Ok(lines) => network.firewall.extend(lines.into_iter().filter_map(line)),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        match packet_filter::tables_of_older_flavour(place, program).await {
            Ok(tables) if tables.is_empty() => {}
            Ok(tables) => unknown.push(format!(
                "the tables {} of the packet filter that {program} does not show: {program}-legacy -t {} -S does",
                tables.join(", "),
                tables.first().map(String::as_str).unwrap_or_default()
            )),
            Err(error) => unknown.push(error.to_string()),
        }
    }
    match packet_filter::sets(place).await {
        Ok(sets) => network.sets = sets,
        Err(error) => unknown.push(error.to_string()),
    }
}
