//! The logs of units, of the kernel and of dcos-node itself, from the journal itself, the newest of
//! each.

use std::path::PathBuf;

use super::parts::Parts;
use crate::dcos::bundle::OTHER_LOGS;
use crate::dcos::{layout, moment};
use crate::system::journald;
use crate::system::root::Root;

/// Lines of one unit, and the most bytes of them.
const LINES: usize = 2000;
const BYTES: usize = 256 << 10;
/// The most of one line.
const LINE: usize = 8 << 10;

/// Collects them.
pub(super) async fn collect(parts: &mut Parts<'_>, units: &[String], root: &Root) {
    let directories: Vec<PathBuf> =
        layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    let units = units.to_vec();
    let read = tokio::task::spawn_blocking(move || {
        let of_units = units.into_iter().map(|unit| {
            let lines = journald::last_lines(&directories, &unit, LINES, None);
            (unit, lines)
        });
        let others = OTHER_LOGS.iter().map(|(name, field, value)| {
            let lines = journald::last_lines_with(&directories, field, value, LINES);
            ((*name).to_owned(), lines)
        });
        others.chain(of_units).collect::<Vec<_>>()
    });
    let mut failed: Option<String> = None;
    for (name, log) in read.await.unwrap_or_default() {
        match log {
            Ok(log) => {
                failed = failed.or_else(|| log.note("journalctl"));
                if !log.lines.is_empty() {
                    parts.text(&format!("logs/{name}.log"), &text(log.lines));
                }
            }
            // What keeps one log from being read keeps all.
            Err(error) => failed = failed.or_else(|| Some(error.to_string())),
        }
    }
    if let Some(why) = failed {
        parts.missing("logs", why);
    }
}

/// The newest lines that fit. Who wrote a line is told apart from what it says by a bar, so that no
/// name is taken for that of a secret.
fn text(lines: Vec<journald::Line>) -> String {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for line in lines.into_iter().rev() {
        let message: String = line.message.chars().take(LINE).collect();
        let text = format!(
            "{} {} | {}\n",
            moment::rfc3339(line.realtime),
            line.identifier,
            message.trim_end().replace('\n', "\n    ")
        );
        bytes += text.len();
        if bytes > BYTES {
            break;
        }
        kept.push(text);
    }
    kept.reverse();
    kept.concat()
}
