//! One archive on its way: from the first place that gives it, through digest and decoder, into a
//! staging directory.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;

use crate::action::{Site, place};
use crate::dcos::action_key::ActionKey;
use crate::dcos::event::Event;
use crate::dcos::index::Artifact;
use crate::system::cancellation::Cancelled;
use crate::system::digest::{self, Hashing};
use crate::system::source::{self, Download, Source};
use crate::system::unpack::{self, Names, Options, Owners, Unpacked};
use crate::system::{archive, files};

/// No archive of DC/OS comes near to this many bytes or members; a decompression bomb does.
const MOST_BYTES: u64 = 8 << 30;
const MOST_ENTRIES: u64 = 500_000;
/// Without an index an archive has at most so many bytes.
const MAX_ARCHIVE_BYTES: u64 = 4 << 30;
/// Without an index: nothing that a node needs is compressed to less than a five-hundredth. The
/// first bytes of it are free.
const MOST_RATIO: u64 = 500;
const FREE_OF_RATIO: u64 = 64 << 20;
/// How often one place is asked from the beginning again after a download broke and could not be
/// gone on with.
const FRESH_STARTS: u32 = 2;

/// What was fetched is not what it should be; nothing of it has a final name.
#[derive(Debug, thiserror::Error)]
#[error("{archive} is damaged or not what it should be")]
pub struct Damaged {
    /// Relative to the serve directory.
    pub archive: String,
    /// Why.
    pub source: anyhow::Error,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The name of the action, for news.
    pub key: ActionKey,
    /// Relative to the serve directory.
    pub archive: String,
    /// What the build index says of it.
    pub artifact: Option<Artifact>,
    /// Where it is unpacked, as the node sees it; none if it is only read.
    pub staging: Option<PathBuf>,
    /// Only what lies below this directory of the archive.
    pub strip: Option<PathBuf>,
}

/// What came out of one archive.
pub(super) struct Whole {
    pub unpacked: Unpacked,
    pub sha256: [u8; 32],
    pub bytes: u64,
    /// Where it is, as this machine sees it; empty if it was only read.
    pub staging: PathBuf,
}

/// One of the archives that would do.
struct Offer {
    path: String,
    sha256: Option<String>,
    /// How many it has by the index, or the most that it may have.
    bytes: u64,
}

impl Order {
    /// The cheaper archive first, if the index knows one.
    fn offers(&self) -> Vec<Offer> {
        let cheaper = self.artifact.as_ref().and_then(|a| a.alternative.as_ref());
        let cheaper = cheaper.map(|a| Offer {
            path: a.path.clone(),
            sha256: Some(a.sha256.clone()),
            bytes: a.bytes,
        });
        let usual = Offer {
            path: self.archive.clone(),
            sha256: self.artifact.as_ref().map(|a| a.sha256.clone()),
            bytes: self.artifact.as_ref().map_or(MAX_ARCHIVE_BYTES, |a| a.bytes),
        };
        cheaper.into_iter().chain([usual]).collect()
    }
}

/// Fetches and unpacks; `accept` judges what came out before it counts. Another place is asked when
/// one is dead or gives something else.
///
/// # Errors
/// [`Damaged`] if what came is wrong everywhere; else what stands in the way, which may pass.
pub(super) async fn deliver(
    site: &Site,
    order: &Order,
    accept: impl Fn(&Whole) -> anyhow::Result<()> + Clone + Send + 'static,
) -> anyhow::Result<Whole> {
    let mirrors = site
        .source
        .as_ref()
        .context("packages are missing and no server is known to fetch them from")?;
    let mut failures: Vec<anyhow::Error> = Vec::new();
    for place in mirrors.in_order() {
        if let Some(last) = failures.last() {
            site.events.warn(format!("{}: {last:#}; trying {place}", order.key));
        }
        for offer in order.offers() {
            match from_place(site, order, place, &offer, &accept).await {
                Ok(whole) => {
                    site.capacity.fetched.fetch_add(whole.bytes, Ordering::Relaxed);
                    return Ok(whole);
                }
                Err(error) if source_error(&error).is_some_and(source::Error::is_cancelled) => {
                    return Err(Cancelled.into());
                }
                // No other server helps against a full disk.
                Err(error) if !comes_from_outside(&error) => return Err(error),
                Err(error) => {
                    let dead = source_error(&error).is_some_and(source::Error::is_transient);
                    failures.push(error);
                    if dead {
                        mirrors.pass_over(place);
                        break;
                    }
                }
            }
        }
    }
    Err(verdict(failures))
}

