//! How the cluster is, as far as this node can tell: asked over the network, each part for itself,
//! none for long.

mod answer;
mod disunion;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future;

use super::listener;
use crate::dcos::cluster::{self, Ensemble, Member, Metrics, Mode, Serving};
use crate::dcos::role::Role;
use crate::dcos::settings::Version;
use crate::dcos::{layout, units};
use crate::system::http::Kind;
use crate::system::http::neighbour::{self, Credentials};
use crate::system::program::Program;
use crate::system::root::Root;
use crate::system::{files, process, resolver, words};

pub use answer::{Answer, Silence};
pub use disunion::Disunion;

/// The account that DC/OS runs Exhibitor as.
const EXHIBITOR_ACCOUNT: &str = "dcos_exhibitor";
/// How long each part has for its answer where one looks again and again; a test has servers that
/// answer, on a machine that may stall.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 3 });
/// The same before a node goes: that is asked once, and one that was only busy must not count as
/// one that is down.
pub(super) const BEFORE_GOING: Duration = Duration::from_secs(15);
/// Longest answer that is read: Mesos counts some hundred things.
const LONGEST: u64 = 1 << 20;

/// The cluster from this node.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The address that this node goes by, as DC/OS recorded it; 127.0.0.1 before that.
    pub address: IpAddr,
    /// How many masters there should be, if the configuration says so.
    pub expected: Option<usize>,
    /// All masters, by this master's Exhibitor; none on an agent.
    pub exhibitor: Option<Answer<Ensemble>>,
    /// Whether this version of Exhibitor is believed only where ZooKeeper cannot be asked.
    pub exhibitor_may_lie: bool,
    /// All masters, by their ZooKeepers: asked only where Exhibitor's word is not worth much, or
    /// cannot be had.
    pub zookeepers: Option<Ensemble>,
    /// This node's Mesos, master or agent.
    pub mesos: Answer<Metrics>,
    /// The leading master.
    pub leader: Result<IpAddr, String>,
    /// This node's Admin Router.
    pub admin_router: Answer<()>,
}

impl Cluster {
    /// Asks everybody at once.
    pub async fn look(root: &Root, role: Role, version: Option<&Version>) -> Cluster {
        let (address, list) = (address(root), master_list(root));
        let master = role == Role::Master;
        let (exhibitor, mesos, leader, admin_router) = tokio::join!(
            async {
                if master {
                    Some(exhibitor(root, cluster::EXHIBITOR_PORT, PATIENCE).await)
                } else {
                    None
                }
            },
            mesos(address, master, PATIENCE),
            leader(),
            admin_router(address, master),
        );
        let exhibitor_may_lie = exhibitor_may_lie(version);
        let told = exhibitor.as_ref().and_then(Answer::told);
        let zookeepers = match list.clone().or_else(|| told.map(hosts)) {
            _ if !master || !(exhibitor_may_lie || told.is_none()) => None,
            Some(hosts) => Some(zookeepers(hosts, PATIENCE).await),
            // Where nobody names the masters, this one still knows how its own ZooKeeper is.
            None => alone(zookeepers(vec![HERE.to_owned()], PATIENCE).await, exhibitor.as_ref()),
        };
        let expected = master_count(root).or(list.map(|l| l.len()));
        Cluster {
            address,
            expected,
            exhibitor,
            exhibitor_may_lie,
            zookeepers,
            mesos,
            leader,
            admin_router,
        }
    }

    /// The masters by the word that counts.
    pub fn masters(&self) -> Option<&Ensemble> {
        self.zookeepers.as_ref().or_else(|| self.exhibitor.as_ref().and_then(Answer::told))
    }

