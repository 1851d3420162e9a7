//! The parts of a bundle while they are collected: each is redacted as it comes in.

use std::path::Path;

use serde::Serialize;

use crate::dcos::bundle::{Fields, Kept, Part};
use crate::dcos::redact::Redactor;
use crate::system::root::Root;

/// The most that is kept of one part, in bytes: the newest.
const LONGEST: usize = 8 << 20;
/// The most that is read of one file at all.
const READ: u64 = 64 << 20;

/// What has been collected.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    redactor: &'a Redactor,
    list: Vec<Part>,
    files: Vec<(String, Vec<u8>)>,
}

impl<'a> Parts<'a> {
    /// Nothing yet.
    pub(super) fn new(redactor: &'a Redactor) -> Parts<'a> {
        Parts { redactor, list: Vec::new(), files: Vec::new() }
    }

    /// What is in it, and what is missing.
    pub(super) fn list(&self) -> &[Part] {
        &self.list
    }

    /// The list, and the files.
    pub(super) fn into_files(self) -> (Vec<Part>, Vec<(String, Vec<u8>)>) {
        (self.list, self.files)
    }

    /// The machine's name, as far as it was collected, fit for a file name.
    pub(super) fn host(&self) -> String {
        let text = self
            .files
            .iter()
            .find(|(name, _)| name == "machine/hostname")
            .map(|(_, text)| String::from_utf8_lossy(text));
        let text = text.map(|text| {
            text.trim()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                .collect::<String>()
        });
        text.filter(|name| !name.is_empty()).unwrap_or_else(|| "node".to_owned())
    }

    /// Notes what could not be collected.
    pub(super) fn missing(&mut self, name: &str, why: impl Into<String>) {
        // What others said may hold a secret too.
        let why = self.redactor.clean(&why.into());
        self.list.push(Part {
            name: name.to_owned(),
            bytes: None,
            redacted: why.taken,
            cut: false,
            missing_because: Some(why.text),
        });
    }

    /// A text, without its secrets.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        let kept = newest(text, LONGEST);
        let clean = self.redactor.clean(kept);
        self.add(name, clean.text, clean.taken, kept.len() < text.len());
    }

    /// A document of these fields, without all others and without the secrets of these.
    fn document(&mut self, name: &str, text: &str, fields: &Fields) {
        match fields.keep(text) {
            Ok(Kept { text, taken }) => {
                let clean = self.redactor.clean(&text);
                self.add(name, clean.text, clean.taken + taken, false);
            }
            Err(error) => {
                self.missing(name, format!("its fields cannot be judged: it is not JSON: {error}"));
            }
        }
    }

    /// A value as JSON, or why there is none.
    pub(super) fn value(&mut self, name: &str, value: Result<impl Serialize, String>) {
        let value =
            value.and_then(|value| serde_json::to_value(value).map_err(|error| error.to_string()));
        match value {
            Ok(mut value) => {
                let redacted = self.redactor.value(&mut value);
                let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
                self.add(name, text, redacted, false);
            }
            Err(why) => self.missing(name, why),
        }
    }

    /// A file as it is; one that is not there is noted only if it should be.
    pub(super) fn file(&mut self, name: &str, root: &Root, path: impl AsRef<Path>, expected: bool) {
        match read(root, path) {
            Ok(Some(text)) => match Fields::of(name) {
                Some(fields) => self.document(name, &text, &fields),
                None => self.text(name, &text),
            },
            Ok(None) if expected => self.missing(name, "it is not there"),
            Ok(None) => {}
            Err(why) => self.missing(name, why),
        }
    }

    /// A file with one JSON record a line; one that is not there is noted only if it should be.
    pub(super) fn lines(
        &mut self,
        name: &str,
        root: &Root,
        path: impl AsRef<Path>,
        expected: bool,
    ) {
        let text = match read(root, path) {
            Ok(Some(text)) => text,
            Ok(None) if expected => return self.missing(name, "it is not there"),
            Ok(None) => return,
            Err(why) => return self.missing(name, why),
        };
        let kept = newest(&text, LONGEST);
        let (mut clean, mut taken) = (String::with_capacity(kept.len()), 0);
        for line in kept.lines() {
            match serde_json::from_str(line) {
                Ok(mut record) => {
                    taken += self.redactor.value(&mut record);
                    clean.push_str(&record.to_string());
                }
                // Torn or damaged: this is what support wants to see, but not the secrets in it.
                Err(_) => {
                    let line = self.redactor.clean_torn(line);
                    taken += line.taken;
                    clean.push_str(&line.text);
                }
            }
            clean.push('\n');
        }
        self.add(name, clean, taken, kept.len() < text.len());
    }

    fn add(&mut self, name: &str, text: String, redacted: usize, cut: bool) {
        let bytes = Some(text.len() as u64);
        self.list.push(Part { name: name.to_owned(), bytes, redacted, cut, missing_because: None });
        self.files.push((name.to_owned(), text.into_bytes()));
    }
}

fn read(root: &Root, path: impl AsRef<Path>) -> Result<Option<String>, String> {
    let read = root.read(path, READ).map_err(|error| format!("{error}: {}", error.source))?;
    Ok(read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The end of a text, from the beginning of a line on.
fn newest(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let from = text.len() - most;
    let line =
        text.as_bytes().get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
    line.and_then(|line| text.get(from + line + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_log_lines_are_kept_whole() {
        assert_eq!(newest("one\ntwo\nthree\n", 7), "three\n");
        assert_eq!(newest("one\n", 7), "one\n");
        assert_eq!(newest("a line that is too long", 7), "");
    }
}
