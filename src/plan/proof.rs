//! Judges an uninstall: what is gone, what stays on purpose, what is foreign, and what should be
//! gone and is not.

use std::path::{Path, PathBuf};

use super::firewall;
use super::network::{self, Signs};
use crate::dcos::data::{self as places, Whose};
use crate::dcos::layout;
use crate::dcos::proof::{Item, LOOK, Leftovers, Subject, UNIT};
use crate::dcos::receipt::{self, Object};
use crate::dcos::snapshot::Snapshot;
use crate::observe::data::{self, Judged};
use crate::observe::leftovers::Found;
use crate::observe::residue::{Alive, Remnant};

/// What was seen and done.
pub struct Evidence<'a> {
    /// The node before the install, if that was recorded.
    pub before: Option<&'a Snapshot>,
    /// The node now.
    pub now: &'a Snapshot,
    /// What tells DC/OS' own things of the network from others.
    pub signs: &'a Signs,
    /// What was undone.
    pub undone: &'a [Object],
    /// What refused to go, and why.
    pub refused: &'a [(Object, String)],
    /// What of it stands all the same.
    pub remnants: &'a [Remnant],
    /// Units without files that systemd still runs or remembers, or why it does not tell.
    pub units: &'a Result<Vec<Alive>, String>,
    /// What was found before anything was undone: what stands in DC/OS' places and was never ours,
    /// and where was looked.
    pub found: &'a Found,
    /// Places with data that stand, and whose they are.
    pub data: &'a [Judged],
    /// The stores in which packages are kept for another try.
    pub stores: &'a [&'static str],
}

/// Judges. Also returns what should be undone once more.
pub fn judge(evidence: &Evidence<'_>) -> (Leftovers, Vec<Object>) {
    let Evidence { before, now, undone, .. } = *evidence;
    // A directory that was filled and booted later was looked at as files only.
    let compared = before.is_some_and(|before| before.live || !now.live);
    let mut report = Leftovers::new(compared);
    let stands = |object: &Object| evidence.remnants.iter().find(|r| r.object == *object);
    let again: Vec<Object> =
        if now.live { network::objects(now, before, evidence.signs) } else { Vec::new() };
    // With a better reason, among what is foreign.
    let is_told = |object: &Object| {
        let path = object.path();
        evidence.found.foreign.iter().any(|foreign| Some(&foreign.path) == path.as_ref())
    };
    let why = |object: &Object| {
        evidence
            .refused
            .iter()
            .find(|(refused, _)| refused.same_place(object))
            .map(|(_, why)| why.as_str())
    };
    // A backup of accounts that were changed since is kept, whatever else it waits for.
    let refuses =
        |object: &Object| why(object).is_some() && !matches!(object, Object::AccountFile { .. });
    for object in undone.iter().filter(|object| !matches!(object, Object::Units { .. })) {
        match stands(object) {
            Some(remnant) if remnant.on_purpose && !refuses(object) && is_told(object) => {}
            Some(remnant) if remnant.on_purpose && !refuses(object) => {
                report.kept.push(Item::of(object, &remnant.why))
            }
            Some(remnant) => {
                report.residue.push(Item::of(object, why(object).unwrap_or(&remnant.why)))
            }
            None if again.iter().any(|a| a.same_place(object)) => {}
            // What tells whose it is may be gone by now, and it is not.
            None if refuses(object) && may_stand(object, now) => {
                report.residue.push(Item::of(object, why(object).unwrap_or_default()))
            }
            // Told once by the list of what stays, below.
            None if now.live
                && matches!(
                    object,
                    Object::Sysctl { name, before }
                        if now.sysctls.get(name).is_some_and(|v| v != before)
                ) => {}
            None => report.removed.push(Item::of(object, undone_because(object))),
        }
    }
    let there = again.iter().filter(|o| !matches!(o, Object::Sysctl { .. }));
    report.residue.extend(there.map(|o| Item::of(o, why(o).unwrap_or("it is there again"))));
    match evidence.units {
        Ok(units) => {
            let words = |unit: &Alive| format!("{} ({})", unit.name, unit.active);
            report.residue.extend(units.iter().map(|unit| {
                Item::new("unit", words(unit), "systemd still has it without its file")
            }));
        }
        Err(why) => {
            report.unknown.push(Item::new(UNIT, "the units in systemd's memory", why.clone()))
        }
    }
    kept(&mut report, evidence);
    foreign(&mut report, evidence);
    gone(&mut report, evidence);
    for what in &now.unknown {
        // What nobody could look at before DC/OS was here either, DC/OS will hardly have changed.
        let never = before.is_some_and(|before| before.unknown.contains(what));
        let (kind, why) = if never {
            ("snapshot", "it could not be looked at before the install either")
        } else {
            (LOOK, "it could not be looked at")
        };
        report.unknown.push(Item::new(kind, what.clone(), why));
    }
    report.unknown.extend(firewall::unseen(&now.network));
    report.unknown.extend(
        evidence
            .found
            .unknown
            .iter()
            .map(|what| Item::new("search", what.clone(), "not all was looked at")),
    );
    report.searched =
        evidence.found.searched.iter().map(|path| path.display().to_string()).collect();
    if !compared && now.live {
        let why = "no snapshot of it was taken: what is new since then is told by its names only";
        report.unknown.push(Item::new("snapshot", "the machine before the install", why));
    }
    let units = undone.iter().filter(|o| matches!(o, Object::Units { .. })).cloned();
    let alive: Vec<String> =
        evidence.units.iter().flatten().map(|unit| unit.name.clone()).collect();
    let alive = (!alive.is_empty()).then_some(Object::Units { names: alive });
    // A directory stays with what could not be removed, and goes with it then.
    let has_residue =
        !evidence.refused.is_empty() || evidence.remnants.iter().any(|r| !r.on_purpose);
    let goes_later =
        |r: &&Remnant| !r.on_purpose || has_residue && matches!(r.object, Object::Directory { .. });
    let remnants = evidence.remnants.iter().filter(goes_later).map(|r| r.object.clone());
    let mut once_more = Vec::new();
    receipt::merge(&mut once_more, remnants.chain(again).chain(units).chain(alive));
    (report, once_more)
}

