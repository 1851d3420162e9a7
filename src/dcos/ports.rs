//! The ports that DC/OS listens on, by role and version.
//!
//! The union of what the classic script refuses to share (`gen/build_deploy/bash.py`, check_all,
//! 1.10 to 2.2) and of the tables in the documentation (system requirements, ports): neither list
//! is complete. What [`Kind`] says is ours.

use super::role::Role;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// As it is written behind a port.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// How firmly a component wants its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The component binds just this port, and does not start without it.
    Fixed,
    /// The system chose it once (libprocess, JMX, Erlang's distribution): the component takes any
    /// other as well.
    Ephemeral,
    /// Only the documentation names it, or only the enterprise edition binds it.
    Documented,
}

/// A port that DC/OS listens on.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// The component that binds it.
    pub owner: &'static str,
    /// On nodes of these roles.
    pub roles: &'static [Role],
    /// From this version on, as (major, minor).
    pub from: (u32, u32),
    /// Up to and including this version.
    pub to: (u32, u32),
    /// How firmly.
    pub kind: Kind,
}

/// A port that a node needs.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The port.
    pub port: &'static Port,
    /// Whether DC/OS cannot start without it: it is fixed, and that holds for every role and
    /// version that are possible.
    pub certain: bool,
}

/// The first version that the table knows; older builds are taken for it.
const FIRST: (u32, u32) = (1, 10);
/// The newest release has no successor, so its ports are those of whatever comes.
const LAST: (u32, u32) = (u32::MAX, u32::MAX);
const V1_11: (u32, u32) = (1, 11);
const V1_12: (u32, u32) = (1, 12);
const V1_13: (u32, u32) = (1, 13);
const V2_0: (u32, u32) = (2, 0);
const V2_1: (u32, u32) = (2, 1);

const ALL: &[Role] = &Role::ALL;
const MASTER: &[Role] = &[Role::Master];
const AGENTS: &[Role] = &[Role::Slave, Role::SlavePublic];

use Kind::{Documented, Ephemeral, Fixed};
use Protocol::{Tcp, Udp};

type Row = (u16, Protocol, &'static str, &'static [Role], (u32, u32), (u32, u32), Kind);

const fn port((number, protocol, owner, roles, from, to, kind): Row) -> Port {
    Port { number, protocol, owner, roles, from, to, kind }
}

