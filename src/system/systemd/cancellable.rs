//! A systemd whose every answer is waited for only until a signal ends the wait.

use std::time::Duration;

use super::{Change, Error, Job, JobResult, Neighbour, Service, Systemd, Unit};
use crate::system::cancellation::Cancellation;

/// A manager and what ends the waits for it. What was asked of systemd stays asked: one message,
/// sent whole or not at all, which the next run sends again.
pub struct Cancellable<S> {
    systemd: S,
    cancellation: Cancellation,
}

impl<S> Cancellable<S> {
    /// The same systemd, with waits that `cancellation` ends.
    pub fn new(systemd: S, cancellation: Cancellation) -> Cancellable<S> {
        Cancellable { systemd, cancellation }
    }

    async fn or<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.cancellation.or(answer).await?
    }
}

#[async_trait::async_trait]
impl<S: Systemd> Systemd for Cancellable<S> {
    async fn version(&self) -> Result<String, Error> {
        self.or(self.systemd.version()).await
    }

    async fn reload(&self) -> Result<(), Error> {
        self.or(self.systemd.reload()).await
    }

    async fn add_wants(&self, target: &str, units: &[String]) -> Result<Vec<Change>, Error> {
        self.or(self.systemd.add_wants(target, units)).await
    }

    async fn start(&self, unit: &str) -> Result<Job, Error> {
        self.or(self.systemd.start(unit)).await
    }

    async fn stop(&self, unit: &str) -> Result<Job, Error> {
        self.or(self.systemd.stop(unit)).await
    }

    async fn restart(&self, unit: &str) -> Result<Job, Error> {
        self.or(self.systemd.restart(unit)).await
    }

    async fn kill_main(&self, service: &str, signal: i32) -> Result<(), Error> {
        self.or(self.systemd.kill_main(service, signal)).await
    }

    async fn wait(&self, job: &Job, limit: Duration) -> Result<JobResult, Error> {
        self.or(self.systemd.wait(job, limit)).await
    }

    async fn units(&self, names: &[String]) -> Result<Vec<Unit>, Error> {
        self.or(self.systemd.units(names)).await
    }

    async fn loaded_units(&self) -> Result<Vec<Unit>, Error> {
        self.or(self.systemd.loaded_units()).await
    }

    async fn service(&self, name: &str) -> Result<Service, Error> {
        self.or(self.systemd.service(name)).await
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        self.or(self.systemd.reset_failed(unit)).await
    }

    async fn reload_neighbour(&self, neighbour: Neighbour) -> Result<(), Error> {
        self.or(self.systemd.reload_neighbour(neighbour)).await
    }

    async fn unset_environment(&self, names: &[String]) -> Result<(), Error> {
        self.or(self.systemd.unset_environment(names)).await
    }

    async fn set_environment(&self, assignments: &[String]) -> Result<(), Error> {
        self.or(self.systemd.set_environment(assignments)).await
    }

    async fn environment(&self) -> Result<Vec<String>, Error> {
        self.or(self.systemd.environment()).await
    }
}
