//! `dcos-node serve DIR`: a small file server for a serve directory.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::net::TcpListener;

use super::{Failure, World, serve_directory};
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::dcos::index::INDEX;
use crate::dcos::installer_script;
use crate::observe;
use crate::system::server::{self, Limits, Log};
use crate::system::source::Source;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The directory.
    pub directory: PathBuf,
    /// Where to listen; none for every address and the port of the URL that the build was made for.
    pub listen: Option<SocketAddr>,
}

/// What was served until it was stopped.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Where it listened.
    pub address: SocketAddr,
    /// How many requests were answered.
    pub requests: u64,
    /// Bytes of all bodies.
    pub bytes: u64,
}

/// What a URL without a port means.
const USUAL_PORT: u16 = 80;

/// Serves until it is asked to stop.
///
/// # Errors
/// The directory has no build, or the address cannot be listened on.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    let directory = serve_directory::resolve(&request.directory, "serve")?;
    let address = match request.listen {
        Some(address) => address,
        None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port(&directory, world).await)),
    };
    let listener = TcpListener::bind(address).await.map_err(|error| deaf(address, error))?;
    let address = listener.local_addr().map_err(|error| deaf(address, error))?;
    if !directory.join(INDEX).is_file() {
        world.events.note(format!(
            "this build has no digests; dcos-node publish {} gives it some",
            directory.display()
        ));
    }
    world.events.note(format!("serving {} at http://{address}/", directory.display()));
    let counted = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let stop = world.cancellation.requested();
    server::serve(listener, &directory, log(world, counted.clone()), Limits::of_process(), stop)
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(Outcome {
        address,
        requests: counted.0.load(Ordering::SeqCst),
        bytes: counted.1.load(Ordering::SeqCst),
    })
}

/// The port that nodes will ask at.
async fn port(directory: &Path, world: &World) -> u16 {
    let build = observe::build::classic(&Source::Directory(directory.to_owned())).await.ok();
    let Some(url) = build.and_then(|build| installer_script::bootstrap_url(&build.node_files))
    else {
        return USUAL_PORT;
    };
    if !url.starts_with("http://") {
        world
            .events
            .warn(format!("the build was made for {url}, and this server speaks plain HTTP"));
        return USUAL_PORT;
    }
    let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(USUAL_PORT)
}

fn log(world: &World, counted: Arc<(AtomicU64, AtomicU64)>) -> Log {
    let events = world.events.clone();
    Arc::new(move |served| {
        counted.0.fetch_add(1, Ordering::SeqCst);
        counted.1.fetch_add(served.bytes, Ordering::SeqCst);
        events.send(Event::Answered {
            at: World::time(),
            client: served.client.ip().to_string(),
            method: served.method,
            path: served.path,
            status: served.status,
            bytes: served.bytes,
            milliseconds: u64::try_from(served.took.as_millis()).unwrap_or(u64::MAX),
        });
    })
}

fn deaf(address: SocketAddr, error: io::Error) -> Failure {
    let cure = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root; or give another one, as in --listen 0.0.0.0:8080"
        }
        io::ErrorKind::AddrInUse => {
            "end what listens there (ss -ltnp names it), or give another port with --listen"
        }
        _ => "give an address of this machine, as in --listen 0.0.0.0:8080",
    };
    Failure::new(
        Exit::Failed,
        anyhow::Error::from(error).context(format!("cannot listen on {address}")),
    )
    .cured_by(cure)
}
