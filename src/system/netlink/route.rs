//! Links, addresses, routing rules and routes (`rtnetlink(7)`). What is removed is sent back as the
//! kernel told it, as `ip ... flush` does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::socket::SockProtocol;

use super::message::{find, text, u32_at};
use super::{Conversation, Error, Message, Socket, Talk};

/// Fixed parts: `ifinfomsg`, `ifaddrmsg`, `rtmsg` and `fib_rule_hdr`.
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
/// `FRA_*` of linux/fib_rules.h.
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_OIFNAME: u16 = 17;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What made it: `dummy`, `vxlan`, `bridge`; none for a physical one.
    pub kind: Option<String>,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// The other end of a virtual cable (veth(4)), or what it lies upon, in this namespace.
    pub peer: Option<u32>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The number of the interface.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its network's prefix, in bits.
    pub prefix: u8,
    raw: Vec<u8>,
}

/// A rule that chooses a routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table that it leads to.
    pub table: u32,
    /// The rule much as `ip rule` writes it, with its family; the same for the same rule.
    pub text: String,
    raw: Vec<u8>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table that it is in.
    pub table: u32,
    /// Where it leads; none for all.
    pub destination: Option<IpAddr>,
    /// The interface that it leads out of.
    pub output: Option<String>,
    /// The route much as `ip route` writes it, with its family; the same for the same route.
    pub text: String,
    raw: Vec<u8>,
}

/// A conversation about all of them.
pub struct Routing<T>(Conversation<T>);

impl Routing<Socket> {
    /// Opens one with the kernel: about the network namespace of this process.
    ///
    /// # Errors
    /// See [`Conversation::open`].
    pub fn open() -> Result<Routing<Socket>, Error> {
        Conversation::open(SockProtocol::NetlinkRoute).map(Routing)
    }
}

impl<T: Talk> Routing<T> {
    /// A conversation over this end.
    pub fn over(end: T) -> Routing<T> {
        Routing(Conversation::over(end))
    }

    /// All interfaces.
    ///
    /// # Errors
    /// See [`Conversation::list`].
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        Ok(self
            .0
            .list(libc::RTM_GETLINK, &[0; LINK], "list interfaces")?
            .iter()
            .filter_map(link)
            .collect())
    }

    /// All addresses.
    ///
    /// # Errors
    /// See [`Conversation::list`].
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        Ok(self
            .0
            .list(libc::RTM_GETADDR, &[0; ADDRESS], "list addresses")?
            .iter()
            .filter_map(address)
            .collect())
    }

    /// All rules of IPv4 and IPv6.
    ///
    /// # Errors
    /// See [`Conversation::list`].
    pub fn rules(&mut self) -> Result<Vec<Rule>, Error> {
        Ok(self
            .0
            .list(libc::RTM_GETRULE, &[0; ROUTE], "list routing rules")?
            .iter()
            .filter_map(rule)
            .collect())
    }

    /// All routes of IPv4 and IPv6 in all tables.
    ///
    /// # Errors
    /// See [`Conversation::list`].
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        let links = self.links()?;
        Ok(self
            .0
            .list(libc::RTM_GETROUTE, &[0; ROUTE], "list routes")?
            .iter()
            .filter_map(|message| route(message, &links))
            .collect())
    }

    /// Removes an interface; one that is gone is none to remove.
    ///
    /// # Errors
    /// The kernel refuses: it is a physical one, or we may not.
    pub fn remove_link(&mut self, link: &Link) -> Result<(), Error> {
        let mut payload = vec![0; LINK];
        payload.splice(4..8, link.index.to_ne_bytes());
        gone(self.0.change(
            libc::RTM_DELLINK,
            &payload,
            &format!("remove the interface {}", link.name),
        ))
    }

    /// Removes an address; one that is gone is none to remove.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_address(&mut self, address: &Address) -> Result<(), Error> {
        gone(self.0.change(
            libc::RTM_DELADDR,
            &address.raw,
            &format!("remove the address {}/{}", address.address, address.prefix),
        ))
    }

    /// Removes a rule; one that is gone is none to remove.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_rule(&mut self, rule: &Rule) -> Result<(), Error> {
        gone(self.0.change(libc::RTM_DELRULE, &rule.raw, &format!("remove the rule {}", rule.text)))
    }

    /// Removes a route; one that is gone is none to remove.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_route(&mut self, route: &Route) -> Result<(), Error> {
        gone(self.0.change(
            libc::RTM_DELROUTE,
            &route.raw,
            &format!("remove the route {}", route.text),
        ))
    }
}

fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_absence() => Ok(()),
        other => other,
    }
}

fn link(message: &Message) -> Option<Link> {
    let tail = message.payload.get(LINK..).filter(|_| message.kind == libc::RTM_NEWLINK)?;
    let info = find(tail, libc::IFLA_LINKINFO).unwrap_or_default();
    Some(Link {
        index: u32_at(&message.payload, 4)?,
        name: find(tail, libc::IFLA_IFNAME).and_then(text)?,
        kind: find(info, libc::IFLA_INFO_KIND).and_then(text),
        master: find(tail, libc::IFLA_MASTER).and_then(|value| u32_at(value, 0)),
        // With the number of another namespace the number of the link is one there.
        peer: find(tail, libc::IFLA_LINK)
            .filter(|_| find(tail, libc::IFLA_LINK_NETNSID).is_none())
            .and_then(|value| u32_at(value, 0)),
    })
}

fn address(message: &Message) -> Option<Address> {
    let tail = message.payload.get(ADDRESS..).filter(|_| message.kind == libc::RTM_NEWADDR)?;
    // Of a link between two ends IFA_ADDRESS is the other end's.
    let value = find(tail, libc::IFA_LOCAL).or_else(|| find(tail, libc::IFA_ADDRESS))?;
    Some(Address {
        index: u32_at(&message.payload, 4)?,
        address: ip(value)?,
        prefix: *message.payload.get(1)?,
        raw: message.payload.clone(),
    })
}

fn rule(message: &Message) -> Option<Rule> {
    let tail = message.payload.get(ROUTE..).filter(|_| message.kind == libc::RTM_NEWRULE)?;
    let family = family(&message.payload)?;
    let byte = |at: usize| message.payload.get(at).copied();
    let table =
        find(tail, FRA_TABLE).and_then(|v| u32_at(v, 0)).or_else(|| byte(4).map(u32::from))?;
    let priority = find(tail, FRA_PRIORITY).and_then(|v| u32_at(v, 0)).unwrap_or_default();
    let net =
        |kind: u16, length: u8| find(tail, kind).and_then(ip).map(|net| format!("{net}/{length}"));
    let mut words = format!(
        "{family} {priority}: from {}",
        net(FRA_SRC, byte(2)?).unwrap_or_else(|| "all".to_owned())
    );
    for (word, value) in [
        ("to", net(FRA_DST, byte(1)?)),
        (
            "fwmark",
            find(tail, FRA_FWMARK)
                .and_then(|v| u32_at(v, 0))
                .filter(|mark| *mark != 0)
                .map(|mark| format!("{mark:#x}")),
        ),
        ("iif", find(tail, FRA_IIFNAME).and_then(text)),
        ("oif", find(tail, FRA_OIFNAME).and_then(text)),
        ("lookup", Some(table.to_string())),
    ] {
        words.push_str(&value.map(|value| format!(" {word} {value}")).unwrap_or_default());
    }
    Some(Rule { table, text: words, raw: message.payload.clone() })
}

/// Interfaces are told by their names: their numbers are others after each boot.
fn route(message: &Message, links: &[Link]) -> Option<Route> {
    let tail = message.payload.get(ROUTE..).filter(|_| message.kind == libc::RTM_NEWROUTE)?;
    let family = family(&message.payload)?;
    let table = find(tail, libc::RTA_TABLE)
        .and_then(|v| u32_at(v, 0))
        .or_else(|| message.payload.get(4).copied().map(u32::from))?;
    let destination = find(tail, libc::RTA_DST).and_then(ip);
    let name = |index: u32| {
        links
            .iter()
            .find(|link| link.index == index)
            .map_or_else(|| format!("#{index}"), |link| link.name.clone())
    };
    let output = find(tail, libc::RTA_OIF).and_then(|v| u32_at(v, 0)).map(name);
    let mut words = match (destination, message.payload.get(1)?) {
        (Some(net), length) => format!("{family} {net}/{length}"),
        (None, _) => format!("{family} default"),
    };
    let gateway =
        find(tail, libc::RTA_GATEWAY).and_then(ip).map(|gateway| format!(" via {gateway}"));
    words.push_str(&gateway.unwrap_or_default());
    words.push_str(&output.as_ref().map(|name| format!(" dev {name}")).unwrap_or_default());
    words.push_str(&format!(" table {table}"));
    Some(Route { table, destination, output, text: words, raw: message.payload.clone() })
}

