//! What checks mean.

use super::paint::Paint;
use super::table::{aligned_and_wrapped, beside, plain};
use crate::command::explain::{List, Outcome};

/// One check for people.
pub fn text(outcome: &Outcome, paint: Paint) -> String {
    let check = &outcome.check;
    let mut text = format!("{}\n", paint.strong(check.id));
    let mut add = |name: &str, value: &str| text.push_str(&beside(&format!("  {name:<11}"), value));
    add("expected:", check.expected);
    add("because:", check.why);
    add("source:", check.source);
    add("if not:", &check.severity_in_words());
    let skip = format!("yes, with --skip {}='your reason'", check.id);
    add(
        "skippable:",
        if check.skippable { &skip } else { "no: an install cannot work without it" },
    );
    add("cure:", check.cure);
    text
}

/// The table of checks for people.
pub fn list(list: &List, paint: Paint) -> String {
    let title = |name: &str| (name.to_owned(), paint.strong(name));
    let mut rows =
        vec![vec![title("CHECK"), title("IF NOT"), title("SKIPPABLE"), plain("EXPECTED")]];
    for check in &list.checks {
        let skippable = if check.skippable { "yes" } else { "no" };
        let star = if check.exceptions.is_empty() { "" } else { "*" };
        rows.push(vec![
            plain(check.id),
            plain(format!("{}{star}", check.severity)),
            plain(skippable),
            plain(check.expected),
        ]);
    }
    let mut text = aligned_and_wrapped(&rows);
    if list.checks.iter().any(|check| !check.exceptions.is_empty()) {
        let whose = if list.role.is_some() { "the version" } else { "role and version" };
        text.push_str(&format!("\n* not the same for every {whose}\n"));
    }
    text.push_str("\ndcos-node explain CHECK tells more.\n");
    text
}
