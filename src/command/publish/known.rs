//! What earlier runs read: a file of `publish` alone, in the serve directory, that spares reading
//! what is the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::observe::archive::{Examined, Meaning};
use crate::system::files::{self, FileKind};
use crate::system::fingerprint::Fingerprint;

/// Hidden, so that `serve` does not give it away.
const FILE: &str = ".dcos-publish.json";
/// Longest such file.
const LONGEST: u64 = 64 << 20;

/// Archives by their paths in the serve directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    /// Another version may read archives otherwise.
    written_by: String,
    archives: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    meaning: Meaning,
    examined: Examined,
}

impl Known {
    /// Nothing.
    pub fn nothing() -> Known {
        Known { written_by: env!("CARGO_PKG_VERSION").to_owned(), archives: BTreeMap::new() }
    }

    /// What the directory's file says; nothing if there is none that we wrote. Everything can be
    /// read again.
    pub fn read(directory: &Path) -> Known {
        let text = files::read(&directory.join(FILE), LONGEST).ok().flatten();
        let known: Option<Known> = text.and_then(|text| serde_json::from_slice(&text).ok());
        known
            .filter(|known| known.written_by == env!("CARGO_PKG_VERSION"))
            .unwrap_or_else(Known::nothing)
    }

    /// What is known of an archive that is the same as it was.
    pub fn get(
        &self,
        path: &str,
        meaning: &Meaning,
        fingerprint: &Fingerprint,
    ) -> Option<Examined> {
        let entry = self.archives.get(path)?;
        (entry.meaning == *meaning && entry.examined.fingerprint == *fingerprint)
            .then(|| entry.examined.clone())
    }

    /// Notes an archive, unless it might change without a trace.
    pub fn note(&mut self, path: &str, meaning: &Meaning, examined: &Examined) {
        if examined.fingerprint.is_settled() {
            let entry = Entry { meaning: meaning.clone(), examined: examined.clone() };
            self.archives.insert(path.to_owned(), entry);
        }
    }

    /// Writes the file, if it is not the same.
    pub fn write(&self, directory: &Path) -> Result<(), files::Error> {
        // Strings and numbers can always be written.
        place(&directory.join(FILE), &serde_json::to_vec(self).unwrap_or_default(), 0o644).map(drop)
    }
}

/// Puts a file in place, unless the same stands there; says whether it did.
pub(super) fn place(path: &Path, content: &[u8], mode: u32) -> Result<bool, files::Error> {
    let is_alike = files::lstat(path)?.is_some_and(|stat| {
        stat.kind == FileKind::File && stat.mode == mode && stat.size == content.len() as u64
    });
    if is_alike && files::read(path, content.len() as u64)?.as_deref() == Some(content) {
        return Ok(false);
    }
    files::place(path, content, mode, None).map(|()| true)
}
