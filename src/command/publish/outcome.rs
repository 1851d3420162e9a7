//! What a serve directory is once it is published.

use std::path::PathBuf;

use serde::Serialize;

use super::archives::Shelf;
use crate::dcos::index::Index;
use crate::dcos::settings::Version;
use crate::dcos::stamp::Stamp;
use crate::observe::archive::Examined;
use crate::system::digest;

/// The program in the serve directory.
pub(super) const PROGRAM: &str = "dcos-node";
/// Longest program that is read, in bytes.
pub(super) const LONGEST_PROGRAM: u64 = 1 << 30;

/// What was published, or found to be as it was published.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// The serve directory.
    pub directory: PathBuf,
    /// Where nodes will find it.
    pub bootstrap_url: String,
    /// Which DC/OS it is.
    pub version: Option<Version>,
    /// 40 hexadecimal digits.
    pub bootstrap_id: String,
    /// 40 hexadecimal digits.
    pub package_list_id: String,
    /// The SHA-256 of the index.
    pub index_sha256: String,
    /// The SHA-256 of the stamped program, to compare out of band.
    pub program_sha256: String,
    /// The length of the stamped program.
    pub program_bytes: u64,
    /// How many archives an install fetches.
    pub archives: usize,
    /// The bytes of these, alternatives not counted.
    pub archive_bytes: u64,
    /// The bytes of the files in them, as a file system holds them.
    pub unpacked_bytes: u64,
    /// Files that were read, by their paths in the directory.
    pub read: Vec<String>,
    /// How many files were not read, because they are the ones that an earlier run read.
    pub reused: usize,
    /// What the alternatives cost and save; none if there are none.
    pub recompressed: Option<Saving>,
    /// What to run on a node; ROLE is to be replaced.
    pub install: String,
}

/// Archives that have an alternative, and what that costs and saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Saving {
    /// How many.
    pub archives: usize,
    /// Bytes of the originals.
    pub bytes_before: u64,
    /// Bytes of the alternatives, which lie beside the originals.
    pub bytes_after: u64,
    /// Seconds of processor time that decoding and reading the originals took.
    pub cpu_seconds_before: f64,
    /// The same of the alternatives.
    pub cpu_seconds_after: f64,
}

/// Tells of a directory, as if nothing was changed in it.
pub(super) fn outcome(
    directory: PathBuf,
    index: Index,
    stamp: Stamp,
    program: &[u8],
    shelf: &Shelf,
) -> Outcome {
    let install = format!(
        "curl -O {}/{PROGRAM} && sudo install -m 755 {PROGRAM} /usr/local/bin/ && sudo {PROGRAM} \
         install ROLE",
        stamp.bootstrap_url
    );
    Outcome {
        changed: false,
        directory,
        bootstrap_url: stamp.bootstrap_url,
        version: index.version,
        bootstrap_id: index.bootstrap_id,
        package_list_id: index.package_list_id,
        index_sha256: stamp.index_sha256,
        program_sha256: digest::hex(&digest::sha256(program)),
        program_bytes: program.len() as u64,
        archives: index.artifacts.len(),
        archive_bytes: index.artifacts.values().map(|a| a.bytes).sum(),
        unpacked_bytes: index
            .artifacts
            .values()
            .filter_map(|a| a.content)
            .map(|c| c.disk_bytes)
            .sum(),
        read: shelf.read.clone(),
        reused: shelf.reused,
        recompressed: saving(&shelf.pairs),
        install,
    }
}

fn saving(pairs: &[(Examined, Examined)]) -> Option<Saving> {
    let add = |sum: Saving, (before, after): &(Examined, Examined)| Saving {
        archives: sum.archives + 1,
        bytes_before: sum.bytes_before + before.fingerprint.bytes,
        bytes_after: sum.bytes_after + after.fingerprint.bytes,
        cpu_seconds_before: sum.cpu_seconds_before + before.processor_time().as_secs_f64(),
        cpu_seconds_after: sum.cpu_seconds_after + after.processor_time().as_secs_f64(),
    };
    (!pairs.is_empty()).then(|| pairs.iter().fold(Saving::default(), add))
}