fn kept(report: &mut Leftovers, evidence: &Evidence<'_>) {
    for Judged { place, whose, .. } in evidence.data.iter().filter(|judged| !judged.is_link) {
        let subject = Subject::Path(place.path.into());
        // Once: what a purge left of it is told already.
        let is_told = |item: &Item| item.is(&subject) && item.kind != "directory";
        if report.kept.iter().chain(&report.residue).any(is_told) {
            continue;
        }
        report.kept.retain(|item| !item.is(&subject));
        match whose {
            Whose::Dcos => {
                let why = "data; dcos-node uninstall --purge-data removes it";
                report.kept.push(Item::about("data", subject, why));
            }
            Whose::New => {
                let why = "data that came since the install; nothing in it shows that it is \
                           DC/OS', so a later --purge-data leaves it alone";
                report.kept.push(Item::path(place.path, why));
            }
            Whose::Before | Whose::Untold => {}
        }
    }
    for path in layout::MADE_BY_UNITS.iter().map(Path::new) {
        if evidence.now.paths.iter().any(|p| p == path)
            && evidence.before.is_some_and(|before| before.paths.iter().any(|p| p == path))
        {
            report.kept.push(Item::path(path, "it was there before the install"));
        }
    }
    for store in evidence.stores {
        let subject = Subject::Path(store.into());
        report.kept.push(Item::about("directory", subject, "packages, for the next try"));
    }
    if evidence.now.live {
        report.kept.extend(network::kept(evidence.now, evidence.before, evidence.signs));
    }
}

fn foreign(report: &mut Leftovers, evidence: &Evidence<'_>) {
    let Evidence { before, now, found, .. } = *evidence;
    let theirs = data::foreign(evidence.data)
        .filter(|theirs| !found.foreign.iter().any(|foreign| foreign.path == theirs.path));
    let foreign = found.foreign.iter().cloned().chain(theirs);
    report.foreign.extend(foreign.map(|foreign| {
        let reason = foreign.reason().to_owned();
        Item::path(foreign.path, reason)
    }));
    if now.live {
        let is_residue = |item: &Item| {
            item.subject.as_ref().is_some_and(|what| report.residue.iter().any(|i| i.is(what)))
        };
        let theirs = network::foreign(now, before, evidence.signs).into_iter();
        report.foreign.extend(theirs.filter(|item| !is_residue(item)));
        docker_networks(report, evidence);
    }
    if now.paths.iter().any(|p| p == Path::new(layout::DOCKER_STATE)) {
        let why = "docker's images, containers and networks, of DC/OS' tasks too: never touched";
        let state = Subject::Path(layout::DOCKER_STATE.into());
        report.foreign.push(Item::about("docker", state, why));
    }
    let Some(before) = before else { return };
    let new = "it was not there before the install, and nobody recorded making it";
    let is_data = |path: &Path| {
        places::whole()
            .map(|place| place.path)
            .chain([layout::DOCKER_STATE])
            .any(|data| path == Path::new(data))
    };
    let told = |subject: &Subject, report: &Leftovers| {
        [&report.removed, &report.kept, &report.residue, &report.foreign]
            .iter()
            .any(|list| list.iter().any(|item| item.is(subject)))
    };
    for path in now.paths.iter().filter(|p| !before.paths.contains(p) && !is_data(p)) {
        let of_docker = "docker's for this boot, which docker makes where it starts";
        if !told(&Subject::Path(path.clone()), report) {
            let why = if path.starts_with(layout::DOCKER_RUN) { of_docker } else { new };
            report.foreign.push(Item::path(path, why));
        }
    }
    let setup = Path::new(layout::SETUP_UNIT).file_name().unwrap_or_default();
    for unit in now.units.iter().filter(|u| !before.units.contains(u) && setup != u.as_str()) {
        if !told(&Subject::Path(layout::unit(unit)), report) {
            report.foreign.push(Item::new("unit", unit.clone(), new));
        }
    }
    for unit in now.enabled.iter().filter(|u| !before.enabled.contains(u) && setup != u.as_str()) {
        let links = [layout::BOOT_WANTS, layout::TARGET_WANTS]
            .map(|wants| Subject::Path(Path::new(wants).join(unit)));
        if !links.iter().any(|link| told(link, report)) {
            report.foreign.push(Item::new(
                "enabled",
                unit.clone(),
                "it starts at boot, or with DC/OS' target, and did not before the install",
            ));
        }
    }
    let names = [("user", &now.users, &before.users), ("group", &now.groups, &before.groups)];
    for (kind, now, before) in names {
        for name in now.iter().filter(|name| !before.contains(name)) {
            let account = Subject::Account(name.clone());
            if !told(&account, report) {
                report.foreign.push(Item::about(kind, account, new));
            }
        }
    }
    let mounted: Vec<&PathBuf> = now.mounts.iter().filter(|m| !before.mounts.contains(m)).collect();
    report.foreign.extend(
        mounted
            .into_iter()
            .map(|m| Item::new("mount", m.display().to_string(), "mounted since the install")),
    );
}

