//! A swap that pkgpanda left unfinished: every command that goes on with something finishes it
//! first.

use std::collections::BTreeSet;

use super::{Failure, World};
use crate::action;
use crate::dcos::exit::Exit;
use crate::dcos::fetching::Fetching;
use crate::dcos::id::PackageId;
use crate::dcos::pkgpanda_swap::Unfinishable;
use crate::observe::pkgpanda_swap::{self, Unfinished};

/// What pkgpanda left unfinished on this node; nothing on most.
///
/// # Errors
/// It cannot be finished, or pkgpanda is still at work.
pub(super) async fn unfinished(world: &World) -> Result<Option<Unfinished>, Failure> {
    let (root, live) = (world.root.clone(), world.is_live());
    let look = move || {
        let unfinished = pkgpanda_swap::look(&root)?;
        let at_work =
            unfinished.as_ref().filter(|_| live).and_then(|_| pkgpanda_swap::at_work(&root));
        anyhow::Ok((unfinished, at_work))
    };
    let looked = tokio::task::spawn_blocking(look)
        .await
        .map_err(anyhow::Error::from)
        .and_then(|looked| looked);
    match looked {
        Ok((_, Some(process))) => Err(busy(process)),
        Ok((unfinished, None)) => Ok(unfinished),
        Err(error) => {
            let fix = error.downcast_ref::<Unfinishable>().map_or_else(
                || "see that the file system can be read, then run the same command again".into(),
                Unfinishable::fix,
            );
            Err(Failure::from(error).leaving("nothing was changed").cured_by(fix))
        }
    }
}

/// Refuses to work on a node that pkgpanda or an upgrade works on, whether or not a swap of theirs
/// has begun: packages come before that.
///
/// # Errors
/// One is at work.
pub(super) fn refuse_at_work(world: &World) -> Result<(), Failure> {
    let at_work = if world.is_live() { pkgpanda_swap::at_work(&world.root) } else { None };
    at_work.map_or(Ok(()), |process| Err(busy(process)))
}

fn busy(process: u32) -> Failure {
    Failure::new(Exit::Busy, anyhow::anyhow!("pkgpanda is at work on this node: process {process}"))
        .leaving("nothing was changed")
        .cured_by("wait until it has ended")
}

/// Finishes it and tells so. Returns the packages that are active now.
///
/// # Errors
/// The disk or systemd refuses; called again, it goes on.
pub(super) async fn finish(
    unfinished: Unfinished,
    world: &World,
    wait: bool,
) -> Result<BTreeSet<PackageId>, Failure> {
    let count = unfinished.packages.len();
    let what = if unfinished.is_first { "setup with" } else { "swap to" };
    world
        .events
        .note(format!("finishing the {what} {count} packages that pkgpanda left unfinished"));
    let site = world.site(None, &Fetching::default())?;
    action::pkgpanda_swap::finish(&site, &unfinished.swap, unfinished.is_first, wait)
        .await
        .map_err(|error| {
            Failure::new(Exit::Failed, error)
                .leaving("the swap that pkgpanda began is half done")
                .cured_by("remove the cause; dcos-node recover goes on")
        })?;
    Ok(unfinished.packages)
}

/// Before an install: a swap to the same packages is finished; one to others is not ours to decide
/// about.
///
/// # Errors
/// It leads to other packages, or cannot be finished.
pub(super) async fn finish_same(
    world: &World,
    wanted: &BTreeSet<PackageId>,
    wait: bool,
) -> Result<bool, Failure> {
    // One that cannot be finished is in the way, as other things of DC/OS are.
    let conflict = |failure: Failure| Failure {
        exit: if failure.exit == Exit::Failed { Exit::Conflict } else { failure.exit },
        ..failure
    };
    let Some(unfinished) = unfinished(world).await.map_err(conflict)? else { return Ok(false) };
    if *wanted != unfinished.packages {
        return Err(Failure::new(
            Exit::Conflict,
            anyhow::anyhow!("pkgpanda left a swap to another build unfinished on this node"),
        )
        .leaving("nothing was changed")
        .cured_by("dcos-node recover finishes it"));
    }
    finish(unfinished, world, wait).await?;
    Ok(true)
}
