use super::*;
use crate::dcos::firewall::{Line, Owner};
use crate::dcos::network::{Address, Network};

fn interface(name: &str, ports: &[&str]) -> Interface {
    Interface {
        name: name.to_owned(),
        kind: Some("bridge".into()),
        ports: ports.iter().map(|p| (*p).to_owned()).collect(),
    }
}

fn node() -> Snapshot {
    let service = |text: &str| Service {
        text: format!("tcp {text}"),
        address: text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()),
    };
    let line = |text: &str, owner| Line {
        program: "iptables".into(),
        table: "nat".into(),
        text: text.into(),
        owner,
    };
    Snapshot {
        live: true,
        network: Network {
            interfaces: vec![
                interface("eth0", &[]),
                interface("spartan", &[]),
                interface("d-dcos", &["veth1"]),
                interface("d-dcos6", &[]),
            ],
            addresses: vec![Address {
                interface: "minuteman".into(),
                address: "192.168.7.7/32".into(),
            }],
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
            services: vec![
                service("11.1.2.3:80"),
                service("192.168.7.7:80"),
                service("203.0.113.1:80"),
            ],
            sets: vec!["dcos-l4lb".into(), "operator".into()],
            firewall: vec![
                line("-N X", Owner::Chain("X".into())),
                line("-A X", Owner::Rule),
                line("-A FORWARD", Owner::Untold("why".into())),
            ],
            ..Network::default()
        },
        sysctls: [("vm/swappiness", "1"), ("vm/max_map_count", "300000")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into(),
        environment: vec!["NODENAME=192.0.2.1".into()],
        ..Snapshot::default()
    }
}

fn words(objects: &[Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

#[test]
fn new_dcos_interfaces_are_removed_after_their_users() {
    let before = Snapshot {
        sysctls: [("vm/swappiness".to_owned(), "60".to_owned())].into(),
        ..Snapshot::default()
    };
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
    let alone: Vec<String> = foreign(&node(), Some(&before), &Signs::default())
        .into_iter()
        .map(|item| item.what)
        .collect();
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
    let went = [
        Object::Interface { name: "spartan".into() },
        Object::Interface { name: "d-dcos6".into() },
    ];
    assert_eq!(
        docker_networks(&went, &node(), Some(&before), &Signs::default()),
        ["dcos", "dcos6"]
    );
    assert_eq!(
        docker_networks(&[], &node(), Some(&node()), &Signs::default()),
        Vec::<String>::new()
    );
}

#[test]
fn calico_and_bridges_need_evidence_to_be_of_dcos() {
    let mut now = Snapshot { live: true, ..Snapshot::default() };
    let names = ["vxlan.calico", "cali0a1b2c3d4e5", "m-prod", "d-prod"];
    now.network.interfaces = names.iter().map(|name| interface(name, &[])).collect();
    let going = |now: &Snapshot, before: Option<&Snapshot>, inventory: &[Object]| {
        objects(now, before, &Signs::of(inventory, now, before)).len()
    };
    let units = [Object::Units { names: vec!["dcos-calico-felix.service".into()] }];
    let package = [Object::Package { id: "calico--1".parse().unwrap() }];
    let (empty, kubernetes) = (Snapshot::default(), now.clone());
    assert_eq!(
        [&units[..], &package, &[]].map(|inventory| going(&now, Some(&empty), inventory)),
        [2, 2, 0]
    );
    assert_eq!([None, Some(&kubernetes)].map(|before| going(&now, before, &units)), [2, 0]);
    let told = |now: &Snapshot, inventory: &[Object]| -> Vec<String> {
        foreign(now, Some(&empty), &Signs::of(inventory, now, Some(&empty)))
            .into_iter()
            .map(|item| item.what)
            .collect()
    };
    assert_eq!(told(&now, &[]), ["m-prod", "d-prod", "vxlan.calico, cali0a1b2c3d4e5"]);
    now.network.overlays =
        vec![Overlay { name: "prod".into(), subnets: vec!["12.0.0.0/8".into()] }];
    now.network.rules = vec!["ipv4 9: from 12.0.0.0/8 lookup 42".into()];
    assert_eq!((going(&now, Some(&empty), &units), told(&now, &units)), (5, Vec::new()));
}

#[test]
fn earlier_network_objects_are_kept() {
    assert_eq!(words(&objects(&node(), Some(&node()), &Signs::default())), Vec::<String>::new());
    assert!(kept(&node(), Some(&node()), &Signs::default()).is_empty());
}

#[test]
fn earlier_networkd_file_is_kept() {
    let now = Snapshot {
        paths: vec![layout::NETWORKD_FILE.into(), layout::NETWORK_MANAGER_FILE.into()],
        ..Snapshot::default()
    };
    let before = Snapshot { paths: vec![layout::NETWORKD_FILE.into()], ..Snapshot::default() };
    assert_eq!(words(&files(&now, Some(&before))), [layout::NETWORK_MANAGER_FILE]);
    assert_eq!(files(&now, None).len(), 2);
}

#[test]
fn kernel_setting_of_an_operator_is_restored() {
    let before = Snapshot { environment: vec!["NODENAME=theirs".into()], ..Snapshot::default() };
    let now = Snapshot { environment: vec!["NODENAME=192.0.2.1".into()], ..Snapshot::default() };
    let environment = |before: Option<&str>| Object::Environment {
        name: NODENAME.into(),
        before: before.map(str::to_owned),
    };
    assert_eq!(objects(&now, Some(&before), &Signs::default()), [environment(Some("theirs"))]);
    assert_eq!(objects(&now, None, &Signs::default()), [environment(None)]);
    assert_eq!(objects(&before, Some(&before), &Signs::default()), []);
}

#[test]
fn a_setting_without_a_record_is_reported_and_not_guessed() {
    assert!(
        !words(&objects(&node(), None, &Signs::default())).iter().any(|w| w.contains("setting"))
    );
    let mut node = node();
    let of = |interface: &str| (format!("net/ipv4/conf/{interface}/rp_filter"), "2".to_owned());
    node.sysctls.extend(["all", "eth0", "lo", "veth1", "spartan"].map(of));
    let told: Vec<String> =
        kept(&node, None, &Signs::default()).into_iter().map(|item| item.what).collect();
    assert_eq!(
        told,
        ["net/ipv4/conf/all/rp_filter", "net/ipv4/conf/eth0/rp_filter", "vm/swappiness"]
    );
}

#[test]
fn setting_that_cannot_be_restored_is_reported() {
    let before = Snapshot {
        sysctls: [("vm/swappiness".to_owned(), "60".to_owned())].into(),
        ..Snapshot::default()
    };
    let told = kept(&node(), Some(&before), &Signs::default());
    assert_eq!((told.len(), told[0].why.as_str()), (1, "1, was 60; a reboot sets it back"));
}
