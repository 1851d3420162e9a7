//! The active set, its units, accounts and state directories against what the active packages ask
//! for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::extras::{self, Search};
use super::findings::{Findings, told};
use super::package::{Owners, mode_word, word};
use super::text::{LONGEST, TEXT, content};
use super::units;
use crate::dcos::active_set::ActiveSet;
use crate::dcos::difference::{Aspect, Compared, Detail, Difference, Kind};
use crate::dcos::farm::Entry;
use crate::dcos::layout;
use crate::dcos::receipt::Object;
use crate::observe::node::{Node, State};
use crate::observe::packages;
use crate::system::files;
use crate::system::files::FileKind;
use crate::system::root::Root;

/// What an active name is of.
const ACTIVE_SET: &str = "active set";
/// What a user is of.
const ACCOUNTS: &str = "accounts";
/// What a state directory is of.
const STATE: &str = "state directories";
/// The directories that are linked from packages.
const LINKED: [&str; 4] = ["bin", "etc", "include", "lib"];
/// The mode of the directories that activation makes.
const DIRECTORY: u32 = 0o755;

/// Compares every link of the active set, every unit, every account and every state directory.
pub(super) fn look(root: &Root, node: &Node, owners: &Owners, findings: &mut Findings) {
    let Some(role) = node.role() else {
        return findings
            .unknown(layout::ROLES, "the node has no role, so its links cannot be judged");
    };
    if node.active.is_empty() {
        return findings.differs(Difference::missing(layout::ACTIVE, ACTIVE_SET));
    }
    let set = packages::packages(root, &node.active).map_err(|error| format!("{error:#}"));
    let set = set.and_then(|mut packages| {
        // What does not belong into a package has no link either.
        for package in &mut packages {
            let top = layout::package(&package.id);
            package.members.retain(|member| {
                !findings.is(Kind::Extra, &top.join(&member.top).join(&member.path))
            });
        }
        ActiveSet::new(packages, role)
            .map_err(|problems| problems.first().map(ToString::to_string).unwrap_or_default())
    });
    let set = match set {
        Ok(set) => set,
        Err(why) => return findings.unknown("links of the active set", why),
    };
    farm(root, &set, owners, findings);
    texts(root, node, &set, owners, findings);
    units::compare(root, &set, owners, findings);
    if node.state() != State::Prepared {
        accounts(node, &set, findings);
    }
    state_directories(root, node, &set, owners, findings);
}

fn farm(root: &Root, set: &ActiveSet, owners: &Owners, findings: &mut Findings) {
    let mut known: BTreeSet<PathBuf> =
        BTreeSet::from([layout::active_name("etc").join("dcos-service-configuration.json")]);
    let linked = set
        .farm
        .entries
        .iter()
        .filter(|(path, _)| LINKED.iter().any(|name| path.starts_with(name)));
    let of_packages = set.packages.iter().map(|package| {
        let link = Entry::Link { target: layout::package(&package.id) };
        (Path::new(layout::ACTIVE).join(package.id.name()), link)
    });
    let all: Vec<(PathBuf, Entry)> = linked
        .map(|(path, entry)| (Path::new(layout::MESOSPHERE).join(path), entry.clone()))
        .chain(of_packages)
        .collect();
    findings.looked_at(all.len());
    for (path, entry) in all {
        match compared(root, &path, &entry, owners) {
            Ok(difference) => difference.into_iter().for_each(|d| findings.differs(d)),
            Err((path, why)) => findings.unknown(path, why),
        }
        known.insert(path);
    }
    let tops = LINKED.into_iter().chain(["active"]).map(layout::active_name);
    for top in tops {
        match compared(root, &top, &Entry::Directory, owners) {
            Ok(difference) => difference.into_iter().for_each(|d| findings.differs(d)),
            Err((path, why)) => findings.unknown(path, why),
        }
        let is_known = |path: &Path| known.contains(path);
        let search = Search { root, top: &top, is_known: &is_known };
        extras::look(&search, findings, &mut |findings, path, kind| {
            // The link of a file that is missing in its package: the file is told already.
            let is_left = matches!(
                kind,
                FileKind::Link { target } if findings.is(Kind::Missing, target)
            );
            if !is_left {
                findings.differs(Difference::extra(path, ACTIVE_SET).marked(false));
            }
        });
    }
}

fn compared(
    root: &Root,
    path: &Path,
    entry: &Entry,
    owners: &Owners,
) -> Result<Option<Difference>, (String, String)> {
    let Some(stands) = files::lstat(&root.at(path)).map_err(|error| told(path, &error))? else {
        return Ok(Some(Difference::missing(path, ACTIVE_SET)));
    };
    let detail = match (entry, &stands.kind) {
        (Entry::Directory, FileKind::Directory) => None,
        (Entry::Link { target }, FileKind::Link { target: is }) => {
            Detail::of(Aspect::Link, target.clone(), is.clone(), |p| p.display().to_string())
        }
        (Entry::Directory, kind) => {
            Some(Detail { aspect: Aspect::Kind, was: "directory".into(), is: word(kind).into() })
        }
        (Entry::Link { .. }, kind) => {
            Some(Detail { aspect: Aspect::Kind, was: "link".into(), is: word(kind).into() })
        }
    };
    let mut details: Vec<Detail> = detail.into_iter().collect();
    // Of another kind of thing the mode says nothing.
    let mode = if details.is_empty() { Some(DIRECTORY) } else { None };
    details.extend(owners.of_root(mode, &stands));
    Ok(Difference::changed(path, ACTIVE_SET, details))
}

