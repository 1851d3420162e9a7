//! Compares what stands on a node with a golden record of what the classic installer leaves.
//!
//! ```ignore
//! let before = Snapshot::of(&node.root());
//! node.run(&["dcos-node", "install", "master"]).succeeds();
//! let golden = Golden::read("fixtures/reference/golden/master.json");
//! let why = "no first activation is left to be set aside";
//! let meant = Tolerated(&[("/opt/mesosphere/*.old", Kind::Missing, why)]);
//! let found = |seen: &Seen| differences(&golden, seen, Some(&before));
//! meant.accepts(&found(&Seen::at_rest(&node, |seen| meant.complaints(&found(seen)).is_empty())));
//! ```
//!
//! The record and the rules are those of `fixtures/reference/compare.py`, which operators can use
//! by hand.

mod golden;
mod pattern;
mod snapshot;
mod units;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

pub use golden::{Golden, Recorded};
pub use snapshot::{Entry, Snapshot};
pub use units::{Seen, Units};
pub use whole::Whole;

/// In which way something differs from the golden record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The record has it, the node has not.
    Missing,
    /// The node has it, the record has not.
    Extra,
    /// Both have it.
    Different,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// In which way.
    pub kind: Kind,
    /// A path, `user:NAME`, `group:NAME` or `unit:NAME`.
    pub what: String,
    /// What exactly: for `Different`, the field and both values.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Missing => "missing",
            Kind::Extra => "extra",
            Kind::Different => "different",
        };
        write!(out, "{kind:<9} {}  {}", self.what, self.detail)
    }
}

/// Everything in which the node differs from the record. With a snapshot from before the install
/// every other change of the recorded areas counts; without one, only what carries DC/OS' names can
/// be extra.
pub fn differences(golden: &Golden, seen: &Seen, before: Option<&Snapshot>) -> Vec<Difference> {
    let here = Snapshot::of_areas(&seen.root, &golden.areas);
    // What lies in /run exists on a running node only.
    let running = seen.root.join("run/systemd/system").is_dir();
    let all = golden.created.iter().chain(&golden.changed);
    let wanted: BTreeMap<&String, &Entry> =
        all.filter(|(name, _)| running || !name.starts_with("/run/")).collect();
    let mut found = Findings::default();
    paths(golden, &here, &wanted, before, &mut found);
    if let Some(before) = before {
        bystanders(golden, &here, &wanted, before, &mut found);
    }
    texts(golden, &here, seen, &mut found);
    let accounts = snapshot::accounts(&seen.root);
    named(
        "user:",
        &golden.accounts.users,
        &accounts.users,
        |name| name.starts_with("dcos_"),
        &mut found,
    );
    named(
        "group:",
        &golden.accounts.groups,
        &accounts.groups,
        |name| name.starts_with("dcos_"),
        &mut found,
    );
    if let Some(units) = &seen.units {
        named("unit:", &golden.units, units, |_| true, &mut found);
    }
    found.0
}

/// The paths that the install made or changed, and those that it should not have made.
fn paths(
    golden: &Golden,
    here: &Snapshot,
    wanted: &BTreeMap<&String, &Entry>,
    before: Option<&Snapshot>,
    found: &mut Findings,
) {
    for (name, want) in wanted {
        match here.paths.get(*name) {
            None => found.add(Kind::Missing, name, &plain(want.get("type"))),
            Some(have) => fields(name, want, have, found),
        }
    }
    for name in golden.removed.iter().filter(|name| here.paths.contains_key(*name)) {
        found.add(Kind::Extra, name, "the golden run removed it");
    }
    for (name, have) in here.paths.iter().filter(|(name, _)| !wanted.contains_key(name)) {
        let is_extra =
            before.map_or_else(|| golden.owns(name), |before| !before.paths.contains_key(name));
        if is_extra {
            found.add(Kind::Extra, name, &plain(have.get("type")));
        }
    }
}

/// Only what is recorded of a path is compared, and what it must not have.
fn fields(name: &str, want: &Entry, have: &Entry, found: &mut Findings) {
    let unwanted = ["target", "hardlink", "xattrs"]
        .map(str::to_owned)
        .into_iter()
        .filter(|field| have.contains_key(field));
    let compared: BTreeSet<String> = want.keys().cloned().chain(unwanted).collect();
    let mut different: Vec<&String> =
        compared.iter().filter(|field| want.get(*field) != have.get(*field)).collect();
    if different.iter().any(|field| *field == "sha256") {
        different.retain(|field| *field != "size");
    }
    for field in different {
        found.differs(name, field, want.get(field), have.get(field));
    }
}

