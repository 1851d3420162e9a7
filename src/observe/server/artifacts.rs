//! Whether a server has every archive of a build, each as long as the build index says.

use futures_util::stream::{self, StreamExt};

use super::text::{brief, chain};
use crate::dcos::build::Build;
use crate::system::source::{Presence, Source};

/// How many artifacts are asked for at once.
const AT_ONCE: usize = 8;

/// The files of a build, asked for one by one.
#[derive(Clone, Debug, Default)]
pub struct Artifacts {
    /// How many there must be.
    pub count: usize,
    /// How many bytes those have whose length is known.
    pub bytes: u64,
    /// Of how many the server does not tell the length.
    pub of_unknown_length: usize,
    /// Those that are not there or have no byte.
    pub missing: Vec<String>,
    /// Those that have another length than the build index says, with both.
    pub changed: Vec<String>,
    /// Those that could not be asked for, with the reasons.
    pub failed: Vec<String>,
}

pub(super) async fn artifacts(source: &Source, build: &Build) -> Artifacts {
    let either = |path: String| async move {
        let artifact = build.artifact(&path);
        let usual = || ask(source, path.clone(), artifact.map(|artifact| artifact.bytes));
        match artifact.and_then(|artifact| artifact.alternative.as_ref()) {
            None => usual().await,
            // An install takes the usual archive where the alternative does not serve.
            Some(other) => match ask(source, other.path.clone(), Some(other.bytes)).await {
                sound @ (Answer::There(_) | Answer::OfUnknownLength) => sound,
                _ => usual().await,
            },
        }
    };
    let mut answers = stream::iter(build.archives()).map(either).buffer_unordered(AT_ONCE);
    let mut artifacts = Artifacts::default();
    while let Some(answer) = answers.next().await {
        artifacts.count += 1;
        match answer {
            Answer::There(bytes) => artifacts.bytes = artifacts.bytes.saturating_add(bytes),
            Answer::OfUnknownLength => artifacts.of_unknown_length += 1,
            Answer::Missing(what) => artifacts.missing.push(what),
            Answer::Changed(what) => artifacts.changed.push(what),
            Answer::Failed(why) => artifacts.failed.push(why),
        }
    }
    artifacts.missing.sort();
    artifacts.changed.sort();
    artifacts.failed.sort();
    artifacts
}

/// What a server tells of one file; bytes, or a text for people.
enum Answer {
    There(u64),
    OfUnknownLength,
    Missing(String),
    Changed(String),
    Failed(String),
}

async fn ask(source: &Source, name: String, published: Option<u64>) -> Answer {
    match source.presence(&name).await {
        Ok(Presence::Present { bytes: Some(0) }) => {
            Answer::Missing(format!("{name} (it is empty)"))
        }
        Ok(Presence::Present { bytes: Some(bytes) }) => {
            match published.filter(|published| *published != bytes) {
                Some(published) => {
                    Answer::Changed(format!("{name} ({bytes} bytes, published were {published})"))
                }
                None => Answer::There(bytes),
            }
        }
        Ok(Presence::Present { bytes: None }) => Answer::OfUnknownLength,
        Ok(Presence::Absent) => Answer::Missing(name),
        Err(error) => Answer::Failed(brief(&chain(&error))),
    }
}
