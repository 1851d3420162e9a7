//! Which ports are taken on this machine, and by whom.

use std::net::IpAddr;
use std::path::Path;

use crate::dcos::ports::Protocol;
use crate::system::files;
use crate::system::sockets::{self, Transport};

pub use crate::system::sockets::Holder;

/// Facts about ports, each with the reason if it could not be had.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The sockets that listen (`/proc/net/{tcp,tcp6,udp,udp6}`).
    pub listeners: Result<Vec<Listener>, String>,
    /// The first and the last port that the system gives to connections
    /// (`net.ipv4.ip_local_port_range`).
    pub local_range: Result<(u16, u16), String>,
    /// Ranges of ports that it gives to none of them (`net.ipv4.ip_local_reserved_ports`).
    pub reserved: Vec<(u16, u16)>,
}

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub protocol: Protocol,
    /// The address that it is bound to; unspecified means all.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Who holds it; none if that cannot be told: the kernel itself, or a process of somebody else
    /// when we are not root.
    pub holder: Option<Holder>,
}

/// Looks at the tables below `proc`.
pub fn look(proc: &Path) -> Ports {
    Ports {
        listeners: listeners(proc).map_err(|error| super::told(&error)),
        local_range: setting(proc, "ip_local_port_range").and_then(|text| {
            let mut numbers = text.split_ascii_whitespace().map(str::parse);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(first)), Some(Ok(last))) => Ok((first, last)),
                _ => Err(format!("the kernel's ip_local_port_range is {:?}", text.trim())),
            }
        }),
        reserved: setting(proc, "ip_local_reserved_ports")
            .map(|text| ranges(&text))
            .unwrap_or_default(),
    }
}

fn listeners(proc: &Path) -> Result<Vec<Listener>, files::Error> {
    let found = sockets::listening(proc)?;
    let holders = sockets::holders(proc);
    let listener = |socket: sockets::Listening| Listener {
        protocol: match socket.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        },
        address: socket.address,
        port: socket.port,
        holder: holders.get(&socket.inode).cloned(),
    };
    Ok(found.into_iter().map(listener).collect())
}

fn setting(proc: &Path, name: &str) -> Result<String, String> {
    let path = proc.join("sys/net/ipv4").join(name);
    match files::read(&path, 1 << 20) {
        Ok(Some(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Ok(None) => Err(format!("{} is not there", path.display())),
        Err(error) => Err(super::told(&error)),
    }
}

/// `8080,9000-9010`.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_port_tables_are_read_and_missing_ones_reported() {
        let proc = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = proc.path().join(path);
            files::make_directories(path.parent().unwrap(), 0o755).unwrap();
            files::place(&path, text.as_bytes(), 0o644, None).unwrap();
        };
        let nothing = look(proc.path());
        assert!(
            nothing.listeners.unwrap_err().contains("net/tcp")
                && nothing.local_range.unwrap_err().contains("not there")
        );
        put("net/tcp", "0: 00000000:1F90 00000000:0000 0A 0:0 00:0 0 0 0 4711 1\n");
        put("sys/net/ipv4/ip_local_port_range", "1024\t65000\n");
        put("sys/net/ipv4/ip_local_reserved_ports", "61001,62000-62501\n");
        put("7/comm", "squid\n");
        put("7/cgroup", "0::/system.slice/squid.service\n");
        files::make_directories(&proc.path().join("7/fd"), 0o755).unwrap();
        files::link(&proc.path().join("7/fd/3"), Path::new("socket:[4711]")).unwrap();
        let ports = look(proc.path());
        let listeners = ports.listeners.unwrap();
        let holder = listeners[0].holder.clone().unwrap();
        assert_eq!(
            (listeners.len(), listeners[0].port, holder.pid, holder.command.as_str()),
            (1, 8080, 7, "squid")
        );
        assert_eq!(holder.unit.as_deref(), Some("squid.service"));
        assert_eq!(
            (ports.local_range, ports.reserved),
            (Ok((1024, 65000)), vec![(61001, 61001), (62000, 62501)])
        );
    }
}
