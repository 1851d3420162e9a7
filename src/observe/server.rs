//! The bootstrap server, layer by layer: its name, a connection, TLS, an answer, the build, every
//! artifact of it.
//!
//! A server may be anything, also hostile: every layer has a time limit, nothing is read without a
//! limit, and no text of a server's is longer than a line.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;

use super::build;
use crate::dcos::build::{BOOTSTRAP_LATEST, Build};
use crate::dcos::settings::Settings;
use crate::system::http::{self, Address, Body, Client, Kind};
use crate::system::reach;
use crate::system::resolver;
use crate::system::source::Source;

mod artifacts;
mod text;

use artifacts::artifacts;
use text::{brief, chain};

pub use crate::system::http::{Proxy, Setting, Validity};
pub use artifacts::Artifacts;

/// How long each layer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The lookup of the name.
    pub name: Duration,
    /// Each connection; they are tried at the same time.
    pub connect: Duration,
    /// The answer to one question; a longer time than a handshake may take.
    pub answer: Duration,
    /// Reading the build and its settings.
    pub build: Duration,
    /// Asking for all artifacts.
    pub artifacts: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            name: seconds(20),
            connect: seconds(5),
            answer: seconds(15),
            build: seconds(120),
            artifacts: seconds(120),
        }
    }
}

/// One layer.
#[derive(Clone, Debug)]
pub enum Layer<T> {
    /// A layer before it is broken.
    NotReached,
    /// It was looked at.
    Reached {
        /// How long that took.
        took: Duration,
        /// What was found, or why it is broken.
        result: Result<T, String>,
    },
}

/// What offers the build.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where, without credentials.
    pub place: String,
    /// What lies between us and a server; none for a directory.
    pub network: Option<Network>,
    /// What the build is, in a few words.
    pub build: Layer<String>,
    /// The build is provably not what was published: not the one that this program was published
    /// for, or changed since.
    pub is_another: bool,
    /// Whether every artifact of the build is there.
    pub artifacts: Layer<Artifacts>,
    /// Whether the build was published, and if so what was made there since, in words.
    pub published: Published,
    /// All that the pinned index names is on the node and verified, so that nothing was asked.
    pub is_not_needed: bool,
}

/// Whether a build has an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Published {
    /// That is not known.
    #[default]
    Unknown,
    /// It has none.
    Classic,
    /// It has one, and it is the newest that the server has.
    Newest,
    /// It has one, but the build was generated again after it was published.
    Outdated(String),
}

/// The layers before the build.
#[derive(Clone, Debug)]
pub struct Network {
    /// The server's name or address.
    pub host: String,
    /// The proxy that requests go through; name and connection are then the proxy's.
    pub proxy: Option<Proxy>,
    /// Whether the server is spoken to through TLS.
    pub is_tls: bool,
    /// The addresses of the name.
    pub name: Layer<Vec<IpAddr>>,
    /// A connection to each address; the layer is broken only if all fail.
    pub connect: Layer<Vec<Connection>>,
    /// The certificate.
    pub tls: Layer<()>,
    /// If the certificate was refused for its dates: these, and what our clock said.
    pub dates: Option<(Validity, SystemTime)>,
    /// The first answer, with the server's clock minus ours in seconds, if the server tells its
    /// time.
    pub http: Layer<Option<i64>>,
}

/// A try to connect.
#[derive(Clone, Debug)]
pub struct Connection {
    /// To whom.
    pub to: SocketAddr,
    /// How long it took.
    pub took: Duration,
    /// Our address on the route there, or why there is no connection.
    pub result: Result<IpAddr, String>,
}

/// More addresses than anybody gives a server are not tried.
const MOST_ADDRESSES: usize = 16;

impl Server {
    /// A place that nothing was asked of: all of the build is on the node and verified.
    pub fn not_needed(build: &Build, settings: &Settings) -> Server {
        Server {
            place: build.url.clone(),
            network: None,
            build: Layer::Reached { took: Duration::ZERO, result: Ok(summary(build, settings)) },
            is_another: false,
            artifacts: Layer::NotReached,
            published: Published::Unknown,
            is_not_needed: true,
        }
    }

