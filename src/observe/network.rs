//! The network of this machine as far as DC/OS changes it.

use crate::dcos::firewall::{self, Line, Networks};
use crate::dcos::layout;
use crate::dcos::network::{
    self, Address, Interface, MINUTEMAN, Network, Overlay, Service, TABLE, Unseen, is_spartan,
    maker_among,
};
use crate::system::netlink;
use crate::system::netlink::ipvs::Ipvs;
use crate::system::netlink::route::{Link, Routing};
use crate::system::packet_filter::{self, Others, PROGRAMS, Place};
use crate::system::root::Root;

/// Looks at all of it. What cannot be looked at is told in words, and counts as absent.
pub async fn look(root: &Root) -> (Network, Vec<String>) {
    let (proc, here) = (root.at(layout::PROC), root.clone());
    let kernel = tokio::task::spawn_blocking(move || {
        let (mut network, mut unknown) =
            (Network { overlays: overlays(&here), ..Network::default() }, Vec::new());
        let mut tell = |result: Result<(), netlink::Error>| {
            unknown.extend(result.err().map(|e| format!("{e}: {}", e.source)))
        };
        tell(routing(&mut network));
        tell(services(&mut network));
        (network, unknown)
    });
    let (mut network, mut unknown) = kernel.await.unwrap_or_default();
    let place = Place { path: layout::USUAL_PATH, proc: &proc };
    let own = own_networks(root, &network.overlays);
    filter(&mut network, &mut unknown, &own, place).await;
    (network, unknown)
}

/// Overlay networks by a master's configuration, and by the addresses that containers have had on
/// this node.
fn overlays(root: &Root) -> Vec<Overlay> {
    let text = root.read(layout::OVERLAYS, 16 << 20).ok().flatten().unwrap_or_default();
    let mut overlays = network::overlays(&text);
    for directory in layout::CNI_NETWORKS {
        let names = root.names(directory).unwrap_or_default();
        for name in names {
            if !overlays.iter().any(|known| known.name == name) {
                overlays.push(Overlay { name, subnets: Vec::new() });
            }
        }
    }
    overlays
}

/// Those of them that nobody else can have: others keep the addresses of their containers where
/// CNI's plugins do by default.
fn own_networks(root: &Root, overlays: &[Overlay]) -> Vec<String> {
    let used = root.names(layout::CNI_NETWORKS[0]).unwrap_or_default();
    let configured = |overlay: &&Overlay| {
        !overlay.subnets.is_empty() || used.iter().any(|name| *name == *overlay.name)
    };
    overlays.iter().filter(configured).map(|overlay| overlay.name.clone()).collect()
}

fn routing(network: &mut Network) -> Result<(), netlink::Error> {
    let mut routing = Routing::open()?;
    let links = routing.links()?;
    let ports = |bridge: &Link| {
        links.iter().filter(|l| l.master == Some(bridge.index)).map(|l| l.name.clone()).collect()
    };
    let interface = |link: &Link| Interface {
        name: link.name.clone(),
        kind: link.kind.clone(),
        ports: ports(link),
    };
    network.interfaces = links.iter().map(interface).collect();
    let name_of = |index: u32| links.iter().find(|l| l.index == index).map(|l| l.name.clone());
    for address in routing.addresses()? {
        // The addresses of its resolver may be on another interface where the kernel has no dummy
        // ones.
        let ours = |interface: &String| {
            maker_among(interface, &network.overlays).is_some() || is_spartan(address.address)
        };
        let interface = name_of(address.index).filter(ours);
        let told = interface.map(|interface| Address {
            interface,
            address: format!("{}/{}", address.address, address.prefix),
        });
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
            // Since 1.11 virtual addresses are local routes out of minuteman
            // (`dcos_l4lb_route_mgr`).
            network.addresses.push(Address { interface, address: address.to_string() });
        }
    }
    Ok(())
}

fn services(network: &mut Network) -> Result<(), netlink::Error> {
    let services = Ipvs::open()?.services()?;
    network.services =
        services.into_iter().map(|s| Service { text: s.text, address: s.address }).collect();
    Ok(())
}

