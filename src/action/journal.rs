//! Writes the journal: every record is on disk before the function returns.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use super::place;
use crate::dcos::action_key::ActionKey;
use crate::dcos::journal::{Outcome, ROOM, Record, SCHEMA, Story};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::dcos::snapshot::Snapshot;
use crate::system::append::Growing;
use crate::system::files;
use crate::system::root::Root;

/// The journal of one node, open for appending. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    root: Root,
    file: Option<Growing>,
    story: Story,
    /// The directories that were made for a journal that was not there before; none for one that
    /// was.
    made: Option<Vec<PathBuf>>,
}

impl Journal {
    /// Opens the journal, making it and its directory if they are not there. A torn last line is
    /// cut off first.
    ///
    /// # Errors
    /// The disk refuses, or the journal cannot be followed. Nothing has been touched then: what was
    /// made for a new journal is removed again.
    pub fn open(root: &Root) -> anyhow::Result<Journal> {
        settle(root)?;
        let made = files::missing_directories(&root.at(layout::OUR_STATE));
        Journal::open_or_make(root, &made).inspect_err(|_| remove_empty(&made))
    }

    fn open_or_make(root: &Root, made: &[PathBuf]) -> anyhow::Result<Journal> {
        let directory = root.at(layout::OUR_STATE);
        let missing = place::directory_objects_below(root, Path::new(layout::JOURNAL));
        files::make_directories(directory.parent().unwrap_or(&directory), 0o755)?;
        files::make_directories(&directory, 0o700)?;
        let path = root.at(layout::JOURNAL);
        let text = files::read(&path, 1 << 30)?.unwrap_or_default();
        let mut story = Story::read(&text)
            .with_context(|| format!("{} cannot be followed", layout::JOURNAL))?;
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        if whole == 0 {
            let mut text = line(&opened())?;
            if !missing.is_empty() {
                text.push_str(&line(&Record::Begin { key: ActionKey::Journal, objects: missing })?);
            }
            files::place(&path, text.as_bytes(), 0o600, None)?;
            story = Story::read(text.as_bytes())?;
        }
        let is_new = whole == 0;
        let mut file = Growing::open(&path)
            .inspect_err(|_| drop(is_new.then(|| files::remove_file(&path))))?;
        if !is_new && whole < text.len() {
            file.cut(whole as u64)?;
        }
        let made = is_new.then(|| made.to_vec());
        Ok(Journal(Arc::new(Mutex::new(Open {
            root: root.clone(),
            file: Some(file),
            story,
            made,
        }))))
    }

    /// Puts a new journal in the place of one that cannot be followed, with everything there is to
    /// undo. The old one is kept beside it for whoever wants to know what was in it; it goes with
    /// all else of ours.
    ///
    /// # Errors
    /// The disk refuses: the old one stands then.
    pub fn set_aside(
        root: &Root,
        inventory: &[Object],
        snapshot: Option<&Snapshot>,
    ) -> anyhow::Result<()> {
        let path = root.at(layout::JOURNAL);
        let damaged = files::read(&path, 1 << 30)?.unwrap_or_default();
        files::place(&root.at(layout::DAMAGED_JOURNAL), &damaged, 0o600, None)?;
        let mut text = line(&opened())?;
        text.push_str(&line(&Record::Begin {
            key: ActionKey::Inventory,
            objects: inventory.to_vec(),
        })?);
        if let Some(snapshot) = snapshot {
            text.push_str(&line(&Record::Snapshot { snapshot: Box::new(snapshot.clone()) })?);
        }
        Ok(files::place(&path, text.as_bytes(), 0o600, None)?)
    }

    /// Nothing has been done: removes a journal that was not there before, so that no trace is
    /// left.
    pub fn abandon(&self) {
        let mut open = self.lock();
        if let Some(made) = open.made.take() {
            open.file = None;
            // What cannot be removed is found by the next uninstall.
            let _ = files::remove_file(&open.root.at(layout::JOURNAL));
            remove_empty(&made);
        }
    }

    /// Takes room for all that a run and its undoing may add, so that a disk that fills up
    /// meanwhile cannot stop the undoing.
    ///
    /// # Errors
    /// There is not so much room.
    pub fn reserve(&self) -> anyhow::Result<()> {
        let mut open = self.lock();
        let file = open.file.as_mut().context("the journal is closed")?;
        Ok(file.reserve(ROOM)?)
    }

    /// What the journal comes to so far.
    pub fn story(&self) -> Story {
        self.lock().story.clone()
    }

    /// Appends one record and makes it durable.
    ///
    /// # Errors
    /// The disk refuses: nothing that follows from the record may be done.
    pub fn append(&self, record: Record) -> anyhow::Result<()> {
        let mut open = self.lock();
        let text = line(&record)?;
        let file = open.file.as_mut().context("the journal is closed")?;
        file.add_durably(text.as_bytes()).context("cannot write the journal")?;
        open.story.add(record);
        Ok(())
    }

    /// Records what an action is about to make or change.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(&self, key: ActionKey, objects: Vec<Object>) -> anyhow::Result<()> {
        self.append(Record::Begin { key, objects })
    }

    /// Nothing is left to do: replaces the journal by one that only knows the objects that `keep`
    /// names.
    ///
    /// # Errors
    /// The disk refuses; the longer journal then still stands.
    pub fn finish(&self, outcome: Outcome, keep: Vec<Object>) -> anyhow::Result<()> {
        self.append(Record::Finished { outcome })?;
        let mut open = self.lock();
        let mut text = line(&opened())?;
        if !keep.is_empty() {
            text.push_str(&line(&Record::Begin { key: ActionKey::Kept, objects: keep })?);
        }
        let path = open.root.at(layout::JOURNAL);
        if let Some(file) = &mut open.file {
            // On a full disk the shorter journal takes the room that this one does not need any
            // more.
            let _ = file.release();
        }
        files::place(&path, text.as_bytes(), 0o600, None)?;
        open.file = Some(Growing::open(&path)?);
        open.story = Story::read(text.as_bytes())?;
        Ok(())
    }

    /// Closes the file, so that it can be removed.
    pub(crate) fn close(&self) {
        self.lock().file = None;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // A panic while the lock was held has not left the file torn: a record is written by one
        // call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that was killed, perhaps with its journal gone already, may have changed what is not on
/// disk yet. The next one finds that done and does not do it again, so it must be durable before
/// the journal calls anything done.
fn settle(root: &Root) -> Result<(), files::Error> {
    for top in layout::TOPS {
        let top = root.resolved(top);
        if top.is_dir() {
            files::sync_file_system(&top)?;
        }
    }
    Ok(())
}

/// Removes directories again as far as nothing is in them.
fn remove_empty(made: &[PathBuf]) {
    for directory in made.iter().rev() {
        let _ = files::remove_empty_directory(directory);
    }
}

fn opened() -> Record {
    Record::Opened { schema: SCHEMA, dcos_node: env!("CARGO_PKG_VERSION").to_owned() }
}

fn line(record: &Record) -> anyhow::Result<String> {
    Ok(serde_json::to_string(record)? + "\n")
}
