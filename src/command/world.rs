//! What all commands share: the node, its systemd, the clock, and where news goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Failure;
use crate::action::Site;
use crate::action::capacity::Capacity;
use crate::dcos::event::Events;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::Intent;
use crate::dcos::stamp::Stamp;
use crate::dcos::{layout, moment};
use crate::observe::node::Node;
use crate::observe::records::{self, Damaged};
use crate::system::cancellation::Cancellation;
use crate::system::clock::Clock;
use crate::system::http::{self, Authorities, Client, Slowest};
use crate::system::lock::{self, Holder, Lock};
use crate::system::root::Root;
use crate::system::source::{Mirrors, Source};
use crate::system::systemd::{self, Cancellable, Systemd};
use crate::system::{digest, slot};

/// The outside of a command, made once by `main` and by tests.
#[derive(Clone)]
pub struct World {
    /// The root directory of the node.
    pub root: Root,
    /// The node's systemd, or why it does not answer; none for a node that is a directory.
    pub systemd: Option<Result<Arc<dyn Systemd>, String>>,
    /// How long the jobs of a start or stop are followed.
    pub patience: Duration,
    /// The clock.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Where news goes.
    pub events: Events,
    /// A wish to stop at the next safe point.
    pub cancellation: Cancellation,
    /// What the process was asked to do, for others who find the lock taken.
    pub command_line: String,
    /// Certificates to trust besides the system's.
    pub authorities: Option<Authorities>,
    /// The stamp of this program, or why it cannot be used; none for a program that was not
    /// published.
    pub stamp: Option<Result<Stamp, String>>,
}

/// Reads the stamp of the program that runs.
pub fn own_stamp() -> Option<Result<Stamp, String>> {
    let text = slot::own().map_err(|e| e.to_string()).transpose()?;
    Some(text.and_then(|text| Stamp::parse(&text)))
}

/// This machine's systemd, whose answers are waited for until `cancellation` is requested; a
/// directory has none.
pub async fn connect(
    root: &Root,
    cancellation: &Cancellation,
) -> Option<Result<Arc<dyn Systemd>, String>> {
    #[cfg(feature = "fake")]
    if let Some(fake) = systemd::Fake::wished(root.directory()) {
        return Some(Ok(Arc::new(Cancellable::new(fake, cancellation.clone()))));
    }
    if !root.is_live() {
        return None;
    }
    let sockets = systemd::Sockets::default();
    let connected = cancellation.or(systemd::connect(&sockets)).await;
    let connected = connected.unwrap_or_else(|cancelled| Err(cancelled.into()));
    let listening = |bus| Arc::new(Cancellable::new(bus, cancellation.clone())) as Arc<dyn Systemd>;
    Some(connected.map(listening).map_err(|error| error.to_string()))
}

impl World {
    /// Whether the node runs, and is no directory that will be one: then it has a systemd.
    pub fn is_live(&self) -> bool {
        self.systemd.is_some()
    }

