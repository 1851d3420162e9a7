//! The status of a node, and units that are not as they should be.

use super::paint::Paint;
use super::table::{aligned, in_one_line, pairs, plain};
use crate::command::drift::{Address, Drift, Offered, ResolvConf};
use crate::command::status::{Outcome, SkippedCheck, Swap};
use crate::dcos::id::PackageId;
use crate::dcos::identity::{correct_script, restore_address};
use crate::dcos::layout;
use crate::dcos::trust::Trust;
use crate::observe::node::State;
use crate::observe::readiness::Readiness;
use crate::observe::services::{Condition, UnitReport};
use crate::preflight::report::Verdict;

/// The status for people.
pub fn text(status: &Outcome, paint: Paint) -> String {
    let state = match status.state {
        State::Clean => "DC/OS is not installed",
        State::Installed if !status.unhealthy.is_empty() => "installed, not healthy",
        State::Installed => "installed",
        State::Prepared => "an image; its first boot makes accounts and owners and starts the role",
        State::Installing => {
            "an install was interrupted; it goes on at the next boot, or with dcos-node recover"
        }
        State::Uninstalling => "an uninstall was interrupted; dcos-node uninstall goes on",
        State::Foreign if is_to_be_finished(status) => "installed, not by dcos-node",
        State::Foreign if status.is_whole() => "installed, not by dcos-node: adopt takes it over",
        State::Foreign => "a part of DC/OS, not installed by dcos-node: uninstall",
    };
    let state = match &status.swap {
        Some(swap) => format!("{state}; {}", half_swapped(swap)),
        None => state.to_owned(),
    };
    let mut rows = vec![("state", state)];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|v| (name, v)));
    add("role", status.role.map(|r| r.to_string()));
    add(
        "version",
        status.version.as_ref().map(|v| {
            [Some(v.version.clone()), v.variant.clone(), v.image_commit.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ")
        }),
    );
    add("bootstrap id", status.bootstrap_id.clone());
    add("package list", status.package_list_id.clone());
    add("build digest", build_digest(status));
    add("trust", trust(status));
    add("configuration", status.config_package.clone());
    add("from", status.bootstrap_url.clone());
    let how = if status.adopted { "adopted" } else { "installed" };
    add(
        how,
        status.installed_at.as_ref().map(|at| {
            format!("{at} by dcos-node {}", status.installed_by.as_deref().unwrap_or("?"))
        }),
    );
    if status.packages > 0 {
        add("packages", Some(format!("{} active", status.packages)));
        add(
            "at boot",
            Some(if status.starts_at_boot { "starts".into() } else { "does not start".into() }),
        );
    }
    if !status.fetched.is_empty() {
        add("fetched", Some(format!("{} packages wait for an install", status.fetched.len())));
    }
    for data in &status.kept_data {
        add(
            "data",
            Some(format!(
                "{} is kept of an earlier install; uninstall --purge-data removes it",
                data.display()
            )),
        );
    }
    if let Some(readiness) = &status.readiness {
        add("level", Some(level(readiness)));
    }
    for ailment in &status.unhealthy {
        add("not healthy", Some(in_one_line(&ailment.to_string())));
    }
    for url in &status.urls {
        add("at", Some(url.clone()));
    }
    for skipped in &status.skips {
        add("skipped", skip(skipped));
    }
    let warned: Vec<&str> = status.warnings.iter().map(|warning| warning.check.as_str()).collect();
    if !warned.is_empty() {
        let checks = warned.join(", ");
        add("warned", Some(format!("{checks} at the install; dcos-node preflight checks again")));
    }
    if !status.units.is_empty() {
        add("units", Some(counts(&status.units)));
    }
    add("units", status.units_unknown.as_ref().map(|why| format!("unknown: {why}")));
    for drifted in status.drift.iter().flat_map(drift) {
        add("drift", Some(drifted));
    }
    if let Some(count) = status.drift.as_ref().map(|found| found.files.accepted).filter(|n| *n > 0)
    {
        let verb = if count == 1 { "file differs" } else { "files differ" };
        let accepted =
            format!("{count} {verb} from the build, as recorded; dcos-node verify tells all");
        add("accepted", Some(accepted));
    }
    add("build", status.drift.as_ref().and_then(|drift| drift.offered.as_ref()).and_then(offered));
    let mut text = pairs(&rows);
    if status.partial {
        text.push_str(
            "\nOnly root may read the receipt: where it came from and when is left out. Run with \
             sudo.\n",
        );
    }
    for damaged in &status.damaged {
        let (path, why) = (damaged.path.display(), in_one_line(&damaged.why));
        text.push_str(&format!(
            "damaged: {path} ({why}); DC/OS runs on without it, and dcos-node uninstall does not \
             need it\n"
        ));
    }
    for problem in &status.unfinished {
        text.push_str(&format!("unfinished: {}\n", in_one_line(problem)));
    }
    // What went because another version came is told by that.
    let is_replaced =
        |went: &&PackageId| status.activated_since.iter().any(|came| came.name() == went.name());
    let went: Vec<&PackageId> =
        status.deactivated_since.iter().filter(|went| !is_replaced(went)).collect();
    for (what, packages) in [
        ("activated since by pkgpanda", status.activated_since.iter().collect()),
        ("not active any more since pkgpanda's activation", went),
    ] {
        if let Some(first) = packages.first() {
            let more = packages.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push_str(&format!("{what}: {first}{more}\n"));
        }
    }
    // Of a whole node of another installer, or one that pkgpanda will make whole, every path would
    // be named.
    let is_another =
        status.state == State::Foreign && (status.is_whole() || is_to_be_finished(status));
    for foreign in status.foreign.iter().take(if is_another { 0 } else { 10 }) {
        let what = foreign.what.as_ref().map(|what| format!(" ({what})")).unwrap_or_default();
        text.push_str(&in_one_line(&format!("not ours: {}{what}", foreign.path.display())));
        text.push('\n');
    }
    let unwell: Vec<UnitReport> = status
        .units
        .iter()
        .filter(|u| u.condition != Condition::Well || u.flaps())
        .cloned()
        .collect();
    if !unwell.is_empty() {
        text.push('\n');
        text.push_str(&units(&unwell, paint));
    }
    text
}

