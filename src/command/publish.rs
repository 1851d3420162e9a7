//! `dcos-node publish DIR`: gives a classic serve directory an index with digests, and a program
//! that knows both.

mod archives;
mod check;
mod known;
mod outcome;

use std::path::{Path, PathBuf};

use super::{Failure, World, serve_directory};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::index::{self, INDEX, INDEXES, Index, KeptIndexes};
use crate::dcos::installer_script;
use crate::dcos::node_places;
use crate::dcos::stamp::Stamp;
use crate::observe;
use crate::system::files;
use crate::system::lock::{self, Holder, Lock};
use crate::system::source::Source;
use crate::system::{digest, slot};
use archives::{Manner, are_there};
use known::{Known, place};
use outcome::{LONGEST_PROGRAM, PROGRAM, outcome};

pub use outcome::{Outcome, Saving};

/// Held by the one publish that works on a directory.
const LOCK: &str = ".dcos-publish.lock";
/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The serve directory.
    pub directory: PathBuf,
    /// Where nodes will find it; none for the URL that the build was made for.
    pub bootstrap_url: Option<String>,
    /// Only verify what was published.
    pub check: bool,
    /// Add archives that are cheaper to unpack.
    pub recompress: bool,
    /// The program to stamp; none for this one.
    pub binary: Option<PathBuf>,
}

/// Publishes, or checks what was published.
///
/// # Errors
/// The directory is no build, an archive is missing or damaged, or the disk refuses. What was
/// published before then stands as it was.
pub async fn run(request: &Request, world: &World) -> Result<Outcome, Failure> {
    let directory = serve_directory::resolve(&request.directory, "publish")?;
    if request.check {
        return check::run(&directory, world).await;
    }
    let _lock = lock(&directory, world)?;
    let source = Source::Directory(directory.clone());
    let build = observe::build::classic(&source).await.map_err(|e| no_build(&directory, e))?;
    for path in node_places::unusual(&build, &[]) {
        world.events.warn(format!(
            "dcos_install.sh writes {0}, where no release of DC/OS writes: nodes refuse that \
             without --allow-file {0}",
            path.display()
        ));
    }
    let url = url(request.bootstrap_url.as_deref(), &build)?;
    let mut program = program(request.binary.as_deref())?;
    let archives = archives::of(&build);
    are_there(&directory, archives.iter().map(|(path, _)| path.as_str()))?;
    let manner = Manner {
        directory: directory.clone(),
        known: Known::read(&directory),
        recompress: request.recompress,
        events: world.events.clone(),
        cancellation: world.cancellation.clone(),
    };
    let shelf = archives::read(archives, manner, world).await?;
    let settings = observe::build::settings(&source, &build)
        .await
        .map_err(|e| Failure::new(Exit::Integrity, e))?;
    let index = build.index(settings.version, shelf.artifacts.clone());
    let text = index.text();
    // What nobody could read must not be published.
    Index::parse(&text).map_err(|reason| {
        Failure::new(
            Exit::Failed,
            anyhow::anyhow!("the index of this build cannot be used: {reason}"),
        )
    })?;
    let stamp = Stamp { bootstrap_url: url, index_sha256: digest::hex(&digest::sha256(&text)) };
    slot::fill(&mut program, &stamp.text()).map_err(|e| unfit(request.binary.as_deref(), e))?;
    tell_what_is_gone(&directory, &index, world);
    let changed = write(&directory, &text, &stamp, &program)
        .and_then(|changed| shelf.known.write(&directory).map(|()| changed));
    let changed = changed.map_err(|e| {
        Failure::new(Exit::Failed, e)
            .leaving("the old build or the new one is published; no mixture of them is")
    })?;
    let outcome = outcome(directory, index, stamp, &program, &shelf);
    Ok(Outcome { changed, ..outcome })
}

/// The old index stays under its own name for nodes that have the old program; the program comes
/// last, when all that it needs is there.
fn write(
    directory: &Path,
    text: &[u8],
    stamp: &Stamp,
    program: &[u8],
) -> Result<bool, files::Error> {
    files::make_directories(&directory.join(INDEXES), 0o755)?;
    let kept = place(&directory.join(index::kept(&stamp.index_sha256)), text, 0o644)?;
    let list = place(&directory.join(index::KEPT_LIST), &kept_list(directory, stamp), 0o644)?;
    let newest = place(&directory.join(INDEX), text, 0o644)?;
    let program = place(&directory.join(PROGRAM), program, 0o755)?;
    Ok(kept || list || newest || program)
}

