//! One connection to systemd, and the task that listens on it for the ends of jobs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use zbus::message::Type as MessageType;
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, MatchRule, MessageStream};

use super::JobResult;
use super::error::Refusal;
use super::interfaces::{JobRemoved, ManagerProxy, member};
use super::jobs::Jobs;
use super::socket::Stream;

/// What is at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// The system bus, and systemd on it.
    Bus,
    /// systemd itself.
    Private,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is one, and it is an error.
    Refused(Refusal),
    /// The connection ended, or never came to be.
    Lost(Refusal),
}

#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    manager: ManagerProxy<'static>,
    pump: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The task holds the connection, which would else stay open for as long as the program
        // runs.
        self.pump.abort();
    }
}

impl Link {
    /// Connects, and listens before anything can be asked: the end of a fast job comes before the
    /// answer that names it. A systemd that does not answer within `limit` is as good as none.
    pub(super) async fn open(
        path: &Path,
        transport: Transport,
        limit: Duration,
        jobs: Arc<Jobs>,
    ) -> Result<Link, Failure> {
        tokio::time::timeout(limit, Link::open_at_leisure(path, transport, jobs))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::Lost(Refusal::local(format!("no answer within {limit:?}"))))
            })
    }

    async fn open_at_leisure(
        path: &Path,
        transport: Transport,
        jobs: Arc<Jobs>,
    ) -> Result<Link, Failure> {
        let stream = UnixStream::connect(path).await.map_err(unconnected)?;
        let builder = zbus::connection::Builder::socket(Stream(stream));
        let builder = match transport {
            Transport::Bus => builder,
            Transport::Private => builder.p2p(),
        };
        let connection = builder.build().await.map_err(failure)?;
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(failure)?;
        let pump = match transport {
            // The bus lets every user send signals, so their sender has to be systemd: the proxy
            // sees to that.
            Transport::Bus => {
                let signals = manager.receive_job_removed().await.map_err(failure)?;
                tokio::spawn(pump(signals, jobs))
            }
            // Here the peer is systemd, which signs its signals or not, depending on its version.
            Transport::Private => {
                let rule = MatchRule::builder()
                    .msg_type(MessageType::Signal)
                    .interface(manager.inner().interface())
                    .member(member::JOB_REMOVED);
                let rule = rule.build().map_err(failure)?;
                let signals = MessageStream::for_match_rule(rule, &connection, None)
                    .await
                    .map_err(failure)?;
                tokio::spawn(pump(
                    signals.filter_map(|message| {
                        std::future::ready(message.ok().and_then(JobRemoved::from_message))
                    }),
                    jobs,
                ))
            }
        };
        let link = Link { connection, manager, pump };
        // Without it systemd tells us only of the jobs that we queued ourselves on this very
        // connection. The answer also shows that systemd is there.
        match link.manager.subscribe().await.map_err(call_failure) {
            Err(Failure::Refused(refusal)) if refusal.short_name() == "AlreadySubscribed" => {
                Ok(link)
            }
            Err(failure) => Err(failure),
            Ok(()) => Ok(link),
        }
    }

    /// systemd, for one call, which waits for its answer without a limit.
    pub(super) fn manager(&self) -> ManagerProxy<'static> {
        self.manager.clone()
    }

    /// For the proxies of other daemons on the bus.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the other end is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }
}

/// Takes in every signal at once: the library stops reading, answers too, while one of its queues
/// is full.
async fn pump(signals: impl futures_util::Stream<Item = JobRemoved>, jobs: Arc<Jobs>) {
    let mut signals = std::pin::pin!(signals);
    while let Some(signal) = signals.next().await {
        // A signal of another shape tells nothing; the waiter then learns it from the unit.
        if let Ok(ended) = signal.args() {
            jobs.ended(ended.job.to_string(), JobResult::from(ended.result));
        }
    }
    jobs.lost();
}

fn unconnected(error: io::Error) -> Failure {
    let name = if error.kind() == io::ErrorKind::PermissionDenied {
        "org.freedesktop.DBus.Error.AccessDenied"
    } else {
        ""
    };
    Failure::Lost(Refusal { name: name.to_owned(), message: error.to_string() })
}

/// Why a call has no answer that can be used.
pub(super) fn call_failure(error: zbus::Error) -> Failure {
    match failure(error) {
        // Neither the other end nor the connection complained, so it is what came back.
        Failure::Refused(refusal) if refusal.name.is_empty() => {
            Failure::Refused(Refusal::local(format!("unreadable answer: {refusal}")))
        }
        failure => failure,
    }
}

fn failure(error: zbus::Error) -> Failure {
    match &error {
        zbus::Error::MethodError(name, message, _) => Failure::Refused(Refusal {
            name: name.to_string(),
            message: message.clone().unwrap_or_default(),
        }),
        zbus::Error::FDO(known) => Failure::Refused(Refusal {
            name: known.name().to_string(),
            message: known.description().unwrap_or_default().to_owned(),
        }),
        zbus::Error::InputOutput(_) | zbus::Error::Handshake(_) => {
            Failure::Lost(Refusal::local(error))
        }
        _ => Failure::Refused(Refusal::local(error)),
    }
}