/// The paths that the golden run did not touch.
fn bystanders(
    golden: &Golden,
    here: &Snapshot,
    wanted: &BTreeMap<&String, &Entry>,
    before: &Snapshot,
    found: &mut Findings,
) {
    for (name, was) in &before.paths {
        if wanted.contains_key(name)
            || golden.changed.contains_key(name)
            || golden.removed.contains(name)
        {
            continue;
        }
        match here.paths.get(name) {
            None => found.add(Kind::Missing, name, "was there before"),
            Some(is) if is != was => {
                let fields: BTreeSet<&String> = was
                    .keys()
                    .chain(is.keys())
                    .filter(|field| was.get(*field) != is.get(*field))
                    .collect();
                let fields: Vec<&str> = fields.into_iter().map(String::as_str).collect();
                found.add(
                    Kind::Different,
                    name,
                    &format!("changed since before: {}", fields.join(", ")),
                );
            }
            Some(_) => {}
        }
    }
}

/// The files whose content is recorded by meaning, because their bytes differ from run to run.
fn texts(golden: &Golden, here: &Snapshot, seen: &Seen, found: &mut Findings) {
    for (name, want) in &golden.texts {
        if here.paths.get(name).is_none_or(|entry| entry["type"] != "file") {
            continue;
        }
        let have = snapshot::text(&seen.root, name);
        match want {
            Recorded::Whole(want) if *want != have => {
                found.add(Kind::Different, name, "text differs")
            }
            Recorded::Whole(_) => {}
            Recorded::ByPackage(want) => {
                let have = golden::by_package(&have);
                for package in want.keys().chain(have.keys()).collect::<BTreeSet<_>>() {
                    let label = if package.is_empty() { "head" } else { package };
                    let [want, have] = [want, &have]
                        .map(|side| side.get(package).map(|lines| Value::from(lines.clone())));
                    if want != have {
                        found.differs(name, label, want.as_ref(), have.as_ref());
                    }
                }
            }
        }
    }
}

/// Users, groups and units: what is recorded of each has to be so, and none of `ours` may be there
/// beside them.
fn named(
    prefix: &str,
    want: &BTreeMap<String, Entry>,
    have: &BTreeMap<String, Entry>,
    ours: impl Fn(&str) -> bool,
    found: &mut Findings,
) {
    for name in want.keys().chain(have.keys().filter(|name| ours(name))).collect::<BTreeSet<_>>() {
        let what = format!("{prefix}{name}");
        match (want.get(name), have.get(name)) {
            (Some(_), None) => found.add(Kind::Missing, &what, ""),
            (None, Some(have)) => {
                let fields: Vec<String> = have
                    .iter()
                    .map(|(field, value)| format!("{field}={}", plain(Some(value))))
                    .collect();
                found.add(Kind::Extra, &what, &fields.join(" "));
            }
            (Some(want), Some(have)) => {
                for (field, value) in
                    want.iter().filter(|(field, value)| have.get(*field) != Some(*value))
                {
                    found.differs(&what, field, Some(value), have.get(field));
                }
            }
            (None, None) => {}
        }
    }
}

#[derive(Default)]
struct Findings(Vec<Difference>);

impl Findings {
    fn add(&mut self, kind: Kind, what: &str, detail: &str) {
        self.0.push(Difference { kind, what: what.to_owned(), detail: detail.to_owned() });
    }

    fn differs(&mut self, what: &str, field: &str, want: Option<&Value>, have: Option<&Value>) {
        let detail = format!("{field}: golden {}, here {}", plain(want), plain(have));
        self.add(Kind::Different, what, &detail);
    }
}

/// A value without the quotes of JSON.
fn plain(value: Option<&Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The differences that are meant: a pattern (`*` and `?`, both also match `/`), the kind, and the
/// reason.
pub struct Tolerated<'a>(pub &'a [(&'a str, Kind, &'a str)]);

impl Tolerated<'_> {
    /// Demands that every difference is tolerated and that every row is needed: a row that matches
    /// nothing hides the next mistake.
    #[track_caller]
    pub fn accepts(&self, found: &[Difference]) {
        let complaints = self.complaints(found);
        assert!(
            complaints.is_empty(),
            "{} complaints:\n{}",
            complaints.len(),
            complaints.join("\n")
        );
    }

    /// What is wrong: differences that no row tolerates, and rows that tolerate nothing.
    pub fn complaints(&self, found: &[Difference]) -> Vec<String> {
        let matches = |row: &(&str, Kind, &str), it: &Difference| {
            row.1 == it.kind && pattern::matches(row.0, &it.what)
        };
        let unexpected = found
            .iter()
            .filter(|it| !self.0.iter().any(|row| matches(row, it)))
            .map(Difference::to_string);
        let stale = self.0.iter().filter(|row| !found.iter().any(|it| matches(row, it)));
        unexpected
            .chain(stale.map(|(pattern, kind, reason)| {
                format!("stale row: {kind:?} {pattern}, tolerated because {reason}")
            }))
            .collect()
    }
}
