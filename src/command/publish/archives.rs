//! All archives of a build, read on all cores: the longest first, each by one worker with bounded
//! memory.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use super::known::Known;
use crate::action::capacity;
use crate::command::{Failure, World};
use crate::dcos::action_key::ActionKey;
use crate::dcos::build::Build;
use crate::dcos::event::{Event, Events};
use crate::dcos::exit::Exit;
use crate::dcos::index::{Alternative, Artifact, Artifacts};
use crate::observe::archive::{self, Examined, Meaning};
use crate::system::archive as decoder;
use crate::system::cancellation::Cancellation;
use crate::system::fingerprint::Fingerprint;
use crate::system::{compress, files};

/// Each worker may need 80 MiB for its decoder.
const MOST_WORKERS: usize = 16;

/// What came of reading.
pub(super) struct Shelf {
    /// For the index.
    pub artifacts: Artifacts,
    /// For the next run.
    pub known: Known,
    /// Files that were read, and that were not because they are the same.
    pub read: Vec<String>,
    pub reused: usize,
    /// Archives and their alternatives, where there are some.
    pub pairs: Vec<(Examined, Examined)>,
}

/// How archives are read.
#[derive(Clone)]
pub(super) struct Manner {
    pub directory: PathBuf,
    /// What earlier runs read.
    pub known: Known,
    /// Make alternatives where there are none.
    pub recompress: bool,
    pub events: Events,
    pub cancellation: Cancellation,
}

/// One archive that was dealt with.
struct Dealt {
    path: String,
    meaning: Meaning,
    original: Examined,
    alternative: Option<(String, Examined)>,
    /// Which of the files were read.
    read: Vec<String>,
}

/// Every archive of a build with its meaning.
pub(super) fn of(build: &Build) -> Vec<(String, Meaning)> {
    let bootstrap = Build::bootstrap_archive(&build.bootstrap_id);
    let meaning = |path: &str| match path == bootstrap {
        true => Meaning::Bootstrap(build.bootstrap_packages.clone()),
        false => Meaning::Package,
    };
    build.archives().into_iter().map(|path| (path.clone(), meaning(&path))).collect()
}

/// Every archive that the build names must be there.
pub(super) fn are_there<'a>(
    directory: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let missing: Vec<&str> = paths.filter(|path| !directory.join(path).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "the build names archives that are not in {}:\n  {}",
        directory.display(),
        missing.join("\n  ")
    );
    Err(Failure::new(Exit::Failed, anyhow::anyhow!(text))
        .leaving("what was published before stands as it was")
        .cured_by(
            "copy genconf/serve to this machine again, all of it, or generate the build again",
        ))
}

/// Reads them all. What was read is known to the next run even if this one fails.
pub(super) async fn read(
    archives: Vec<(String, Meaning)>,
    manner: Manner,
    world: &World,
) -> Result<Shelf, Failure> {
    let directory = manner.directory.clone();
    let (shelf, failed) = shelf(archives, manner).await?;
    if failed.is_empty() && !world.cancellation.is_requested() {
        return Ok(shelf);
    }
    shelf.known.write(&directory).map_err(anyhow::Error::from)?;
    Err(if world.cancellation.is_requested() { interrupted() } else { unreadable(failed) })
}

/// Reads them all and writes nothing at all.
pub(super) async fn read_only(
    archives: Vec<(String, Meaning)>,
    manner: Manner,
    world: &World,
) -> Result<Shelf, Failure> {
    match shelf(archives, manner).await? {
        _ if world.cancellation.is_requested() => Err(interrupted()),
        (shelf, failed) if failed.is_empty() => Ok(shelf),
        (_, failed) => Err(unreadable(failed)),
    }
}

/// Archives with the reasons why they cannot be published.
type Failed = Vec<(String, anyhow::Error)>;

