//! Where a support bundle is, and what is in it.

use super::paint::Paint;
use super::table::beside;
use crate::command::bundle::Outcome;
use crate::dcos::bytes::Bytes;

/// The outcome for people.
pub fn text(outcome: &Outcome, paint: Paint) -> String {
    let there = outcome.parts.iter().filter(|part| part.bytes.is_some()).count();
    let mut text = format!(
        "{} {} ({}, {there} files, for its owner only)\n",
        paint.good("done:"),
        outcome.file.display(),
        Bytes(outcome.bytes)
    );
    let redacted = format!(
        "{} secrets were found and replaced; look through it before you give it away",
        outcome.redacted
    );
    text.push_str(&beside("  redacted: ", &redacted));
    let cut: Vec<&str> =
        outcome.parts.iter().filter(|part| part.cut).map(|part| part.name.as_str()).collect();
    if !cut.is_empty() {
        text.push_str(&beside(
            "  cut:      ",
            &format!("only the newest part of {}", cut.join(", ")),
        ));
    }
    for part in &outcome.parts {
        if let Some(why) = &part.missing_because {
            text.push_str(&beside("  missing:  ", &format!("{}: {why}", part.name)));
        }
    }
    for left in &outcome.left_out {
        text.push_str(&beside("  left out: ", left.holds));
    }
    text
}