/// All of them, by number.
pub const PORTS: &[Port] = &[
    port((53, Tcp, "dcos-net", ALL, FIRST, LAST, Fixed)),
    port((53, Udp, "dcos-net", ALL, FIRST, LAST, Fixed)),
    port((80, Tcp, "adminrouter", MASTER, FIRST, LAST, Fixed)),
    port((179, Tcp, "calico-bird", ALL, V2_1, LAST, Fixed)),
    port((443, Tcp, "adminrouter", MASTER, FIRST, LAST, Fixed)),
    port((1050, Tcp, "dcos-diagnostics", MASTER, FIRST, LAST, Fixed)),
    port((2181, Tcp, "zookeeper", MASTER, FIRST, LAST, Fixed)),
    port((2379, Tcp, "etcd", MASTER, V2_1, LAST, Fixed)),
    port((2380, Tcp, "etcd", MASTER, V2_1, LAST, Fixed)),
    port((2888, Tcp, "zookeeper", MASTER, FIRST, LAST, Fixed)),
    port((3888, Tcp, "zookeeper", MASTER, FIRST, LAST, Fixed)),
    port((5050, Tcp, "mesos-master", MASTER, FIRST, LAST, Fixed)),
    port((5051, Tcp, "mesos-agent", AGENTS, FIRST, LAST, Fixed)),
    port((7070, Tcp, "cosmos", MASTER, FIRST, LAST, Fixed)),
    port((8080, Tcp, "marathon", MASTER, FIRST, LAST, Fixed)),
    port((8101, Tcp, "dcos-oauth", MASTER, FIRST, V2_0, Fixed)),
    port((8101, Tcp, "bouncer", MASTER, V2_1, LAST, Fixed)),
    port((8123, Tcp, "mesos-dns", MASTER, FIRST, LAST, Fixed)),
    port((8181, Tcp, "exhibitor", MASTER, FIRST, LAST, Fixed)),
    port((8200, Tcp, "vault", MASTER, FIRST, LAST, Documented)),
    port((8201, Tcp, "vault", MASTER, FIRST, LAST, Documented)),
    port((8443, Tcp, "marathon", MASTER, FIRST, LAST, Documented)),
    port((8888, Tcp, "dcos-ca", MASTER, FIRST, LAST, Documented)),
    port((9000, Tcp, "metronome", MASTER, FIRST, LAST, Fixed)),
    port((9090, Tcp, "metronome", MASTER, FIRST, LAST, Documented)),
    port((9443, Tcp, "metronome", MASTER, FIRST, LAST, Documented)),
    port((9942, Tcp, "metronome", MASTER, FIRST, LAST, Fixed)),
    port((9990, Tcp, "cosmos", MASTER, FIRST, LAST, Fixed)),
    port((15055, Tcp, "dcos-history", MASTER, FIRST, V2_0, Fixed)),
    port((15101, Tcp, "marathon", MASTER, FIRST, LAST, Documented)),
    port((15201, Tcp, "metronome", MASTER, FIRST, LAST, Documented)),
    port((26257, Tcp, "cockroach", MASTER, FIRST, V1_12, Documented)),
    port((26257, Tcp, "cockroach", MASTER, V1_13, LAST, Fixed)),
    port((33107, Tcp, "navstar", MASTER, FIRST, FIRST, Ephemeral)),
    port((34451, Tcp, "navstar", AGENTS, FIRST, FIRST, Ephemeral)),
    port((36771, Tcp, "marathon", MASTER, FIRST, LAST, Ephemeral)),
    port((39851, Tcp, "spartan", AGENTS, FIRST, FIRST, Ephemeral)),
    port((41281, Tcp, "zookeeper", MASTER, FIRST, LAST, Ephemeral)),
    port((42819, Tcp, "spartan", MASTER, FIRST, FIRST, Ephemeral)),
    port((43911, Tcp, "minuteman", MASTER, FIRST, FIRST, Ephemeral)),
    port((43995, Tcp, "minuteman", AGENTS, FIRST, FIRST, Ephemeral)),
    port((46839, Tcp, "metronome", MASTER, FIRST, LAST, Ephemeral)),
    port((61001, Tcp, "adminrouter", AGENTS, FIRST, LAST, Fixed)),
    port((61002, Tcp, "adminrouter", AGENTS, FIRST, LAST, Documented)),
    port((61003, Tcp, "rexray", ALL, FIRST, LAST, Documented)),
    port((61053, Tcp, "mesos-dns", MASTER, FIRST, LAST, Fixed)),
    port((61053, Udp, "mesos-dns", MASTER, FIRST, LAST, Fixed)),
    port((61091, Tcp, "dcos-metrics", ALL, FIRST, FIRST, Documented)),
    port((61091, Tcp, "dcos-metrics", ALL, V1_11, V1_11, Fixed)),
    port((61091, Tcp, "telegraf", ALL, V1_12, LAST, Fixed)),
    port((61092, Tcp, "fluent-bit", ALL, V1_12, LAST, Documented)),
    port((61420, Tcp, "epmd", ALL, FIRST, V1_11, Fixed)),
    port((61420, Tcp, "dcos-net", ALL, V1_12, LAST, Documented)),
    port((61421, Tcp, "minuteman", ALL, FIRST, FIRST, Fixed)),
    port((61430, Tcp, "dcos-net", MASTER, FIRST, LAST, Documented)),
    port((62020, Tcp, "fluent-bit", ALL, V1_13, LAST, Fixed)),
    port((62053, Tcp, "spartan", ALL, FIRST, FIRST, Fixed)),
    port((62080, Tcp, "dcos-net", ALL, FIRST, LAST, Fixed)),
    port((62091, Tcp, "calico-felix", ALL, V2_1, LAST, Fixed)),
    port((62501, Tcp, "dcos-net", ALL, FIRST, FIRST, Documented)),
    port((62501, Tcp, "dcos-net", ALL, V1_11, LAST, Fixed)),
    // The kernel's end of the overlay network (VXLAN).
    port((64000, Udp, "dcos-net", ALL, FIRST, LAST, Fixed)),
];

