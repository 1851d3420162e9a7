//! Reads the log of a unit from the journal files themselves.
//!
//! The files, because journald answers no questions: its sockets below `/run/systemd/journal` only
//! take entries, and `io.systemd.journal` there only rotates, flushes and syncs. The ways that can
//! be asked start a program: `journalctl`, which we do not run; `systemd-journal-gatewayd`, which
//! few machines have; and `io.systemd.JournalAccess` of systemd 260, for which systemd starts
//! `journalctl` once for each question, and which finds entries by their unit but not by any other
//! field.
//!
//! A file of a later format is not read: [`Log::unknown`] names it, and who shows the lines says so
//! and names `journalctl`, which always knows the format of its own systemd.
//!
//! Neither `journalctl` nor libsystemd is needed. The files are read as they are: in use, torn by a
//! power cut, or corrupt. What cannot be read is skipped; no offset in a file is believed before it
//! has been checked, and the reads per file are limited.
//!
//! The cost for each file is that of its field index, three small reads for every unit that occurs
//! in it, and two for each line wanted; then come about 60 for each line found. Files are not read
//! as a whole.

mod compression;
mod file;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use file::{Entry, JournalFile, OpenError};

/// The most that is kept of one message, in bytes.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When journald received it, by the clock as it was then.
    pub realtime: SystemTime,
    /// The name of who wrote it (`SYSLOG_IDENTIFIER`, else the process' name); empty if there is
    /// none.
    pub identifier: String,
    /// What was written. It may have several lines and control characters, and is cut at
    /// [`MESSAGE_LIMIT`].
    pub message: String,
    /// 0 (emergency) to 7 (debug), as in `syslog(3)`.
    pub priority: Option<u8>,
}

/// What was found in the journal files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// The entries, oldest first.
    pub lines: Vec<Line>,
    /// Files that may have more, and newer, lines.
    pub unknown: Vec<UnknownFormat>,
}

impl Log {
    /// One sentence about the files of an unknown format, if there are any. `command` is what
    /// shows the missing lines. The path comes last, because it is long and may be cut.
    pub fn note(&self, command: &str) -> Option<String> {
        let UnknownFormat { path, flags } = self.unknown.first()?;
        let (subject, others) = match self.unknown.len() {
            1 => ("1 journal file has".to_owned(), String::new()),
            count => (format!("{count} journal files have"), ", and others".to_owned()),
        };
        Some(format!(
            "{subject} an unknown format ({flags}); lines may be missing, use {command}: \
             {}{others}",
            path.display()
        ))
    }
}

/// A journal file of a format that this reader does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat {
    /// The file.
    pub path: PathBuf,
    /// The flags that the reader does not know, and where they are.
    pub flags: String,
}

/// A point in time that no step of the clock can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The running boot, as in `/proc/sys/kernel/random/boot_id`.
    pub boot_id: [u8; 16],
    /// Time since that boot, by `CLOCK_MONOTONIC`, as in systemd's `*TimestampMonotonic`
    /// properties.
    pub monotonic: Duration,
}

impl Since {
    /// `monotonic` after the running boot.
    pub fn this_boot(monotonic: Duration) -> io::Result<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let number =
            u128::from_str_radix(&text.trim().replace('-', ""), 16).map_err(io::Error::other)?;
        Ok(Self { boot_id: number.to_be_bytes(), monotonic })
    }

    fn is_before(&self, entry: &Entry) -> bool {
        // Nothing is newer than the running boot, so entries of others are older.
        entry.boot_id == self.boot_id && entry.monotonic >= self.monotonic
    }
}

/// Why there are no lines.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory exists but cannot be listed.
    #[error("cannot list journal directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing was found, but this file (and perhaps others) could not be looked into.
    #[error("cannot read journal file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said; most often that only root and the group systemd-journal may read
        /// it.
        source: io::Error,
    },
}

/// The last `count` entries, oldest first, that `unit` (its full name, such as `dbus.service`)
/// wrote, or that systemd wrote about it.
///
/// The journal is looked for in `journal_dirs` (such as `/var/log/journal` and `/run/log/journal`)
/// and in their directories named by a machine id; one that does not exist counts as empty. With
/// `since`, what is older does not count.
///
/// Meant for a screenful or a report: the limit of reads ends a file after some 30,000 lines.
/// Blocks on files, so async code calls this on a blocking thread.
pub fn last_lines(
    journal_dirs: &[PathBuf],
    unit: &str,
    count: usize,
    since: Option<Since>,
) -> Result<Log, Error> {
    last_entries(journal_dirs, Wanted::Unit(unit), count, since)
}

