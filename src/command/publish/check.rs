//! `publish --check`: is a directory as it was published? Reads everything, changes nothing.

use std::path::Path;

use super::archives::{self, Manner, are_there};
use super::known::Known;
use super::outcome::{LONGEST_PROGRAM, Outcome, PROGRAM, outcome};
use crate::command::{Failure, World};
use crate::dcos::build::Build;
use crate::dcos::exit::Exit;
use crate::dcos::index::{self, INDEX, Index};
use crate::dcos::stamp::Stamp;
use crate::observe;
use crate::system::source::Source;
use crate::system::{digest, files, slot};

/// Verifies index, program and every archive.
pub(super) async fn run(directory: &Path, world: &World) -> Result<Outcome, Failure> {
    let text = read(directory, INDEX, index::LONGEST)?.ok_or_else(|| unpublished(directory))?;
    let index = Index::parse(&text).map_err(|reason| broken(format!("{INDEX}: {reason}")))?;
    let index_sha256 = digest::hex(&digest::sha256(&text));
    let program =
        read(directory, PROGRAM, LONGEST_PROGRAM)?.ok_or_else(|| unpublished(directory))?;
    let stamp = stamp(&program)?;
    if stamp.index_sha256 != index_sha256 {
        return Err(broken(format!(
            "{PROGRAM} was stamped for the index {}, but {INDEX} is {index_sha256}",
            stamp.index_sha256
        )));
    }
    if read(directory, &index::kept(&index_sha256), index::LONGEST)?.as_ref() != Some(&text) {
        return Err(broken(format!("{} is not the same as {INDEX}", index::kept(&index_sha256))));
    }
    let build = Build::of_index(index.clone(), directory.display().to_string(), index_sha256)
        .map_err(|e| broken(e.to_string()))?;
    let archives = archives::of(&build);
    are_there(directory, archives.iter().map(|(path, _)| path.as_str()))?;
    let manner = Manner {
        directory: directory.to_owned(),
        known: Known::nothing(),
        recompress: false,
        events: world.events.clone(),
        cancellation: world.cancellation.clone(),
    };
    let shelf = archives::read_only(archives, manner, world).await?;
    let wrong: Vec<&str> = build
        .artifacts
        .iter()
        .filter(|(path, a)| shelf.artifacts.get(*path) != Some(*a))
        .map(|(path, _)| path.as_str())
        .collect();
    if !wrong.is_empty() {
        return Err(broken(format!(
            "these archives, or the alternatives beside them, are not what was published: {}",
            wrong.join(", ")
        )));
    }
    if let Some(made) =
        observe::build::made_since(&Source::Directory(directory.to_owned()), &build).await
    {
        world.events.warn(format!(
            "the build was generated again after it was published: {made}; dcos-node publish {} \
             publishes it",
            directory.display()
        ));
    }
    Ok(outcome(directory.to_owned(), index, stamp, &program, &shelf))
}

fn stamp(program: &[u8]) -> Result<Stamp, Failure> {
    let text = slot::of(program).map_err(|e| broken(format!("{PROGRAM}: {e}")))?;
    let text = text.ok_or_else(|| broken(format!("{PROGRAM} has no stamp")))?;
    Stamp::parse(&text).map_err(|why| broken(format!("{PROGRAM}: {why}")))
}

fn read(directory: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
    files::read(&directory.join(name), limit).map_err(|e| Failure::new(Exit::Failed, e))
}

fn unpublished(directory: &Path) -> Failure {
    Failure::new(Exit::Failed, anyhow::anyhow!("{} was not published", directory.display()))
        .leaving("nothing was changed")
        .cured_by(format!("dcos-node publish {}", directory.display()))
}

fn broken(what: String) -> Failure {
    Failure::new(Exit::Integrity, anyhow::anyhow!(what))
        .leaving("nothing was changed")
        .cured_by("copy or generate the build again, then run dcos-node publish on the directory")
}
