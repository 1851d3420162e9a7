//! How the cluster is, as far as this node can tell: asked over the network, each part for itself, none for long.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future;
use serde::Serialize;

use crate::dcos::cluster::{self, Ensemble, Member, Metrics, Mode, Serving};
use crate::dcos::layout;
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::system::http::Kind;
use crate::system::http::neighbour::{self, Credentials};
use crate::system::netlink::route::Routing;
use crate::system::root::Root;
use crate::system::{files, process, resolver, words};

/// How long each part has for its answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where a master's own ZooKeeper answers.
const LOCALHOST: &str = "127.0.0.1";
/// Longest answer that is read: Mesos counts some hundred things.
const LONGEST: u64 = 1 << 20;

/// What a part of the cluster answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// This.
    Told(T),
    /// It asks for a login, so it lives.
    Locked,
    /// Nothing that can be used, in one line.
    Silent(String),
}

impl<T> Answer<T> {
    /// What was told.
    pub fn told(&self) -> Option<&T> {
        match self {
            Answer::Told(told) => Some(told),
            _ => None,
        }
    }

    /// Why nothing was told; none from one that lives.
    pub fn silence(&self) -> Option<&str> {
        match self {
            Answer::Silent(why) => Some(why),
            _ => None,
        }
    }
}

/// The cluster from this node.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The address that this node goes by, as DC/OS recorded it; 127.0.0.1 before that.
    pub address: IpAddr,
    /// How many masters there should be, if the configuration says so.
    pub masters: Option<usize>,
    /// All masters, by this master's Exhibitor; none on an agent.
    pub exhibitor: Option<Answer<Ensemble>>,
    /// All masters, by their ZooKeepers: asked only where Exhibitor's word is not worth much.
    pub zookeepers: Vec<Keeper>,
    /// This node's Mesos, master or agent.
    pub mesos: Answer<Metrics>,
    /// The leading master.
    pub leader: Result<IpAddr, String>,
    /// This node's Admin Router.
    pub admin_router: Answer<()>,
}

/// The ZooKeeper of one master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Keeper {
    /// The master.
    pub host: String,
    /// What it does; none if it serves nobody.
    pub mode: Option<Mode>,
}

impl Cluster {
    /// Asks everybody at once.
    pub async fn look(root: &Root, role: Role, version: Option<&Version>) -> Cluster {
        let (address, list) = (address(root), master_list(root));
        let master = role == Role::Master;
        let (exhibitor, mesos, leader, admin_router) = tokio::join!(
            async { if master { Some(exhibitor(root).await) } else { None } },
            mesos(address, master),
            leader(),
            admin_router(address, master),
        );
        let told = exhibitor.as_ref().and_then(Answer::told);
        let hosts = list.clone().or_else(|| told.map(|e| e.members.iter().map(|m| m.host.clone()).collect())).unwrap_or_default();
        let zookeepers = if master && exhibitor_may_lie(version) { zookeepers(hosts).await } else { Vec::new() };
        let masters = master_count(root).or(list.map(|l| l.len()));
        Cluster { address, masters, exhibitor, zookeepers, mesos, leader, admin_router }
    }
}

/// The masters as one of them sees them.
#[derive(Clone, Debug)]
pub struct Masters {
    /// All of them.
    pub ensemble: Answer<Ensemble>,
    /// The addresses of this one.
    pub addresses: Vec<IpAddr>,
    /// Agents that are connected, as this master's Mesos counts them if it leads.
    pub agents: Answer<u64>,
}

