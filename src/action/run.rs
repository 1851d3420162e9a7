//! Runs a list of actions: `begin` is durable before an action touches anything, `done` after its
//! last fsync.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::fetch::Damaged;
use super::journal::Journal;
use super::{Action, Error, Result, Site};
use crate::dcos::action_key::ActionKey;
use crate::dcos::event::Event;
use crate::dcos::journal::Record;
use crate::dcos::receipt::Object;
use crate::system::cancellation::Cancelled;

/// Runs batches one after another; the actions of one batch at most `parallel` at a time. What the
/// journal says is done is not done again.
///
/// # Errors
/// The first action that failed. Those that ran beside it have ended, none is dropped midway.
pub async fn run(
    batches: &[Vec<Action>],
    site: &Site,
    journal: &Journal,
    parallel: usize,
) -> Result<()> {
    let halted = AtomicBool::new(false);
    all(batches, journal, parallel, |action| one(action, site, journal, &halted)).await
}

/// Runs batches that undo, one action after another. What of the machine refuses to go, as an
/// interface of another namespace or a set in use, an account that a process still has, and a file
/// that not even root may remove, keeps nothing else from going: it is returned with the reason.
///
/// # Errors
/// The first other action that failed.
pub async fn undo(
    batches: &[Vec<Action>],
    site: &Site,
    journal: &Journal,
) -> Result<Vec<(Object, String)>> {
    let (halted, refused) = (AtomicBool::new(false), Refused::default());
    all(batches, journal, 1, |action| one_or_refused(action, site, journal, &halted, &refused))
        .await?;
    Ok(refused.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What refused to go, and why.
type Refused = Mutex<Vec<(Object, String)>>;

async fn one_or_refused(
    action: &Action,
    site: &Site,
    journal: &Journal,
    halted: &AtomicBool,
    refused: &Refused,
) -> Result<()> {
    let refused = || refused.lock().unwrap_or_else(PoisonError::into_inner);
    let stays = refused().iter().any(|(object, _)| is_account(object));
    if let (Action::Undo { object: object @ Object::AccountFile { .. } }, true) = (action, stays) {
        // The next try would find nothing to put back.
        refused().push((
            object.clone(),
            "what it was is put back when the last account has gone".to_owned(),
        ));
        return Ok(());
    }
    match (one(action, site, journal, halted).await, action) {
        (Err(Error::Failed { source, .. }), Action::Undo { object })
            if object.is_of_machine() || is_account(object) || is_forbidden(&source) =>
        {
            halted.store(false, Ordering::SeqCst);
            let cure = if is_forbidden(&source) {
                "; lsattr tells whether it is immutable, and chattr -i makes it a file like others"
            } else {
                ""
            };
            refused().push((object.clone(), format!("{source:#}{cure}")));
            Ok(())
        }
        (ended, _) => ended,
    }
}

/// Whether the kernel does not permit it, not even to root: a flag of the file says so. A disk that
/// is full, broken or read-only is another matter.
fn is_forbidden(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.raw_os_error() == Some(libc::EPERM))
}

fn is_account(object: &Object) -> bool {
    matches!(object, Object::Account { .. })
}

async fn all<'a, F>(
    batches: &'a [Vec<Action>],
    journal: &Journal,
    parallel: usize,
    one: impl Fn(&'a Action) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let done = journal.story().done;
    for batch in batches {
        let open = batch.iter().filter(|action| {
            matches!(action, Action::Undo { .. }) || !done.contains(&action.key())
        });
        let mut failed = None;
        let mut running = stream::iter(open.map(&one)).buffer_unordered(parallel.max(1));
        while let Some(result) = running.next().await {
            if let Err(error) = result
                && failed.is_none()
            {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}

async fn one(action: &Action, site: &Site, journal: &Journal, halted: &AtomicBool) -> Result<()> {
    if site.cancellation.is_requested() || halted.load(Ordering::SeqCst) {
        return Err(Error::Interrupted);
    }
    let key = action.key();
    let result = step(action, &key, site, journal).await;
    match result {
        Ok(()) => Ok(()),
        // A wait was ended by a signal: the action is begun again by the next run.
        Err(source) if source.chain().any(|cause| cause.is::<Cancelled>()) => {
            halted.store(true, Ordering::SeqCst);
            Err(Error::Interrupted)
        }
        Err(source) => {
            // Those of the same batch that have not begun do not begin.
            halted.store(true, Ordering::SeqCst);
            site.events.send(Event::Failed { key, error: format!("{source:#}") });
            let what = format!("cannot {}", action.words());
            Err(if source.chain().any(|cause| cause.is::<Damaged>()) {
                Error::Integrity { what, source }
            } else {
                Error::Failed { what, source }
            })
        }
    }
}

async fn step(
    action: &Action,
    key: &ActionKey,
    site: &Site,
    journal: &Journal,
) -> anyhow::Result<()> {
    match action {
        Action::Undo { object } => {
            action.apply(site, journal).await?;
            journal.append(Record::Undone { object: object.clone() })?;
            site.events.send(Event::Undone { key: key.clone(), text: action.words() });
        }
        Action::RemoveOurselves { .. } => {
            action.apply(site, journal).await?;
            site.events.send(Event::Undone { key: key.clone(), text: action.words() });
        }
        _ => {
            site.events.send(Event::Begun { key: key.clone(), text: action.words() });
            let (looking, here) = (action.clone(), site.clone());
            let objects = tokio::task::spawn_blocking(move || looking.objects(&here)).await??;
            journal.begin(key.clone(), objects)?;
            action.apply(site, journal).await?;
            journal.append(Record::Done { key: key.clone() })?;
            site.events.send(Event::Done { key: key.clone() });
        }
    }
    Ok(())
}
