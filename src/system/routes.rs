//! The routes of this machine (`/proc/net/route`, `proc_pid_net(5)`): IPv4, of the main table.

use std::net::Ipv4Addr;
use std::path::Path;

use super::files;

/// A route that is up has it (`RTF_UP` of linux/route.h).
const UP: u32 = 0x1;
/// A route to another router has it (`RTF_GATEWAY`).
const GATEWAY: u32 = 0x2;
/// A node with a full table of the internet's routes has some 100 MB; those of a cluster have
/// kilobytes.
const LONGEST: u64 = 16 << 20;

/// The routers that routes lead to, each once. None where the table cannot be read: who asks has no
/// use for the reason.
pub fn gateways(proc: &Path) -> Vec<Ipv4Addr> {
    let text = files::read(&proc.join("net/route"), LONGEST).ok().flatten().unwrap_or_default();
    let mut found: Vec<Ipv4Addr> =
        String::from_utf8_lossy(&text).lines().filter_map(gateway).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// One line: interface, destination, gateway, flags and more, in hexadecimal; addresses are numbers
/// of this machine in network order.
fn gateway(line: &str) -> Option<Ipv4Addr> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let gateway = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
    (flags & (UP | GATEWAY) == UP | GATEWAY).then(|| gateway.to_ne_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_routes_through_a_router_name_one() {
        let table = "Iface\tDestination\tGateway \
                     \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t01004D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth1\t000010AC\t01004D0A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                     short 1\n";
        let proc = tempfile::tempdir().unwrap();
        assert!(gateways(proc.path()).is_empty());
        files::make_directories(&proc.path().join("net"), 0o755).unwrap();
        files::place(&proc.path().join("net/route"), table.as_bytes(), 0o644, None).unwrap();
        assert_eq!(gateways(proc.path()), [Ipv4Addr::from(0x01004d0a_u32.to_ne_bytes())]);
    }
}
