//! The real systemd, over whichever connection there is.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{interval, sleep, timeout};
use zbus::{DynamicType, OwnedObjectPath, OwnedVariant, Type};

use super::error::Refusal;
use super::jobs::{Jobs, judge};
use super::link::{Failure, Link, MANAGER, OBJECT, Target};
use super::neighbour;
use super::properties::{self, Properties, RawUnit};
use super::sockets::{Sockets, open};
use super::{Change, Error, Job, JobKind, JobResult, Neighbour, Service, Systemd, Unit};
use crate::system::clock::monotonic_micros;
use crate::system::fault::{self, Effect};

/// The interface that every unit has.
const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// The one that services have besides.
const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// The one that reads properties of either.
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Between two attempts while systemd is away for a moment.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at a job whose end systemd should tell us by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How much longer than other calls `Reload` may take; systemctl too gives it more
/// (`DAEMON_RELOAD_TIMEOUT_SEC`).
const RELOAD: u32 = 4;

/// Calls under way at a time. The bus refuses a connection more than 128
/// (`max_replies_per_connection`, `dbus-daemon(1)`).
const AT_ONCE: usize = 64;

/// The running systemd. A connection that is lost is made again with the next call.
#[derive(Debug)]
pub struct Bus {
    sockets: Sockets,
    jobs: Arc<Jobs>,
    link: Mutex<Arc<Link>>,
    calls: Semaphore,
}

/// Connects to systemd over the system bus, else over its private socket.
///
/// # Errors
///
/// [`Error::NotRunning`] says why neither works; [`Error::AccessDenied`] when one of them exists
/// and this user may not use it.
pub async fn connect(sockets: &Sockets) -> Result<Bus, Error> {
    let jobs = Arc::new(Jobs::default());
    let link = open(sockets, &jobs).await?;
    Ok(Bus {
        sockets: sockets.clone(),
        jobs,
        link: Mutex::new(Arc::new(link)),
        calls: Semaphore::new(AT_ONCE),
    })
}

/// Whether a call may be repeated when nobody knows if it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// A call's names for the error texts, its limit, and whether it may be repeated.
#[derive(Debug, Clone, Copy)]
struct Ask<'a> {
    member: &'static str,
    object: &'a str,
    limit: Duration,
    again: Again,
}

impl Bus {
    /// The connection, made again where it was lost.
    async fn link(&self) -> Result<Arc<Link>, Error> {
        let mut link = self.link.lock().await;
        if link.is_closed() {
            *link = Arc::new(open(&self.sockets, &self.jobs).await?);
        }
        Ok(Arc::clone(&link))
    }

    /// Gives up a connection whose other end has no systemd, unless another call has done so
    /// already.
    async fn renew(&self, useless: &Arc<Link>) -> Result<(), Error> {
        let mut link = self.link.lock().await;
        if Arc::ptr_eq(&link, useless) {
            *link = Arc::new(open(&self.sockets, &self.jobs).await?);
        }
        Ok(())
    }

    fn ask<'a>(&self, member: &'static str, object: &'a str) -> Ask<'a> {
        Ask { member, object, limit: self.sockets.limit, again: Again::Yes }
    }

    async fn manager<B, R>(&self, ask: Ask<'_>, body: &B) -> Result<R, Error>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        self.call(ask, Target(OBJECT, MANAGER), ask.member, body).await
    }

    /// All properties of one interface of the unit at `path`; `name` is for the error text.
    async fn properties(
        &self,
        name: &str,
        path: &str,
        interface: &str,
    ) -> Result<Properties, Error> {
        let all: HashMap<String, OwnedVariant> = self
            .call(self.ask("GetAll", name), Target(path, PROPERTIES), "GetAll", &(interface,))
            .await?;
        Ok(Properties(all))
    }