/// The failure that decides what becomes of the run: one that may pass before damage, damage before
/// a file that is not there.
fn verdict(failures: Vec<anyhow::Error>) -> anyhow::Error {
    let weight = |error: &anyhow::Error| match source_error(error) {
        Some(error) if error.is_transient() => 0,
        None => 1,
        Some(_) => 2,
    };
    let first = failures.into_iter().min_by_key(weight);
    first.unwrap_or_else(|| anyhow::anyhow!("no server is known to fetch packages from"))
}

/// From one place, begun again while that may help.
async fn from_place(
    site: &Site,
    order: &Order,
    place: &Source,
    offer: &Offer,
    accept: &(impl Fn(&Whole) -> anyhow::Result<()> + Clone + Send + 'static),
) -> anyhow::Result<Whole> {
    let (mut fresh_starts, mut at_least) = (FRESH_STARTS, 0);
    loop {
        let downloading = site.capacity.downloads.clone().acquire_owned().await?;
        let download = place
            .open(&offer.path, offer.bytes)
            .await
            .map_err(|error| sorted(error.into(), &offer.path))?;
        let unpacking = site.capacity.decoders.clone().acquire_owned().await?;
        let (site_, order_, accept) = (site.clone(), order.clone(), accept.clone());
        let (path, sha256) = (offer.path.clone(), offer.sha256.clone());
        let work = move || {
            // Given back when the work has ended, even if nobody waits for it any more.
            let _permits = (downloading, unpacking);
            let staging = order_.staging.as_ref().map(|to| prepare(&site_, to)).transpose()?;
            let whole = unpack_into(
                &site_,
                &order_,
                download,
                staging.as_deref(),
                sha256.as_deref(),
                at_least,
            );
            let whole = whole.and_then(|whole| accept(&whole).map(|()| whole));
            if let (Err(_), Some(staging)) = (&whole, &staging) {
                let _ = files::remove_tree(staging);
            }
            whole.map_err(|error| sorted(error, &path))
        };
        let error = match tokio::task::spawn_blocking(work).await? {
            Ok(whole) => return Ok(whole),
            Err(error) => error,
        };
        if let Some(more) = grows(&error) {
            at_least = more;
        } else if fresh_starts > 0
            && source_error(&error).is_some_and(source::Error::is_transient)
            && !site.cancellation.is_requested()
        {
            fresh_starts -= 1;
            tracing::info!(error = format!("{error:#}"), archive = offer.path, "beginning again");
        } else {
            return Err(error);
        }
    }
}

/// A fresh, empty staging directory; what a killed run left there is removed.
fn prepare(site: &Site, staging: &Path) -> anyhow::Result<PathBuf> {
    place::make_parents(site, staging)?;
    let real = site.root.at(staging);
    files::remove_tree(&real)?;
    files::make_directory(&real, 0o755)?;
    Ok(real)
}

/// One pass: network, digest, decompression, unpacking.
fn unpack_into(
    site: &Site,
    order: &Order,
    download: Download,
    staging: Option<&Path>,
    sha256: Option<&str>,
    at_least: u64,
) -> anyhow::Result<Whole> {
    let total = download.length;
    let (key, read) = (&order.key, Arc::new(AtomicU64::new(0)));
    let mut counted = Counting {
        inner: Hashing::new(download.reader),
        told: 0,
        read: read.clone(),
        tell: |bytes| site.events.send(Event::Progress { key: key.clone(), bytes, total }),
    };
    let decoder = archive::decode_within(&mut counted, &site.capacity.memory, at_least)?;
    let content = order.artifact.as_ref().and_then(|a| a.content);
    let mut bounded =
        Bounded { inner: decoder, came_in: read, came_out: 0, applies: content.is_none() };
    let accounts = site.accounts()?;
    let names = Names::new(accounts.users(), accounts.groups());
    let owners = if site.privileged { Owners::Apply(&names) } else { Owners::Record(&names) };
    let (max_bytes, max_entries) =
        content.map_or((MOST_BYTES, MOST_ENTRIES), |c| (c.bytes, c.members));
    let options = Options { owners, strip: order.strip.clone(), max_bytes, max_entries };
    let unpacked = match staging {
        Some(staging) => {
            let directory = files::open_directory(staging)?;
            unpack::unpack(&mut bounded, directory.as_fd(), &options, &mut |_| {})?
        }
        None => unpack::read_through(&mut bounded, &options)?,
    };
    drop(bounded);
    for warning in &unpacked.warnings {
        site.events.warn(format!("{key}: {warning}"));
    }
    let (bytes, found) = counted.inner.finish();
    anyhow::ensure!(
        total.is_none_or(|t| t == bytes),
        "{bytes} bytes came of {}",
        total.unwrap_or_default()
    );
    if let Some(wanted) = sha256 {
        let found = digest::hex(&found);
        anyhow::ensure!(found == wanted, "its SHA-256 is {found}; the build index says {wanted}");
    }
    Ok(Whole {
        unpacked,
        sha256: found,
        bytes,
        staging: staging.map(Path::to_owned).unwrap_or_default(),
    })
}

/// Tells how many bytes have come, at most every quarter of a megabyte.
struct Counting<R, F> {
    inner: R,
    read: Arc<AtomicU64>,
    told: u64,
    tell: F,
}

impl<R: Read, F: FnMut(u64)> Read for Counting<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let read = self.read.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if read - self.told >= 1 << 18 || (count == 0 && read > self.told) {
            self.told = read;
            (self.tell)(read);
        }
        Ok(count)
    }
}

