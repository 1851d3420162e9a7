//! A text that root wrote, against what it should be.

use std::path::PathBuf;

use super::findings::Findings;
use super::package::{Owners, word};
use crate::dcos::difference::{Aspect, Detail, Difference};
use crate::system::digest;
use crate::system::files::{self, FileKind};
use crate::system::root::Root;

/// Longest text that is compared.
pub(super) const LONGEST: u64 = 64 << 20;
/// The mode of the texts that activation makes.
pub(super) const TEXT: u32 = 0o644;

/// Compares a file that root wrote; without a text only its kind, mode and owners.
pub(super) fn content(
    root: &Root,
    path: PathBuf,
    was: Option<Vec<u8>>,
    mode: u32,
    owners: &Owners,
    of: &str,
    findings: &mut Findings,
) {
    let stands = match files::lstat(&root.at(&path)) {
        Ok(None) => return findings.differs(Difference::missing(path, of)),
        Ok(Some(stands)) => stands,
        Err(error) => {
            return findings.unknown(path.display().to_string(), error.source.to_string());
        }
    };
    if stands.kind != FileKind::File {
        let detail =
            Detail { aspect: Aspect::Kind, was: "file".into(), is: word(&stands.kind).into() };
        return Difference::changed(path, of, vec![detail])
            .into_iter()
            .for_each(|d| findings.differs(d));
    }
    let mut details = Vec::new();
    if let Some(was) = was {
        match root.read(&path, LONGEST) {
            Ok(is) => {
                let is = is.unwrap_or_default();
                findings.bytes += is.len() as u64;
                details.extend(Detail::of(Aspect::Size, was.len(), is.len(), usize::to_string));
                details.extend(Detail::of(Aspect::Digest, was, is, |text| {
                    digest::hex(&digest::sha256(text))
                }));
            }
            Err(error) => findings.unknown(path.display().to_string(), error.source.to_string()),
        }
    }
    details.extend(owners.of_root(Some(mode), &stands));
    Difference::changed(path, of, details).into_iter().for_each(|d| findings.differs(d));
}
