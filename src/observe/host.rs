//! The machine: who we are, whether systemd runs, how the clock is, whether docker runs containers.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::ip_detect::IpDetect;
use super::server::{Server, Setting};
use super::time::Time;
use crate::dcos::layout;
use crate::system::clock::Clock;
use crate::system::http;
use crate::system::root::Root;
use crate::system::systemd::Systemd;

/// Facts about the machine, each with the reason if it could not be had.
#[derive(Clone, Debug)]
pub struct Host {
    /// The user that we run as.
    pub uid: u32,
    /// systemd's version, or why it does not answer.
    pub systemd: Result<String, String>,
    /// The clock, and who keeps it.
    pub time: Time,
    /// The proxies that the environment names.
    pub proxies: Vec<Setting>,
    /// What offers the build; none if no server was named.
    pub server: Option<Server>,
    /// What the build's ip-detect says; none if there is no build to take it from.
    pub ip_detect: Option<IpDetect>,
    /// The node's addresses; none if they cannot be listed.
    pub addresses: Vec<std::net::IpAddr>,
}

/// What the look needs.
pub struct Outside<'a> {
    /// The node.
    pub root: &'a Root,
    /// systemd, or why it does not answer; none for a node that is a directory.
    pub systemd: Option<&'a Result<Arc<dyn Systemd>, String>>,
    /// The clock.
    pub clock: &'a dyn Clock,
}

impl Host {
    /// Looks at the machine; of `server` and `ip_detect` it is known already what they are.
    pub async fn look(outside: Outside<'_>, server: Option<Server>, ip_detect: Option<IpDetect>) -> Host {
        let systemd = match outside.systemd {
            Some(Ok(systemd)) => systemd.version().await.map_err(|e| e.to_string()),
            Some(Err(why)) => Err(why.clone()),
            None => Err("the node is a directory".to_owned()),
        };
        Host {
            uid: nix::unistd::geteuid().as_raw(),
            systemd,
            time: Time::look(outside.systemd, outside.clock).await,
            proxies: Setting::all(),
            server,
            ip_detect,
            addresses: addresses(),
        }
    }
}

fn addresses() -> Vec<std::net::IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let address = |a: nix::sys::socket::SockaddrStorage| {
        let v4 = a.as_sockaddr_in().map(|a| std::net::IpAddr::V4(a.ip()));
        v4.or_else(|| a.as_sockaddr_in6().map(|a| std::net::IpAddr::V6(a.ip())))
    };
    interfaces.filter_map(|i| i.address.and_then(address)).collect()
}

/// A docker daemon, by what it answers on its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Docker {
    /// Containers that run now.
    pub running_containers: usize,
}

/// Asks docker how many containers run; no socket, or a daemon that does not answer, is no docker.
pub async fn docker(root: &Root) -> Option<Docker> {
    let socket = root.resolved(layout::DOCKER_SOCKET);
    if !root.is_live() || !socket.exists() {
        return None;
    }
    let answer = http::get_unix(Path::new(&socket), "/containers/json", 16 << 20).await.ok()?;
    let containers: Vec<serde_json::Value> = serde_json::from_slice(&answer).ok()?;
    Some(Docker { running_containers: containers.len() })
}