/// What activation writes itself. pkgpanda has the same in another order, and that of an adopted
/// node wrote it by rules of another version, so that of it only its presence counts.
fn texts(root: &Root, node: &Node, set: &ActiveSet, owners: &Owners, findings: &mut Findings) {
    let is_ours = node
        .receipt
        .as_ref()
        .is_none_or(|receipt| !receipt.adopted && receipt.build.active() == node.active);
    let is_ours = is_ours && (node.receipt.is_some() || node.story.intent.is_some());
    for (path, text) in [
        (layout::active_name("environment"), set.environment()),
        (layout::active_name("environment.export"), set.environment_export()),
        (layout::active_name("active.buildinfo.full.json"), set.build_info()),
        (
            layout::active_name("etc").join("dcos-service-configuration.json"),
            set.service_configuration(),
        ),
    ] {
        findings.looked_at(1);
        let was = is_ours.then(|| as_it_stands(root, &path, text.into_bytes()));
        content(root, path, was, TEXT, owners, ACTIVE_SET, findings);
    }
}

/// What activation would write, or what stands if that says the same: pkgpanda, where it activated
/// behind us, goes through packages in whatever order a set of Python's has.
fn as_it_stands(root: &Root, path: &Path, text: Vec<u8>) -> Vec<u8> {
    match root.read(path, LONGEST) {
        Ok(Some(stands)) if says_the_same(path, &text, &stands) => stands,
        _ => text,
    }
}

fn says_the_same(path: &Path, ours: &[u8], theirs: &[u8]) -> bool {
    if path.extension().is_some_and(|extension| extension == "json") {
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
        return read(theirs).is_some_and(|theirs| read(ours) == Some(theirs));
    }
    let lines = |text: &[u8]| {
        let mut lines: Vec<Vec<u8>> =
            text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort_unstable();
        lines
    };
    lines(ours) == lines(theirs)
}

fn accounts(node: &Node, set: &ActiveSet, findings: &mut Findings) {
    for account in set.accounts() {
        findings.looked_at(1);
        let group =
            account.group.as_deref().filter(|group| !node.accounts.is_in(&account.user, group));
        match (node.accounts.has_user(&account.user), group) {
            (false, _) => {
                findings.differs(Difference::missing(Compared::account(&account.user), ACCOUNTS))
            }
            (true, Some(group)) => {
                let is = node.accounts.primary_group(&account.user).unwrap_or("none").to_owned();
                let detail = Detail { aspect: Aspect::Group, was: group.to_owned(), is };
                Difference::changed(Compared::account(&account.user), ACCOUNTS, vec![detail])
                    .into_iter()
                    .for_each(|d| findings.differs(d));
            }
            (true, None) => {}
        }
        // Units of half an account fail, so that a line counts as a thing of its own.
        let missing = node.accounts.missing_lines(&account.user).into_iter();
        for file in missing.filter(|file| group.is_none() || *file != layout::GROUP) {
            let line = Compared::Account { user: account.user.clone(), file: Some(file) };
            findings.differs(Difference::missing(line, ACCOUNTS));
        }
    }
}

/// State directories have their account, and root's group. Of one that was there before us, or that
/// the classic installer made, only the account is known; what lies in them is data.
fn state_directories(
    root: &Root,
    node: &Node,
    set: &ActiveSet,
    owners: &Owners,
    findings: &mut Findings,
) {
    let ours = node.receipt.as_ref().filter(|receipt| !receipt.adopted);
    let is_made = |wanted: &Path| {
        ours.is_some_and(|receipt| {
            receipt
                .objects
                .iter()
                .any(|o| matches!(o, Object::StateDirectory { path, made: true } if path == wanted))
        })
    };
    for directory in set.state_directories() {
        let Ok(Some(stands)) = files::lstat(&root.at(&directory.path)) else { continue };
        if stands.kind != FileKind::Directory {
            continue;
        }
        let made = is_made(&directory.path);
        let mode = Detail::of(Aspect::Mode, DIRECTORY, stands.mode, mode_word).filter(|_| made);
        let uid = directory
            .owner
            .as_deref()
            .map_or(made.then_some(0), |owner| node.accounts.user_number(owner));
        let user = uid
            .filter(|_| owners.set)
            .and_then(|uid| Detail::of(Aspect::User, uid, stands.uid, u32::to_string));
        let group =
            Detail::of(Aspect::Group, 0, stands.gid, u32::to_string).filter(|_| made && owners.set);
        let details = mode.into_iter().chain(user).chain(group).collect();
        Difference::changed(&directory.path, STATE, details)
            .into_iter()
            .for_each(|d| findings.differs(d));
    }
}