async fn filter(
    network: &mut Network,
    unknown: &mut Vec<String>,
    own: &[String],
    place: Place<'_>,
) {
    for program in PROGRAMS {
        rules(network, unknown, own, place, program).await;
        match packet_filter::others(place, program).await {
            Ok(Others::None) => {}
            Ok(Others::Shown(program)) => rules(network, unknown, own, place, program).await,
            Ok(Others::Unseen(program, tables)) => {
                network.unseen.push(Unseen { program: program.to_owned(), tables })
            }
            Err(error) => unknown.push(error.to_string()),
        }
    }
    match packet_filter::sets(place).await {
        Ok(sets) => network.sets = sets,
        Err(error) => unknown.push(error.to_string()),
    }
}

async fn rules(
    network: &mut Network,
    unknown: &mut Vec<String>,
    own: &[String],
    place: Place<'_>,
    program: &str,
) {
    for table in firewall::TABLES {
        let lines = match packet_filter::rules(place, program, table).await {
            Ok(lines) => lines,
            Err(error) => {
                unknown.push(error.to_string());
                continue;
            }
        };
        let words: Vec<Vec<String>> =
            lines.iter().map(|line| packet_filter::words(line).unwrap_or_default()).collect();
        let owners = firewall::owners(
            &words,
            &Networks { names: own, is_overlay: &|subnet| network.is_overlay(subnet) },
        );
        let told = lines.into_iter().zip(owners);
        let told = told.filter_map(|(text, owner)| {
            Some(Line { program: program.to_owned(), table: table.to_owned(), text, owner: owner? })
        });
        network.firewall.extend(told.collect::<Vec<Line>>());
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::*;
    use crate::dcos::firewall::Owner;
    use crate::system::process::tests::write_program;

    const MASQUERADE: &str =
        "-A POSTROUTING -s 9.0.0.0/8 -m set --match-set overlay dst -j MASQUERADE";

    /// A machine with these programs: each of a flavour, and what it prints of the table `nat`.
    async fn look(programs: &[(&str, &str, &str)]) -> (Network, Vec<String>) {
        let machine = tempfile::tempdir().unwrap();
        for (name, flavour, nat) in programs {
            let script = format!(
                "#!/bin/sh\n\
                 case \"$*\" in\n\
                 --version) echo 'v1.8.9 ({flavour})';;\n\
                 *nat*) echo '{nat}';;\n\
                 esac\n"
            );
            write_program(&machine.path().join(name), &script);
        }
        std::fs::create_dir(machine.path().join("net")).unwrap();
        std::fs::write(machine.path().join("net/ip_tables_names"), "nat\n").unwrap();
        let path = format!("{}:/nowhere", machine.path().display());
        let (mut network, mut unknown) = (Network::default(), Vec::new());
        filter(&mut network, &mut unknown, &[], Place { path: &path, proc: machine.path() }).await;
        (network, unknown)
    }

    #[tokio::test]
    async fn rules_of_the_other_iptables_flavour_are_found() {
        let newer = ("iptables", "nf_tables", "-N UCR-DEFAULT-BRIDGE");
        let (network, unknown) = look(&[newer, ("iptables-legacy", "legacy", MASQUERADE)]).await;
        let lines: Vec<(&str, &str)> = network
            .firewall
            .iter()
            .map(|line| (line.program.as_str(), line.text.as_str()))
            .collect();
        assert_eq!(lines, [("iptables", "-N UCR-DEFAULT-BRIDGE"), ("iptables-legacy", MASQUERADE)]);
        assert_eq!(
            (&network.firewall[1].owner, network.unseen.len(), unknown),
            (&Owner::Rule, 0, Vec::new())
        );
        // Where the kernel's tables cannot be shown that is told, and it is no look that failed.
        let (network, unknown) = look(&[newer]).await;
        let unseen = Unseen { program: "iptables-legacy".into(), tables: vec!["nat".into()] };
        assert_eq!(
            (network.unseen, network.firewall.len(), unknown),
            (vec![unseen], 1, Vec::new())
        );
        // The same program by both names shows everything once.
        let (network, _) =
            look(&[("iptables", "legacy", MASQUERADE), ("iptables-legacy", "legacy", MASQUERADE)])
                .await;
        assert_eq!((network.firewall.len(), network.unseen), (1, Vec::new()));
    }

    #[test]
    fn default_cni_networks_are_not_taken_for_dcos_networks() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        for network in ["run/dcos/cni/networks/prod", "var/lib/cni/networks/cbr0"] {
            std::fs::create_dir_all(directory.path().join(network)).unwrap();
        }
        let all = overlays(&root);
        assert_eq!((all.len(), own_networks(&root, &all)), (2, vec!["prod".to_owned()]));
    }
}
