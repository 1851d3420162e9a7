//! The table of outcomes.

use std::collections::BTreeMap;
use std::io::Write;

/// What cases came to: how often each outcome was seen, and what is wrong.
#[derive(Default)]
pub(super) struct Tally {
    outcomes: BTreeMap<String, u32>,
    wrong: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, case: &str, result: Result<String, String>) {
        match result {
            Ok(outcome) => *self.outcomes.entry(outcome).or_default() += 1,
            Err(why) => self.wrong.push(format!("{case}: {why}")),
        }
    }

    /// Prints the row of a table and returns what did not converge.
    pub(super) fn row(self, name: &str, of: usize) -> Vec<String> {
        let cases = self.outcomes.values().sum::<u32>() as usize + self.wrong.len();
        let outcomes: Vec<String> =
            self.outcomes.iter().map(|(outcome, times)| format!("{times} {outcome}")).collect();
        // Past the test runner, which swallows what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "| {name} | {cases} of {of} effects | {} | {} |",
            outcomes.join("; "),
            self.wrong.len()
        );
        self.wrong
    }
}
