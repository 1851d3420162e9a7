//! The report as a table, with what is wrong last and expanded.

use super::paint::Paint;
use super::table::{aligned, plain};
use crate::preflight::report::{Check, Report, Verdict};

/// The report for people.
pub fn text(report: &Report, paint: Paint) -> String {
    let rows: Vec<_> = report.checks.iter().map(|c| vec![word(c, paint), plain(c.id), plain(c.found.clone())]).collect();
    let mut text = aligned(&rows);
    for check in report
        .checks
        .iter()
        .filter(|c| matches!(c.verdict, Verdict::Warn | Verdict::Unknown))
        .chain(report.checks.iter().filter(|c| c.verdict == Verdict::Fail))
    {
        text.push_str(&expanded(check, paint));
    }
    let count = |verdict| report.count(verdict);
    let role = report.role.map_or_else(|| "any role".to_owned(), |r| format!("role {r}"));
    text.push_str(&format!(
        "\n{} checks for {role}: {} passed, {} warned, {} failed, {} unknown, {} do not apply\n",
        report.checks.len(),
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::Unknown),
        count(Verdict::Skipped)
    ));
    text
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
    let mut text = format!(
        "\n{} {}\n  found:    {}\n  expected: {}\n  because:  {}\n",
        word(check, paint).1,
        paint.strong(check.id),
        check.found,
        check.expected,
        check.why
    );
    if let Some(cure) = &check.cure {
        text.push_str(&format!("  cure:     {cure}\n"));
    }
    match &check.skipped_because {
        Some(reason) => text.push_str(&format!("  skipped:  {reason}\n")),
        None if check.skippable && check.verdict == Verdict::Fail => {
            text.push_str(&format!("  or:       --skip {}='your reason'\n", check.id))
        }
        None => {}
    }
    text
}
