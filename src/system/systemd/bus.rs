//! The real systemd, over whichever connection there is.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{interval, sleep, timeout};
use zbus::OwnedObjectPath;

use super::error::Refusal;
use super::interfaces::{self, ManagerProxy, SERVICE, UNIT, member};
use super::jobs::{Jobs, judge};
use super::link::{Failure, Link, call_failure};
use super::neighbour;
use super::properties::{self, Properties};
use super::sockets::{Sockets, open};
use super::{Change, Error, Job, JobKind, JobResult, Neighbour, Service, Systemd, Unit};
use crate::system::clock::monotonic_micros;
use crate::system::fault::{self, Effect};

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

/// A call's names for the error texts and fault points, its limit, and whether it may be repeated.
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

    /// All properties of one interface of the unit at `path`; `name` is for the error text.
    async fn properties(
        &self,
        name: &str,
        path: &OwnedObjectPath,
        interface: &str,
    ) -> Result<Properties, Error> {
        let all = self.call(self.ask(member::GET_ALL, name), |manager| async move {
            interfaces::properties_of(&manager, path).await?.get_all(interface).await
        });
        Ok(Properties(all.await?))
    }

    /// Makes the call on the connection that there is, also across a `daemon-reexec`: systemd is
    /// then away for a moment, and private connections end. `call` is made again on the next one.
    async fn call<F, A, R>(&self, ask: Ask<'_>, call: F) -> Result<R, Error>
    where
        F: Fn(ManagerProxy<'static>) -> A + Send + Sync,
        A: Future<Output = zbus::Result<R>> + Send,
    {
        let Ask { member, object, limit, again } = ask;
        if let Err(error) = fault::point(Effect::Call, format!("{member} {object}")) {
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
                let answer = call(link.manager()).await;
                drop(turn);
                match answer.map_err(call_failure) {
                    Ok(answer) => return Ok(answer),
                    // It never reached systemd, or may safely reach it twice.
                    Err(Failure::Refused(refusal))
                        if refusal.is_absence()
                            || (refusal.short_name() == "NoReply" && again == Again::Yes) =>
                    {
                        last = Some(refusal.of(member, object));
                        sleep(PAUSE).await;
                        if let Err(error) = self.renew(&link).await {
                            last = Some(error);
                        }
                    }
                    Err(Failure::Lost(_)) if again == Again::Yes => sleep(PAUSE).await,
                    Err(Failure::Lost(source)) => {
                        return Err(Error::Disconnected {
                            member,
                            object: object.to_owned(),
                            source,
                        });
                    }
                    Err(Failure::Refused(source)) if source.short_name() == "NoReply" => {
                        return Err(Error::Disconnected {
                            member,
                            object: object.to_owned(),
                            source,
                        });
                    }
                    Err(Failure::Refused(refusal)) => return Err(refusal.of(member, object)),
                }
            }
        };
        match timeout(limit, attempts).await {
            Ok(answer) => answer,
            Err(_) => Err(last.unwrap_or_else(|| Error::Deadline {
                member,
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
            JobKind::Start => (member::START_UNIT, Again::Yes),
            JobKind::Stop => (member::STOP_UNIT, Again::Yes),
            JobKind::Restart => (member::RESTART_UNIT, Again::No),
        };
        let queued = monotonic_micros();
        let ask = Ask { again, ..self.ask(member, unit) };
        let path = self.call(ask, |manager| async move {
            match kind {
                JobKind::Start => manager.start_unit(unit, "replace").await,
                JobKind::Stop => manager.stop_unit(unit, "replace").await,
                JobKind::Restart => manager.restart_unit(unit, "replace").await,
            }
        });
        match path.await {
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
        let ask = self.ask(member::LOAD_UNIT, name);
        self.call(ask, |manager| async move { manager.load_unit(name).await }).await
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        let loaded = async {
            let path = self.load(name).await?;
            let unit = self.properties(name, &path, UNIT).await?;
            properties::unit(name, unit).map_err(|refusal| refusal.of(member::GET_ALL, name))
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
        let ask = self.ask(member::GET_JOB, &job.unit);
        match self.call(ask, |manager| async move { manager.get_job(number).await }).await {
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
            .map_err(|refusal| refusal.of(member::GET_ALL, &job.unit))?;
        Ok(judge(job.kind, job.queued, &witness))
    }
}

#[async_trait::async_trait]
impl Systemd for Bus {
    async fn version(&self) -> Result<String, Error> {
        let ask = self.ask(member::VERSION, "");
        self.call(ask, |manager| async move { manager.version().await }).await
    }

    async fn reload(&self) -> Result<(), Error> {
        let ask = Ask { limit: self.sockets.limit * RELOAD, ..self.ask(member::RELOAD, "") };
        self.call(ask, |manager| async move { manager.reload().await }).await
    }

    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        let object = format!("{} to {target}", units.join(", "));
        let ask = self.ask(member::ADD_DEPENDENCY_UNIT_FILES, &object);
        let changes = self.call(ask, |manager| async move {
            // The last two: in /etc rather than in /run, and no link is taken from another unit.
            manager.add_dependency_unit_files(units, target, "Wants", false, false).await
        });
        let change = |(kind, link, target)| Change {
            kind,
            link: PathBuf::from(link as String),
            target: PathBuf::from(target as String),
        };
        Ok(changes.await?.into_iter().map(change).collect())
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
        let ask = Ask { again: Again::No, ..self.ask(member::KILL_UNIT, service) };
        let call = |manager: ManagerProxy<'static>| async move {
            manager.kill_unit(service, "main", signal).await
        };
        self.call(ask, call).await
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
        let ask = self.ask(member::LIST_UNITS, "");
        let units = self.call(ask, |manager| async move { manager.list_units().await });
        Ok(units.await?.into_iter().map(properties::listed).collect())
    }

    async fn service(&self, name: &str) -> Result<Service, Error> {
        let path = self.load(name).await?;
        let service = self.properties(name, &path, SERVICE).await?;
        let unit = self.properties(name, &path, UNIT).await?;
        properties::service(unit, service).map_err(|refusal| refusal.of(member::GET_ALL, name))
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        let ask = self.ask(member::RESET_FAILED_UNIT, unit);
        let call =
            |manager: ManagerProxy<'static>| async move { manager.reset_failed_unit(unit).await };
        match self.call(ask, call).await {
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
        let object = names.join(", ");
        let ask = self.ask(member::UNSET_ENVIRONMENT, &object);
        self.call(ask, |manager| async move { manager.unset_environment(names).await }).await
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        let object = assignments.join(", ");
        let ask = self.ask(member::SET_ENVIRONMENT, &object);
        let call = |manager: ManagerProxy<'static>| async move {
            manager.set_environment(assignments).await
        };
        self.call(ask, call).await
    }

    async fn environment(&self) -> Result<Vec<String>, Error> {
        let ask = self.ask(member::ENVIRONMENT, "");
        self.call(ask, |manager| async move { manager.environment().await }).await
    }
}

#[cfg(test)]
mod tests;
