//! Virtual services of IPVS over generic netlink (linux/ip_vs.h). A kernel without the family
//! `IPVS` has none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::socket::SockProtocol;

use super::message::{attribute, find, text, u32_at};
use super::{Conversation, Error, Socket, Talk};

/// The family that knows the others (`GENL_ID_CTRL`), what it is asked, and its attributes.
const CONTROLLER: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// The name of the family, and the version of its messages.
const NAME: &str = "IPVS";
const VERSION: u8 = 1;
/// Commands.
const DELETE_SERVICE: u8 = 3;
const GET_SERVICE: u8 = 4;
/// The one attribute of a command that is a service, and the attributes of one.
const SERVICE: u16 = 1;
const ADDRESS_FAMILY: u16 = 1;
const PROTOCOL: u16 = 2;
const ADDRESS: u16 = 3;
const PORT: u16 = 4;
const MARK: u16 = 5;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address; none for one that goes by a mark of the packets.
    pub address: Option<IpAddr>,
    /// The service as `ipvsadm -S` names it: `tcp 11.1.2.3:80`, `fwmark 7`.
    pub text: String,
    /// The attributes that tell it from others.
    key: Vec<u8>,
}

/// A conversation about virtual services.
pub struct Ipvs<T> {
    conversation: Conversation<T>,
    family: Option<u16>,
}

impl Ipvs<Socket> {
    /// Opens one with the kernel: about the network namespace of this process.
    ///
    /// # Errors
    /// See [`Conversation::open`] and [`Conversation::list`].
    pub fn open() -> Result<Ipvs<Socket>, Error> {
        Ipvs::over(Conversation::open(SockProtocol::NetlinkGeneric)?)
    }
}

impl<T: Talk> Ipvs<T> {
    /// Asks for the number of the family. The list of all families is asked for, because to name
    /// one would load its module.
    fn over(mut conversation: Conversation<T>) -> Result<Ipvs<T>, Error> {
        let families = conversation.list(
            CONTROLLER,
            &command(GET_FAMILY, 1),
            "list the families of generic netlink",
        )?;
        let ours = families
            .iter()
            .filter_map(|m| m.payload.get(4..))
            .find(|tail| find(tail, FAMILY_NAME).and_then(text).as_deref() == Some(NAME));
        let family = ours.and_then(|tail| find(tail, FAMILY_ID)).and_then(u16_of);
        Ok(Ipvs { conversation, family })
    }

    /// All virtual services; none where there is no IPVS.
    ///
    /// # Errors
    /// See [`Conversation::list`].
    pub fn services(&mut self) -> Result<Vec<Service>, Error> {
        let Some(family) = self.family else { return Ok(Vec::new()) };
        let list = self.conversation.list(
            family,
            &command(GET_SERVICE, VERSION),
            "list the services of IPVS",
        )?;
        Ok(list
            .iter()
            .filter_map(|message| service(find(message.payload.get(4..)?, SERVICE)?))
            .collect())
    }

    /// Removes a service with all it leads to; one that is gone is none to remove.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, service: &Service) -> Result<(), Error> {
        let Some(family) = self.family else { return Ok(()) };
        let payload =
            [command(DELETE_SERVICE, VERSION), attribute(SERVICE | NESTED, &service.key)].concat();
        match self.conversation.change(
            family,
            &payload,
            &format!("remove the IPVS service {}", service.text),
        ) {
            Err(error) if error.is_absence() => Ok(()),
            other => other,
        }
    }
}

/// `genlmsghdr`.
fn command(command: u8, version: u8) -> Vec<u8> {
    vec![command, version, 0, 0]
}

fn service(bytes: &[u8]) -> Option<Service> {
    let family = find(bytes, ADDRESS_FAMILY)?;
    let is_v6 = i32::from(u16_of(family)?) == libc::AF_INET6;
    if let Some(mark) =
        find(bytes, MARK).filter(|mark| u32_at(mark, 0).is_some_and(|mark| mark != 0))
    {
        let key = [attribute(ADDRESS_FAMILY, family), attribute(MARK, mark)].concat();
        let text = format!("fwmark {}{}", u32_at(mark, 0)?, if is_v6 { " ipv6" } else { "" });
        return Some(Service { address: None, text, key });
    }
    let (protocol, address, port) =
        (find(bytes, PROTOCOL)?, find(bytes, ADDRESS)?, find(bytes, PORT)?);
    let name = match i32::from(u16_of(protocol)?) {
        libc::IPPROTO_TCP => "tcp".to_owned(),
        libc::IPPROTO_UDP => "udp".to_owned(),
        libc::IPPROTO_SCTP => "sctp".to_owned(),
        other => format!("protocol {other}"),
    };
    let ip: IpAddr = if is_v6 {
        Ipv6Addr::from(<[u8; 16]>::try_from(address.get(..16)?).ok()?).into()
    } else {
        Ipv4Addr::from(<[u8; 4]>::try_from(address.get(..4)?).ok()?).into()
    };
    let number = u16::from_be_bytes(port.get(..2)?.try_into().ok()?);
    let key = [(ADDRESS_FAMILY, family), (PROTOCOL, protocol), (ADDRESS, address), (PORT, port)];
    let key = key.into_iter().flat_map(|(kind, value)| attribute(kind, value)).collect();
    Some(Service {
        address: Some(ip),
        text: format!("{name} {}", std::net::SocketAddr::new(ip, number)),
        key,
    })
}