impl Masters {
    /// Asks on a master: Exhibitor, and the ZooKeepers where its word is not worth much or cannot be had.
    pub async fn look(root: &Root, version: Option<&Version>) -> Masters {
        let address = address(root);
        let (exhibitor, mesos) = tokio::join!(exhibitor(root), mesos_either(address, true));
        let hosts: Option<Vec<String>> =
            exhibitor.told().map(|e| e.members.iter().map(|m| m.host.clone()).collect()).or_else(|| master_list(root));
        let asks = exhibitor.told().is_none() || exhibitor_may_lie(version);
        let ensemble = match hosts {
            Some(hosts) if asks => by_keepers(zookeepers(hosts).await, exhibitor),
            None => alone(zookeepers(vec![LOCALHOST.to_owned()]).await, master_count(root), exhibitor),
            Some(_) => exhibitor,
        };
        let agents = match mesos {
            Answer::Told(metrics) if metrics.is("master/elected") => Answer::Told(metrics.count(&["master/slaves_active"])),
            Answer::Told(_) => Answer::Silent("its Mesos does not lead".to_owned()),
            Answer::Locked => Answer::Locked,
            Answer::Silent(why) => Answer::Silent(why),
        };
        let own = Routing::open().and_then(|mut routing| routing.addresses()).unwrap_or_default();
        Masters { ensemble, addresses: own.into_iter().map(|own| own.address).chain([address]).collect(), agents }
    }
}

/// The masters by their ZooKeepers if any of them answers, else by what Exhibitor said.
fn by_keepers(keepers: Vec<Keeper>, exhibitor: Answer<Ensemble>) -> Answer<Ensemble> {
    if keepers.iter().any(|keeper| keeper.mode.is_some()) { Answer::Told(ensemble(keepers)) } else { exhibitor }
}

/// The same where only this master's own ZooKeeper can be asked: that tells all there is of a master alone, and of others nothing.
fn alone(own: Vec<Keeper>, masters: Option<usize>, exhibitor: Answer<Ensemble>) -> Answer<Ensemble> {
    match own.iter().find_map(|keeper| keeper.mode) {
        Some(mode) if mode == Mode::Standalone || masters == Some(1) => Answer::Told(ensemble(own)),
        Some(_) => {
            let all = masters.map_or_else(|| "a number of masters that is not known".to_owned(), |masters| format!("{masters} masters"));
            Answer::Silent(format!("its ZooKeeper serves, with {all}, and Exhibitor does not tell how the others are"))
        }
        None => exhibitor,
    }
}

/// The masters by their ZooKeepers.
fn ensemble(keepers: Vec<Keeper>) -> Ensemble {
    let member = |keeper: Keeper| Member {
        serving: if keeper.mode.is_some() { Serving::Serving } else { Serving::Down },
        leads: matches!(keeper.mode, Some(Mode::Leader | Mode::Standalone)),
        host: keeper.host,
    };
    Ensemble { members: keepers.into_iter().map(member).collect() }
}

/// Where people find a master: the web interface at its public address, and Exhibitor.
pub async fn urls(root: &Root, role: Option<Role>) -> Vec<String> {
    if role != Some(Role::Master) {
        return Vec::new();
    }
    let address = address(root);
    let public = detected(root, layout::DETECT_IP_PUBLIC).await.unwrap_or_else(|| address.to_string());
    vec![format!("http://{public}/"), format!("http://{public}/exhibitor/")]
}

/// What an active detection script prints, if it is one word.
pub async fn detected(root: &Root, script: &str) -> Option<String> {
    let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let env = vec![set("PATH", layout::PROGRAM_PATH), set("LD_LIBRARY_PATH", layout::LIBRARIES)];
    let command = process::Command { program: root.resolved(script), args: Vec::new(), env };
    let output = process::run(&command, 2 * PATIENCE).await.ok().filter(process::Output::success)?;
    let text = String::from_utf8(output.stdout.bytes).ok()?;
    let word = text.trim();
    (!word.is_empty() && !word.contains(char::is_whitespace)).then(|| word.to_owned())
}

/// What DC/OS' own name server answers, which everything on the node waits for.
pub async fn ready() -> Result<(), String> {
    named(cluster::READY).await.map(|_| ())
}

/// From 2.1 on bootstrap asks ZooKeeper itself, since Exhibitor's status was found wrong (D2IQ-70393).
fn exhibitor_may_lie(version: Option<&Version>) -> bool {
    let parts: Vec<u32> = version.map(|v| v.version.split(['.', '-']).map_while(|part| part.parse().ok()).collect()).unwrap_or_default();
    matches!(parts.as_slice(), [major, minor, ..] if (*major, *minor) >= (2, 1))
}