async fn shelf(
    archives: Vec<(String, Meaning)>,
    manner: Manner,
) -> Result<(Shelf, Failed), Failure> {
    let dealt = tokio::task::spawn_blocking(move || all(archives, &manner))
        .await
        .map_err(anyhow::Error::from)?;
    let mut shelf = Shelf {
        artifacts: Artifacts::new(),
        known: Known::nothing(),
        read: Vec::new(),
        reused: 0,
        pairs: Vec::new(),
    };
    let mut failed = Vec::new();
    for (path, result) in dealt {
        match result {
            Ok(dealt) => shelf.add(dealt),
            Err(error) => failed.push((path, error)),
        }
    }
    shelf.read.sort();
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((shelf, failed))
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted"))
        .leaving("what was published before stands as it was")
        .cured_by("the same command goes on")
}

/// Damaged archives, or archives that the disk does not give.
fn unreadable(failed: Failed) -> Failure {
    let is_disk = |error: &anyhow::Error| {
        error.chain().any(|cause| {
            let cause_of_system = cause.downcast_ref::<std::io::Error>();
            cause_of_system.is_some_and(|cause| cause.raw_os_error().is_some())
                || decoder::is_out_of_memory(cause)
        })
    };
    let exit =
        if failed.iter().all(|(_, error)| is_disk(error)) { Exit::Failed } else { Exit::Integrity };
    let told: Vec<String> =
        failed.iter().map(|(path, error)| format!("{path}: {error:#}")).collect();
    let which = if failed.len() == 1 { "an archive" } else { "archives" };
    Failure::new(
        exit,
        anyhow::anyhow!("{which} of the build cannot be published:\n  {}", told.join("\n  ")),
    )
    .leaving("what was published before stands as it was")
    .cured_by(
        "generate the build again, or copy these files once more; then the same command goes on",
    )
}

impl Shelf {
    fn add(&mut self, dealt: Dealt) {
        let Dealt { path, meaning, original, alternative, read } = dealt;
        self.reused += 1 + usize::from(alternative.is_some())
            - read.len().min(1 + usize::from(alternative.is_some()));
        self.read.extend(read);
        self.known.note(&path, &meaning, &original);
        let artifact = Artifact {
            bytes: original.fingerprint.bytes,
            sha256: original.sha256.clone(),
            content: Some(original.content),
            alternative: alternative.map(|(path, examined)| {
                self.known.note(&path, &meaning, &examined);
                let other = Alternative {
                    path,
                    bytes: examined.fingerprint.bytes,
                    sha256: examined.sha256.clone(),
                };
                self.pairs.push((original, examined));
                other
            }),
        };
        self.artifacts.insert(path, artifact);
    }
}

