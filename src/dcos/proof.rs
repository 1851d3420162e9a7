//! What an uninstall comes to, thing by thing: the proof that a node is clean, or what it is not
//! clean of (docs/uninstall-report.md).

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::dcos::receipt::Object;

/// The schema of the report; fields may be added without a new number.
pub const SCHEMA: u32 = 1;

/// The kind of a unit.
pub const UNIT: &str = "unit";
/// The kind of a look at the machine that failed.
pub const LOOK: &str = "look";

/// The kind of tables of the packet filter that nobody could look into. They prove nothing, and
/// another try would see no more.
pub const TABLE: &str = "firewall-table";

/// Everything that an uninstall removed, kept, left alone or failed to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftovers {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether a snapshot from before the install was there to compare with.
    pub compared: bool,
    /// What is gone, or as it was before.
    pub removed: Vec<Item>,
    /// What stays on purpose.
    pub kept: Vec<Item>,
    /// What is new since the install, and not known to be ours: left alone.
    pub foreign: Vec<Item>,
    /// What should be gone and is not.
    pub residue: Vec<Item>,
    /// What stood before the install, is gone, and was not ours to remove.
    pub gone: Vec<Item>,
    /// What could not be looked at.
    pub unknown: Vec<Item>,
    /// Where files of users and groups that go were looked for; empty if none go.
    pub searched: Vec<String>,
    /// What is left to do on this node, which is another's to do.
    pub afterwards: Vec<String>,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What kind of thing, in one word.
    pub kind: &'static str,
    /// The thing itself.
    pub what: String,
    /// Why it is in this list.
    pub why: String,
    /// What items are compared by; none for what is named in one list only.
    #[serde(skip)]
    pub subject: Option<Subject>,
}

/// A thing that more than one list could name, in whichever of its forms it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file, directory or link.
    Path(PathBuf),
    /// A unit.
    Unit(String),
    /// A user, or the group of its name.
    Account(String),
    /// A network interface.
    Interface(String),
    /// A set of the packet filter.
    IpSet(String),
    /// A rule of the packet filter.
    FirewallRule {
        /// The program that shows it.
        program: String,
        /// Its table.
        table: String,
        /// The line that `-S` prints for it.
        rule: String,
    },
}

impl Subject {
    /// What an object is compared by.
    pub fn of(object: &Object) -> Option<Subject> {
        match object {
            Object::Account { account, .. } => Some(Subject::Account(account.user.clone())),
            Object::Interface { name } => Some(Subject::Interface(name.clone())),
            Object::IpSet { name } => Some(Subject::IpSet(name.clone())),
            Object::FirewallRule { program, table, rule } => Some(Subject::FirewallRule {
                program: program.clone(),
                table: table.clone(),
                rule: rule.clone(),
            }),
            other => other.path().map(Subject::Path),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Path(path) => write!(f, "{}", path.display()),
            Subject::Unit(name) | Subject::Account(name) | Subject::Interface(name) => {
                f.write_str(name)
            }
            Subject::IpSet(name) => write!(f, "the ipset {name}"),
            Subject::FirewallRule { program, table, rule } => {
                write!(f, "{rule} ({program} -t {table})")
            }
        }
    }
}

impl Leftovers {
    /// Nothing yet.
    pub fn new(compared: bool) -> Leftovers {
        let (removed, kept, foreign, residue, gone, unknown, searched, afterwards) =
            Default::default();
        Leftovers {
            schema: SCHEMA,
            compared,
            removed,
            kept,
            foreign,
            residue,
            gone,
            unknown,
            searched,
            afterwards,
        }
    }

    /// What keeps the node from being proved clean: what should be gone and is not, and what could
    /// be looked at before the install and cannot be now. A retry needs our own traces then.
    pub fn open(&self) -> impl Iterator<Item = &Item> {
        self.residue
            .iter()
            .chain(self.unknown.iter().filter(|item| [UNIT, LOOK].contains(&item.kind)))
    }
}

impl Item {
    /// One thing that only this list can name, its kind first.
    pub fn new(kind: &'static str, what: impl Into<String>, why: impl Into<String>) -> Item {
        Item { kind, what: what.into(), why: why.into(), subject: None }
    }

    /// One thing that other lists could name, its kind first.
    pub fn about(kind: &'static str, subject: Subject, why: impl Into<String>) -> Item {
        Item { subject: Some(subject.clone()), ..Item::new(kind, subject.to_string(), why) }
    }

    /// A file, directory or link.
    pub fn path(path: impl Into<PathBuf>, why: impl Into<String>) -> Item {
        Item::about("path", Subject::Path(path.into()), why)
    }

    /// An object of the receipt or the journal.
    pub fn of(object: &Object, why: impl Into<String>) -> Item {
        Item { subject: Subject::of(object), ..Item::new(object.kind(), object.to_string(), why) }
    }

    /// Whether it is this.
    pub fn is(&self, subject: &Subject) -> bool {
        self.subject.as_ref() == Some(subject)
    }
}
