//! `dcos-node recover`: goes on with what was interrupted. `dcos-setup.service` runs it at every
//! boot.

use std::time::Duration;

use serde::Serialize;

use super::world::sound;
use super::{Failure, World, install, node_files, pkgpanda_swap, uninstall};
use crate::action::journal::Journal;
use crate::action::{self, Site};
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::journal::{InstallIntent, Intent};

/// How often a boot tries again when the server does not answer, and how long it waits in between.
const TRIES_AT_BOOT: u32 = 20;
const PAUSE_AT_BOOT: Duration = Duration::from_secs(15);

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Run by `dcos-setup.service`: never fails the boot, never waits for jobs that start or
    /// restart something.
    pub at_boot: bool,
    /// How long it waits at boot before it tries again.
    pub pause: Duration,
}

impl Default for Request {
    fn default() -> Request {
        Request { at_boot: false, pause: PAUSE_AT_BOOT }
    }
}

/// What was done.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was interrupted.
    Nothing,
    /// A swap that pkgpanda had left unfinished was finished.
    Swapped {
        /// How many packages are active now.
        packages: usize,
        /// Whether it was the first one of the node: the target is enabled and started, too.
        first: bool,
    },
    /// An install was finished.
    Installed(Box<install::Outcome>),
    /// An uninstall was finished.
    Uninstalled,
}

/// Goes on.
///
/// # Errors
/// It cannot be finished now; the node stays resumable.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    if world.is_live() && !world.is_privileged() {
        return Err(Failure::new(
            Exit::Preflight,
            anyhow::anyhow!("only root can go on with what was interrupted"),
        )
        .leaving("nothing was changed")
        .cured_by("run the same command with sudo"));
    }
    let _lock = world.lock()?;
    let swapped = match pkgpanda_swap::unfinished(world).await? {
        Some(unfinished) => {
            let first = unfinished.is_first;
            let active = pkgpanda_swap::finish(unfinished, world, !request.at_boot).await?;
            Some(Outcome::Swapped { packages: active.len(), first })
        }
        None => None,
    };
    let node = match world.node_as_it_stands().await? {
        // Its journal alone is enough to go on.
        node if matches!(node.story.intent, Some(Intent::Uninstall { .. })) => node,
        node => sound(node)?,
    };
    match node.story.intent.clone() {
        None if uninstall::is_remnant(&node) => {
            uninstall::remove_remnant(&node, &world.site(None, &Fetching::default())?).await?;
            Ok(Outcome::Uninstalled)
        }
        None => Ok(swapped.unwrap_or(Outcome::Nothing)),
        Some(Intent::Uninstall { .. }) => {
            uninstall::finish(&node, &world.site(None, &Fetching::default())?).await?;
            Ok(Outcome::Uninstalled)
        }
        Some(Intent::Install(intent)) => {
            node_files::check_places(&intent.build, &intent.allow_files)?;
            let site =
                world.site(world.recorded_source(&intent.fetching, &node)?, &intent.fetching)?;
            let journal = Journal::open(&world.root).map_err(uninstall::without_journal)?;
            go_on(*intent, &site, &journal, *request, world).await
        }
    }
}

/// Goes on with an install. A server that does not answer yet is tried again for some minutes at
/// boot; only damaged packages turn the install back.
async fn go_on(
    intent: InstallIntent,
    site: &Site,
    journal: &Journal,
    request: Request,
    world: &World,
) -> Result<Outcome, Failure> {
    let Request { at_boot, pause } = request;
    let here = install::circumstances(world, &intent, !at_boot).await;
    let mut tries_left = if at_boot { TRIES_AT_BOOT } else { 1 };
    loop {
        tries_left -= 1;
        match install::carry_out(&intent, site, journal, here, world).await {
            Ok(()) => {
                return Ok(Outcome::Installed(Box::new(
                    install::finished(intent, site, here).await,
                )));
            }
            Err(error @ action::Error::Integrity { .. }) => {
                return Err(install::give_up(error, &intent.build, site, journal, world).await);
            }
            Err(error) if tries_left == 0 || matches!(error, action::Error::Interrupted) => {
                let exit = if matches!(error, action::Error::Interrupted) {
                    Exit::Interrupted
                } else {
                    Exit::Failed
                };
                return Err(Failure::new(exit, error)
                    .leaving("the install is half done and goes on at the next boot")
                    .cured_by(format!("dcos-node install {} goes on now", intent.role)));
            }
            Err(error) => {
                world.events.warn(format!(
                    "{:#}; trying again in {} s",
                    anyhow::Error::from(error),
                    pause.as_secs()
                ));
                // A shutdown is not held up; the next try ends at once then.
                let _ = site.cancellation.sleep(pause).await;
            }
        }
    }
}