/// What everything was verified against, or why there is nothing of the kind. Of a node of another
/// installer, and of one that pkgpanda changed since, nobody asks.
fn build_digest(status: &Outcome) -> Option<String> {
    let is_ours = matches!(status.state, State::Installed | State::Installing | State::Prepared);
    match &status.index_sha256 {
        Some(digest) => Some(format!("SHA-256 {digest}")),
        None if !is_ours
            || status.state == State::Installing
            || status.partial
            || !status.damaged.is_empty()
            || !status.activated_since.is_empty()
            || !status.deactivated_since.is_empty() =>
        {
            None
        }
        None if status.adopted => Some("none: the classic installer knows no digests".into()),
        None => Some("none: the packages were not compared with a build index".into()),
    }
}

/// Whether what is active was compared with a build index, and how it gets compared.
fn trust(status: &Outcome) -> Option<String> {
    Some(match status.trust? {
        Trust::Verified => Trust::Verified.to_string(),
        Trust::Unverified => {
            format!("{}; dcos-node verify --online compares it", Trust::Unverified)
        }
    })
}

fn is_to_be_finished(status: &Outcome) -> bool {
    status.swap.as_ref().is_some_and(|swap| swap.packages.is_some())
}

fn half_swapped(swap: &Swap) -> String {
    match (swap.process, &swap.not_to_be_finished_because) {
        (Some(process), _) => format!("pkgpanda swaps its packages now (process {process})"),
        (None, None) => "a swap by pkgpanda is half done: dcos-node recover finishes it".to_owned(),
        (None, Some(why)) => format!(
            "a swap by pkgpanda cannot be finished ({why}); dcos-node recover names what to do"
        ),
    }
}

/// What has drifted, one line for each kind of thing.
fn drift(drift: &Drift) -> Vec<String> {
    let mut lines = Vec::new();
    match &drift.address {
        Some(Address { recorded, now: Some(now), changed: true, recorded_is_here: true }) => {
            lines.push(format!("ip-detect prints {now}; {}", correct_script(recorded)));
        }
        Some(Address { recorded, now: Some(now), changed: true, recorded_is_here: false }) => {
            lines.push(format!(
                "the address is {now}, and was {recorded}: it must not change; {}",
                restore_address(Some(recorded))
            ));
        }
        _ => {}
    }
    if let Some(ResolvConf { generated: false, keeper }) = &drift.resolv_conf {
        lines.push(format!("DC/OS does not keep /etc/resolv.conf any more; {keeper} does"));
    }
    let files = &drift.files;
    let numbers = [(files.changed, "changed"), (files.missing, "missing"), (files.extra, "extra")];
    let found: Vec<String> =
        numbers.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if let Some(first) = files.first.first() {
        let first = &first.object;
        lines.push(format!(
            "of what was installed {}, such as {first}; dcos-node verify tells all",
            found.join(", ")
        ));
    }
    if !drift.foreign_units.is_empty() {
        lines.push(format!(
            "dcos.target wants units that no package brings: {}",
            drift.foreign_units.join(", ")
        ));
    }
    if let Some(Offered {
        same: Some(false),
        difference: Some(difference),
        differences,
        more_packages,
        ..
    }) = &drift.offered
    {
        let more = more_packages
            .filter(|more| *more > 0)
            .map(|more| format!(" ({more} more packages differ)"))
            .unwrap_or_default();
        lines.push(format!("the server has another build: {difference}{more}"));
        lines.extend(differences.iter().map(|pair| {
            format!("{}: {} here, {} on the server", pair.what.words(), pair.here, pair.offered)
        }));
    }
    lines
}

