//! Writes the journal: every record is on disk before the function returns.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use super::place;
use crate::dcos::journal::{Outcome, Record, SCHEMA, Story};
use crate::dcos::layout;
use crate::dcos::receipt::Object;
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
}

impl Journal {
    /// Opens the journal, making it and its directory if they are not there. A torn last line is cut off first.
    ///
    /// # Errors
    /// The disk refuses, or the journal cannot be followed. Nothing else has been touched then.
    pub fn open(root: &Root) -> anyhow::Result<Journal> {
        let directory = root.at(layout::OUR_STATE);
        let missing = place::directory_objects_below(root, Path::new(layout::JOURNAL));
        files::make_directories(directory.parent().unwrap_or(&directory), 0o755)?;
        files::make_directories(&directory, 0o700)?;
        let path = root.at(layout::JOURNAL);
        let text = files::read(&path, 1 << 30)?.unwrap_or_default();
        let mut story = Story::read(&text).with_context(|| format!("{} cannot be followed", layout::JOURNAL))?;
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        if whole == 0 {
            let mut text = line(&opened())?;
            if !missing.is_empty() {
                text.push_str(&line(&Record::Begin { key: "journal".into(), objects: missing })?);
            }
            files::place(&path, text.as_bytes(), 0o600, None)?;
            story = Story::read(text.as_bytes())?;
        }
        let mut file = Growing::open(&path)?;
        if whole > 0 && whole < text.len() {
            file.cut(whole as u64)?;
        }
        Ok(Journal(Arc::new(Mutex::new(Open { root: root.clone(), file: Some(file), story }))))
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
    pub fn begin(&self, key: &str, objects: Vec<Object>) -> anyhow::Result<()> {
        self.append(Record::Begin { key: key.to_owned(), objects })
    }

    /// Nothing is left to do: replaces the journal by one that only knows the objects that `keep` names.
    ///
    /// # Errors
    /// The disk refuses; the longer journal then still stands.
    pub fn finish(&self, outcome: Outcome, keep: Vec<Object>) -> anyhow::Result<()> {
        self.append(Record::Finished { outcome })?;
        let mut open = self.lock();
        let mut text = line(&opened())?;
        if !keep.is_empty() {
            text.push_str(&line(&Record::Begin { key: "kept".into(), objects: keep })?);
        }
        let path = open.root.at(layout::JOURNAL);
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
        // A panic while the lock was held has not left the file torn: a record is written by one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn opened() -> Record {
    Record::Opened { schema: SCHEMA, dcos_node: env!("CARGO_PKG_VERSION").to_owned() }
}

fn line(record: &Record) -> anyhow::Result<String> {
    Ok(serde_json::to_string(record)? + "\n")
}