/// The last `count` entries, oldest first, that have this value in this field; otherwise as
/// [`last_lines`].
pub fn last_lines_with(
    journal_dirs: &[PathBuf],
    field: &str,
    value: &str,
    count: usize,
) -> Result<Log, Error> {
    last_entries(journal_dirs, Wanted::Field(field, value), count, None)
}

/// The last `count` entries, oldest first, with which systemd told this of `unit`: `message` is a
/// `MESSAGE_ID` (`systemd.journal-fields(7)`); otherwise as [`last_lines`].
pub fn last_messages(
    journal_dirs: &[PathBuf],
    unit: &str,
    message: &str,
    count: usize,
    since: Since,
) -> Result<Log, Error> {
    last_entries(journal_dirs, Wanted::Message(unit, message), count, Some(since))
}

/// Which entries are looked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// Those of a unit, and systemd's about it.
    Unit(&'a str),
    /// Those with this value in this field.
    Field(&'a str, &'a str),
    /// Systemd's about a unit that have this `MESSAGE_ID`.
    Message(&'a str, &'a str),
}

fn last_entries(
    journal_dirs: &[PathBuf],
    wanted: Wanted<'_>,
    count: usize,
    since: Option<Since>,
) -> Result<Log, Error> {
    const TRIES: usize = 5;
    let mut paths = journal_files(journal_dirs)?;
    for _ in 1..TRIES {
        let lines = last_lines_of(&paths, wanted, count, since);
        // journald renames its file when that is full: we may have missed it under both names, and
        // with it the newest lines.
        let paths_now = journal_files(journal_dirs)?;
        if paths_now == paths {
            return lines;
        }
        paths = paths_now;
    }
    last_lines_of(&paths, wanted, count, since)
}

fn last_lines_of(
    paths: &[PathBuf],
    wanted: Wanted<'_>,
    count: usize,
    since: Option<Since>,
) -> Result<Log, Error> {
    let (mut files, mut unknown, mut unreadable) = (Vec::new(), Vec::new(), None);
    for path in paths {
        match JournalFile::open(path) {
            Ok(file) => files.push((path, file)),
            Err(OpenError::UnknownFormat(flags)) => unknown.push(UnknownFormat {
                path: path.clone(),
                flags: format!("incompatible flags {flags:#x}"),
            }),
            Err(OpenError::NotJournal) => {}
            // Removed meanwhile.
            Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(OpenError::Io(source)) => {
                unreadable = unreadable.or(Some(Error::Unreadable { path: path.clone(), source }))
            }
        }
    }
    let mut logs: BTreeMap<[u8; 16], Vec<Found>> = BTreeMap::new();
    for (_, file) in &files {
        logs.entry(file.seqnum_id()).or_default().extend(search(file, wanted, count, since));
    }
    let lines = merge(logs.into_values().collect(), count);
    unknown.extend(files.iter().filter_map(|(path, file)| {
        let flags = file.unknown_flags()?.0;
        Some(UnknownFormat { path: (*path).clone(), flags: format!("object flags {flags:#x}") })
    }));
    match unreadable {
        Some(error) if lines.is_empty() && unknown.is_empty() => Err(error),
        _ => Ok(Log { lines, unknown }),
    }
}

/// An entry, and the file to look its fields up in.
struct Found<'a> {
    file: &'a JournalFile,
    entry: Entry,
}

fn journal_files(journal_dirs: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for directory in journal_dirs {
        for path in list(directory)? {
            if is_machine_id(&path) {
                files.extend(list(&path)?);
            } else {
                files.push(path);
            }
        }
    }
    // journald renames a file that was not closed properly to `*.journal~`: the last words before a
    // power cut are in there.
    files.retain(|path| {
        path.extension().is_some_and(|extension| extension == "journal" || extension == "journal~")
    });
    files.sort_unstable();
    Ok(files)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
    {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        result => result.map_err(|source| Error::Directory { path: directory.to_owned(), source }),
    }
}

