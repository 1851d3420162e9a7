//! The report as a table, with what is wrong last and expanded.

use super::paint::Paint;
use super::table::{aligned_and_wrapped, beside, plain};
use crate::preflight::report::{Check, Protection, Report, ScriptView, Scripts, Sealed, Verdict};

/// How many characters of a finding are shown: a script may have written a novel, which `--json`
/// has whole.
const LONGEST: usize = 600;
/// How many of them stand in the table if the check is expanded below it.
const GLIMPSE: usize = 40;

/// The report for people.
pub fn text(report: &Report, paint: Paint) -> String {
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    // The sort is stable: what is equally bad stays in the order of the table of checks.
    checks.sort_by_key(|check| gravity(check));
    let rows: Vec<_> =
        checks.iter().map(|c| vec![word(c, paint), plain(c.id), plain(cell(c))]).collect();
    let mut text = aligned_and_wrapped(&rows);
    for check in checks.iter().filter(|c| is_expanded(c)) {
        text.push_str(&expanded(check, paint));
    }
    text.push('\n');
    text.push_str(&beside("", &tally(report)));
    text.push_str(&protection(&report.protection));
    text.push_str(&report.scripts.as_ref().map(scripts).unwrap_or_default());
    text
}

fn tally(report: &Report) -> String {
    let count = |verdict| report.count(verdict);
    let role = report.role.map_or_else(|| "any role".to_owned(), |r| format!("role {r}"));
    let (passed, warned, failed) =
        (count(Verdict::Pass), count(Verdict::Warn), count(Verdict::Fail));
    let mut text = format!(
        "{} checks for {role}: {passed} passed, {warned} warned, {failed} failed",
        report.checks.len()
    );
    for (number, what) in
        [(count(Verdict::Unknown), "unknown"), (count(Verdict::Skipped), "do not apply")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text
}

/// How a run was kept from changing the node, in words; nothing for a run that was meant to change
/// it.
pub fn protection(protection: &Protection) -> String {
    let how = match protection.sealed {
        None => return String::new(),
        Some(Sealed::MountNamespace) => "enforced by read-only mounts".to_owned(),
        Some(Sealed::Landlock) => "enforced by Landlock".to_owned(),
        Some(Sealed::NotEnforced) => format!(
            "not enforced: {}",
            protection.not_enforced_because.as_deref().unwrap_or("unknown why")
        ),
    };
    beside("no writes: ", &how)
}

/// How the detection scripts were confined.
fn scripts(scripts: &Scripts) -> String {
    let view = match scripts.view {
        ScriptView::CopyOnWrite => "on a copy-on-write view of the node, which was thrown away",
        ScriptView::ReadOnly => "on a read-only view of the node, with a private /tmp",
        ScriptView::PrivateDirectory => {
            "on the node's own files, with a private directory to write to"
        }
    };
    let missing: Vec<String> =
        scripts.missing.iter().map(|m| format!("{} ({})", m.piece, m.because)).collect();
    let lacks = if missing.is_empty() {
        String::new()
    } else {
        format!("; without {}", missing.join(", "))
    };
    beside("scripts: ", &format!("confined, {view}{lacks}"))
}

/// What is worse comes later, nearest to where the eye is when the text has scrolled by.
fn gravity(check: &Check) -> u8 {
    match (check.verdict, &check.skipped_because) {
        (Verdict::Skipped, _) => 0,
        (Verdict::Pass, _) => 1,
        (Verdict::Unknown, _) if !check.blocks() => 2,
        (Verdict::Warn, _) => 3,
        (Verdict::Unknown, _) | (Verdict::Fail, Some(_)) => 4,
        (Verdict::Fail, None) => 5,
    }
}

fn is_expanded(check: &Check) -> bool {
    matches!(check.verdict, Verdict::Warn | Verdict::Unknown | Verdict::Fail)
}

fn cell(check: &Check) -> String {
    shortened(&check.found, if is_expanded(check) { GLIMPSE } else { LONGEST })
}

fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest).and_then(|(end, _)| text.get(..end)) {
        None => text.to_owned(),
        Some(first) => format!("{}...", first.trim_end()),
    }
}

fn word(check: &Check, paint: Paint) -> (String, String) {
    let word = check.verdict.word();
    let painted = match check.verdict {
        Verdict::Pass => paint.good(word),
        Verdict::Warn | Verdict::Unknown => paint.doubtful(word),
        Verdict::Fail => paint.bad(word),
        Verdict::Skipped => word.to_owned(),
    };
    (word.to_owned(), painted)
}

fn expanded(check: &Check, paint: Paint) -> String {
    let mut text = format!("\n{} {}\n", word(check, paint).1, paint.strong(check.id));
    let mut add = |name: &str, value: &str| text.push_str(&beside(&format!("  {name:<10}"), value));
    add("found:", &shortened(&check.found, LONGEST));
    add("expected:", check.expected);
    add("because:", check.why);
    if let Some(cure) = &check.cure {
        add("cure:", cure);
    }
    match &check.skipped_because {
        Some(reason) => add("skipped:", reason),
        None if check.skippable && check.verdict == Verdict::Fail => {
            add("or:", &format!("--skip {}='your reason'", check.id))
        }
        None => {}
    }
    text
}