/// The list of every index in the directory, the one of the stamp last, so that a node finds the
/// index of the build that it runs.
fn kept_list(directory: &Path, stamp: &Stamp) -> Vec<u8> {
    let read = |file: &Path| files::read(file, index::LONGEST).ok().flatten();
    let mut list: KeptIndexes = read(&directory.join(index::KEPT_LIST))
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let of = |sha256: &str| {
        let text = read(&directory.join(index::kept(sha256)))?;
        let is_it = digest::hex(&digest::sha256(&text)) == sha256;
        Index::parse(&text).ok().filter(|_| is_it)
    };
    // What is gone is not listed; what an older dcos-node published is.
    list.builds.retain(|known| directory.join(index::kept(&known.index_sha256)).is_file());
    let names = files::names(&directory.join(INDEXES)).ok().flatten().unwrap_or_default();
    let found = names.iter().filter_map(|name| name.to_str()?.strip_suffix(".json"));
    for sha256 in found {
        if list.builds.iter().all(|known| known.index_sha256 != sha256)
            && let Some(index) = of(sha256)
        {
            list.note(sha256, &index);
        }
    }
    if let Some(index) = of(&stamp.index_sha256) {
        list.note(&stamp.index_sha256, &index);
    }
    // Strings can always be written.
    let mut text = serde_json::to_vec_pretty(&list).unwrap_or_default();
    text.push(b'\n');
    text
}

fn lock(directory: &Path, world: &World) -> Result<Lock, Failure> {
    let holder = Holder { pid: std::process::id(), command: world.command_line.clone() };
    Lock::acquire(&directory.join(LOCK), &holder).map_err(|error| match &error {
        lock::Error::Held { pid, command, .. } => Failure::new(
            Exit::Busy,
            anyhow::anyhow!(
                "another dcos-node is at work on this directory: process {pid} ({command})"
            ),
        )
        .leaving("nothing was changed"),
        lock::Error::Io { .. } => Failure::new(Exit::Failed, error).leaving("nothing was changed"),
    })
}

fn no_build(directory: &Path, error: observe::build::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        anyhow::Error::from(error)
            .context(format!("{} holds no build of DC/OS", directory.display())),
    )
    .leaving("nothing was changed")
    .cured_by("name the directory that dcos_generate_config.sh wrote: genconf/serve")
}

/// Where nodes will find the directory. It becomes part of a program that everybody may read.
fn url(asked: Option<&str>, build: &Build) -> Result<String, Failure> {
    let usage = |why: &str| {
        Failure::new(Exit::Usage, anyhow::anyhow!("{why}"))
            .leaving("nothing was changed")
            .cured_by("give --bootstrap-url http://..., as nodes see this directory")
    };
    let url =
        asked.map(str::to_owned).or_else(|| installer_script::bootstrap_url(&build.node_files));
    let url = url.ok_or_else(|| usage("the build does not say which URL it was made for"))?;
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(usage("the bootstrap URL is none"));
    };
    if !["http", "https", "file"].contains(&scheme) || rest.is_empty() {
        return Err(usage("the bootstrap URL must begin with http://, https:// or file://"));
    }
    if rest.contains(['@', '?', '#']) {
        return Err(usage(
            "the bootstrap URL may hold no user, password or query: everybody can read it out of \
             the program",
        ));
    }
    // It stands in a line of shell.
    if rest
        .contains(|c: char| c.is_control() || c.is_whitespace() || "'\"\\$`;&|<>()*!{}".contains(c))
    {
        return Err(usage(
            "the bootstrap URL holds characters that a URL does not have; encode them, as in %20",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The program that will be stamped.
fn program(asked: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let path = match asked {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().map_err(|e| Failure::new(Exit::Failed, e))?,
    };
    files::read_named(&path, LONGEST_PROGRAM).map_err(|error| {
        let error = anyhow::Error::from(error)
            .context(format!("cannot read the program {}", path.display()));
        Failure::new(Exit::Failed, error).leaving("nothing was changed")
    })
}

fn unfit(binary: Option<&Path>, error: slot::Error) -> Failure {
    let which = binary.map_or_else(|| "this program".to_owned(), |path| path.display().to_string());
    let (exit, cure) = match error {
        slot::Error::TooLong(_) => (Exit::Usage, "give a shorter --bootstrap-url"),
        _ => (Exit::Integrity, "give a dcos-node of this version with --binary"),
    };
    Failure::new(exit, anyhow::Error::from(error).context(format!("{which} cannot be stamped")))
        .leaving("nothing was changed")
        .cured_by(cure)
}

/// Nodes that have the program of the build before would miss what is gone.
fn tell_what_is_gone(directory: &Path, new: &Index, world: &World) {
    let before = files::read(&directory.join(INDEX), index::LONGEST)
        .ok()
        .flatten()
        .and_then(|text| Index::parse(&text).ok());
    let paths = before.iter().flat_map(|index| index.artifacts.keys());
    let gone: Vec<&str> = paths
        .map(String::as_str)
        .filter(|path| !new.artifacts.contains_key(*path) && !directory.join(path).is_file())
        .collect();
    if !gone.is_empty() {
        world.events.warn(format!(
            "nodes with the dcos-node that was published before cannot install any more; it named \
             files that are gone: {}",
            gone.join(", ")
        ));
    }
}
