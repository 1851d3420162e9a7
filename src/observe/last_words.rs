//! What units said last, as the journal has it.

use std::path::PathBuf;

use super::services::{Condition, UnitReport};
use crate::dcos::layout;
use crate::system::journald;
use crate::system::root::Root;

/// Lines of a unit that are shown.
const LINES: usize = 3;
/// Lines of a unit that are looked at for its own words.
const LOOKED_AT: usize = 20;

/// Adds the last journal lines to each report that is not well.
pub fn add(root: &Root, reports: &mut [UnitReport]) {
    let directories: Vec<PathBuf> =
        layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    for report in reports.iter_mut().filter(|r| r.condition != Condition::Well || r.flaps()) {
        // A journal that cannot be read leaves the report as it is: the state itself is the news.
        let lines =
            journald::last_lines(&directories, &report.name, LOOKED_AT, None).unwrap_or_default();
        let mut lines = lines
            .into_iter()
            .map(|line| format!("{}: {}", line.identifier, line.message))
            .collect();
        // What is active now has something to say now.
        if report.active != "active" {
            forget_the_next_try(&mut lines);
        }
        report.log = telling(lines);
    }
}

/// The last line that one program of a unit wrote.
pub fn last_of(root: &Root, unit: &str, program: &str) -> Option<String> {
    let directories: Vec<PathBuf> =
        layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    let lines = journald::last_lines(&directories, unit, LOOKED_AT, None).unwrap_or_default();
    lines
        .into_iter()
        .rfind(|line| line.identifier == program)
        .map(|line| format!("{program}: {}", line.message))
}

/// A unit that fell is soon started again, and what its first commands say then buries the words
/// that it ended with.
fn forget_the_next_try(lines: &mut Vec<String>) {
    let says = |line: &String, words: &[&str]| {
        line.starts_with("systemd: ") && words.iter().any(|word| line.contains(word))
    };
    let Some(end) = lines.iter().rposition(|line| says(line, &["process exited, code="])) else {
        return;
    };
    // Its last words may come after systemd's.
    let next = lines
        .iter()
        .skip(end)
        .position(|line| says(line, &["Scheduled restart", "scheduling restart", ": Starting "]));
    if let Some(next) = next {
        lines.truncate(end + next);
    }
}

/// The last lines, and among them one of the unit's own if there is any: a unit that is started
/// again and again has its words buried under systemd's.
fn telling(mut lines: Vec<String>) -> Vec<String> {
    let last = lines.split_off(lines.len().saturating_sub(LINES));
    let is_its_own = |line: &String| !line.starts_with("systemd: ");
    match lines.into_iter().rfind(is_its_own) {
        Some(own) if !last.iter().any(is_its_own) => {
            std::iter::once(own).chain(last.into_iter().skip(1)).collect()
        }
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_log_lines_include_the_output_of_the_unit() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let buried = lines(&["sh: first", "sh: no good", "systemd: a", "systemd: b", "systemd: c"]);
        assert_eq!(telling(buried), ["sh: no good", "systemd: b", "systemd: c"]);
        assert_eq!(
            telling(lines(&["sh: one", "systemd: a", "sh: two", "systemd: b"])),
            ["systemd: a", "sh: two", "systemd: b"]
        );
        assert_eq!(telling(lines(&["systemd: a"])), ["systemd: a"]);
        let ended = "systemd: dcos-x.service: Main process exited, code=exited, status=1/FAILURE";
        let mut again = lines(&[
            ended,
            "x: no good",
            "systemd: Starting dcos-x.service",
            "ping: all is well",
            "x: hello",
        ]);
        forget_the_next_try(&mut again);
        assert_eq!(again, [ended, "x: no good"]);
        let mut first = lines(&["systemd: Starting dcos-x.service", "ping: all is well"]);
        forget_the_next_try(&mut first);
        assert_eq!(first.len(), 2);
    }
}
