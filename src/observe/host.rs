//! The machine: who we are, whether systemd runs, how the clock is, whether docker runs containers.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::account_files::{self, Obstacle};
use super::addresses::Addresses;
use super::dns::Dns;
use super::docker::{self as daemon, Engine};
use super::ip_detect::Identity;
use super::machine::{self, Machine};
use super::neighbours::{self, Neighbours};
use super::ports::{self, Ports};
use super::programs::{self, Programs};
use super::server::{Server, Setting};
use super::storage::{self, Place};
use super::time::Time;
use crate::dcos::layout;
use crate::dcos::settings::Settings;
use crate::system::clock::Clock;
use crate::system::http;
use crate::system::root::Root;
use crate::system::routes;
use crate::system::source::Source;
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
    /// What the build's detection scripts say of the node.
    pub identity: Identity,
    /// Name servers and who writes down which they are.
    pub dns: Dns,
    /// The node's addresses.
    pub addresses: Addresses,
    /// The routers that the node's routes lead to.
    pub gateways: Vec<std::net::Ipv4Addr>,
    /// The ports that are taken; none for a node that is a directory.
    pub ports: Option<Ports>,
    /// The machine and its kernel; none for a node that is a directory.
    pub machine: Option<Machine>,
    /// Programs of the distribution; none for a node that is a directory.
    pub programs: Option<Programs>,
    /// Services that share the network; none for a node that is a directory.
    pub neighbours: Option<Result<Neighbours, String>>,
    /// The docker daemon, or why it does not answer; none for a node that is a directory.
    pub docker: Option<Result<Engine, String>>,
    /// The file systems that hold what DC/OS writes, by path; none for a node that is a directory.
    pub storage: Option<Vec<(String, Result<Place, String>)>>,
    /// Bytes of this program that an install has to write: none where they are on the node.
    pub program_bytes: u64,
    /// Account files that cannot be replaced, and why.
    pub account_files: Vec<(&'static str, Obstacle)>,
}

/// What the look needs.
pub struct Outside<'a> {
    /// The node.
    pub root: &'a Root,
    /// systemd, or why it does not answer; none for a node that is a directory.
    pub systemd: Option<&'a Result<Arc<dyn Systemd>, String>>,
    /// The clock.
    pub clock: &'a (dyn Clock + Send + Sync),
    /// What the build says about the cluster.
    pub settings: &'a Settings,
    /// Tried in place of the build's ip-detect.
    pub ip_detect: Option<&'a [u8]>,
}

impl Host {
    /// Looks at everything at the same time; `server` is the look at what offers the build, which
    /// others began.
    pub async fn look(
        outside: Outside<'_>,
        source: Option<&Source>,
        server: impl Future<Output = Option<Server>>,
    ) -> Host {
        let identity = async {
            match outside.systemd {
                Some(_) => Identity::look(outside.root, outside.settings, outside.ip_detect).await,
                None => Identity::default(),
            }
        };
        let dns = async {
            match outside.systemd {
                Some(_) => Dns::ask(outside.root, outside.settings, source).await,
                None => Dns::default(),
            }
        };
        let alone = Host::look_alone(outside.root, outside.systemd, outside.clock);
        let (alone, identity, dns, server) = tokio::join!(alone, identity, dns, server);
        Host {
            identity,
            dns: Dns { resolv_conf: alone.dns.resolv_conf, writers: alone.dns.writers, ..dns },
            server,
            ..alone
        }
    }

    /// Looks at what can be had without a network, without a script of the operator's, and in a
    /// moment; the rest is none.
    pub async fn look_alone(
        root: &Root,
        systemd: Option<&Result<Arc<dyn Systemd>, String>>,
        clock: &(dyn Clock + Send + Sync),
    ) -> Host {
        let version = async {
            match systemd {
                Some(Ok(systemd)) => systemd.version().await.map_err(|e| e.to_string()),
                Some(Err(why)) => Err(why.clone()),
                None => Err("the node is a directory".to_owned()),
            }
        };
        let here = machine_of(root, systemd);
        let time = Time::look(systemd, clock);
        let machine = on_this_machine(here, machine::look);
        let programs = on_this_machine(here, programs::look);
        let ports = on_this_machine(here, |root| ports::look(&root.resolved(layout::PROC)));
        let dns = async {
            match systemd {
                Some(systemd) => Dns::look(root, systemd).await,
                None => Dns::default(),
            }
        };
        let (neighbours, stores) = (neighbours(root, systemd), docker_and_storage(here));
        let (systemd, time, machine, programs, ports, dns, neighbours, (docker, storage)) =
            tokio::join!(version, time, machine, programs, ports, dns, neighbours, stores);
        Host {
            uid: nix::unistd::geteuid().as_raw(),
            systemd,
            time,
            proxies: Setting::all(),
            server: None,
            identity: Identity::default(),
            dns,
            addresses: Addresses::look(root),
            gateways: routes::gateways(&root.resolved(layout::PROC)),
            ports,
            machine,
            programs,
            neighbours,
            docker,
            storage,
            program_bytes: storage::program_bytes(root),
            account_files: account_files::look(root),
        }
    }
}

/// The root of this machine; none for a directory, and nobody who asks for no systemd asks for the
/// rest of the machine.
fn machine_of<T>(root: &Root, systemd: Option<T>) -> Option<&Root> {
    systemd.map(|_| root).filter(|root| root.is_live())
}

/// Looks where that may take a moment; none without a machine.
async fn on_this_machine<T: Send + 'static>(
    root: Option<&Root>,
    look: impl FnOnce(&Root) -> T + Send + 'static,
) -> Option<T> {
    let root = root?.clone();
    // A look that panicked counts as none.
    tokio::task::spawn_blocking(move || look(&root)).await.ok()
}

async fn neighbours(
    root: &Root,
    systemd: Option<&Result<Arc<dyn Systemd>, String>>,
) -> Option<Result<Neighbours, String>> {
    match systemd? {
        Ok(systemd) => Some(neighbours::look(root, systemd.as_ref()).await),
        Err(why) => Some(Err(why.clone())),
    }
}

/// Docker tells where its state is, and so which file system to look at.
async fn docker_and_storage(
    root: Option<&Root>,
) -> (Option<Result<Engine, String>>, Option<Vec<(String, Result<Place, String>)>>) {
    if root.is_none() {
        return (None, None);
    }
    let engine = daemon::look().await;
    let state = engine
        .as_ref()
        .map_or_else(|_| layout::DOCKER_STATE.to_owned(), |engine| engine.root.clone());
    (Some(engine), on_this_machine(root, move |root| storage::look(root, &state)).await)
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