/// docker makes the bridges of its networks again, so that what was removed comes back: who keeps
/// docker removes the networks.
fn docker_networks(report: &mut Leftovers, evidence: &Evidence<'_>) {
    let names =
        network::docker_networks(evidence.undone, evidence.now, evidence.before, evidence.signs);
    if names.is_empty() {
        return;
    }
    let why = "docker keeps them, and makes their bridges again when it starts";
    report.foreign.push(Item::new(
        "docker",
        format!("docker's networks {}", names.join(", ")),
        why,
    ));
    let command = format!("docker network rm {}", names.join(" "));
    report.afterwards.push(format!(
        "{command} once no container is on them: else docker makes their bridges again when it \
         starts"
    ));
}

/// Whether what refused to go of the packet filter is not known to be gone all the same.
fn may_stand(object: &Object, now: &Snapshot) -> bool {
    match object {
        Object::IpSet { name } => now.network.sets.contains(name),
        Object::FirewallChain { .. } | Object::FirewallRule { .. } => true,
        _ => false,
    }
}

/// What was there before the install and is not any more. Of what lies in `/run` no boot leaves
/// anything.
fn gone(report: &mut Leftovers, evidence: &Evidence<'_>) {
    let (Some(before), now) = (evidence.before, evidence.now) else { return };
    let lasts = |path: &&PathBuf| {
        !path.starts_with(layout::RUN) && *path != Path::new(layout::RESOLV_CONF_TMP)
    };
    let why = "it was there before the install";
    let lost_paths = |was: &[PathBuf], is: &[PathBuf]| -> Vec<Subject> {
        let lost = was.iter().filter(lasts).filter(|path| !is.contains(path));
        lost.cloned().map(Subject::Path).collect()
    };
    let lost_names = |was: &[String], is: &[String], subject: fn(String) -> Subject| {
        was.iter().filter(|name| !is.contains(name)).cloned().map(subject).collect::<Vec<_>>()
    };
    let mut add = |kind: &'static str, lost: Vec<Subject>| {
        // A purge was asked for.
        let lost = lost.into_iter().filter(|lost| !report.removed.iter().any(|i| i.is(lost)));
        report.gone.extend(lost.map(|lost| Item::about(kind, lost, why)));
    };
    add("path", lost_paths(&before.paths, &now.paths));
    add("unit", lost_names(&before.units, &now.units, Subject::Unit));
    add("enabled", lost_names(&before.enabled, &now.enabled, Subject::Unit));
    add("user", lost_names(&before.users, &now.users, Subject::Account));
    add("group", lost_names(&before.groups, &now.groups, Subject::Account));
    if before.live && now.live {
        add("mount", lost_paths(&before.mounts, &now.mounts));
    }
}

fn undone_because(object: &Object) -> &'static str {
    use crate::dcos::receipt::Before::Absent;
    match object {
        Object::File { before, .. } | Object::Link { before, .. } if *before != Absent => {
            "as it was before the install"
        }
        Object::ResolvConf { .. } | Object::Sysctl { .. } | Object::AccountFile { .. } => {
            "as it was before the install"
        }
        Object::Aside { .. } => "put back unless something took its place",
        Object::Scratch { .. } => "DC/OS makes it while it runs",
        object if object.is_of_machine() => "made by DC/OS since the install",
        _ => "made by the install",
    }
}

#[cfg(test)]
mod tests;
