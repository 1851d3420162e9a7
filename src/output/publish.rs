//! What was published, and what was served.

use super::paint::Paint;
use super::table::pairs;
use crate::command::{publish, serve};
use crate::dcos::bytes::Bytes;

/// A publish, or the check of one, for people.
pub fn text(outcome: &publish::Outcome, paint: Paint) -> String {
    let done = match outcome.changed {
        true => format!("{} {} is published", paint.good("done:"), outcome.directory.display()),
        false => {
            format!("{} is as it was published; nothing was changed", outcome.directory.display())
        }
    };
    let version =
        outcome.version.as_ref().map_or_else(|| "unknown".to_owned(), |v| v.version.clone());
    let mut rows = vec![
        ("version", version),
        ("bootstrap URL", outcome.bootstrap_url.clone()),
        (
            "archives",
            format!(
                "{}, {}; unpacked {}",
                outcome.archives,
                Bytes(outcome.archive_bytes),
                Bytes(outcome.unpacked_bytes)
            ),
        ),
        (
            "read",
            format!("{} files; {} are the same as before", outcome.read.len(), outcome.reused),
        ),
    ];
    if let Some(saving) = &outcome.recompressed {
        rows.push(("zstd", recompressed(saving)));
    }
    rows.push(("index", outcome.index_sha256.clone()));
    rows.push((
        "dcos-node",
        format!("{} ({})", outcome.program_sha256, Bytes(outcome.program_bytes)),
    ));
    let mut text = format!("{done}\n{}", pairs(&rows));
    text.push_str("\nOn each node, with master, slave or slave_public for ROLE:\n\n");
    text.push_str(&format!("  {}\n", outcome.install));
    text.push_str(
        "\nNodes verify everything after dcos-node itself. To verify that too, compare its SHA-256 \
         out of band: sha256sum dcos-node\n",
    );
    text
}

fn recompressed(saving: &publish::Saving) -> String {
    let added = Bytes(saving.bytes_after);
    let larger = saving.bytes_after as f64 / (saving.bytes_before.max(1)) as f64;
    let less = saving.cpu_seconds_before / saving.cpu_seconds_after.max(0.001);
    format!(
        "{} archives, {added} more on the server; a node fetches {larger:.2} times the bytes of \
         these and unpacks them with {:.1} s of CPU instead of {:.1} s ({less:.1} times less)",
        saving.archives, saving.cpu_seconds_after, saving.cpu_seconds_before
    )
}

/// What was served, for people.
pub fn served(outcome: &serve::Outcome) -> String {
    format!("stopped: {} requests, {}\n", outcome.requests, Bytes(outcome.bytes))
}