fn u16_of(value: &[u8]) -> Option<u16> {
    value.get(..2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Recorded, done, word};
    use super::*;

    const NUMBER: u16 = 33;

    fn families(names: &[(&str, u16)]) -> Vec<(u16, u16, Vec<u8>)> {
        let family = |(name, number): &(&str, u16)| {
            let name = attribute(FAMILY_NAME, &[name.as_bytes(), b"\0"].concat());
            (
                CONTROLLER,
                2,
                [command(1, 2), name, attribute(FAMILY_ID, &number.to_ne_bytes())].concat(),
            )
        };
        names.iter().map(family).chain([done()]).collect()
    }

    fn answer(attributes: &[(u16, Vec<u8>)]) -> (u16, u16, Vec<u8>) {
        let inner: Vec<u8> =
            attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
        (NUMBER, 2, [command(1, 1), attribute(SERVICE | NESTED, &inner)].concat())
    }

    fn of(family: i32, address: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut whole = address.to_vec();
        whole.resize(16, 0);
        let family = u16::try_from(family).unwrap().to_ne_bytes().to_vec();
        vec![
            (ADDRESS_FAMILY, family),
            (PROTOCOL, 6u16.to_ne_bytes().to_vec()),
            (ADDRESS, whole),
            (PORT, 80u16.to_be_bytes().to_vec()),
        ]
    }

    /// The answers are written down from linux/ip_vs.h: kernels for tests often have no IPVS.
    #[test]
    fn ipvs_services_are_listed_and_removed_by_their_key() {
        let v6 = of(libc::AF_INET6, &[0xfd, 1, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        let mark = vec![
            (ADDRESS_FAMILY, 2u16.to_ne_bytes().to_vec()),
            (MARK, 7u32.to_ne_bytes().to_vec()),
        ];
        let list = vec![
            answer(&of(libc::AF_INET, &[11, 1, 2, 3])),
            answer(&v6),
            answer(&mark),
            answer(&[(PROTOCOL, vec![6])]),
            done(),
        ];
        let known = families(&[("nlctrl", 16), ("IPVS", NUMBER)]);
        let mut kernel = Recorded::saying(vec![
            Ok(known),
            Ok(list),
            Ok(vec![word(0)]),
            Ok(vec![word(libc::ESRCH)]),
        ]);
        let mut ipvs = Ipvs::over(Conversation::over(&mut kernel)).unwrap();
        let services = ipvs.services().unwrap();
        assert_eq!(
            services.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(),
            ["tcp 11.1.2.3:80", "tcp [fd01:c::9]:80", "fwmark 7"]
        );
        ipvs.remove(&services[0]).unwrap();
        ipvs.remove(&services[2]).unwrap();
        let (kind, _, payload) = &kernel.asked[2];
        assert_eq!((*kind, payload[0]), (NUMBER, DELETE_SERVICE));
        assert_eq!(service(find(&payload[4..], SERVICE).unwrap()).as_ref(), Some(&services[0]));
    }

    #[test]
    fn a_kernel_without_ipvs_has_no_services() {
        let mut kernel = Recorded::saying(vec![Ok(families(&[("nlctrl", 16)]))]);
        assert_eq!(Ipvs::over(Conversation::over(&mut kernel)).unwrap().services().unwrap(), []);
    }

    #[test]
    fn hostile_services_are_ignored() {
        let whole: Vec<u8> = of(libc::AF_INET, &[11, 1, 2, 3])
            .iter()
            .flat_map(|(kind, value)| attribute(*kind, value))
            .collect();
        for cut in 0..whole.len() - 4 {
            assert!(service(&whole[..cut]).is_none(), "{cut}");
        }
        let mut short = of(libc::AF_INET6, &[]);
        short[2].1 = vec![1; 4];
        assert!(
            service(
                &short.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect::<Vec<_>>()
            )
            .is_none()
        );
    }
}