/// What the server said, where that is no drift.
fn offered(offered: &Offered) -> Option<String> {
    match (offered.same, &offered.unknown) {
        (Some(true), _) => Some("the server has the same".into()),
        (_, Some(why)) => Some(format!("what the server has is not known: {why}")),
        _ => None,
    }
}

fn level(readiness: &Readiness) -> String {
    let reached = readiness.level.map_or("not unpacked", |level| level.word());
    match readiness.obstacles.first() {
        None => reached.to_owned(),
        Some(first) => {
            let unit = first.unit.as_ref().map(|unit| format!("{unit}: ")).unwrap_or_default();
            format!("{reached}; not {} yet: {unit}{}", first.level, first.text)
        }
    }
}

/// A skipped check is told of while it would fail.
fn skip(skipped: &SkippedCheck) -> Option<String> {
    let now = match (skipped.now, &skipped.found) {
        (Some(Verdict::Pass | Verdict::Skipped), _) => return None,
        (Some(verdict), Some(found)) => format!("{} now: {found}", verdict.word()),
        _ => format!(
            "not judged again: {}",
            skipped.not_judged_because.as_deref().unwrap_or("it is not known why")
        ),
    };
    Some(format!("{}: {} ({now})", skipped.skip.check, skipped.skip.reason))
}

fn counts(reports: &[UnitReport]) -> String {
    let is = |condition: Condition| move |r: &&UnitReport| r.condition == condition;
    // What fell a moment ago is on its way, although it is active.
    let target = reports
        .iter()
        .find(|r| r.name == layout::TARGET)
        .map_or("active", |target| target.active.as_str());
    // Of a role that is down nothing is expected, and nothing is well either.
    let is_stopped = |r: &&UnitReport| {
        target == "inactive" && r.condition == Condition::Well && r.active == "inactive"
    };
    let is_well = |r: &&UnitReport| r.condition == Condition::Well && !r.flaps() && !is_stopped(r);
    let is_converging = |r: &&UnitReport| r.condition == Condition::Converging || r.flaps();
    let named = [
        (reports.iter().filter(is_well).count(), "well"),
        (reports.iter().filter(is_stopped).count(), "not started"),
        (reports.iter().filter(is_converging).count(), "converging"),
        (reports.iter().filter(is(Condition::Failed)).count(), "failed"),
        (
            reports.iter().filter(is(Condition::AuxiliaryFailed)).count(),
            "failed that the node does not need",
        ),
    ];
    let told = named.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    let told = told.collect::<Vec<_>>().join(", ");
    if target == "inactive" {
        let start = format!("systemctl start {}", layout::TARGET);
        return format!("{told}; {} is inactive; start it: {start}", layout::TARGET);
    }
    told
}

/// Units that are not well, each with the reason, its last journal lines, and the cure if one is
/// known.
pub fn units(reports: &[UnitReport], paint: Paint) -> String {
    let mut text = String::new();
    let rows: Vec<_> = reports
        .iter()
        .map(|r| {
            vec![
                word(r, paint),
                plain(&r.name),
                plain(format!("{} ({})", r.active, r.sub)),
                plain(r.why.as_ref().map(ToString::to_string).unwrap_or_default()),
            ]
        })
        .collect();
    for (line, report) in aligned(&rows).lines().zip(reports) {
        text.push_str(line.trim_end());
        text.push('\n');
        for log in &report.log {
            text.push_str(&format!("    {}\n", shortened(&log.to_string())));
        }
        if let Some(cure) = &report.cure {
            text.push_str(&format!("    cure: {}\n", in_one_line(cure)));
        }
    }
    text
}

/// A log line that is no novel; `journalctl -u` has the rest.
pub(super) fn shortened(line: &str) -> String {
    const LONGEST: usize = 160;
    let line = in_one_line(line);
    if line.chars().count() <= LONGEST {
        line
    } else {
        line.chars().take(LONGEST - 3).collect::<String>() + "..."
    }
}

fn word(report: &UnitReport, paint: Paint) -> (String, String) {
    let (word, painted) = match report.condition {
        Condition::Well if !report.flaps() => ("well", paint.good("well")),
        Condition::Well | Condition::Converging => ("converging", paint.doubtful("converging")),
        Condition::Failed => ("failed", paint.bad("failed")),
        Condition::AuxiliaryFailed => ("failed", paint.doubtful("failed")),
    };
    (word.to_owned(), painted)
}