    /// Calls, also across a `daemon-reexec`: systemd is then away for a moment, and private
    /// connections end.
    async fn call<B, R>(
        &self,
        ask: Ask<'_>,
        target: Target<'_>,
        member: &str,
        body: &B,
    ) -> Result<R, Error>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        let Ask { member: named, object, limit, again } = ask;
        if let Err(error) = fault::point(Effect::Call, format!("{named} {object}")) {
            return Err(self.disturbed(&error, ask).await);
        }
        let mut last = None;
        let attempts = async {
            loop {
                let link = match self.link().await {
                    Ok(link) => link,
                    Err(error) => {
                        last = Some(error);
                        sleep(PAUSE).await;
                        continue;
                    }
                };
                let turn = self.calls.acquire().await;
                let answer = link.call(target, member, body).await;
                drop(turn);
                match answer {
                    Ok(answer) => return Ok(answer),
                    // It never reached systemd, or may safely reach it twice.
                    Err(Failure::Refused(refusal))
                        if refusal.is_absence()
                            || (refusal.short_name() == "NoReply" && again == Again::Yes) =>
                    {
                        last = Some(refusal.of(named, object));
                        sleep(PAUSE).await;
                        if let Err(error) = self.renew(&link).await {
                            last = Some(error);
                        }
                    }
                    Err(Failure::Lost(_)) if again == Again::Yes => sleep(PAUSE).await,
                    Err(Failure::Lost(source)) => {
                        return Err(Error::Disconnected {
                            member: named,
                            object: object.to_owned(),
                            source,
                        });
                    }
                    Err(Failure::Refused(source)) if source.short_name() == "NoReply" => {
                        return Err(Error::Disconnected {
                            member: named,
                            object: object.to_owned(),
                            source,
                        });
                    }
                    Err(Failure::Refused(refusal)) => return Err(refusal.of(named, object)),
                }
            }
        };
        match timeout(limit, attempts).await {
            Ok(answer) => answer,
            Err(_) => Err(last.unwrap_or_else(|| Error::Deadline {
                member: named,
                object: object.to_owned(),
                limit,
            })),
        }
    }

    /// How a call ends at which a test wants a fault. Without the feature `faults` this is never
    /// called.
    async fn disturbed(&self, error: &std::io::Error, ask: Ask<'_>) -> Error {
        let Ask { member, object, limit, .. } = ask;
        if fault::is_silence(error) {
            sleep(limit).await;
            return Error::Deadline { member, object: object.to_owned(), limit };
        }
        Refusal { name: "org.freedesktop.DBus.Error.Failed".to_owned(), message: error.to_string() }
            .of(member, object)
    }

    async fn queue(&self, kind: JobKind, unit: &str) -> Result<Job, Error> {
        let (member, again) = match kind {
            JobKind::Start => ("StartUnit", Again::Yes),
            JobKind::Stop => ("StopUnit", Again::Yes),
            JobKind::Restart => ("RestartUnit", Again::No),
        };
        let queued = monotonic_micros();
        let path: Result<OwnedObjectPath, Error> =
            self.manager(Ask { again, ..self.ask(member, unit) }, &(unit, "replace")).await;
        match path {
            Ok(path) => Ok(Job { unit: unit.to_owned(), kind, path: path.to_string(), queued }),
            // Older versions call it a failure to load, as they do a file with errors.
            Err(Error::Call { member, object, source }) if source.short_name() == "LoadFailed" => {
                let missing = self.unit(unit).await?.load == "not-found";
                Err(if missing {
                    Error::NoSuchUnit { member, unit: object, source }
                } else {
                    Error::Call { member, object, source }
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Loads the unit if it is not in memory, and says where its object is.
    async fn load(&self, name: &str) -> Result<OwnedObjectPath, Error> {
        self.manager(self.ask("LoadUnit", name), &(name,)).await
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        let loaded = async {
            let path = self.load(name).await?;
            let unit = self.properties(name, &path, UNIT).await?;
            properties::unit(name, unit).map_err(|refusal| refusal.of("GetAll", name))
        };
        match loaded.await {
            Err(Error::NoSuchUnit { .. }) => Ok(Unit {
                name: name.to_owned(),
                load: "not-found".to_owned(),
                active: "inactive".to_owned(),
                sub: "dead".to_owned(),
                description: name.to_owned(),
                job_pending: false,
            }),
            other => other,
        }
    }

    async fn wait_at_leisure(&self, job: &Job) -> Result<JobResult, Error> {
        // Signals tell the end; the looks are for one that was lost with its connection.
        let mut looks = interval(LOOK);
        looks.tick().await;
        loop {
            let mut changed = std::pin::pin!(self.jobs.changed());
            changed.as_mut().enable();
            if let Some(result) = self.jobs.result(&job.path) {
                return Ok(result);
            }
            let look = if self.link.lock().await.is_closed() {
                true
            } else {
                tokio::select! {
                    () = changed => false,
                    _ = looks.tick() => true,
                }
            };
            if look && let Some(result) = self.look(job).await? {
                return Ok(result);
            }
        }
    }

    /// How the job ended, when it is not in the queue any more; none while it is, or while its unit
    /// is on its way.
    async fn look(&self, job: &Job) -> Result<Option<JobResult>, Error> {
        let number = job
            .path
            .rsplit('/')
            .next()
            .and_then(|number| number.parse::<u32>().ok())
            .unwrap_or_default();
        let found: Result<OwnedObjectPath, Error> =
            self.manager(self.ask("GetJob", &job.unit), &(number,)).await;
        match found {
            Ok(_) => return Ok(None),
            Err(Error::Call { source, .. }) if source.short_name() == "NoSuchJob" => {}
            Err(error) => return Err(error),
        }
        // The signal was sent before this answer: let the pump have it.
        sleep(PAUSE).await;
        if let Some(result) = self.jobs.result(&job.path) {
            return Ok(Some(result));
        }
        let path = self.load(&job.unit).await?;
        let result = if job.unit.ends_with(".service") {
            let service = self.properties(&job.unit, &path, SERVICE).await?;
            properties::result(service).map(Some)
        } else {
            Ok(None)
        };
        let unit = self.properties(&job.unit, &path, UNIT).await?;
        let witness = result
            .and_then(|result| properties::witness(unit, result))
            .map_err(|refusal| refusal.of("GetAll", &job.unit))?;
        Ok(judge(job.kind, job.queued, &witness))
    }
}

#[async_trait::async_trait]
impl Systemd for Bus {
    async fn version(&self) -> Result<String, Error> {
        let ask = self.ask("Version", "");
        let version: OwnedVariant =
            self.call(ask, Target(OBJECT, PROPERTIES), "Get", &(MANAGER, "Version")).await?;
        version.try_into().map_err(|error: zbus::Error| Refusal::local(error).of(ask.member, ""))
    }

    async fn reload(&self) -> Result<(), Error> {
        self.manager(Ask { limit: self.sockets.limit * RELOAD, ..self.ask("Reload", "") }, &())
            .await
    }

    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        let object = format!("{} to {target}", units.join(", "));
        let ask = self.ask("AddDependencyUnitFiles", &object);
        // The last two: in /etc rather than in /run, and no link is taken from another unit.
        let changes: Vec<(String, String, String)> =
            self.manager(ask, &(units, target, "Wants", false, false)).await?;
        let change = |(kind, link, target)| Change {
            kind,
            link: PathBuf::from(link as String),
            target: PathBuf::from(target as String),
        };
        Ok(changes.into_iter().map(change).collect())
    }

    async fn start(&self, unit: &str) -> Result<Job, Error> {
        self.queue(JobKind::Start, unit).await
    }

    async fn stop(&self, unit: &str) -> Result<Job, Error> {
        self.queue(JobKind::Stop, unit).await
    }

    async fn restart(&self, unit: &str) -> Result<Job, Error> {
        self.queue(JobKind::Restart, unit).await
    }

    async fn kill_main(&self, service: &str, signal: i32) -> Result<(), Error> {
        let ask = Ask { again: Again::No, ..self.ask("KillUnit", service) };
        self.manager(ask, &(service, "main", signal)).await
    }

    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error> {
        match fault::point(Effect::Job, &job.unit) {
            Ok(()) => {}
            Err(error) if fault::is_silence(&error) => {
                return Err(self
                    .disturbed(&error, Ask { limit, ..self.ask("wait", &job.unit) })
                    .await);
            }
            Err(_) => return Ok(JobResult::Failed),
        }
        match timeout(limit, self.wait_at_leisure(job)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline { member: "wait", object: job.unit.clone(), limit }),
        }
    }

    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error> {
        let loaded: HashMap<String, Unit> =
            self.loaded_units().await?.into_iter().map(|unit| (unit.name.clone(), unit)).collect();
        let mut units = Vec::with_capacity(names.len());
        for name in names {
            // The list has each unit by its first name only; systemd knows the others, and those
            // that are not in memory.
            let unit = match loaded.get(name) {
                Some(unit) => unit.clone(),
                None => self.unit(name).await?,
            };
            units.push(unit);
        }
        Ok(units)
    }

    async fn loaded_units(&self) -> Result<Vec<Unit>, Error> {
        let units: Vec<RawUnit> = self.manager(self.ask("ListUnits", ""), &()).await?;
        Ok(units.into_iter().map(properties::listed).collect())
    }

    async fn service(&self, name: &str) -> Result<Service, Error> {
        let path = self.load(name).await?;
        let service = self.properties(name, &path, SERVICE).await?;
        let unit = self.properties(name, &path, UNIT).await?;
        properties::service(unit, service).map_err(|refusal| refusal.of("GetAll", name))
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        match self.manager(self.ask("ResetFailedUnit", unit), &(unit,)).await {
            Err(Error::NoSuchUnit { .. }) => Ok(()),
            other => other,
        }
    }

    async fn reload_neighbour(&self, neighbour: Neighbour) -> Result<(), Error> {
        let ask = self.ask(neighbour::MEMBER, neighbour.unit());
        if let Err(error) = fault::point(Effect::Call, format!("{} {}", ask.member, ask.object)) {
            return Err(self.disturbed(&error, ask).await);
        }
        neighbour::reload(&*self.link().await?, neighbour, ask.limit).await
    }

    async fn unset_environment(&self, names: &[String]) -> Result<(), Error> {
        self.manager(self.ask("UnsetEnvironment", &names.join(", ")), &(names,)).await
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        self.manager(self.ask("SetEnvironment", &assignments.join(", ")), &(assignments,)).await
    }

    async fn environment(&self) -> Result<Vec<String>, Error> {
        let ask = self.ask("Environment", "");
        let environment: OwnedVariant =
            self.call(ask, Target(OBJECT, PROPERTIES), "Get", &(MANAGER, "Environment")).await?;
        environment
            .try_into()
            .map_err(|error: zbus::Error| Refusal::local(error).of(ask.member, ""))
    }
}

#[cfg(test)]
mod tests;