fn all(
    mut archives: Vec<(String, Meaning)>,
    manner: &Manner,
) -> Vec<(String, anyhow::Result<Dealt>)> {
    let bytes = |path: &str| {
        Fingerprint::of(&manner.directory.join(path)).ok().flatten().map_or(0, |f| f.bytes)
    };
    // The longest is taken first, so from the end.
    archives.sort_by_cached_key(|(path, _)| bytes(path));
    let workers = capacity::processors().min(MOST_WORKERS);
    let (queue, dealt) = (Mutex::new(archives), Mutex::new(Vec::new()));
    let next = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .filter(|_| !manner.cancellation.is_requested())
    };
    std::thread::scope(|scope| {
        let work = || {
            while let Some((path, meaning)) = next() {
                let result = deal_with(&path, meaning, manner);
                dealt.lock().unwrap_or_else(PoisonError::into_inner).push((path, result));
            }
        };
        // This thread is one of them, so that a refused one only makes it slower.
        for _ in 1..workers {
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    dealt.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn deal_with(path: &str, meaning: Meaning, manner: &Manner) -> anyhow::Result<Dealt> {
    let mut read = Vec::new();
    let original = examined(path, &meaning, manner, &mut read)?;
    let other = path
        .strip_suffix(".tar.xz")
        .map(|stem| format!("{stem}.tar.zst"))
        .filter(|_| original.format != "zstd");
    let alternative = match other {
        Some(other) => alternative(path, &original, &other, &meaning, manner, &mut read)?
            .map(|examined| (other, examined)),
        None => None,
    };
    Ok(Dealt { path: path.to_owned(), meaning, original, alternative, read })
}

/// What is known of a file, or what reading it tells.
fn examined(
    path: &str,
    meaning: &Meaning,
    manner: &Manner,
    read: &mut Vec<String>,
) -> anyhow::Result<Examined> {
    let file = manner.directory.join(path);
    let fingerprint = Fingerprint::of(&file)?.context("it is not there")?;
    if let Some(known) = manner.known.get(path, meaning, &fingerprint) {
        return Ok(known);
    }
    read.push(path.to_owned());
    telling(
        ActionKey::Archive(path.to_owned()),
        format!("read and decode {path}"),
        Some(fingerprint.bytes),
        &manner.events,
        |tell| archive::examine(&file, meaning, tell),
    )
}

/// The alternative that counts: it holds the same, which is proved by the tar stream in it.
fn alternative(
    path: &str,
    original: &Examined,
    other: &str,
    meaning: &Meaning,
    manner: &Manner,
    read: &mut Vec<String>,
) -> anyhow::Result<Option<Examined>> {
    let file = manner.directory.join(other);
    if Fingerprint::of(&file)?.is_some() {
        match examined(other, meaning, manner, read) {
            Ok(examined) if examined.stream_sha256 == original.stream_sha256 => {
                return Ok(Some(examined));
            }
            _ if manner.recompress => {}
            Ok(_) => {
                manner
                    .events
                    .warn(format!("{other} does not hold what {path} holds; it is not published"));
                return Ok(None);
            }
            Err(error) => {
                manner.events.warn(format!("{other} is not published: {error:#}"));
                return Ok(None);
            }
        }
    }
    if !manner.recompress {
        return Ok(None);
    }
    if !read.iter().any(|path| path == other) {
        read.push(other.to_owned());
    }
    telling(
        ActionKey::Archive(other.to_owned()),
        format!("compress {other} and prove it"),
        None,
        &manner.events,
        |tell| {
            recompress(&manner.directory.join(path), original, &file, meaning, tell)
                .with_context(|| format!("cannot make {other}"))
        },
    )
    .map(Some)
}

/// Writes the alternative under a temporary name, reads it again as a node would, and gives it its
/// name only if it holds the same.
fn recompress(
    from: &Path,
    original: &Examined,
    to: &Path,
    meaning: &Meaning,
    tell: &mut dyn FnMut(u64),
) -> anyhow::Result<Examined> {
    let mut name = std::ffi::OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(".dcos-node.tmp");
    let staging = to.with_file_name(name);
    let made = (|| {
        compress::zstd(archive::stream(from)?, &staging)?;
        let examined = archive::examine(&staging, meaning, tell)?;
        anyhow::ensure!(
            examined.stream_sha256 == original.stream_sha256,
            "what was written does not hold what was read"
        );
        files::rename(&staging, to)?;
        // The rename is a change of status.
        let fingerprint = Fingerprint::of(to)?
            .filter(|now| now.inode == examined.fingerprint.inode)
            .context("it was replaced at once")?;
        Ok(Examined { fingerprint, ..examined })
    })();
    if made.is_err() {
        let _ = files::remove_file(&staging);
    }
    made
}

/// Tells of the beginning, the progress and the end of some work.
fn telling<T>(
    key: ActionKey,
    text: String,
    total: Option<u64>,
    events: &Events,
    work: impl FnOnce(&mut dyn FnMut(u64)) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    events.send(Event::Begun { key: key.clone(), text });
    let result = work(&mut |bytes| events.send(Event::Progress { key: key.clone(), bytes, total }));
    events.send(match &result {
        Ok(_) => Event::Done { key },
        Err(error) => Event::Failed { key, error: format!("{error:#}") },
    });
    result
}