    /// What keeps the masters from being one cluster; none on an agent.
    pub fn disunion(&self) -> Option<Disunion> {
        let exhibitor = self.exhibitor.as_ref()?;
        let who = if self.zookeepers.is_some() { "ZooKeeper" } else { "Exhibitor" };
        let masters = self.masters()?;
        let expected = self.expected.unwrap_or(masters.members.len());
        let silence = exhibitor.silence().cloned().map(Disunion::NoExhibitor);
        if masters.is_converged(expected) {
            // Up to 2.0 every service asks Exhibitor before it starts.
            return silence.filter(|_| !self.exhibitor_may_lie);
        }
        let missing = masters.missing();
        let own = [HERE.to_owned(), self.address.to_string()];
        match silence {
            Some(silence) if missing.iter().any(|host| own.contains(host)) => Some(silence),
            _ if !missing.is_empty() => Some(Disunion::Missing(missing)),
            _ if masters.members.len() < expected => {
                Some(Disunion::Fewer { who, known: masters.members.len(), expected })
            }
            _ => Some(Disunion::Leaders(masters.leaders())),
        }
    }
}

/// What one ZooKeeper tells of all: beside an Exhibitor that knows the others, and tells only who
/// logs in, it tells nothing while it serves.
fn alone(own: Ensemble, exhibitor: Option<&Answer<Ensemble>>) -> Option<Ensemble> {
    Some(own).filter(|own| own.serving() == 0 || exhibitor != Some(&Answer::Locked))
}

/// This node.
pub(super) const HERE: &str = "127.0.0.1";

pub(super) fn hosts(ensemble: &Ensemble) -> Vec<String> {
    ensemble.members.iter().map(|member| member.host.clone()).collect()
}

/// Where people find a master: the web interface at its public address, and Exhibitor.
pub async fn urls(root: &Root, role: Option<Role>) -> Vec<String> {
    if role != Some(Role::Master) {
        return Vec::new();
    }
    let address = address(root);
    let public =
        detected(root, layout::DETECT_IP_PUBLIC).await.unwrap_or_else(|| address.to_string());
    let front = front(scheme(address).await, &public);
    vec![format!("{front}/"), format!("{front}/exhibitor/")]
}

/// The beginning of a URL; an address of IPv6 stands in brackets there.
fn front(scheme: &str, host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("{scheme}://[{host}]")
    } else {
        format!("{scheme}://{host}")
    }
}

/// How the web interface of this master is spoken to.
async fn scheme(address: IpAddr) -> &'static str {
    let asked = |scheme: &'static str, port: u16| async move {
        let url = format!(
            "{scheme}://{}{}",
            SocketAddr::new(address, port),
            cluster::ADMIN_ROUTER_VERSION
        );
        ask(&url, &Credentials::default(), LONGEST, PATIENCE, |_| Some(())).await
    };
    match asked("http", 80).await.silence() {
        None => "http",
        // It sends people to https.
        Some(Silence::Certificate(_)) => "https",
        Some(Silence::Other(_)) => match asked("https", 443).await.silence() {
            Some(Silence::Other(_)) => "http",
            _ => "https",
        },
    }
}

/// What an active detection script prints, if it is one word.
pub async fn detected(root: &Root, script: &str) -> Option<String> {
    let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let env = vec![set("PATH", layout::PROGRAM_PATH), set("LD_LIBRARY_PATH", layout::LIBRARIES)];
    let command =
        process::Command { program: Program::script(root.resolved(script)), args: Vec::new(), env };
    let output =
        process::run(&command, 2 * PATIENCE).await.ok().filter(process::Output::success)?;
    let text = String::from_utf8(output.stdout.bytes).ok()?;
    let word = text.trim();
    (!word.is_empty() && !word.contains(char::is_whitespace)).then(|| word.to_owned())
}

/// What DC/OS' own name server answers, which everything on the node waits for.
pub async fn ready() -> Result<(), String> {
    named(cluster::READY).await.map(|_| ())
}