async fn exhibitor(root: &Root) -> Answer<Ensemble> {
    let credentials = match credentials(root) {
        Ok(credentials) => credentials,
        Err(why) => return Answer::Silent(why),
    };
    let scheme = if credentials.identity.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{}{}", cluster::EXHIBITOR_PORT, cluster::EXHIBITOR_STATUS);
    ask(&url, &credentials, LONGEST, Ensemble::parse).await
}

/// A password where the build sets one, and certificates where Exhibitor speaks TLS.
fn credentials(root: &Root) -> Result<Credentials, String> {
    let read = |path: &str| files::read(&root.resolved(path), 1 << 20).map_err(|e| super::told(&e));
    let realm = read(layout::EXHIBITOR_REALM)?.and_then(|text| cluster::realm(&String::from_utf8_lossy(&text)));
    let [authority, certificate, key] = layout::EXHIBITOR_TLS;
    let (authorities, certificate, key) = (read(authority)?, read(certificate)?, read(key)?);
    let identity = certificate.zip(key).map(|(certificate, key)| [certificate, b"\n".to_vec(), key].concat());
    Ok(Credentials { basic: realm, authorities: authorities.filter(|_| identity.is_some()), identity })
}

pub(super) async fn mesos(address: IpAddr, master: bool) -> Answer<Metrics> {
    let port = if master { cluster::MESOS_MASTER_PORT } else { cluster::MESOS_AGENT_PORT };
    let url = format!("http://{}{}", SocketAddr::new(address, port), cluster::MESOS_METRICS);
    ask(&url, &Credentials::default(), LONGEST, Metrics::parse).await
}

/// The same over whichever of HTTP and HTTPS it speaks.
pub(super) async fn mesos_either(address: IpAddr, master: bool) -> Answer<Metrics> {
    let port = if master { cluster::MESOS_MASTER_PORT } else { cluster::MESOS_AGENT_PORT };
    ask_either(&format!("{}{}", SocketAddr::new(address, port), cluster::MESOS_METRICS), LONGEST, Metrics::parse).await
}

/// Asks by HTTP, and one that speaks something else by HTTPS. One whose certificate says nothing to us lives all the same.
pub(super) async fn ask_either<T>(place: &str, longest: u64, read: impl Fn(&[u8]) -> Option<T>) -> Answer<T> {
    let open = Credentials::default();
    let answer = ask(&format!("http://{place}"), &open, longest, &read).await;
    if answer.silence().is_none() {
        return answer;
    }
    match neighbour::ask(&format!("https://{place}"), &open, longest, PATIENCE).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => Answer::Locked,
        Ok(reply) if reply.status == 200 => read(&reply.body).map_or(answer, Answer::Told),
        Err(error) if error.kind() == Kind::Tls => Answer::Locked,
        Ok(_) | Err(_) => answer,
    }
}

async fn admin_router(address: IpAddr, master: bool) -> Answer<()> {
    // Of a master the port for people, of an agent the one for the cluster.
    let port = if master { 80 } else { 61001 };
    let url = format!("http://{}{}", SocketAddr::new(address, port), cluster::ADMIN_ROUTER_VERSION);
    match ask(&url, &Credentials::default(), LONGEST, |_| Some(())).await {
        // A security mode that has people use https sends them there: it lives.
        Answer::Silent(why) if why.contains("certificate") => Answer::Locked,
        answer => answer,
    }
}

/// Asks one part, and takes what `read` cannot read for silence.
pub(super) async fn ask<T>(url: &str, credentials: &Credentials, longest: u64, read: impl Fn(&[u8]) -> Option<T>) -> Answer<T> {
    match neighbour::ask(url, credentials, longest, PATIENCE).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => Answer::Locked,
        Ok(reply) if reply.status == 200 => {
            read(&reply.body).map_or_else(|| Answer::Silent(format!("the answer of {url} is not what it should be")), Answer::Told)
        }
        Ok(reply) => Answer::Silent(format!("{url} answers with status {}", reply.status)),
        Err(error) => Answer::Silent(error.to_string()),
    }
}

pub(super) async fn leader() -> Result<IpAddr, String> {
    named(cluster::LEADER).await
}

async fn named(name: &str) -> Result<IpAddr, String> {
    let found = tokio::time::timeout(PATIENCE, resolver::lookup(name)).await;
    let found = found.map_err(|_| format!("cannot resolve {name}: no answer in {PATIENCE:?}"))?.map_err(|e| e.to_string())?;
    found.first().copied().ok_or_else(|| format!("{name} has no address"))
}

