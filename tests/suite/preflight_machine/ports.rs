//! Ports.

use dcos_node::dcos::ports::Protocol::{self, Tcp, Udp};
use dcos_node::observe::ports::{Holder, Listener, Ports};
use dcos_node::preflight::report::Verdict::{Fail, Pass, Skipped, Unknown, Warn};

use super::recorded::Recorded;

fn listener(
    protocol: Protocol,
    address: &str,
    port: u16,
    holder: Option<(u32, &str, &str)>,
) -> Listener {
    let holder = holder.map(|(pid, command, unit)| Holder {
        pid,
        command: command.to_owned(),
        unit: (!unit.is_empty()).then(|| unit.to_owned()),
    });
    Listener { protocol, address: address.parse().expect("an address"), port, holder }
}

fn with(listeners: Vec<Listener>) -> Recorded {
    let mut recorded = Recorded::nothing();
    recorded.host.ports = Some(Ports {
        listeners: Ok(listeners),
        local_range: Ok((32768, 60999)),
        reserved: Vec::new(),
    });
    recorded
}

#[test]
fn held_port_is_named_with_process_unit_and_fix() {
    let nginx = Some((812, "nginx", "nginx.service"));
    let held = with(vec![
        listener(Tcp, "::", 443, nginx),
        listener(Tcp, "127.0.0.1", 8080, Some((90, "java", ""))),
        listener(Udp, "::", 80, None),
    ]);
    let check = held.of("master", "1.12.4").says(
        "ports.free",
        Fail,
        "443/tcp (adminrouter) is held by nginx (pid 812, nginx.service) at ::",
    );
    assert!(
        check.found.contains("8080/tcp (marathon) is held by java (pid 90) at 127.0.0.1")
            && !check.found.contains("80/udp"),
        "{check:?}"
    );
    assert_eq!(
        check.cure.as_deref(),
        Some("systemctl disable --now nginx.service, or let it listen on another port")
    );
    let agent = with(vec![listener(Tcp, "::", 443, nginx)]).of("slave", "1.12.4");
    agent.says("ports.free", Pass, "are free");
}

#[test]
fn every_holder_of_port_53_is_named_once_with_its_addresses() {
    let resolved = Some((41, "systemd-resolve", "systemd-resolved.service"));
    let dnsmasq = Some((77, "dnsmasq", "dnsmasq.service"));
    let listeners = [("127.0.0.53", resolved), ("0.0.0.0", dnsmasq), ("::", dnsmasq)];
    let held = with(
        listeners
            .iter()
            .flat_map(|(at, by)| [listener(Tcp, at, 53, *by), listener(Udp, at, 53, *by)])
            .collect(),
    );
    for protocol in ["tcp", "udp"] {
        let words = format!(
            "53/{protocol} (dcos-net) is held by systemd-resolve (pid 41, \
             systemd-resolved.service) at 127.0.0.53, and by dnsmasq (pid 77, dnsmasq.service) at \
             0.0.0.0 and ::"
        );
        let check = held.check("ports.free");
        assert!(check.verdict == Fail && check.found.contains(&words), "{check:?}");
    }
    let held = held.of("slave", "1.13.0");
    let cure = held.says("ports.free", Fail, "53/tcp").cure;
    assert_eq!(
        cure.as_deref(),
        Some(
            "systemctl disable --now dnsmasq.service systemd-resolved.service, or let it listen on \
             another port"
        )
    );
}

#[test]
fn how_bad_a_held_port_is_depends_on_role_version_and_kind() {
    let held = |protocol, port| with(vec![listener(protocol, "0.0.0.0", port, None)]);
    for (protocol, port, role, version, verdict) in [
        (Tcp, 53, "slave", "2.2.0", Fail),
        (Udp, 53, "slave_public", "1.10.0", Fail),
        (Udp, 64000, "slave", "1.13.0", Fail),
        (Tcp, 61001, "slave", "", Fail),
        (Tcp, 61001, "master", "", Pass),
        (Tcp, 2379, "master", "2.1.0", Fail),
        (Tcp, 2379, "master", "2.0.0", Pass),
        (Tcp, 2379, "master", "", Warn),
        (Tcp, 8101, "master", "", Fail),
        (Tcp, 8443, "master", "1.12.0", Warn),
        (Tcp, 36771, "master", "1.12.0", Pass),
    ] {
        let check = held(protocol, port).of(role, version).check("ports.free");
        assert_eq!(check.verdict, verdict, "{port} of a {role} {version}: {check:?}");
    }
    held(Tcp, 36771).of("master", "1.12.0").says("ports.ephemeral", Warn, "36771/tcp (marathon)");
    held(Tcp, 36771).of("slave", "1.12.0").says("ports.ephemeral", Pass, "free");
    let mut anybody = held(Tcp, 443);
    anybody.says("ports.free", Warn, "443/tcp");
    anybody.host.ports = None;
    anybody.says("ports.free", Skipped, "directory");
}

#[test]
fn ports_of_a_dcos_that_we_installed_are_its_own() {
    let dcos = Some((99, "nginx", "dcos-adminrouter.service"));
    let mut recorded =
        with(vec![listener(Tcp, "0.0.0.0", 443, dcos), listener(Udp, "0.0.0.0", 64000, None)])
            .of("master", "1.12.4");
    recorded.says("ports.free", Fail, "dcos-adminrouter.service");
    recorded.is_installed();
    recorded.says("ports.free", Pass, "free");
    recorded.host.ports.as_mut().expect("ports").listeners =
        Ok(vec![listener(Tcp, "0.0.0.0", 443, Some((7, "httpd", "httpd.service")))]);
    recorded.says("ports.free", Fail, "httpd.service");
}

#[test]
fn unreadable_port_table_is_unknown_with_the_reason() {
    let mut recorded = with(Vec::new()).of("master", "1.12.4");
    recorded.host.ports = Some(Ports {
        listeners: Err("cannot open net/tcp".into()),
        local_range: Err("no range".into()),
        reserved: Vec::new(),
    });
    recorded.says("ports.free", Unknown, "cannot open net/tcp");
    recorded.says("ports.ephemeral", Unknown, "cannot open net/tcp");
    recorded.says("ports.local-range", Unknown, "no range");
}

#[test]
fn local_port_range_over_dcos_ports_warns_unless_reserved() {
    let mut recorded = with(Vec::new()).of("slave", "1.12.4");
    recorded.says("ports.local-range", Pass, "32768 to 60999");
    recorded.host.ports.as_mut().expect("ports").local_range = Ok((1024, 65535));
    let check = recorded.says("ports.local-range", Warn, "61001, 61091, 62080, 62501, 64000");
    assert!(check.cure.is_some_and(|cure| {
        cure.contains("ip_local_reserved_ports=61001,61091,62080,62501,64000")
    }));
    recorded.host.ports.as_mut().expect("ports").reserved = vec![(61000, 65535)];
    recorded.says("ports.local-range", Pass, "1024 to 65535");
}
