//! What differs from what was installed, as `rpm -V` has it.

use super::paint::Paint;
use super::preflight::protection;
use super::table::in_one_line;
use crate::command::verify::Outcome;
use crate::dcos::bytes::Bytes;
use crate::dcos::difference::{Difference, Kind};

/// Differences for people: the columns of `rpm -V`, then what could not be compared, then one line
/// of counts.
pub fn text(outcome: &Outcome, paint: Paint) -> String {
    let mut text: String =
        outcome.differences.iter().map(|difference| line(difference, paint)).collect();
    for accepted in &outcome.accepted {
        let path = accepted.path.display();
        text.push_str(&format!(
            "accepted     {}\n",
            in_one_line(&format!("{path}: {}", accepted.reason))
        ));
    }
    for unknown in &outcome.unknown {
        text.push_str(&format!(
            "unknown      {}\n",
            in_one_line(&format!("{}: {}", unknown.what, unknown.why))
        ));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(outcome, paint));
    text + &protection(&outcome.protection)
}

fn line(difference: &Difference, paint: Paint) -> String {
    let letters = difference.letters();
    let letters =
        if difference.is_unread() { paint.doubtful(&letters) } else { paint.bad(&letters) };
    let mark = difference.mark.map_or(' ', |mark| mark.letter());
    let what = difference.object.to_string();
    format!(
        "{letters} {mark} {}\n",
        what.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>()
    )
}

fn summary(outcome: &Outcome, paint: Paint) -> String {
    let count = |kind: Kind| {
        outcome.differences.iter().filter(|d| d.kind == kind && !d.is_unread()).count()
    };
    let unread =
        outcome.differences.iter().filter(|d| d.is_unread()).count() + outcome.unknown.len();
    let numbers = [
        (count(Kind::Changed), "changed"),
        (count(Kind::Missing), "missing"),
        (count(Kind::Extra), "extra"),
        (unread, "not to be compared"),
    ];
    let found: Vec<String> =
        numbers.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let verdict = match (numbers.iter().take(3).any(|(n, _)| *n > 0), unread) {
        (true, _) => paint.bad(&found.join(", ")),
        (false, 0) => paint.good("as installed"),
        (false, _) => {
            paint.doubtful(&format!("as installed as far as it can be read; {}", found.join(", ")))
        }
    };
    let mut text = format!(
        "{} packages, {} paths, {} read: {verdict}\n",
        outcome.packages,
        outcome.paths,
        Bytes(outcome.bytes)
    );
    match (&outcome.trust, &outcome.index_sha256) {
        (_, Some(sha256)) => {
            text.push_str(&format!("  trust: verified against the build index {sha256}\n"))
        }
        (Some(trust), None) => text.push_str(&format!(
            "  trust: {trust}; dcos-node verify --online compares the packages with a build index\n"
        )),
        (None, None) => {}
    }
    if !outcome.accepted.is_empty() {
        text.push_str(&format!("  accepted: {}\n", outcome.accepted.len()));
    }
    if !outcome.at_run_time.is_empty() {
        text.push_str(&format!(
            "  left out: {} that DC/OS itself writes while it runs (--json lists them)\n",
            outcome.at_run_time.len()
        ));
    }
    text
}
