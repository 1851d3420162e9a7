//! The results of install, uninstall and recover.

use super::ask::{by_what_a_purge_does, list};
use super::paint::Paint;
use super::preflight::protection;
use super::status::units;
use super::table::{beside, in_one_line};
use crate::command::{adopt, fetch, install, recover, uninstall};
use crate::dcos::ailment::Ailment;
use crate::dcos::preview::Preview;
use crate::dcos::proof::Leftovers;
use crate::dcos::receipt::CheckWarning;
use crate::dcos::trust::{Origins, Trust};
use crate::observe::services::{Condition, UnitReport};

/// Restored files that are told.
const TOLD: usize = 10;

/// An install for people.
pub fn install(outcome: &install::Outcome, paint: Paint) -> String {
    let text =
        if outcome.plan.is_empty() { installed(outcome, paint) } else { plan(&outcome.plan) };
    text + &warnings(&outcome.warnings, paint) + &protection(&outcome.protection)
}

/// What the checks of an install warned of, once more where the eye is at the end.
fn warnings(warnings: &[CheckWarning], paint: Paint) -> String {
    let mut text = String::new();
    for CheckWarning { check, unknown, found, cure } in warnings {
        let word = paint.doubtful(if *unknown { "unknown:" } else { "warning:" });
        text.push_str(&format!("{word} {check}: {}\n", in_one_line(found)));
        if let Some(cure) = cure {
            text.push_str(&beside("  fix: ", cure));
        }
    }
    text
}

fn installed(outcome: &install::Outcome, paint: Paint) -> String {
    let version = outcome
        .version
        .as_ref()
        .map_or_else(|| "DC/OS".to_owned(), |v| in_one_line(&format!("DC/OS {}", v.version)));
    let mut text = match (outcome.changed, !outcome.unhealthy.is_empty()) {
        (false, _) => {
            format!("{version} stands here already as {}; nothing was changed\n", outcome.role)
        }
        (true, false) => format!(
            "{} {version} is installed as {}: {} packages from {}\n",
            paint.good("done:"),
            outcome.role,
            outcome.packages,
            outcome.bootstrap_url
        ),
        (true, true) => format!(
            "{} {version} is installed as {}\n",
            paint.doubtful("not healthy:"),
            outcome.role
        ),
    };
    text.push_str(&unhealthy(&outcome.unhealthy));
    text.push_str(&restored(&outcome.restored));
    text.push_str(&origins(&outcome.origins));
    text.push_str(&trust(outcome.trust, outcome.index_sha256.as_deref()));
    for left in &outcome.left {
        text.push_str(&format!("  left for later: {}\n", in_one_line(left)));
    }
    if let Some(ready) = &outcome.ready {
        let level = ready.readiness.level.map_or("", |level| level.word());
        text.push_str(&format!("  {level} after {} s\n", ready.waited_seconds));
        for url in &ready.urls {
            text.push_str(&format!("  {}\n", in_one_line(url)));
        }
    }
    let of = |condition: Condition| -> Vec<UnitReport> {
        outcome.units.iter().filter(|u| u.condition == condition).cloned().collect()
    };
    let waiting = of(Condition::Converging).len();
    if waiting > 0 {
        text.push_str(&format!(
            "  {waiting} units wait for each other still, which takes some minutes; dcos-node \
             status tells how far they are\n"
        ));
    }
    let failed = of(Condition::Failed);
    if !failed.is_empty() {
        text.push('\n');
        text.push_str(&units(&failed, paint));
    }
    text
}

/// What was missing; the first ten of many.
fn restored(restored: &[String]) -> String {
    let mut lines: Vec<String> = restored
        .iter()
        .take(TOLD)
        .map(|what| format!("  restored: {}\n", in_one_line(what)))
        .collect();
    if restored.len() > TOLD {
        lines.push(format!("  restored: {} more\n", restored.len() - TOLD));
    }
    lines.concat()
}

/// What makes a node not healthy.
fn unhealthy(ailments: &[Ailment]) -> String {
    let line = |ailment: &Ailment| {
        format!("  not healthy because {}\n", in_one_line(&ailment.to_string()))
    };
    ailments.iter().map(line).collect()
}

/// A fetch for people.
pub fn fetch(outcome: &fetch::Outcome, paint: Paint) -> String {
    let text = match (outcome.plan.is_empty(), outcome.changed) {
        (false, _) => plan(&outcome.plan),
        (true, false) => {
            format!("all {} packages were here already; nothing was changed\n", outcome.packages)
        }
        (true, true) => format!(
            "{} {} packages from {} wait for an install (dcos-node uninstall removes them)\n",
            paint.good("done:"),
            outcome.packages,
            outcome.bootstrap_url
        ),
    };
    text + &origins(&outcome.origins)
        + &trust(outcome.trust, outcome.index_sha256.as_deref())
        + &protection(&outcome.protection)
}

/// How the packages came to the node.
fn origins(origins: &Origins) -> String {
    if origins.is_nothing() { String::new() } else { format!("  packages: {origins}\n") }
}

/// Whether the packages were compared with a build index.
fn trust(trust: Option<Trust>, index_sha256: Option<&str>) -> String {
    match (trust, index_sha256) {
        (Some(Trust::Verified), Some(sha256)) => {
            format!("  trust: verified (build index {sha256})\n")
        }
        (Some(trust), _) => format!("  trust: {trust}\n"),
        (None, _) => String::new(),
    }
}

/// An uninstall for people.
pub fn uninstall(outcome: &uninstall::Outcome, paint: Paint) -> String {
    let text =
        if outcome.plan.is_empty() { uninstalled(outcome, paint) } else { plan(&outcome.plan) };
    text + &protection(&outcome.protection)
}

