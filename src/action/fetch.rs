//! Fetches archives and unpacks them under a temporary name; a package gets its final name when it is whole, verified and durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::journal::Journal;
use super::place::directory_objects;
use super::{Site, place};
use crate::dcos::build::Build;
use crate::dcos::event::Event;
use crate::dcos::id::PackageId;
use crate::dcos::layout;
use crate::dcos::receipt::{self, Blob, Manifest, ManifestEntry, ManifestKind, Object};
use crate::system::digest::{self, Hashing};
use crate::system::source::{self, Download};
use crate::system::unpack::{Entry, Kind, Options, Owners, Unpacked};
use crate::system::{archive, files, unpack};

/// Memory for one decoder: the dictionary of `xz -9` is 64 MiB, and its decoder needs little more.
const DECODER_MEMORY: u64 = 80 << 20;
/// No archive of DC/OS comes near to this many bytes or members; a decompression bomb does.
const MOST_BYTES: u64 = 8 << 30;
const MOST_ENTRIES: u64 = 500_000;

/// What was fetched is not what it should be; nothing of it has a final name.
#[derive(Debug, thiserror::Error)]
#[error("{archive} is damaged or not what it should be")]
pub struct Damaged {
    /// Relative to the serve directory.
    pub archive: String,
    /// Why.
    pub source: anyhow::Error,
}

pub(crate) fn objects(site: &Site, packages: &[PackageId]) -> anyhow::Result<Vec<Object>> {
    let mut objects = directory_objects(site, &layout::package(packages.first().context("no package is asked for")?));
    objects.extend(packages.iter().map(|id| Object::Package { id: id.clone() }));
    Ok(objects)
}

/// Fetches one package, unless it is there with its manifest.
pub(crate) async fn package(site: &Site, key: &str, id: &PackageId) -> anyhow::Result<()> {
    if is_whole(site, id) {
        return Ok(());
    }
    let archive = id.archive();
    let download = open(site, &archive).await?;
    let (site_, key, id) = (site.clone(), key.to_owned(), id.clone());
    let unpacked = move || -> anyhow::Result<()> {
        let staging = prepare(&site_, &layout::staging(&id))?;
        let result = unpack_into(&site_, &key, download, &staging, None).and_then(|whole| {
            let entries: Vec<&Entry> = whole.unpacked.entries.iter().collect();
            check_package(&id, &entries)?;
            settle(&site_, &id, &staging, &manifest(&id, &whole, &entries, Path::new("")))
        });
        if result.is_err() {
            let _ = files::remove_tree(&staging);
        }
        result.map_err(|e| damaged(e, &archive))
    };
    tokio::task::spawn_blocking(unpacked).await?
}

/// Fetches the bootstrap archive and settles every package in it, also those that will not be active.
pub(crate) async fn bootstrap(site: &Site, journal: &Journal, key: &str, id: &str, expected: &[PackageId]) -> anyhow::Result<()> {
    if expected.iter().all(|id| is_whole(site, id)) {
        let staging = layout::bootstrap_staging(id);
        return site.blocking(move |site| Ok(files::remove_tree(&site.root.at(staging))?)).await;
    }
    let archive = Build::bootstrap_archive(id);
    let download = open(site, &archive).await?;
    let (site_, journal, key, id, expected) = (site.clone(), journal.clone(), key.to_owned(), id.to_owned(), expected.to_vec());
    let unpacked = move || -> anyhow::Result<()> {
        let staging = prepare(&site_, &layout::bootstrap_staging(&id))?;
        let result = unpack_into(&site_, &key, download, &staging, Some(PathBuf::from("packages"))).and_then(|whole| {
            let packages = by_package(&whole.unpacked.entries)?;
            let missing: Vec<String> = expected.iter().filter(|id| !packages.contains_key(id)).map(ToString::to_string).collect();
            anyhow::ensure!(missing.is_empty(), "it does not contain {}", missing.join(", "));
            for (id, entries) in &packages {
                check_package(id, entries)?;
            }
            // Those that nobody expected become ours too before they get a name.
            journal.begin(&key, packages.keys().map(|id| Object::Package { id: id.clone() }).collect())?;
            for (id, entries) in &packages {
                settle(&site_, id, &staging.join(id.to_string()), &manifest(id, &whole, entries, Path::new(&id.to_string())))?;
            }
            Ok(())
        });
        let removed = files::remove_tree(&staging).map_err(anyhow::Error::from);
        result.and(removed).map_err(|e| damaged(e, &archive))
    };
    tokio::task::spawn_blocking(unpacked).await?
}

/// Whether a package has its final name and a manifest: then it was whole and durable.
pub(crate) fn is_whole(site: &Site, id: &PackageId) -> bool {
    site.root.resolved(layout::package(id)).is_dir() && site.root.at(layout::manifest(id)).is_file()
}

async fn open(site: &Site, archive: &str) -> anyhow::Result<Download> {
    let source = site.source.as_ref().context("packages are missing and no server is known to fetch them from")?;
    Ok(source.open(archive).await?)
}

/// A fresh, empty staging directory; what a killed run left there is removed.
fn prepare(site: &Site, staging: &Path) -> anyhow::Result<PathBuf> {
    place::make_parents(site, staging)?;
    let real = site.root.at(staging);
    files::remove_tree(&real)?;
    files::make_directory(&real, 0o755)?;
    Ok(real)
}

/// What came out of one archive.
struct Whole {
    unpacked: Unpacked,
    sha256: [u8; 32],
    bytes: u64,
}