async fn zookeepers(hosts: Vec<String>) -> Vec<Keeper> {
    future::join_all(hosts.into_iter().map(|host| async move {
        let address = match host.parse() {
            Ok(address) => Ok(address),
            Err(_) => named(&host).await,
        };
        let mode = match address {
            Ok(address) => words::ask(SocketAddr::new(address, cluster::ZOOKEEPER_PORT), "srvr", LONGEST, PATIENCE).await.ok(),
            Err(_) => None,
        };
        Keeper { mode: mode.as_deref().and_then(Mode::parse), host }
    }))
    .await
}

fn text(root: &Root, path: &str) -> Option<String> {
    let bytes = files::read(&root.resolved(path), 1 << 20).ok().flatten()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The address that this node goes by, as DC/OS recorded it; 127.0.0.1 before that.
pub(super) fn address(root: &Root) -> IpAddr {
    text(root, layout::KEPT_ADDRESS).and_then(|kept| kept.parse().ok()).unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

pub(super) fn master_list(root: &Root) -> Option<Vec<String>> {
    serde_json::from_str(&text(root, layout::MASTER_LIST)?).ok()
}

fn master_count(root: &Root) -> Option<usize> {
    text(root, layout::MASTER_COUNT)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zookeepers_tell_of_the_masters_where_exhibitor_does_not() {
        let keeper = |host: &str, mode| Keeper { host: host.to_owned(), mode };
        let silent = || Answer::Silent("refused".to_owned());
        let three = || [Some(Mode::Follower), Some(Mode::Leader), None].into_iter().enumerate();
        let keepers: Vec<Keeper> = three().map(|(n, mode)| keeper(&format!("10.0.0.{n}"), mode)).collect();
        let told = by_keepers(keepers, silent());
        let ensemble = told.told().unwrap();
        assert_eq!((ensemble.serving(), ensemble.leaders(), ensemble.missing()), (2, 1, vec!["10.0.0.2".to_owned()]));
        assert!(ensemble.would_lose_quorum_without("10.0.0.0"));
        assert_eq!(by_keepers(vec![keeper("10.0.0.1", None)], silent()), silent());

        let own = |mode| vec![keeper(LOCALHOST, mode)];
        for (mode, masters) in [(Some(Mode::Standalone), None), (Some(Mode::Leader), Some(1))] {
            assert_eq!(alone(own(mode), masters, silent()).told().map(|e| (e.members.len(), e.serving())), Some((1, 1)));
        }
        let of_three = alone(own(Some(Mode::Follower)), Some(3), silent());
        assert!(of_three.silence().is_some_and(|why| why.contains("serves, with 3 masters")), "{of_three:?}");
        assert_eq!(alone(own(None), Some(1), silent()), silent());
    }

    /// A server that says these bytes to whoever says something; its address.
    async fn saying(answer: &'static [u8]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let _ = client.read(&mut [0; 4096]).await;
                let _ = client.write_all(answer).await;
            }
        });
        place
    }

    #[tokio::test]
    async fn one_that_speaks_tls_lives_although_it_tells_us_nothing() {
        let asked = |place: String| async move { ask_either(&format!("{place}/x"), LONGEST, |text| Some(text.to_vec())).await };
        // An alert: the handshake failed.
        assert_eq!(asked(saying(&[0x15, 3, 3, 0, 2, 2, 40]).await).await, Answer::Locked);
        let plain = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
        assert_eq!(asked(plain).await, Answer::Told(b"{}".to_vec()));
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(asked(nobody).await.silence().is_some());
    }

    #[test]
    fn exhibitors_word_counts_until_2_1() {
        let version = |text: &str| Version { version: text.into(), image_commit: None, variant: None };
        for (text, lies) in [("1.12.4", false), ("2.0.5", false), ("2.1.0", true), ("2.2.0-dev", true), ("3.0", true), ("x", false)] {
            assert_eq!(exhibitor_may_lie(Some(&version(text))), lies, "{text}");
        }
        assert!(!exhibitor_may_lie(None));
    }
}
