//! What was unpacked so far: one entry a path, though members may repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::{Entry, Kind, Unpacked};

/// Directories that no member describes.
pub(super) const IMPLIED_MODE: u32 = 0o755;
/// Warnings that are kept word for word.
const MAX_WARNINGS: usize = 50;

#[derive(Default)]
pub(super) struct Record {
    entries: BTreeMap<PathBuf, Entry>,
    /// Which further names an entry has.
    links: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    warnings: Vec<String>,
    more_warnings: u64,
    attributes_dropped: bool,
    bytes: u64,
}

impl Record {
    /// Notes what was made; it replaces what was there under this path.
    pub fn add(&mut self, entry: Entry) {
        if entry.mode & 0o6000 != 0 && matches!(entry.kind, Kind::File { .. }) {
            self.warn(format!(
                "{} has set-id bits (mode {:04o})",
                entry.path.display(),
                entry.mode
            ));
        }
        if let Some(before) = self.entries.remove(&entry.path) {
            if !(matches!(before.kind, Kind::Directory) && matches!(entry.kind, Kind::Directory)) {
                self.warn(format!(
                    "{} is in the archive more than once; the last one counts",
                    entry.path.display()
                ));
            }
            self.forget(before);
        }
        if let Kind::Hardlink { to } = &entry.kind {
            self.links.entry(to.clone()).or_default().insert(entry.path.clone());
        }
        self.entries.insert(entry.path.clone(), entry);
    }

    /// Whether a path is noted.
    pub fn has(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    /// Notes a directory that was made because a member lies in it.
    pub fn imply(&mut self, path: PathBuf) {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        self.entries.insert(
            path.clone(),
            Entry {
                path,
                kind: Kind::Directory,
                mode: IMPLIED_MODE,
                uid,
                gid,
                owner: None,
                group: None,
            },
        );
    }

    /// The entry that describes what a hard link to `path` would be; none for directories and for
    /// what this archive did not make.
    pub fn origin(&self, path: &Path) -> Option<Entry> {
        let entry = self.entries.get(path)?;
        match &entry.kind {
            Kind::Directory => None,
            Kind::Hardlink { to } => self.entries.get(to).cloned(),
            Kind::File { .. } | Kind::Symlink { .. } => Some(entry.clone()),
        }
    }

    /// Counts the bytes of a file before they are written.
    pub fn count(&mut self, bytes: u64, most: u64) -> Result<(), String> {
        self.bytes = self
            .bytes
            .checked_add(bytes)
            .filter(|&bytes| bytes <= most)
            .ok_or_else(|| format!("the archive has more than {most} bytes"))?;
        Ok(())
    }

    pub fn limit(&self, most: u64) -> Result<(), String> {
        if self.entries.len() as u64 > most {
            Err(format!("the archive has more than {most} files"))
        } else {
            Ok(())
        }
    }

    pub fn attributes_dropped(&mut self) {
        self.attributes_dropped = true;
    }

    pub fn finish(mut self) -> Unpacked {
        if self.more_warnings > 0 {
            self.warnings.push(format!("and {} more such warnings", self.more_warnings));
        }
        if self.attributes_dropped {
            self.warnings.push("extended attributes in the archive were dropped".to_owned());
        }
        Unpacked {
            entries: self.entries.into_values().collect(),
            warnings: self.warnings,
            bytes: self.bytes,
        }
    }

    /// An entry that is no more: its further names live on, and the first of them describes the
    /// file from now on.
    fn forget(&mut self, before: Entry) {
        if let Kind::Hardlink { to } = &before.kind {
            if let Some(names) = self.links.get_mut(to) {
                names.remove(&before.path);
            }
            return;
        }
        let Some(mut names) = self.links.remove(&before.path) else { return };
        let Some(heir) = names.pop_first() else { return };
        for name in &names {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.kind = Kind::Hardlink { to: heir.clone() };
            }
        }
        self.entries.insert(heir.clone(), Entry { path: heir.clone(), ..before });
        self.links.insert(heir, names);
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more_warnings += 1;
        }
    }
}
