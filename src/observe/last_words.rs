//! What units said last, as the journal has it.

use std::path::PathBuf;

use super::log_line::LogLine;
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
        let log =
            journald::last_lines(&directories, &report.name, LOOKED_AT, None).unwrap_or_default();
        let note = note(&log, &report.name);
        let mut lines = log.lines.into_iter().map(LogLine::from).collect();
        // What is active now has something to say now.
        if report.active != "active" {
            forget_the_next_try(&mut lines);
        }
        report.log = telling(lines);
        report.log.extend(note);
    }
}

/// A closing line about journal files that could not be read because their format is unknown.
fn note(log: &journald::Log, unit: &str) -> Option<LogLine> {
    let message = log.note(&format!("journalctl -u {unit}"))?;
    Some(LogLine { identifier: "dcos-node".to_owned(), message })
}

/// The last line that one program of a unit wrote, and whether files could not be read; empty if
/// there is no such line.
pub fn last_of(root: &Root, unit: &str, program: &str) -> Vec<LogLine> {
    let directories: Vec<PathBuf> =
        layout::JOURNALS.iter().map(|path| root.resolved(path)).collect();
    let log = journald::last_lines(&directories, unit, LOOKED_AT, None).unwrap_or_default();
    let note = note(&log, unit);
    let line = log.lines.into_iter().rfind(|line| line.identifier == program);
    line.map(LogLine::from)
        .map_or_else(Vec::new, |line| std::iter::once(line).chain(note).collect())
}

/// A unit that fell is soon started again, and what its first commands say then buries the words
/// that it ended with.
fn forget_the_next_try(lines: &mut Vec<LogLine>) {
    let says = |line: &LogLine, words: &[&str]| line.is_of_systemd() && line.has(words);
    let Some(end) = lines.iter().rposition(|line| says(line, &["process exited, code="])) else {
        return;
    };
    // Its last words may come after systemd's.
    let next = lines
        .iter()
        .skip(end)
        .position(|line| says(line, &["Scheduled restart", "scheduling restart", "Starting "]));
    if let Some(next) = next {
        lines.truncate(end + next);
    }
}

/// The last lines, and among them one of the unit's own if there is any: a unit that is started
/// again and again has its words buried under systemd's.
fn telling(mut lines: Vec<LogLine>) -> Vec<LogLine> {
    let last = lines.split_off(lines.len().saturating_sub(LINES));
    let is_its_own = |line: &LogLine| !line.is_of_systemd();
    match lines.into_iter().rfind(is_its_own) {
        Some(own) if !last.iter().any(is_its_own) => {
            std::iter::once(own).chain(last.into_iter().skip(1)).collect()
        }
        _ => last,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use std::fs;

    use super::*;
    use crate::observe::services;

    fn texts(lines: &[LogLine]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn journal_of_unknown_format_is_noted_below_the_lines() {
        let report = UnitReport {
            active: "failed".into(),
            condition: services::Condition::Failed,
            ..UnitReport::of("dcos-net.service")
        };
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let journal = root.resolved(layout::JOURNALS[0]);
        fs::create_dir_all(&journal).unwrap();
        let mut header = [0; 272];
        header[..8].copy_from_slice(b"LPKSHHRH");
        header[12] = 0x34;
        header[88..90].copy_from_slice(&272_u16.to_le_bytes());
        let file = journal.join("system.journal");
        fs::write(&file, header).unwrap();
        let mut reports = [report];
        add(&root, &mut reports);
        let note = format!(
            "dcos-node: 1 journal file has an unknown format (incompatible flags 0x34); lines may \
             be missing, use journalctl -u dcos-net.service: {}",
            file.display()
        );
        assert_eq!(texts(&reports[0].log), [note]);
        assert!(last_of(&root, "dcos-net.service", "check-time").is_empty());
    }

    #[test]
    fn shown_log_lines_include_the_output_of_the_unit() {
        let line = |line: &&str| {
            let (identifier, message) = line.split_once(": ").unwrap();
            LogLine { identifier: identifier.into(), message: message.into() }
        };
        let lines = |all: &[&str]| all.iter().map(line).collect::<Vec<_>>();
        let telling = |lines| texts(&super::telling(lines));
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
        assert_eq!(texts(&again), [ended, "x: no good"]);
        let mut first = lines(&["systemd: Starting dcos-x.service", "ping: all is well"]);
        forget_the_next_try(&mut first);
        assert_eq!(first.len(), 2);
    }
}