    /// Looks at everything before the artifacts, and reads the build. After the first broken layer
    /// nothing is tried.
    ///
    /// With a digest no other build counts than the one whose index has it.
    pub async fn look(
        source: &Source,
        digest: Option<&str>,
        limits: &Limits,
    ) -> (Server, Result<(Build, Settings), build::Error>) {
        let network = match source {
            Source::Server { client, base } => Some(Network::look(client, base, limits).await),
            Source::Directory(_) => None,
        };
        let place = source.to_string();
        let mut server = Server {
            place,
            network,
            build: Layer::NotReached,
            is_another: false,
            artifacts: Layer::NotReached,
            published: Published::Unknown,
            is_not_needed: false,
        };
        if let Some(why) = server.network.as_ref().and_then(Network::broken) {
            return (server, Err(build::Error::Unreached(why)));
        }
        let began = Instant::now();
        let read = match read(source, digest, limits).await {
            Ok((build, settings)) if digest.is_some() => {
                gone(source, &build, limits).await.map_or(Ok((build, settings)), Err)
            }
            read => read,
        };
        let result = match &read {
            Ok((build, settings)) => {
                server.published = published(source, build, limits).await;
                Ok(summary(build, settings))
            }
            Err(error) => {
                server.is_another = error.is_integrity();
                Err(brief(&chain(error)))
            }
        };
        server.build = Layer::Reached { took: began.elapsed(), result };
        (server, read)
    }

    /// Asks for every artifact of the build.
    pub async fn look_at_artifacts(&mut self, source: &Source, build: &Build, limits: &Limits) {
        let began = Instant::now();
        let asked = tokio::time::timeout(
            limits.artifacts,
            artifacts(&source.impatient(limits.answer), build),
        )
        .await;
        let result = asked.map_err(|_| {
            format!("the server did not answer for all of them in {:?}", limits.artifacts)
        });
        self.artifacts = Layer::Reached { took: began.elapsed(), result };
    }
}

impl Network {
    async fn look(client: &Client, base: &Address, limits: &Limits) -> Network {
        let proxy = Proxy::for_address(base);
        let (host, port) = proxy
            .as_ref()
            .map_or((base.host(), base.port()), |proxy| (proxy.host.as_str(), proxy.port));
        let (name, connect) = (names(host, limits).await, Layer::NotReached);
        let connect = match &name {
            Layer::Reached { result: Ok(addresses), .. } => {
                connections(addresses, port, limits).await
            }
            _ => connect,
        };
        let mut network = Network {
            host: base.host().to_owned(),
            proxy,
            is_tls: base.is_tls(),
            name,
            connect,
            tls: Layer::NotReached,
            dates: None,
            http: Layer::NotReached,
        };
        if network.connect.is_sound() {
            network.speak(&client.impatient(limits.answer), &base.below(BOOTSTRAP_LATEST)).await;
        }
        network
    }

    /// TLS and HTTP with the client that an install will use. The first question makes the
    /// connection that the second finds made.
    async fn speak(&mut self, client: &Client, address: &Address) {
        if self.is_tls {
            let began = Instant::now();
            let refused = match client.head(address.as_str()).await {
                // The server speaks, whatever it says.
                Ok(_) => None,
                Err(error) => match error.kind() {
                    // A handshake that does not end is a failed connection, so this is a server
                    // that took it and says nothing.
                    Kind::Status(_) | Kind::Stalled | Kind::Truncated | Kind::TooLarge => None,
                    Kind::Certificate
                    | Kind::Tls
                    | Kind::Unreachable
                    | Kind::Cancelled
                    | Kind::Other => Some(error),
                },
            };
            self.dates = refused
                .as_ref()
                .and_then(http::Error::validity)
                .map(|dates| (dates, SystemTime::now()));
            let result = refused.map_or(Ok(()), |error| Err(brief(error.cause())));
            self.tls = Layer::Reached { took: began.elapsed(), result };
            if !self.tls.is_sound() {
                return;
            }
        }
        let began = Instant::now();
        let result = match client.open(address.as_str(), u64::MAX).await {
            Ok(Body { date, .. }) => Ok(date.map(|date| skew(date, SystemTime::now()))),
            Err(error) => Err(brief(&error.to_string())),
        };
        self.http = Layer::Reached { took: began.elapsed(), result };
    }