fn uninstalled(outcome: &uninstall::Outcome, paint: Paint) -> String {
    let residue = outcome.report.as_ref().is_some_and(|report| report.open().next().is_some());
    let unseen = outcome.report.as_ref().is_some_and(|report| report.residue.is_empty());
    let mut text = match (outcome.changed, residue) {
        (true, true) if unseen => {
            format!(
                "{} DC/OS is removed as far as could be seen, but not all could be looked at\n",
                paint.bad("residue:")
            )
        }
        (true, false) if outcome.report.as_ref().is_some_and(only_data) => {
            format!("{} the data that DC/OS left is removed\n", paint.good("done:"))
        }
        (true, false) => format!("{} DC/OS is removed\n", paint.good("done:")),
        (true, true) => format!("{} DC/OS is removed, but not all of it\n", paint.bad("residue:")),
        (false, _) => "DC/OS is not installed here; nothing was changed\n".to_owned(),
    };
    if let Some(seconds) = outcome.cluster.as_ref().and_then(|cluster| cluster.drained_seconds) {
        text.push_str(&format!("  the agent left its cluster first, which took {seconds} s\n"));
    }
    match &outcome.report {
        Some(report) => text.push_str(&leftovers(report)),
        None => {
            for foreign in &outcome.foreign {
                text.push_str(&format!("  left alone: {}\n", in_one_line(foreign)));
            }
        }
    }
    let (goes, stays) = by_what_a_purge_does(&outcome.kept);
    let kept = [
        ("dcos-node uninstall --purge-data removes it", goes),
        ("behind links, which --purge-data leaves alone", stays),
    ];
    for (how, data) in kept.iter().filter(|(_, data)| !data.is_empty()) {
        text.push_str(&format!("kept data ({how}):\n{}", list(data)));
    }
    let elsewhere =
        outcome.cluster.iter().filter(|_| outcome.changed).flat_map(|cluster| &cluster.afterwards);
    for deed in outcome.report.iter().flat_map(|report| &report.afterwards).chain(elsewhere) {
        text.push_str(&format!("left to do: {}\n", in_one_line(deed)));
    }
    if residue {
        text.push_str("dcos-node uninstall tries again; what it needs for that is still here\n");
    }
    text
}

/// Whether DC/OS itself was gone, and a purge took the data that was kept of it.
fn only_data(report: &Leftovers) -> bool {
    !report.removed.is_empty() && report.removed.iter().all(|item| item.kind == "state-directory")
}

/// What a person has to know of it: what is gone is counted, the rest is told one by one.
fn leftovers(report: &Leftovers) -> String {
    let all = &report.removed;
    let removed = match all.len() {
        1 => all.iter().map(|item| item.what.as_str()).collect(),
        _ if only_data(report) => {
            all.iter().map(|item| item.what.as_str()).collect::<Vec<_>>().join(", ")
        }
        count => format!("{count} things, each of them looked for afterwards (--json lists them)"),
    };
    let mut text = format!("  removed: {}\n", in_one_line(&removed));
    let lists = [
        ("kept", &report.kept),
        ("left alone", &report.foreign),
        ("gone", &report.gone),
        ("not known", &report.unknown),
        ("still there", &report.residue),
    ];
    for (word, list) in lists {
        // Data has a list of its own, with sizes.
        for item in list.iter().filter(|item| item.kind != "data") {
            text.push_str(&format!(
                "  {word}: {} ({})\n",
                in_one_line(&item.what),
                in_one_line(&item.why)
            ));
        }
    }
    if !report.searched.is_empty() {
        text.push_str(&format!(
            "  files of the accounts that went were looked for in {}\n",
            report.searched.join(", ")
        ));
    }
    text
}

/// An adoption for people.
pub fn adopt(outcome: &adopt::Outcome, paint: Paint) -> String {
    let version = outcome
        .version
        .as_ref()
        .map_or_else(|| "DC/OS".to_owned(), |v| in_one_line(&format!("DC/OS {}", v.version)));
    let mut text = match outcome.changed {
        true => format!(
            "{} {version} is adopted as {}: {} packages\n",
            paint.good("done:"),
            outcome.role,
            outcome.packages
        ),
        false => format!(
            "{version} stands here as {} with a receipt; nothing was changed\n",
            outcome.role
        ),
    };
    text.push_str(&unhealthy(&outcome.unhealthy));
    for accepted in &outcome.accepted {
        let path = accepted.display().to_string();
        text.push_str(&format!("  accepted as it is: {}\n", in_one_line(&path)));
    }
    outcome
        .left
        .iter()
        .for_each(|left| text.push_str(&format!("  left as it is: {}\n", in_one_line(left))));
    text
}

/// A recovery for people.
pub fn recover(outcome: &recover::Outcome, paint: Paint) -> String {
    match outcome {
        recover::Outcome::Nothing => "nothing was interrupted\n".to_owned(),
        recover::Outcome::Swapped { packages, first: true } => {
            format!(
                "{} the setup that pkgpanda left unfinished is finished: {packages} packages are \
                 active, and dcos.target starts at every boot\n",
                paint.good("done:")
            )
        }
        recover::Outcome::Swapped { packages, first: false } => {
            format!(
                "{} the swap that pkgpanda left unfinished is finished: {packages} packages are \
                 active\n",
                paint.good("done:")
            )
        }
        recover::Outcome::Installed(outcome) => install(outcome, paint),
        recover::Outcome::Uninstalled => {
            format!("{} the interrupted uninstall is finished\n", paint.good("done:"))
        }
    }
}

fn plan(plan: &[Preview]) -> String {
    let mut text = format!("{} actions, none of them done:\n", plan.len());
    for (index, action) in plan.iter().enumerate() {
        text.push_str(&format!("{:>4}  {}\n", index + 1, in_one_line(&action.text)));
    }
    text
}
