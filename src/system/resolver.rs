//! Names to addresses without the name service of the C library.
//!
//! A static binary that asks it may load modules of another C library. The order is that of glibc
//! with `hosts: files dns` (nsswitch.conf(5)): `/etc/hosts` is searched for the name as it is
//! written, and only a name that is not there goes to the servers of `/etc/resolv.conf`, with its
//! `search` and `ndots`. Where `/etc/resolv.conf` cannot be read, no public server is used instead.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{NetError, runtime::TokioRuntimeProvider};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

use super::files;

/// The file of names that need no server.
const HOSTS: &str = "/etc/hosts";

/// Size up to which it is read: some list a million names that are blocked.
const MAX_HOSTS: u64 = 64 << 20;

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {host}: {cause}")]
pub struct Error {
    host: String,
    cause: String,
    transient: bool,
}

impl Error {
    /// Asking again may help: a server did not answer. False when it answered that there is no such
    /// name, or when there is no server to ask.
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

/// The addresses of a host, those of IPv4 if it has any, else those of IPv6. An address is its own
/// answer.
pub async fn lookup(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let failed = |cause: String, transient| Error { host: host.to_owned(), cause, transient };
    // The resolver itself would search the file only for each name that it makes of `search`.
    let hosts = files::read(Path::new(HOSTS), MAX_HOSTS).ok().flatten().unwrap_or_default();
    let listed = addresses_in_hosts(&hosts, host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    // Made anew each time: these files may change while we run, we even cause it, and connections
    // are reused, so that we seldom get here.
    let (mut builder, unreadable) = match TokioResolver::builder_tokio() {
        Ok(builder) => (builder, None),
        Err(error) => {
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            (
                TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default()),
                Some(error),
            )
        }
    };
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    let resolver = builder.build().map_err(|error| failed(error.to_string(), false))?;
    match (resolver.lookup_ip(host).await, unreadable) {
        (Ok(found), _) => Ok(found.iter().collect()),
        (Err(_), Some(why)) => Err(failed(
            format!("it is not in /etc/hosts, and /etc/resolv.conf names no server to ask ({why})"),
            false,
        )),
        (Err(error), None) if error.is_nx_domain() => {
            Err(failed("there is no such name".to_owned(), false))
        }
        (Err(error), None) if error.is_no_records_found() => {
            Err(failed("the name has no address".to_owned(), true))
        }
        (Err(NetError::Timeout), None) => {
            Err(failed("no name server answered in time".to_owned(), true))
        }
        (Err(error), None) => Err(failed(error.to_string(), true)),
    }
}

/// The addresses of a host in the text of a hosts(5) file: those of IPv4 if it has any, else
/// those of IPv6.
pub fn addresses_in_hosts(text: &[u8], host: &str) -> Vec<IpAddr> {
    let Ok(name) = Name::from_str(host) else { return Vec::new() };
    let mut hosts = Hosts::default();
    // Comments of other character sets must not end the file.
    let text = String::from_utf8_lossy(text);
    if hosts.read_hosts_conf(text.as_bytes()).is_err() {
        return Vec::new();
    }
    let of_kind = |kind| {
        let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
        found.into_iter().flat_map(|lookup| {
            lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
        })
    };
    let addresses: Vec<IpAddr> = of_kind(RecordType::A).collect();
    if addresses.is_empty() { of_kind(RecordType::AAAA).collect() } else { addresses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_has_names_as_written_with_ipv4_first() {
        let hosts = b"127.0.0.1 localhost # bootsrv\n::7 bootsrv\n10.0.0.1\tother BootSrv.\n\
                      # caf\xe9\nfe80::1%eth0 scoped\n::9 six\nnonsense bootsrv\n";
        let addresses = |host| addresses_in_hosts(hosts, host);
        assert_eq!(addresses("bootsrv"), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses("SIX"), ["::9".parse::<IpAddr>().unwrap()]);
        for host in ["bootsrv.a.test", "caf", "10.0.0.1", "boot", ""] {
            assert_eq!(addresses(host), Vec::<IpAddr>::new(), "{host}");
        }
    }

    #[tokio::test]
    async fn addresses_and_the_hosts_file_need_no_server() {
        assert_eq!(lookup("192.0.2.7").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(lookup("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert!(lookup("localhost").await.unwrap()[0].is_loopback());
    }
}