/// Ends a decompression bomb: far more came out of the decoder than went in.
struct Bounded<R> {
    inner: R,
    came_in: Arc<AtomicU64>,
    came_out: u64,
    applies: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.came_out += count as u64;
        let most = FREE_OF_RATIO
            .saturating_add(self.came_in.load(Ordering::Relaxed).saturating_mul(MOST_RATIO));
        if self.applies && self.came_out > most {
            let text = format!(
                "it unpacks to more than {MOST_RATIO} times its length: a decompression bomb"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}

/// A full disk and a lost server are no damage of the archive; everything else that stops unpacking
/// is.
fn sorted(error: anyhow::Error, archive: &str) -> anyhow::Error {
    // More bytes than the index names are another file, not a lost server.
    let is_other = source_error(&error).is_some_and(source::Error::is_too_large);
    if !is_other && source_error(&error).is_some() || is_ours(&error) || grows(&error).is_some() {
        error.context(format!("cannot fetch {archive}"))
    } else {
        Damaged { archive: archive.to_owned(), source: error }.into()
    }
}

/// The server or what it sent, and not this machine.
fn comes_from_outside(error: &anyhow::Error) -> bool {
    source_error(error).is_some() || error.is::<Damaged>()
}

/// What the place says, also out of the reader that unpacking reads from.
fn source_error(error: &anyhow::Error) -> Option<&source::Error> {
    error.chain().find_map(|cause| {
        cause.downcast_ref::<source::Error>().or_else(|| {
            cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<source::Error>()
        })
    })
}

/// With how much memory the decoder has to begin again.
fn grows(error: &anyhow::Error) -> Option<u64> {
    error.chain().find_map(|cause| {
        match cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<archive::Error>()? {
            archive::Error::Grows { at_least, .. } => Some(*at_least),
            _ => None,
        }
    })
}

/// This machine stands in the way: its disk, its rights, its memory, its limits.
fn is_ours(error: &anyhow::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    error.chain().any(archive::is_out_of_memory)
        || error.chain().any(|cause| {
            let here = |e: &io::Error| {
                matches!(
                    e.kind(),
                    StorageFull
                        | QuotaExceeded
                        | PermissionDenied
                        | ReadOnlyFilesystem
                        | FileTooLarge
                )
            };
            cause.is::<files::Error>() || cause.downcast_ref::<io::Error>().is_some_and(here)
        })
}