    /// Whether owners and accounts can be set.
    pub fn is_privileged(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    /// Looks at what of DC/OS stands on the node, and refuses to go on without records that are
    /// there and damaged.
    pub(super) async fn node(&self) -> Result<Node, Failure> {
        sound(self.node_as_it_stands().await?)
    }

    /// The same, for who goes by what stands where records are damaged.
    pub(super) async fn node_as_it_stands(&self) -> Result<Node, Failure> {
        let root = self.root.clone();
        let looked = tokio::task::spawn_blocking(move || Node::look(&root)).await;
        looked.map_err(anyhow::Error::from).and_then(|node| node).map_err(|error| {
            let cure = error.downcast_ref::<records::Error>().map_or_else(
                || {
                    "see that the file system can be read, then run the same command again"
                        .to_owned()
                },
                records::Error::cure,
            );
            Failure::from(error).leaving("nothing was changed").cured_by(cure)
        })
    }

    /// Takes the lock, so that this is the only dcos-node that changes the node.
    pub(super) fn lock(&self) -> Result<Lock, Failure> {
        let path = if self.is_live() { self.root.at(layout::LOCK) } else { self.offline_lock() };
        Lock::acquire(
            &path,
            &Holder { pid: std::process::id(), command: self.command_line.clone() },
        )
        .map_err(|error| match &error {
            lock::Error::Held { pid, command, .. } => {
                let text = format!(
                    "another dcos-node is at work on this node: process {pid} \
                                    ({command})"
                );
                Failure::new(Exit::Busy, anyhow::anyhow!(text))
                    .leaving("nothing was changed")
                    .cured_by("wait until it has ended; dcos-node status tells how far it is")
            }
            lock::Error::Io { path, .. } => {
                let directory = path.parent().unwrap_or(path).display().to_string();
                let besides = if self.is_live() { "" } else { ", or name another one with TMPDIR" };
                Failure::new(Exit::Failed, error).leaving("nothing was changed").cured_by(format!(
                    "see that the directory {directory} is there and can be written{besides}; then \
                     run the same command again"
                ))
            }
        })
    }

    /// A lock for a directory lies outside of it, so that it does not become part of the image.
    fn offline_lock(&self) -> PathBuf {
        let directory = self.root.resolved("/");
        let name: String = digest::hex(&digest::sha256(directory.as_os_str().as_encoded_bytes()))
            .chars()
            .take(16)
            .collect();
        std::env::temp_dir().join(format!("dcos-node-{name}.lock"))
    }

    /// What this program was published for; none if it was not.
    ///
    /// # Errors
    /// The stamp is damaged: then nothing of the program is to be trusted.
    pub(super) fn stamp(&self) -> Result<Option<&Stamp>, Failure> {
        self.stamp.as_ref().map(Result::as_ref).transpose().map_err(|why| {
            Failure::new(
                Exit::Integrity,
                anyhow::anyhow!("this dcos-node cannot be trusted: {why}"),
            )
            .leaving("nothing was changed")
            .cured_by(
                "download it again, and compare its SHA-256 with the one that dcos-node publish \
                 printed",
            )
        })
    }

    /// The SHA-256 that the build index must have; none if any will do.
    pub(super) fn digest(&self) -> Result<Option<&str>, Failure> {
        Ok(self.stamp()?.map(|stamp| stamp.index_sha256.as_str()))
    }

    /// Where packages come from: what was asked for, else what this program was published with,
    /// else what the node recorded.
    pub(super) fn source(
        &self,
        asked: Option<&str>,
        fetching: &Fetching,
        node: Option<&Node>,
    ) -> Result<Option<Mirrors>, Failure> {
        match asked.or(self.stamp()?.map(|stamp| stamp.bootstrap_url.as_str())) {
            Some(place) => self.source_at(place, fetching).map(Some),
            None => node.map_or(Ok(None), |node| self.recorded_source(fetching, node)),
        }
    }

    /// Where the packages of this node come from, as it recorded: an install that goes on goes on
    /// with what it began with.
    pub(super) fn recorded_source(
        &self,
        fetching: &Fetching,
        node: &Node,
    ) -> Result<Option<Mirrors>, Failure> {
        let recorded = match (&node.story.intent, &node.receipt) {
            (Some(Intent::Install(intent)), _) => Some(intent.build.url.as_str()),
            (_, Some(receipt)) => Some(receipt.build.url.as_str()),
            _ => None,
        };
        recorded.map(|place| self.source_at(place, fetching)).transpose()
    }

    fn source_at(&self, place: &str, fetching: &Fetching) -> Result<Mirrors, Failure> {
        let netrc = http::netrc::of_user(layout::ROOT_HOME).unwrap_or_else(|error| {
            self.events.warn(format!("no login is read from .netrc: {error}: {}", error.source));
            None
        });
        let netrc = netrc.unwrap_or_default();
        let options = http::Options {
            authorities: self.authorities.clone().or_else(|| recorded(fetching)),
            // Recorded without credentials, like the places themselves.
            proxies: http::with_logins(&fetching.proxies, &netrc),
            bytes_per_second: fetching.bytes_per_second,
            slowest: Slowest::of_share(
                fetching.bytes_per_second,
                Capacity::new(fetching).at_once(),
            ),
            cancellation: self.cancellation.clone(),
            ..http::Options::default()
        };
        let client = Client::new(&options)
            .map_err(|e| Failure::new(Exit::Failed, e).leaving("nothing was changed"))?;
        let parsed = |option: &str, place: &str| {
            let source = Source::parse(place, &client).map(|source| source.with_login(&netrc));
            source.map_err(|e| {
                Failure::new(Exit::Usage, e).leaving("nothing was changed").cured_by(format!(
                    "{option} takes http://..., https://..., file:///... or an absolute path"
                ))
            })
        };
        let others: Vec<Source> = fetching
            .mirrors
            .iter()
            .map(|place| parsed("--mirror", place))
            .collect::<Result<_, _>>()?;
        Ok(Mirrors::new(parsed("--bootstrap-url", place)?, others))
    }

    /// Where actions work.
    pub(super) fn site(
        &self,
        source: Option<Mirrors>,
        fetching: &Fetching,
    ) -> Result<Site, Failure> {
        let systemd = self.systemd.clone().transpose().map_err(|why| {
            Failure::new(Exit::Preflight, anyhow::anyhow!("systemd does not answer: {why}"))
                .leaving("nothing was changed")
                .cured_by("see that systemctl status answers, then run the same command again")
        })?;
        Ok(Site {
            root: self.root.clone(),
            systemd,
            patience: self.patience,
            source,
            capacity: Capacity::new(fetching),
            privileged: self.is_privileged(),
            events: self.events.clone(),
            cancellation: self.cancellation.clone(),
        })
    }

    /// The time, as receipts and journals write it.
    pub(super) fn now(&self) -> String {
        World::time()
    }

    /// The same, for who outlives the world.
    pub(super) fn time() -> String {
        moment::rfc3339(SystemTime::now())
    }

    /// A moment before now, in the same form, whose texts are in the order of the moments.
    pub(super) fn ago(&self, duration: Duration) -> String {
        moment::rfc3339(SystemTime::now().checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// The authorities that an earlier run was given: this one may have no such file.
fn recorded(fetching: &Fetching) -> Option<Authorities> {
    let pem = fetching.authorities.as_ref()?.clone().into_bytes();
    Some(Authorities { origin: "the journal".to_owned(), pem })
}

/// Refuses to go on without records that are there and damaged.
pub(super) fn sound(node: Node) -> Result<Node, Failure> {
    match node.damaged.first() {
        None => Ok(node),
        Some(Damaged { path, why }) => {
            let text = format!("{} is damaged: {why}", path.display());
            let failure = Failure::new(Exit::Failed, anyhow::anyhow!(text));
            Err(failure.leaving("nothing was changed").cured_by(fix_of_damage(&node)))
        }
    }
}

/// What to do about damaged records. Those of a whole node are written anew: its role may serve.
fn fix_of_damage(node: &Node) -> String {
    if !node.is_whole() {
        return "restore it from a backup; if nothing of DC/OS runs on the node any more, \
                dcos-node uninstall removes what is left, and needs no record"
            .to_owned();
    }
    let paths: Vec<String> =
        node.damaged.iter().map(|damaged| damaged.path.display().to_string()).collect();
    let away = format!("restore it from a backup, or: mv {} /root/", paths.join(" "));
    match node.receipt {
        Some(_) => format!("{away}; then run the same command again"),
        None => format!("{away}; then dcos-node adopt writes another receipt"),
    }
}
