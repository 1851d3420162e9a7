//! Sockets that listen, and the processes that hold them, read off `/proc` (`proc(5)`).

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::files;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A socket that takes connections or datagrams from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Its transport.
    pub transport: Transport,
    /// The address that it is bound to; unspecified means all.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The account that opened it.
    pub uid: u32,
    /// Its inode; 0 for a socket that the kernel itself holds.
    pub inode: u64,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    pub command: String,
    /// The systemd unit that it belongs to, by its control group; none outside of units.
    pub unit: Option<String>,
}

/// The four tables below `proc`. A kernel without IPv6 lacks two of them.
const TABLES: [(&str, Transport); 4] = [
    ("net/tcp", Transport::Tcp),
    ("net/tcp6", Transport::Tcp),
    ("net/udp", Transport::Udp),
    ("net/udp6", Transport::Udp),
];
/// A node with a hundred thousand connections has tables of some 15 MiB.
const LONGEST: u64 = 256 << 20;

/// All sockets that listen. `proc` is where the kernel's tables are mounted.
///
/// # Errors
/// A table that is there cannot be read, or none of TCP is.
pub fn listening(proc: &Path) -> Result<Vec<Listening>, files::Error> {
    let mut found = Vec::new();
    for (table, transport) in TABLES {
        let path = proc.join(table);
        let Some(text) = files::read(&path, LONGEST)? else {
            if table == "net/tcp" {
                let source = std::io::ErrorKind::NotFound.into();
                return Err(files::Error { operation: "read", path, source });
            }
            continue;
        };
        found.extend(
            String::from_utf8_lossy(&text).lines().filter_map(|line| socket(line, transport)),
        );
    }
    Ok(found)
}

/// One line of a table, if its socket listens: state LISTEN of TCP; UDP has no such state, a bound
/// socket without a peer is in CLOSE.
fn socket(line: &str, transport: Transport) -> Option<Listening> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let listens = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    if *fields.get(3)? != listens {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listening {
        transport,
        address: self::address(address)?,
        port,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The kernel prints the words of an address, in network order, as numbers of this machine.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
        }
        _ => None,
    }
}

/// Who holds which socket, by inode. Only root sees the sockets of others; a process that ends
/// meanwhile is passed over.
///
/// A socket that several processes hold is told by one of them, and never by the first process if
/// there is another one: systemd keeps the sockets that it hands on.
pub fn holders(proc: &Path) -> BTreeMap<u64, Holder> {
    let mut pids: Vec<u32> = fs::read_dir(proc)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable_by(|a, b| b.cmp(a));
    let mut holders = BTreeMap::new();
    for pid in pids {
        let directory = proc.join(pid.to_string());
        let links = fs::read_dir(directory.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        let inodes: Vec<u64> = links
            .filter_map(|link| inode(link.to_str()?))
            .filter(|inode| pid != 1 || !holders.contains_key(inode))
            .collect();
        if inodes.is_empty() {
            continue;
        }
        let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let holder = Holder {
            pid,
            command: text("comm").trim_end().to_owned(),
            unit: unit_of(&text("cgroup")),
        };
        holders.extend(inodes.into_iter().map(|inode| (inode, holder.clone())));
    }
    holders
}

fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The unit in the text of `/proc/PID/cgroup`: the innermost service or scope of systemd's own
/// hierarchy, or of the unified one.
pub(super) fn unit_of(cgroup: &str) -> Option<String> {
    let path = |controllers: &str| {
        cgroup
            .lines()
            .find_map(|line| line.split_once(':')?.1.strip_prefix(controllers)?.strip_prefix(':'))
    };
    let names = |path: &str| {
        let name =
            path.rsplit('/').find(|name| name.ends_with(".service") || name.ends_with(".scope"));
        name.map(str::to_owned)
    };
    path("name=systemd").and_then(names).or_else(|| path("").and_then(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
   2: 0100007F:8FA3 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 100 0 0 10 0
   3: garbage
";
    const TCP6: &str = "   0: 00000000000000000000000001000000:0035 \
                        00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4714 1 0\n";
    const UDP: &str = " 10: 3500007F:0035 00000000:0000 07 0:0 00:0 0 101 0 4715 2 0 0\n 11: \
                       0A00020F:0044 0A000202:0043 01 0:0 00:0 0 0 0 4716 2 0 0\n";

    fn table(text: &str, transport: Transport) -> Vec<(String, u16, u64)> {
        text.lines()
            .filter_map(|line| socket(line, transport))
            .map(|s| (s.address.to_string(), s.port, s.inode))
            .collect()
    }

    #[test]
    fn only_listening_sockets_are_listed_with_hex_ports() {
        assert_eq!(
            table(TCP, Transport::Tcp),
            [("0.0.0.0".into(), 443, 4711), ("127.0.0.1".into(), 8080, 4712)]
        );
        assert_eq!(table(TCP6, Transport::Tcp), [("::1".into(), 53, 4714)]);
        assert_eq!(table(UDP, Transport::Udp), [("127.0.0.53".into(), 53, 4715)]);
    }

    #[test]
    fn unit_is_read_from_both_cgroup_versions() {
        let v1 = "12:pids:/system.slice/a.service\n\
                  1:name=systemd:/system.slice/nginx.service/sub\n\
                  0::/x.scope\n";
        assert_eq!(unit_of(v1).as_deref(), Some("nginx.service"));
        assert_eq!(
            unit_of("0::/machine/system.slice/docker-1f.scope\n").as_deref(),
            Some("docker-1f.scope")
        );
        assert_eq!(unit_of("0::/\n"), None);
    }

    #[test]
    fn our_own_listening_socket_is_found_with_its_holder() {
        let (proc, socket) =
            (Path::new("/proc"), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let port = socket.local_addr().unwrap().port();
        let found = listening(proc)
            .unwrap()
            .into_iter()
            .find(|s| s.port == port && s.transport == Transport::Tcp)
            .unwrap();
        let holder = holders(proc).remove(&found.inode).unwrap();
        assert_eq!(
            (found.address.to_string(), holder.pid),
            ("127.0.0.1".to_owned(), std::process::id())
        );
        drop(socket);
    }
}
