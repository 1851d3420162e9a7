//! What install, fetch and recover do alike before and while they fetch.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::preflight::{self, Offered};
use super::{Failure, World};
use crate::action::journal::Journal;
use crate::action::run::run as run_actions;
use crate::action::{self, Action, Site};
use crate::dcos::build::{BOOTSTRAP_LATEST, Build};
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::receipt::Object;
use crate::dcos::settings::Settings;
use crate::dcos::{layout, store};
use crate::plan::fetch::Lengths;
use crate::system::http::Setting;
use crate::system::source::{Mirrors, Presence, Source};

/// How many archives are asked for their length at once, how long one answer may take, and all of
/// them together: the order that they give is worth no more.
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(10);
/// The text of a `.latest` file is an id.
const LATEST: u64 = 64 << 10;

/// Waits for a random part of what was asked, so that nodes that were told at the same time do not
/// come at the same time.
///
/// # Errors
/// A signal: nothing was changed.
pub(super) async fn splay(fetching: &Fetching, world: &World) -> Result<(), Failure> {
    if fetching.splay.is_zero() {
        return Ok(());
    }
    let random = RandomState::new().hash_one(std::process::id()) % 10_000;
    let pause = fetching.splay.mul_f64(random as f64 / 10_000.0);
    world.events.note(format!(
        "waiting {:.0} s before the first request (--splay {} s)",
        pause.as_secs_f64(),
        fetching.splay.as_secs()
    ));
    world.cancellation.sleep(pause).await.map_err(preflight::interrupted)
}

/// The place that the build is read from: the first one that answers.
pub(super) async fn first_alive<'a>(mirrors: &'a Mirrors, world: &World) -> &'a Source {
    for (place, error) in mirrors.find(BOOTSTRAP_LATEST, LATEST).await {
        world.events.warn(format!("{place} is passed over: {:#}", anyhow::Error::from(error)));
    }
    mirrors.first()
}

/// What the journal keeps: every place but the one that the build was read from, and the proxies,
/// without credentials; the authorities to trust.
pub(super) fn kept(asked: &Fetching, mirrors: &Mirrors, world: &World) -> Fetching {
    let text = |pem: &[u8]| String::from_utf8(pem.to_vec()).ok();
    let proxies = Setting::all();
    Fetching {
        authorities: world.authorities.as_ref().and_then(|authorities| text(&authorities.pem)),
        proxies: proxies.into_iter().map(|s| (s.name.to_owned(), s.value)).collect(),
        mirrors: mirrors.in_order().skip(1).map(ToString::to_string).collect(),
        splay: Duration::ZERO,
        ..asked.clone()
    }
}

/// How long the archives are, if no index tells; a server that does not answer soon is not waited
/// for.
pub(super) async fn lengths(site: &Site, build: &Build) -> Lengths {
    let Some(source) = site.source.as_ref().filter(|_| build.artifacts.is_empty()) else {
        return Lengths::new();
    };
    let source = source.first().impatient(PATIENCE);
    let archives = build
        .to_fetch()
        .into_iter()
        .map(|id| id.archive())
        .chain([Build::bootstrap_archive(&build.bootstrap_id)]);
    let ask = async |archive: String| match source.presence(&archive).await {
        Ok(Presence::Present { bytes }) => bytes.map(|bytes| (archive, bytes)),
        _ => None,
    };
    let mut lengths = Lengths::new();
    let mut answers = stream::iter(archives.map(ask)).buffer_unordered(AT_ONCE);
    let all = async {
        while let Some(answer) = answers.next().await {
            lengths.extend(answer);
        }
    };
    let _ = tokio::time::timeout(PATIENCE_FOR_ALL, all).await;
    lengths
}

/// The build that was read, or why there is none.
///
/// # Errors
/// It cannot be read, or it is not known where it is.
pub(super) fn readable(offered: Offered) -> Result<(Build, Settings), Failure> {
    match offered {
        Some((_, Ok(read))) => Ok(read),
        Some((_, Err(error))) => {
            Err(Failure::new(Exit::Failed, error).leaving("nothing was changed").cured_by(
                "dcos-node preflight tells more of the bootstrap server; then run the same command \
                 again",
            ))
        }
        None => Err(no_url()),
    }
}

/// Nobody said where the build is, and the node does not know it.
pub(super) fn no_url() -> Failure {
    Failure::new(Exit::Usage, anyhow::anyhow!("it is not known where the build is"))
        .leaving("nothing was changed")
        .cured_by("give --bootstrap-url URL, or set DCOS_NODE_BOOTSTRAP_URL")
}

/// Removes packages that still wait in a store after an install: they are of another build.
///
/// # Errors
/// The disk.
pub(super) async fn drop_unused(site: &Site, journal: &Journal) -> action::Result<()> {
    let unused = journal.story().objects.into_iter().filter(|object| match object {
        Object::Package { id } => {
            let place = site.root.first_directory(store::places(id));
            place.is_some_and(|place| place != layout::package(id))
        }
        _ => false,
    });
    let undo: Vec<_> = unused.map(|object| vec![Action::Undo { object }]).collect();
    run_actions(&undo, site, journal, 1).await
}

/// Tells of a build without digests.
pub(super) fn warn_of_digests(build: &Build, world: &World) {
    if build.index_sha256.is_none() {
        world.events.warn(
            "this build has no digests: its packages are installed as they come from the server",
        );
    }
}