/// From 2.1 on bootstrap asks ZooKeeper itself, since Exhibitor's status was found wrong
/// (D2IQ-70393).
pub(super) fn exhibitor_may_lie(version: Option<&Version>) -> bool {
    let parts: Vec<u32> = version
        .map(|v| v.version.split(['.', '-']).map_while(|part| part.parse().ok()).collect())
        .unwrap_or_default();
    matches!(parts.as_slice(), [major, minor, ..] if (*major, *minor) >= (2, 1))
}

/// What the Exhibitor of this node says of the masters: with a password and certificates where the
/// build has them.
///
/// Port 8181 can be taken by any user while Exhibitor is down. The password goes to Exhibitor's own
/// listener, or over TLS with the build's own authority, and nowhere else: the question is asked
/// without it then, which Exhibitor itself would answer.
pub async fn exhibitor(root: &Root, port: u16, limit: Duration) -> Answer<Ensemble> {
    let mut credentials = match credentials(root) {
        Ok(credentials) => credentials,
        Err(error) => return unasked(&error),
    };
    let is_proved_by_tls = credentials.identity.is_some() && credentials.authorities.is_some();
    if credentials.basic.is_some() && !is_proved_by_tls {
        let root = root.clone();
        let is_own = tokio::task::spawn_blocking(move || {
            listener::is_of(&root, port, units::EXHIBITOR, EXHIBITOR_ACCOUNT)
        });
        if !is_own.await.unwrap_or(false) {
            credentials.basic = None;
        }
    }
    let scheme = if credentials.identity.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{port}{}", cluster::EXHIBITOR_STATUS);
    ask(&url, &credentials, LONGEST, limit, Ensemble::parse).await
}

/// It was not asked, as what it is asked with cannot be read.
fn unasked<T>(error: &files::Error) -> Answer<T> {
    if error.source.kind() == ErrorKind::PermissionDenied {
        Answer::Locked
    } else {
        Answer::Silent(super::told(error).into())
    }
}

/// A password where the build sets one, and certificates where Exhibitor speaks TLS.
fn credentials(root: &Root) -> Result<Credentials, files::Error> {
    let read = |path: &str| root.read(path, 1 << 20);
    let realm = root.text(layout::EXHIBITOR_REALM)?.and_then(|text| cluster::realm(&text));
    let [authority, certificate, key] = layout::EXHIBITOR_TLS;
    let (authorities, certificate, key) = (read(authority)?, read(certificate)?, read(key)?);
    let identity =
        certificate.zip(key).map(|(certificate, key)| [certificate, b"\n".to_vec(), key].concat());
    Ok(Credentials {
        basic: realm,
        authorities: authorities.filter(|_| identity.is_some()),
        identity,
    })
}

pub(super) async fn mesos(address: IpAddr, master: bool, limit: Duration) -> Answer<Metrics> {
    let port = if master { cluster::MESOS_MASTER_PORT } else { cluster::MESOS_AGENT_PORT };
    mesos_at(SocketAddr::new(address, port), limit).await
}

/// What a Mesos counts: over http, and over https where it speaks that only.
pub async fn mesos_at(to: SocketAddr, limit: Duration) -> Answer<Metrics> {
    ask_anyhow(to, cluster::MESOS_METRICS, limit, Metrics::parse).await
}

async fn admin_router(address: IpAddr, master: bool) -> Answer<()> {
    // Of a master the port for people, of an agent the one for the cluster.
    let port = if master { 80 } else { 61001 };
    ask_anyhow(
        SocketAddr::new(address, port),
        cluster::ADMIN_ROUTER_VERSION,
        PATIENCE,
        |_| Some(()),
    )
    .await
}