fn is_machine_id(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.len() == 32 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
    })
}

/// The last entries of one file, at least `count` if it has so many, in no order.
fn search<'a>(
    file: &'a JournalFile,
    wanted: Wanted<'_>,
    count: usize,
    since: Option<Since>,
) -> Vec<Found<'a>> {
    let with = |field: &str, value: &str| -> Vec<Found<'a>> {
        let data = file.find_data(field, value);
        data.into_iter().flat_map(|data| newest_first(file, data, since).take(count)).collect()
    };
    match wanted {
        Wanted::Field(field, value) => with(field, value),
        Wanted::Unit(unit) => {
            let mut found = with("_SYSTEMD_UNIT", unit);
            found.extend(of_systemd(file, unit, since).take(count));
            found
        }
        Wanted::Message(unit, message) => {
            let Some(data) = file.find_data("MESSAGE_ID", message) else { return Vec::new() };
            of_systemd(file, unit, since)
                .filter(|found| found.entry.items.contains(&data))
                .take(count)
                .collect()
        }
    }
}

/// What systemd wrote about a unit. Anybody may write `UNIT=`, but only journald sets `_PID=`.
fn of_systemd<'a>(
    file: &'a JournalFile,
    unit: &str,
    since: Option<Since>,
) -> impl Iterator<Item = Found<'a>> {
    let mut systemd = None;
    let is_systemd = move |found: &Found| {
        systemd = systemd.or_else(|| {
            found.entry.items.iter().copied().find(|&item| file.is_data(item, "_PID", "1"))
        });
        systemd.is_some_and(|data| found.entry.items.contains(&data))
    };
    file.find_data("UNIT", unit)
        .into_iter()
        .flat_map(move |data| newest_first(file, data, since))
        .filter(is_systemd)
}

/// The entries that have `data`, from the file's last one back to `since`.
fn newest_first(
    file: &JournalFile,
    data: u64,
    since: Option<Since>,
) -> impl Iterator<Item = Found<'_>> {
    file.entries_backwards(data)
        .filter_map(move |offset| file.entry(offset))
        // A torn index can name an entry of something else.
        .filter(move |entry| entry.items.contains(&data))
        .take_while(move |entry| since.is_none_or(|since| since.is_before(entry)))
        .map(move |entry| Found { file, entry })
}

fn line(Found { file, entry }: &Found) -> Option<Line> {
    let realtime = SystemTime::UNIX_EPOCH.checked_add(entry.realtime)?;
    let (mut message, mut identifier, mut process, mut priority) = (None, None, None, None);
    for &item in &entry.items {
        let Some(payload) = file.payload(item, MESSAGE_LIMIT) else { continue };
        let Some(end) = payload.iter().position(|&byte| byte == b'=') else { continue };
        let (Some(name), Some(value)) = (payload.get(..end), payload.get(end + 1..)) else {
            continue;
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"MESSAGE" => message = message.or_else(|| Some(text())),
            b"SYSLOG_IDENTIFIER" => identifier = identifier.or_else(|| Some(text())),
            b"_COMM" => process = process.or_else(|| Some(text())),
            b"PRIORITY" => {
                priority =
                    priority.or_else(|| text().parse().ok().filter(|priority| *priority <= 7))
            }
            _ => {}
        }
    }
    Some(Line {
        realtime,
        identifier: identifier.or(process).unwrap_or_default(),
        message: message?,
        priority,
    })
}

/// Puts logs together and keeps the last `count` lines, oldest first.
///
/// The files of one log (journald's own, users', archived ones) share one sequence of numbers,
/// which is right even when the clock was not. Between logs there is only the clock.
fn merge(mut logs: Vec<Vec<Found>>, count: usize) -> Vec<Line> {
    for log in &mut logs {
        log.sort_by_key(|found| found.entry.seqnum);
        // One that matches twice, or a directory that is reached by two ways.
        log.dedup_by_key(|found| (found.entry.seqnum, found.entry.realtime));
    }
    let mut lines = Vec::new();
    while lines.len() < count {
        let newest = logs
            .iter_mut()
            .filter(|log| !log.is_empty())
            .max_by_key(|log| log.last().map(|found| found.entry.realtime));
        let Some(found) = newest.and_then(Vec::pop) else { break };
        lines.extend(line(&found));
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests;