/// One pass: network, digest, decompression, unpacking.
fn unpack_into(site: &Site, key: &str, download: Download, staging: &Path, strip: Option<PathBuf>) -> anyhow::Result<Whole> {
    let total = download.length;
    let mut counted = Counting {
        inner: Hashing::new(download.reader),
        told: 0,
        read: 0,
        tell: |bytes| site.events.send(Event::Progress { key: key.to_owned(), bytes, total }),
    };
    let mut decoder = archive::decode(&mut counted, DECODER_MEMORY)?;
    let directory = files::open_directory(staging)?;
    let names = site.names()?;
    let owners = if site.privileged { Owners::Apply(&names) } else { Owners::Record(&names) };
    let options = Options { owners, strip, max_bytes: MOST_BYTES, max_entries: MOST_ENTRIES };
    let unpacked = unpack::unpack(&mut decoder, directory.as_fd(), &options, &mut |_| {})?;
    drop(decoder);
    for warning in &unpacked.warnings {
        site.events.warn(format!("{key}: {warning}"));
    }
    let (bytes, sha256) = counted.inner.finish();
    anyhow::ensure!(total.is_none_or(|t| t == bytes), "{bytes} bytes came of {}", total.unwrap_or_default());
    Ok(Whole { unpacked, sha256, bytes })
}

/// Tells how many bytes have come, at most every quarter of a megabyte.
struct Counting<R, F> {
    inner: R,
    read: u64,
    told: u64,
    tell: F,
}

impl<R: Read, F: FnMut(u64)> Read for Counting<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read - self.told >= 1 << 18 || (count == 0 && self.read > self.told) {
            self.told = self.read;
            (self.tell)(self.read);
        }
        Ok(count)
    }
}

/// A package that pkgpanda could not load is refused before it gets a name.
fn check_package(id: &PackageId, entries: &[&Entry]) -> anyhow::Result<()> {
    let has =
        entries.iter().any(|e| e.path.ends_with("pkginfo.json") && e.path.components().count() <= 2 && matches!(e.kind, Kind::File { .. }));
    anyhow::ensure!(has, "{id} has no pkginfo.json");
    Ok(())
}

/// Sorts the members of a bootstrap archive by package.
fn by_package(entries: &[Entry]) -> anyhow::Result<BTreeMap<PackageId, Vec<&Entry>>> {
    let mut packages: BTreeMap<PackageId, Vec<&Entry>> = BTreeMap::new();
    let mut strange = BTreeSet::new();
    for entry in entries {
        let Some(Component::Normal(first)) = entry.path.components().next() else { continue };
        match first.to_string_lossy().parse::<PackageId>() {
            Ok(id) => packages.entry(id).or_default().push(entry),
            Err(error) => drop(strange.insert(error.to_string())),
        }
    }
    anyhow::ensure!(strange.is_empty(), "packages/ holds what is no package: {}", strange.into_iter().collect::<Vec<_>>().join("; "));
    Ok(packages)
}

/// Makes a package durable, writes its manifest, and gives it its final name.
fn settle(site: &Site, id: &PackageId, staging: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    if is_whole(site, id) {
        return Ok(files::remove_tree(staging)?);
    }
    // One syncfs in place of an fsync a file: on a disk the fsyncs of a package of 800 small files took 30 times as long, those of 15 larger
    // ones 11 times (docs/crash-real.md). It waits for what others have written to the same file system, too, which is the price.
    files::sync_file_system(staging)?;
    let directory = site.root.at(layout::MANIFESTS);
    files::make_directories(&directory, 0o700)?;
    files::place(&site.root.at(layout::manifest(id)), &serde_json::to_vec(manifest)?, 0o600, site.root_owner())?;
    let place = site.root.at(layout::package(id));
    // Without a manifest it was begun by a run that was killed before the manifest was durable.
    files::remove_tree(&place)?;
    site.label(&[staging]);
    Ok(files::rename(staging, &place)?)
}

fn manifest(id: &PackageId, whole: &Whole, entries: &[&Entry], below: &Path) -> Manifest {
    let blob = |path: &Path| Blob::new(path.as_os_str().as_bytes().to_vec());
    let strip = |path: &Path| path.strip_prefix(below).map_or_else(|_| blob(path), blob);
    let files = entries.iter().map(|entry| ManifestEntry {
        path: strip(&entry.path),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        owner: entry.owner.clone(),
        group: entry.group.clone(),
        kind: match &entry.kind {
            Kind::File { size, sha256 } => ManifestKind::File { size: *size, sha256: digest::hex(sha256) },
            Kind::Directory => ManifestKind::Directory,
            Kind::Symlink { target } => ManifestKind::Link { target: blob(target) },
            Kind::Hardlink { to } => ManifestKind::Hardlink { to: strip(to) },
        },
    });
    Manifest {
        schema: receipt::SCHEMA,
        id: id.clone(),
        archive_sha256: digest::hex(&whole.sha256),
        archive_bytes: whole.bytes,
        files: files.collect(),
    }
}

/// A full disk and a lost server are no damage of the archive; everything else that stops unpacking is.
fn damaged(error: anyhow::Error, archive: &str) -> anyhow::Error {
    let innocent = error.chain().any(|cause| {
        let full = |e: &io::Error| {
            matches!(
                e.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
            )
        };
        cause.downcast_ref::<io::Error>().is_some_and(|e| full(e) || e.get_ref().is_some_and(|inner| inner.is::<source::Error>()))
            || cause.is::<source::Error>()
            || cause.is::<files::Error>()
    });
    if innocent { error.context(format!("cannot fetch {archive}")) } else { Damaged { archive: archive.to_owned(), source: error }.into() }
}