async fn ask_anyhow<T>(
    to: SocketAddr,
    path: &str,
    limit: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Answer<T> {
    ask_either(&format!("{to}{path}"), LONGEST, limit, read).await
}

/// Asks over http, then over https, without either before the place. Certificates of a cluster's
/// own authority are not looked into: who shows one lives.
pub(super) async fn ask_either<T>(
    place: &str,
    longest: u64,
    limit: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Answer<T> {
    let open = Credentials::default();
    let plain = ask(&format!("http://{place}"), &open, longest, limit, &read).await;
    match plain.silence() {
        None => return plain,
        // A security mode that has people use https sends them there.
        Some(Silence::Certificate(_)) => return Answer::Locked,
        Some(Silence::Other(_)) => {}
    }
    match neighbour::ask(&format!("https://{place}"), &open, longest, limit).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => Answer::Locked,
        Ok(reply) if reply.status == 200 => read(&reply.body).map_or(plain, Answer::Told),
        Err(error) if matches!(error.kind(), Kind::Tls | Kind::Certificate) => Answer::Locked,
        Ok(_) | Err(_) => plain,
    }
}

/// Asks one part, and takes what `read` cannot read for silence.
pub(super) async fn ask<T>(
    url: &str,
    credentials: &Credentials,
    longest: u64,
    limit: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Answer<T> {
    match neighbour::ask(url, credentials, longest, limit).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => Answer::Locked,
        Ok(reply) if reply.status == 200 => read(&reply.body).map_or_else(
            || Answer::Silent(format!("the answer of {url} is not what it should be").into()),
            Answer::Told,
        ),
        Ok(reply) => Answer::Silent(format!("{url} answers with status {}", reply.status).into()),
        Err(error) if error.kind() == Kind::Certificate => {
            Answer::Silent(Silence::Certificate(error.to_string()))
        }
        Err(error) => Answer::Silent(error.to_string().into()),
    }
}

pub(super) async fn leader() -> Result<IpAddr, String> {
    named(cluster::LEADER).await
}

async fn named(name: &str) -> Result<IpAddr, String> {
    let found = tokio::time::timeout(PATIENCE, resolver::lookup(name)).await;
    let found = found
        .map_err(|_| format!("cannot resolve {name}: no answer in {PATIENCE:?}"))?
        .map_err(|e| e.to_string())?;
    found.first().copied().ok_or_else(|| format!("{name} has no address"))
}

/// The masters by their ZooKeepers.
pub(super) async fn zookeepers(hosts: Vec<String>, limit: Duration) -> Ensemble {
    let members = hosts.into_iter().map(|host| async move {
        match keeper(&host, limit).await {
            Some(Some(mode)) => {
                Member { host, serving: Serving::Serving, leads: mode != Mode::Follower }
            }
            Some(None) => Member { host, serving: Serving::NotServing, leads: false },
            None => Member { host, serving: Serving::Down, leads: false },
        }
    });
    Ensemble { members: future::join_all(members).await }
}

/// What a ZooKeeper does, by itself; none inside for one that does nothing now, none at all for one
/// that does not answer.
pub(super) async fn keeper(host: &str, limit: Duration) -> Option<Option<Mode>> {
    let address = match host.parse() {
        Ok(address) => address,
        Err(_) => named(host).await.ok()?,
    };
    let answer =
        words::ask(SocketAddr::new(address, cluster::ZOOKEEPER_PORT), "srvr", LONGEST, limit)
            .await
            .ok()?;
    Some(Mode::parse(&answer))
}

fn text(root: &Root, path: &str) -> Option<String> {
    Some(root.text(path).ok()??.trim().to_owned())
}

/// The address that this node goes by, as DC/OS recorded it; 127.0.0.1 before that.
pub(super) fn address(root: &Root) -> IpAddr {
    text(root, layout::KEPT_ADDRESS)
        .and_then(|kept| kept.parse().ok())
        .unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

pub(super) fn master_list(root: &Root) -> Option<Vec<String>> {
    serde_json::from_str(&text(root, layout::MASTER_LIST)?).ok()
}

pub(super) fn master_count(root: &Root) -> Option<usize> {
    text(root, layout::MASTER_COUNT)?.parse().ok()
}

#[cfg(test)]
mod tests;
