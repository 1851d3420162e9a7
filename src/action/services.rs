//! Asks systemd to reload, start, stop and restart.

use std::time::Duration;

use anyhow::Context;

use super::Site;
use crate::dcos::event::Event;
use crate::dcos::layout;
use crate::system::files;
use crate::system::systemd::{self, Job, JobResult, Systemd};

/// How often a restart is asked for whose answer is lost.
const TRIES: u32 = 5;

fn of(site: &Site) -> anyhow::Result<&dyn Systemd> {
    site.systemd.as_deref().context("systemd does not run here")
}

/// Waits for a job, which goes on by itself when a signal ends the wait.
pub(super) async fn wait_for(
    site: &Site,
    job: &Job,
    limit: Duration,
) -> anyhow::Result<Result<JobResult, systemd::Error>> {
    Ok(site.cancellation.or(of(site)?.wait(job, limit)).await?)
}

pub(crate) async fn reload(site: &Site) -> anyhow::Result<()> {
    Ok(of(site)?.reload().await?)
}

pub(crate) async fn restart(site: &Site, unit: &str, wait: bool) -> anyhow::Result<()> {
    let mut tries_left = TRIES;
    let job = loop {
        tries_left -= 1;
        match of(site)?.restart(unit).await {
            // A systemd that started itself anew meanwhile may have dropped it. A second restart
            // does no harm that the first one did not.
            Err(systemd::Error::Disconnected { .. }) if tries_left > 0 => {}
            asked => break asked?,
        }
    };
    if !wait {
        return Ok(());
    }
    match wait_for(site, &job, Duration::from_secs(90)).await? {
        Ok(JobResult::Done) => Ok(()),
        Ok(other) => {
            site.events.warn(format!("restarting {unit} ended as {other:?}"));
            Ok(())
        }
        Err(error) => {
            site.events.warn(format!("{unit} was told to restart, but: {error}"));
            Ok(())
        }
    }
}

/// Starts a unit. Failures of what it wants are not its own, and are judged afterwards by the
/// units' states.
pub(crate) async fn start(site: &Site, unit: &str, wait: bool) -> anyhow::Result<()> {
    let job = of(site)?.start(unit).await?;
    if !wait {
        return Ok(());
    }
    site.events.send(Event::Waiting { text: format!("for the jobs of {unit}") });
    match wait_for(site, &job, site.patience).await? {
        Ok(JobResult::Done) => site.blocking(sync_what_units_wrote).await,
        Ok(other) => anyhow::bail!("starting {unit} ended as {other:?}"),
        Err(systemd::Error::Deadline { .. }) => {
            site.events.warn(format!(
                "jobs of {unit} have not ended after {} seconds; they go on",
                site.patience.as_secs()
            ));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes durable what units wrote when they started. They do not sync it themselves, and one that
/// finds its own file empty after a power cut may never start again: dcos-net takes an empty
/// `navstar/ip` for another address, and without `/etc/resolv.conf` nothing finds a name.
fn sync_what_units_wrote(site: &Site) -> anyhow::Result<()> {
    for path in [layout::STATE, layout::RESOLV_CONF] {
        let real = site.root.resolved(path);
        if files::exists(&real) {
            files::sync_file_system(&real)?;
        }
    }
    Ok(())
}

/// What runs pkgpanda at boot, or downloads for it: stopped before what it would start.
const SETTING_UP: [&str; 2] = ["dcos-download.service", "dcos-setup.service"];

/// How often units are stopped that others bring back.
const ROUNDS: u32 = 5;

/// Stops units. A service that fails and is started again just then brings back what it wants, a
/// socket of its own or another service, whether or not that was stopped already or was about to
/// be: whatever is up in the end is stopped again.
pub(crate) async fn stop(site: &Site, units: &[String]) -> anyhow::Result<()> {
    let mut up = units.to_vec();
    for _ in 0..ROUNDS {
        stop_once(site, &up).await?;
        let loaded = of(site)?.loaded_units().await?;
        // One that is inactive may be about to start.
        let rests = |unit: &systemd::Unit| {
            ["inactive", "failed"].contains(&unit.active.as_str()) && !unit.job_pending
        };
        up = loaded
            .into_iter()
            .filter(|unit| !rests(unit))
            .map(|unit| unit.name)
            .filter(|name| units.contains(name))
            .collect();
        if up.is_empty() {
            return Ok(());
        }
    }
    site.events.warn(format!("stopped {ROUNDS} times, and up again: {}", up.join(", ")));
    Ok(())
}

/// Sockets and timers go first, so that nothing starts again what is being stopped; all others then
/// at once.
async fn stop_once(site: &Site, units: &[String]) -> anyhow::Result<()> {
    let systemd = of(site)?;
    let (first, then): (Vec<&String>, Vec<&String>) = units.iter().partition(|u| {
        u.ends_with(".socket")
            || u.ends_with(".timer")
            || u.ends_with(".target")
            || SETTING_UP.contains(&u.as_str())
    });
    for group in [first, then] {
        let mut jobs: Vec<(&String, Job)> = Vec::new();
        for unit in group {
            match systemd.stop(unit).await {
                Ok(job) => jobs.push((unit, job)),
                Err(systemd::Error::NoSuchUnit { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (unit, job) in jobs {
            // Most units stop at once; only one that does not is worth a line.
            let result = match wait_for(site, &job, Duration::from_secs(2)).await? {
                Err(systemd::Error::Deadline { .. }) => {
                    site.events.send(Event::Waiting { text: format!("for {unit} to stop") });
                    wait_for(site, &job, site.patience).await??
                }
                other => other?,
            };
            match result {
                JobResult::Done | JobResult::Canceled | JobResult::Skipped => {}
                other => site.events.warn(format!("stopping {unit} ended as {other:?}")),
            }
        }
    }
    Ok(())
}