    /// Why the build cannot be asked for.
    fn broken(&self) -> Option<String> {
        [self.name.trouble(), self.connect.trouble(), self.tls.trouble(), self.http.trouble()]
            .into_iter()
            .flatten()
            .next()
    }
}

impl<T> Layer<T> {
    fn is_sound(&self) -> bool {
        matches!(self, Layer::Reached { result: Ok(_), .. })
    }

    fn trouble(&self) -> Option<String> {
        match self {
            Layer::Reached { result: Err(why), .. } => Some(why.clone()),
            _ => None,
        }
    }
}

async fn names(host: &str, limits: &Limits) -> Layer<Vec<IpAddr>> {
    let began = Instant::now();
    let result = match tokio::time::timeout(limits.name, resolver::lookup(host)).await {
        Ok(found) => found.map_err(|error| brief(&error.to_string())),
        Err(_) => {
            Err(format!("cannot resolve {host}: no name server answered in {:?}", limits.name))
        }
    };
    Layer::Reached { took: began.elapsed(), result }
}

async fn connections(addresses: &[IpAddr], port: u16, limits: &Limits) -> Layer<Vec<Connection>> {
    let began = Instant::now();
    let tries = addresses.iter().take(MOST_ADDRESSES).map(|address| async move {
        let (to, began) = (SocketAddr::new(*address, port), Instant::now());
        let result = reach::connect(to, limits.connect).await;
        Connection { to, took: began.elapsed(), result }
    });
    let tried = join_all(tries).await;
    let result = if tried.iter().any(|c| c.result.is_ok()) {
        Ok(tried)
    } else {
        let failed = |c: &Connection| {
            c.result.as_ref().err().map(|why| format!("cannot connect to {}: {why}", c.to))
        };
        Err(brief(&tried.iter().filter_map(failed).collect::<Vec<_>>().join("; ")))
    };
    Layer::Reached { took: began.elapsed(), result }
}

async fn read(
    source: &Source,
    digest: Option<&str>,
    limits: &Limits,
) -> Result<(Build, Settings), build::Error> {
    let reading = async {
        let build = build::build(source, digest).await?;
        match build::settings(source, &build).await {
            Err(build::Error::Fetch { file, source: error })
                if digest.is_some() && error.is_not_found() =>
            {
                let earlier = build::earlier_build(source, &build, &file).await;
                Err(earlier.unwrap_or(build::Error::Fetch { file, source: error }))
            }
            settings => Ok((build, settings?)),
        }
    };
    match tokio::time::timeout(limits.build, reading).await {
        Ok(read) => read,
        Err(_) => Err(build::Error::Unreached(format!("it did not come in {:?}", limits.build))),
    }
}

/// Why a build cannot be had any more although its index is still there: another one was generated
/// since, and files of this one are gone. Where none was generated a missing file is a check of its
/// own.
async fn gone(source: &Source, build: &Build, limits: &Limits) -> Option<build::Error> {
    let impatient = source.impatient(limits.answer);
    build::made_since(&impatient, build).await?;
    let asked = tokio::time::timeout(limits.artifacts, artifacts(&impatient, build)).await.ok()?;
    let first = asked.missing.first()?;
    let missing = match asked.missing.len() {
        1 => first.clone(),
        count => format!("{first} and {} more", count - 1),
    };
    build::earlier_build(&impatient, build, &missing).await
}

async fn published(source: &Source, build: &Build, limits: &Limits) -> Published {
    if build.index_sha256.is_none() {
        return Published::Classic;
    }
    match build::made_since(&source.impatient(limits.answer), build).await {
        Some(made) => Published::Outdated(made),
        None => Published::Newest,
    }
}

fn summary(build: &Build, settings: &Settings) -> String {
    let version = settings
        .version
        .as_ref()
        .map_or_else(|| "a build".to_owned(), |v| format!("DC/OS {}", v.version));
    brief(&format!("{version} with {} packages at {}", build.active().len(), build.url))
}

/// How far a server's clock is ahead of ours, in seconds.
fn skew(server: SystemTime, ours: SystemTime) -> i64 {
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    server.duration_since(ours).map_or_else(|behind| -seconds(behind.duration()), seconds)
}

#[cfg(test)]
mod tests;
