//! The results of install, uninstall and recover.

use super::ask::list;
use super::paint::Paint;
use super::preflight::protection;
use super::status::units;
use crate::command::{adopt, install, recover, uninstall};
use crate::dcos::preview::Preview;
use crate::observe::services::{Condition, UnitReport};

/// An install for people.
pub fn install(outcome: &install::Outcome, paint: Paint) -> String {
    let text = if outcome.plan.is_empty() { installed(outcome, paint) } else { plan(&outcome.plan) };
    text + &protection(&outcome.protection)
}

fn installed(outcome: &install::Outcome, paint: Paint) -> String {
    let version = outcome.version.as_ref().map_or_else(|| "DC/OS".to_owned(), |v| format!("DC/OS {}", v.version));
    let mut text = match (outcome.changed, outcome.degraded) {
        (false, _) => format!("{version} stands here already as {}; nothing was changed\n", outcome.role),
        (true, false) => format!(
            "{} {version} is installed as {}: {} packages from {}\n",
            paint.good("done:"),
            outcome.role,
            outcome.packages,
            outcome.bootstrap_url
        ),
        (true, true) => format!("{} {version} is installed as {}, but units failed\n", paint.doubtful("degraded:"), outcome.role),
    };
    for left in &outcome.left {
        text.push_str(&format!("  left for later: {left}\n"));
    }
    let of = |condition: Condition| -> Vec<UnitReport> { outcome.units.iter().filter(|u| u.condition == condition).cloned().collect() };
    let waiting = of(Condition::Converging).len();
    if waiting > 0 {
        text.push_str(&format!(
            "  {waiting} units wait for each other still, which takes some minutes; dcos-node status tells how far they are\n"
        ));
    }
    let failed = of(Condition::Failed);
    if !failed.is_empty() {
        text.push('\n');
        text.push_str(&units(&failed, paint));
    }
    text
}

/// An uninstall for people.
pub fn uninstall(outcome: &uninstall::Outcome, paint: Paint) -> String {
    let text = if outcome.plan.is_empty() { uninstalled(outcome, paint) } else { plan(&outcome.plan) };
    text + &protection(&outcome.protection)
}

fn uninstalled(outcome: &uninstall::Outcome, paint: Paint) -> String {
    let mut text = if outcome.changed {
        format!("{} DC/OS is removed\n", paint.good("done:"))
    } else {
        "DC/OS is not installed here; nothing was changed\n".to_owned()
    };
    if !outcome.kept.is_empty() {
        text.push_str(&format!("kept data (dcos-node uninstall --purge-data removes it):\n{}", list(&outcome.kept)));
    }
    for foreign in &outcome.foreign {
        text.push_str(&format!("  left alone: {foreign}\n"));
    }
    text
}

/// An adoption for people.
pub fn adopt(outcome: &adopt::Outcome, paint: Paint) -> String {
    let version = outcome.version.as_ref().map_or_else(|| "DC/OS".to_owned(), |v| format!("DC/OS {}", v.version));
    let mut text = match outcome.changed {
        true => format!("{} {version} is adopted as {}: {} packages\n", paint.good("done:"), outcome.role, outcome.packages),
        false => format!("{version} stands here as {} with a receipt; nothing was changed\n", outcome.role),
    };
    outcome.left.iter().for_each(|left| text.push_str(&format!("  left as it is: {left}\n")));
    text
}

/// A recovery for people.
pub fn recover(outcome: &recover::Outcome, paint: Paint) -> String {
    match outcome {
        recover::Outcome::Nothing => "nothing was interrupted\n".to_owned(),
        recover::Outcome::Installed(outcome) => install(outcome, paint),
        recover::Outcome::Uninstalled => format!("{} the interrupted uninstall is finished\n", paint.good("done:")),
    }
}

fn plan(plan: &[Preview]) -> String {
    let mut text = format!("{} actions, none of them done:\n", plan.len());
    for (index, action) in plan.iter().enumerate() {
        text.push_str(&format!("{:>4}  {}\n", index + 1, action.text));
    }
    text
}