/// The family in the first byte; there are more of them in lists of all (multicast).
fn family(payload: &[u8]) -> Option<&'static str> {
    match i32::from(*payload.first()?) {
        libc::AF_INET => Some("ipv4"),
        libc::AF_INET6 => Some("ipv6"),
        _ => None,
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|| <[u8; 16]>::try_from(value).ok().map(|bytes| Ipv6Addr::from(bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::super::message::{attribute, attributes};
    use super::super::recorded::{Recorded, done, word};
    use super::*;

    fn rule_of_table_42() -> Vec<u8> {
        let header = vec![2u8, 0, 8, 0, 42, 0, 0, 1, 0, 0, 0, 0];
        [
            header,
            attribute(FRA_SRC, &[9, 0, 0, 0]),
            attribute(FRA_PRIORITY, &32765u32.to_ne_bytes()),
            attribute(FRA_TABLE, &42u32.to_ne_bytes()),
        ]
        .concat()
    }

    #[test]
    fn rule_is_removed_by_its_received_attributes() {
        let multicast = [
            vec![128u8, 0, 0, 0, 253, 0, 0, 1, 0, 0, 0, 0],
            attribute(FRA_TABLE, &253u32.to_ne_bytes()),
        ]
        .concat();
        let list = vec![
            (libc::RTM_NEWRULE, 2, rule_of_table_42()),
            (libc::RTM_NEWRULE, 2, multicast),
            done(),
        ];
        let mut kernel =
            Recorded::saying(vec![Ok(list), Ok(vec![word(0)]), Ok(vec![word(libc::ENOENT)])]);
        let mut routing = Routing::over(&mut kernel);
        let rules = routing.rules().unwrap();
        assert_eq!(
            rules.iter().map(|r| r.text.as_str()).collect::<Vec<_>>(),
            ["ipv4 32765: from 9.0.0.0/8 lookup 42"]
        );
        routing.remove_rule(&rules[0]).unwrap();
        routing.remove_rule(&rules[0]).unwrap();
        assert_eq!(
            (kernel.asked[1].0, &kernel.asked[1].2),
            (libc::RTM_DELRULE, &rule_of_table_42())
        );
    }

    #[test]
    fn hostile_answers_are_ignored() {
        let whole = rule_of_table_42();
        for cut in 0..ROUTE {
            let message =
                |kind| Message { kind, flags: 0, sequence: 0, payload: whole[..cut].to_vec() };
            assert!(
                rule(&message(libc::RTM_NEWRULE)).is_none()
                    && route(&message(libc::RTM_NEWROUTE), &[]).is_none()
            );
            assert!(
                link(&message(libc::RTM_NEWLINK)).is_none()
                    && address(&message(libc::RTM_NEWADDR)).is_none()
            );
        }
        let unnamed = [vec![0; LINK], attribute(libc::IFLA_IFNAME, &[0xff, 0xfe, 0])].concat();
        assert!(
            link(&Message { kind: libc::RTM_NEWLINK, flags: 0, sequence: 0, payload: unnamed })
                .is_none()
        );
        let short =
            [vec![2u8, 32, 0, 0, 1, 0, 0, 0], attribute(libc::IFA_LOCAL, &[198, 51, 100])].concat();
        assert!(
            address(&Message { kind: libc::RTM_NEWADDR, flags: 0, sequence: 0, payload: short })
                .is_none()
        );
        assert_eq!(attributes(&[0xff; 7]).count(), 0);
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        assert!(
            Routing::open()
                .unwrap()
                .links()
                .unwrap()
                .iter()
                .any(|link| link.name == "lo" && link.index == 1)
        );
    }
}
