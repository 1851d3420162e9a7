//! Names to addresses without the name service of the C library.
//!
//! A static binary that asks it may load modules of another C library. Asked are `/etc/hosts` and
//! the servers in `/etc/resolv.conf`, nothing else: where there is no readable `/etc/resolv.conf`,
//! no public server is made up.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{NetError, runtime::TokioRuntimeProvider};

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
    options.use_hosts_file = ResolveHosts::Always;
    // Asking for both at once waits for servers also when /etc/hosts has the IPv4 address.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_and_the_hosts_file_need_no_server() {
        assert_eq!(lookup("192.0.2.7").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(lookup("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert!(lookup("localhost").await.unwrap()[0].is_loopback());
    }
}
