//! Names that must resolve: the node's own, and the bootstrap server's now and through the
//! resolvers of the build.

use std::net::IpAddr;
use std::time::Duration;

use dcos_node::observe::addresses::{Addresses, InterfaceAddress};
use dcos_node::observe::dns::{Lookup, Resolver};
use dcos_node::observe::ip_detect::{Detection, Run};
use dcos_node::preflight::report::Verdict::{Fail, Pass, Skipped, Unknown, Warn};
use dcos_node::system::dns::{Answer, Reply};

use super::recorded::Recorded;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A name that resolves to this, or why it does not.
fn lookup(name: &str, found: Result<&[&str], &str>) -> Option<Lookup> {
    let addresses =
        found.map(|list| list.iter().map(|text| address(text)).collect()).map_err(str::to_owned);
    Some(Lookup { name: name.to_owned(), addresses, in_hosts: false })
}

fn on_interface(addresses: &[&str]) -> Addresses {
    let all = addresses.iter().map(|text| InterfaceAddress {
        address: address(text),
        interface: "eth0".to_owned(),
        is_of_containers: false,
    });
    Addresses { all: all.collect(), allows_nonlocal_bind: false }
}

/// A resolver that gives this reply.
fn resolver(reply: Reply) -> Resolver {
    let answer = Answer { reply, took: Duration::from_millis(2), retried: false };
    Resolver { text: "192.0.2.53".to_owned(), answers: Some((answer.clone(), answer)) }
}

#[test]
fn the_nodes_own_name_resolves_to_an_address_of_the_node() {
    let mut recorded = Recorded::nothing().of("slave", "2.2.0");
    recorded.host.addresses = on_interface(&["127.0.0.1", "10.0.0.7", "2001:db8::7"]);
    recorded.says("dns.hostname", Unknown, "cannot be had");
    for (found, verdict, words) in [
        (Ok(&["10.0.0.7"][..]), Pass, "n7.example is 10.0.0.7"),
        (Ok(&["2001:db8::7"][..]), Pass, "2001:db8::7"),
        // Many systems write the own name with an address of the loopback network into /etc/hosts.
        (Ok(&["127.0.1.1"][..]), Pass, "127.0.1.1"),
        (Ok(&["10.0.0.8", "10.0.0.7"][..]), Pass, "10.0.0.8, 10.0.0.7"),
        (Ok(&["10.0.0.8"][..]), Warn, "n7.example is 10.0.0.8, which is no address of this node"),
        (Err("cannot resolve n7.example: there is no such name"), Warn, "there is no such name"),
    ] {
        recorded.host.dns.hostname = lookup("n7.example", found);
        let check = recorded.says("dns.hostname", verdict, words);
        assert_eq!(
            check.cure.is_some_and(|cure| cure.contains("/etc/hosts")),
            verdict == Warn,
            "{words}"
        );
    }
}

#[test]
fn bootstrap_name_unknown_to_build_resolvers_warns() {
    let mut recorded = Recorded::nothing().of("slave", "2.2.0");
    recorded.says("dns.bootstrap", Skipped, "no server with a name");
    let name = "boot.example";
    recorded.host.dns.asked = name.to_owned();
    recorded.host.dns.bootstrap =
        lookup(name, Err("cannot resolve boot.example: there is no such name"));
    recorded.says("dns.bootstrap", Warn, "there is no such name");

    recorded.host.dns.bootstrap = lookup(name, Ok(&["10.0.0.1"]));
    let known = || resolver(Reply::Found(vec!["10.0.0.1".parse().expect("an address")]));
    let (unknown, empty, silent) = (
        || resolver(Reply::NoSuchName),
        || resolver(Reply::Found(Vec::new())),
        || resolver(Reply::Silent),
    );
    for (resolvers, is_known) in [
        (vec![known()], true),
        (vec![unknown(), known()], true),
        (vec![unknown()], false),
        (vec![unknown(), empty()], false),
        (vec![silent(), unknown()], false),
        // One that says nothing is another check's business.
        (vec![silent()], true),
        (vec![], true),
    ] {
        recorded.host.dns.resolvers = resolvers;
        if is_known {
            recorded.says("dns.bootstrap", Pass, "boot.example is 10.0.0.1");
        } else {
            let check = recorded.says(
                "dns.bootstrap",
                Warn,
                "boot.example is 10.0.0.1; but the resolvers of the build do not know it",
            );
            assert!(check.cure.is_some_and(|cure| cure.contains("/etc/hosts")));
        }
    }

    recorded.host.dns.resolvers = vec![unknown()];
    recorded.host.dns.bootstrap.as_mut().expect("a name").in_hosts = true;
    recorded.says("dns.bootstrap", Pass, "boot.example is 10.0.0.1");
}

/// An ip-detect that prints this address each time.
fn detection(address: &str) -> Detection {
    let run = Run {
        failure: None,
        stdout: format!("{address}\n").into_bytes(),
        stderr: String::new(),
        took: Duration::from_millis(2),
        confinement: None,
        excuse: None,
    };
    Detection {
        for_a_shell: true,
        with_proxy: false,
        runs: vec![run.clone(), run.clone(), run],
        without_proxy: None,
        as_nobody: None,
    }
}

#[test]
fn address_on_no_interface_needs_a_nonlocal_bind() {
    let mut recorded = Recorded::nothing().of("slave", "2.2.0");
    recorded.host.addresses = on_interface(&["10.0.0.7"]);
    recorded.host.identity.ip = Some(detection("10.0.0.7"));
    recorded.says("ip-detect.address", Pass, "10.0.0.7 is on eth0");
    recorded.host.identity.ip = Some(detection("10.0.0.8"));
    recorded.says("ip-detect.address", Fail, "10.0.0.8 is on no interface");
    recorded.host.addresses.allows_nonlocal_bind = true;
    recorded.says("ip-detect.address", Warn, "net.ipv4.ip_nonlocal_bind");
    recorded.host.addresses.all[0].is_of_containers = true;
    recorded.host.identity.ip = Some(detection("10.0.0.7"));
    recorded.says("ip-detect.address", Warn, "eth0, which connects containers");
}
