//! An archive of a serve directory, read from its first byte to its last: what it is, what it
//! holds, and what that costs.

use std::io::{self, Read};
use std::path::{Component, Path};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::dcos::id::PackageId;
use crate::dcos::index::Content;
use crate::dcos::layout;
use crate::system::archive;
use crate::system::clock;
use crate::system::digest::{self, Hashing};
use crate::system::fingerprint::{Fingerprint, Reading};
use crate::system::unpack::{Seen, Surveyed, look_through};

/// What a file system gives a file at least.
const BLOCK: u64 = 4096;
/// The limits of an install: what it would refuse is not published.
const DECODER_MEMORY: u64 = 80 << 20;
const MOST_BYTES: u64 = 8 << 30;
const MOST_ENTRIES: u64 = 500_000;

/// What an archive is meant to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The archive of one package.
    Package,
    /// The bootstrap archive, with these packages in it and perhaps more.
    Bootstrap(Vec<PackageId>),
}

/// An archive that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// By what the file is known again.
    pub fingerprint: Fingerprint,
    /// How it is compressed: `xz`, `gzip`, `zstd`, or `tar` if it is not.
    pub format: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The SHA-256 of the tar stream in it: archives in which it is the same have the same content.
    pub stream_sha256: String,
    /// What it unpacks to.
    pub content: Content,
    /// Processor time that decoding and reading it took, in microseconds.
    pub processor_us: u64,
}

/// Reads an archive as a node would, writes nothing, and refuses what a node would refuse. `tell`
/// gets the bytes that were read so far.
///
/// # Errors
/// The file cannot be read, or is no archive of that meaning.
pub fn examine(
    path: &Path,
    meaning: &Meaning,
    tell: &mut dyn FnMut(u64),
) -> anyhow::Result<Examined> {
    let began = clock::thread_time();
    let mut file = Told { inner: Hashing::new(Reading::open(path)?), read: 0, told: 0, tell };
    let decoder = archive::decode(&mut file, DECODER_MEMORY)?;
    let format = decoder.format().to_string();
    let mut stream = Hashing::new(decoder);
    let strip = match meaning {
        Meaning::Package => Path::new(""),
        Meaning::Bootstrap(_) => Path::new("packages"),
    };
    let surveyed = look_through(&mut stream, strip, MOST_BYTES, MOST_ENTRIES)?;
    io::copy(&mut stream, &mut io::sink())?;
    let (_, stream_sha256) = stream.finish();
    let content = match meaning {
        Meaning::Package => package(&surveyed)?,
        Meaning::Bootstrap(expected) => bootstrap(&surveyed, expected)?,
    };
    let (reading, bytes, sha256) = file.inner.into_parts();
    anyhow::ensure!(bytes == reading.length(), "{bytes} bytes came of {}", reading.length());
    let used = clock::thread_time().saturating_sub(began);
    Ok(Examined {
        fingerprint: reading.finish()?,
        format,
        sha256: digest::hex(&sha256),
        stream_sha256: digest::hex(&stream_sha256),
        content,
        processor_us: u64::try_from(used.as_micros()).unwrap_or(u64::MAX),
    })
}

/// The tar stream in an archive, for who wants to write it in another form.
///
/// # Errors
/// The file cannot be read, or is no archive.
pub fn stream(path: &Path) -> anyhow::Result<impl Read> {
    Ok(archive::decode(Reading::open(path)?, DECODER_MEMORY)?)
}

impl Examined {
    /// Processor time that decoding and reading it took.
    pub fn processor_time(&self) -> Duration {
        Duration::from_micros(self.processor_us)
    }
}

fn package(surveyed: &Surveyed) -> anyhow::Result<Content> {
    let has = matches!(surveyed.entries.get(Path::new("pkginfo.json")), Some(Seen::File(_)));
    anyhow::ensure!(has, "it has no pkginfo.json");
    let links = surveyed
        .entries
        .iter()
        .filter(|(path, seen)| **seen != Seen::Directory && is_linked(path))
        .count();
    Ok(content(surveyed, links))
}

fn bootstrap(surveyed: &Surveyed, expected: &[PackageId]) -> anyhow::Result<Content> {
    let mut links = 0;
    for (path, seen) in &surveyed.entries {
        let Some(Component::Normal(first)) = path.components().next() else { continue };
        let id: PackageId =
            first.to_string_lossy().parse().context("packages/ holds what is no package")?;
        let is_active = expected.contains(&id);
        links += usize::from(
            is_active && *seen != Seen::Directory && path.strip_prefix(first).is_ok_and(is_linked),
        );
    }
    for id in expected {
        let info = layout::in_bootstrap_archive(id).join("pkginfo.json");
        anyhow::ensure!(
            matches!(surveyed.entries.get(&info), Some(Seen::File(_))),
            "it does not contain {id} with its pkginfo.json"
        );
    }
    Ok(content(surveyed, links))
}

/// Whether an active set links to it, whatever the role; the directories of other roles are few.
fn is_linked(path: &Path) -> bool {
    path.components()
        .next()
        .is_some_and(|top| layout::WELL_KNOWN.iter().any(|known| top.as_os_str() == *known))
}

fn content(surveyed: &Surveyed, links: usize) -> Content {
    let on_disk = |seen: &Seen| match seen {
        Seen::File(bytes) => bytes.div_ceil(BLOCK).saturating_mul(BLOCK),
        _ => 0,
    };
    Content {
        disk_bytes: surveyed.entries.values().map(on_disk).fold(0, u64::saturating_add),
        bytes: surveyed.bytes,
        members: surveyed.entries.len() as u64,
        links: links as u64,
    }
}

/// Tells how many bytes were read, at most every quarter of a megabyte.
struct Told<'a, R> {
    inner: R,
    read: u64,
    told: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read - self.told >= 1 << 18 {
            self.told = self.read;
            (self.tell)(self.read);
        }
        Ok(count)
    }
}