/// The ports of a role and version; of all of them where one is not known. Each port once, the
/// firmest want of it.
pub fn needed(role: Option<Role>, version: Option<(u32, u32)>) -> Vec<Need> {
    let version = version.map(|v| v.max(FIRST));
    let possible = |p: &&Port| {
        role.is_none_or(|r| p.roles.contains(&r))
            && version.is_none_or(|v| (p.from..=p.to).contains(&v))
    };
    let mut needs: Vec<Need> = Vec::new();
    for port in PORTS.iter().filter(possible) {
        let need = Need { port, certain: port.kind == Fixed && is_always(port, role, version) };
        match needs
            .iter_mut()
            .find(|known| (known.port.number, known.port.protocol) == (port.number, port.protocol))
        {
            Some(known) if known.certain || firmness(known.port.kind) >= firmness(port.kind) => {}
            Some(known) => *known = need,
            None => needs.push(need),
        }
    }
    needs
}

/// Whether a port is fixed for all roles and versions that are possible: 8101, say, changed its
/// owner, and is always bound.
fn is_always(port: &Port, role: Option<Role>, version: Option<(u32, u32)>) -> bool {
    let roles_agree = role.is_some() || Role::ALL.iter().all(|r| port.roles.contains(r));
    let bound = |at: (u32, u32)| {
        let same = |p: &Port| (p.number, p.protocol, p.kind) == (port.number, port.protocol, Fixed);
        PORTS.iter().any(|p| same(p) && (p.from..=p.to).contains(&at))
    };
    let versions_agree =
        version.is_some() || [FIRST, V1_11, V1_12, V1_13, V2_0, V2_1, LAST].into_iter().all(bound);
    roles_agree && versions_agree
}

fn firmness(kind: Kind) -> u8 {
    match kind {
        Documented => 0,
        Ephemeral => 1,
        Fixed => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(role: Option<Role>, version: Option<(u32, u32)>, certain: bool) -> Vec<u16> {
        let mut numbers: Vec<u16> = needed(role, version)
            .iter()
            .filter(|n| n.certain == certain)
            .map(|n| n.port.number)
            .collect();
        numbers.dedup();
        numbers
    }

    #[test]
    fn required_ports_depend_on_role_and_version() {
        let agent = [53, 5051, 61001, 61091, 62080, 62501, 64000];
        assert_eq!(numbers(Some(Role::Slave), Some((1, 12)), true), agent);
        assert_eq!(numbers(Some(Role::SlavePublic), Some((1, 12)), true), agent);
        let v1_12 = numbers(Some(Role::Master), Some((1, 12)), true);
        let v2_2 = numbers(Some(Role::Master), Some((2, 2)), true);
        assert!(
            [53, 443, 2888, 8080, 8101, 15055].iter().all(|p| v1_12.contains(p))
                && !v1_12.contains(&2379),
            "{v1_12:?}"
        );
        assert!(
            [179, 2379, 26257, 62020, 62091].iter().all(|p| v2_2.contains(p))
                && !v2_2.contains(&15055),
            "{v2_2:?}"
        );
        assert_eq!(
            numbers(Some(Role::Master), Some((1, 9)), true),
            numbers(Some(Role::Master), Some((1, 10)), true)
        );
        assert_eq!(numbers(Some(Role::Master), Some((2, 3)), true), v2_2);
    }

    #[test]
    fn without_a_version_only_ports_of_all_versions_are_certain() {
        let certain = numbers(Some(Role::Master), None, true);
        assert!([53, 443, 8080, 8101].iter().all(|p| certain.contains(p)), "{certain:?}");
        assert!(
            [179, 2379, 15055, 61091, 62501, 36771].iter().all(|p| !certain.contains(p)),
            "{certain:?}"
        );
        let uncertain = numbers(Some(Role::Master), None, false);
        assert!(
            [179, 2379, 15055, 61091, 62501, 36771].iter().all(|p| uncertain.contains(p)),
            "{uncertain:?}"
        );
        assert_eq!(numbers(None, None, true), [53, 62080, 64000]);
    }
}
