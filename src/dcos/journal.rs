//! The words of the journal: what was asked, what was begun, what is done. One JSON record a line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::action_key::ActionKey;
use super::build::Build;
use super::fetching::Fetching;
use super::receipt::{CheckWarning, Object, Skip};
use super::role::Role;
use super::settings::Version;
use super::snapshot::Snapshot;
use super::spared::Spared;

/// The schema that this program writes; it reads this one and all older ones.
pub const SCHEMA: u32 = 1;
/// Bytes that an install reserves for the journal: more than the records of any install and its
/// undoing, some hundred objects, each named a few times.
pub const ROOM: u32 = 1 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The first line of every journal.
    Opened {
        /// [`SCHEMA`].
        schema: u32,
        /// Version of the dcos-node that began it.
        dcos_node: String,
    },
    /// What was asked; an action follows from it and from what stands on the node.
    Asked {
        /// When, in UTC (RFC 3339).
        at: String,
        /// What.
        intent: Intent,
    },
    /// Before the first action: the node as it was. The first one counts.
    Snapshot {
        /// What was seen.
        snapshot: Box<Snapshot>,
    },
    /// Before an action touches anything: what it will make or change, and what stands there now.
    Begin {
        /// The name of the action, the same in every run.
        key: ActionKey,
        /// Its part of the inventory.
        objects: Vec<Object>,
    },
    /// After the last fsync of an action.
    Done {
        /// The name of the action.
        key: ActionKey,
    },
    /// An object is gone or as it was before.
    Undone {
        /// The object.
        object: Object,
    },
    /// Nothing is left to do. `installed` is followed by a receipt, and the journal is closed.
    Finished {
        /// How the node stands.
        outcome: Outcome,
    },
}

/// What an operator asked for, whole enough to go on without the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Intent {
    /// `install`.
    Install(Box<InstallIntent>),
    /// `uninstall`, or the end of an install that failed.
    Uninstall {
        /// Whether state directories go too.
        purge_data: bool,
        /// Whether verified packages stay for another try.
        keep_packages: bool,
    },
}

/// All of an install that is not found out from the packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallIntent {
    /// What the node will be.
    pub role: Role,
    /// What is installed.
    pub build: Build,
    /// Which DC/OS the build is, if it says so.
    pub version: Option<Version>,
    /// Whether the target is started at the end.
    pub start: bool,
    /// Whether journald may be restarted even if docker runs containers.
    pub restart_journald: bool,
    /// Whether docker may be restarted.
    pub restart_docker: bool,
    /// An unprivileged run filled a directory: owners and accounts are left for the first boot.
    #[serde(default)]
    pub placed_unprivileged: bool,
    /// Checks that the operator skipped.
    pub skips: Vec<Skip>,
    /// Checks that warned and did not stop the install.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<CheckWarning>,
    /// What an earlier install kept of the node's identity and is set aside, each with its new
    /// place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// Node files outside of the usual places that the operator allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_files: Vec<PathBuf>,
    /// From where else and how fast packages are fetched.
    #[serde(default, skip_serializing_if = "Fetching::is_usual")]
    pub fetching: Fetching,
    /// What of an installed node stays as it stands.
    #[serde(default, skip_serializing_if = "Spared::is_empty")]
    pub spared: Spared,
}

/// How a node stands when nothing is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The receipt says what.
    Installed,
    /// As it was before us, perhaps with packages kept.
    Clean,
}

/// What a journal comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// The last thing asked, unless it is finished.
    pub intent: Option<Intent>,
    /// When it was asked.
    pub asked_at: Option<String>,
    /// Objects begun and not undone, in order.
    pub objects: Vec<Object>,
    /// Actions that are done.
    pub done: BTreeSet<ActionKey>,
    /// The node before the install.
    pub snapshot: Option<Box<Snapshot>>,
}

impl Story {
    /// Reads the text of a journal. A last line without its newline is torn: it was never acted
    /// upon.
    ///
    /// # Errors
    /// A line in the middle that is no record, or a journal of a newer dcos-node.
    pub fn read(text: &[u8]) -> Result<Story, InvalidJournal> {
        let whole = text
            .iter()
            .rposition(|b| *b == b'\n')
            .and_then(|end| text.get(..end))
            .unwrap_or_default();
        let mut story = Story::default();
        for (index, line) in
            whole.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            let invalid = |reason, is_newer| InvalidJournal { line: index + 1, reason, is_newer };
            let record = serde_json::from_slice(line).map_err(|e| invalid(e.to_string(), false))?;
            if let Record::Opened { schema, .. } = record
                && schema > SCHEMA
            {
                return Err(invalid(format!("schema {schema} is newer than this dcos-node"), true));
            }
            story.add(record);
        }
        Ok(story)
    }

    /// What a journal that cannot be followed still tells of the inventory and of the node before:
    /// every line of it that is a record counts. What was asked is not known any more, and nothing
    /// counts as done.
    pub fn salvage(text: &[u8]) -> Story {
        let mut story = Story::default();
        text.split(|b| *b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .for_each(|record| story.add(record));
        Story { objects: story.objects, snapshot: story.snapshot, ..Story::default() }
    }

    /// Adds one record.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Opened { .. } => {}
            Record::Asked { at, intent } => {
                self.done.clear();
                self.asked_at = Some(at);
                self.intent = Some(intent);
            }
            Record::Snapshot { snapshot } => {
                self.snapshot.get_or_insert(snapshot);
            }
            Record::Begin { objects, .. } => {
                for object in objects {
                    match self.objects.iter_mut().find(|known| known.same_place(&object)) {
                        None => self.objects.push(object),
                        Some(known) => known.begin_again(object),
                    }
                }
            }
            Record::Done { key } => {
                self.done.insert(key);
            }
            Record::Undone { object } => {
                self.objects.retain(|known| !known.same_place(&object));
                // What made the object would have to be done again, and every action may be: none
                // counts as done any more.
                self.done.clear();
            }
            Record::Finished { .. } => {
                self.intent = None;
                self.asked_at = None;
                self.done.clear();
            }
        }
    }
}

/// A journal that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the journal: {reason}")]
pub struct InvalidJournal {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
    /// Whether a newer dcos-node wrote it, who can follow it.
    pub is_newer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::receipt::Before;

    fn line(record: &Record) -> String {
        serde_json::to_string(record).unwrap() + "\n"
    }

    fn file(before: Before) -> Object {
        Object::File { path: "/etc/x".into(), sha256: "00".into(), before }
    }

    #[test]
    fn torn_last_journal_line_is_ignored() {
        let whole = line(&Record::Opened { schema: 1, dcos_node: "0".into() })
            + &line(&Record::Begin { key: "a".into(), objects: vec![file(Before::Absent)] });
        let torn = whole.clone() + &line(&Record::Done { key: "a".into() })[..9];
        assert_eq!(Story::read(torn.as_bytes()).unwrap(), Story::read(whole.as_bytes()).unwrap());
        assert!(
            Story::read(b"garbage\n{}\n").is_err_and(|error| error.line == 1 && !error.is_newer)
        );
        let newer = Story::read(
            line(&Record::Opened { schema: SCHEMA + 1, dcos_node: "9".into() }).as_bytes(),
        );
        assert!(newer.is_err_and(|error| error.is_newer));
    }

    #[test]
    fn newly_found_units_are_added_to_the_known_ones() {
        let begin = |names: &[&str]| Record::Begin {
            key: "units".into(),
            objects: vec![Object::Units {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
            }],
        };
        let mut story = Story::default();
        [begin(&["a.service", "b.service"]), begin(&["b.service", "c.service"])]
            .into_iter()
            .for_each(|record| story.add(record));
        assert_eq!(
            story.objects,
            [Object::Units {
                names: ["a.service", "b.service", "c.service"].map(str::to_owned).into()
            }]
        );
    }

    #[test]
    fn damaged_journal_gives_its_inventory_but_no_options() {
        let asked = Record::Asked {
            at: String::new(),
            intent: Intent::Uninstall { purge_data: true, keep_packages: false },
        };
        let begun = |path: &str| Record::Begin {
            key: "a".into(),
            objects: vec![Object::Directory { path: path.into() }],
        };
        let text = [
            "{\"record\":\"op\0\0\n".to_owned(),
            line(&asked),
            line(&begun("/a")),
            "garbage\n".to_owned(),
            line(&begun("/b")),
        ]
        .concat();
        let story = Story {
            objects: ["/a", "/b"].map(|path| Object::Directory { path: path.into() }).into(),
            ..Story::default()
        };
        assert_eq!(Story::salvage(text.as_bytes()), story);
    }

    #[test]
    fn initial_state_is_that_of_the_first_begin_record() {
        let mut story = Story::default();
        story.add(Record::Begin { key: "a".into(), objects: vec![file(Before::Absent)] });
        story.add(Record::Begin {
            key: "a".into(),
            objects: vec![file(Before::Link { target: "/ours".into(), resolved: None })],
        });
        assert_eq!(story.objects, [file(Before::Absent)]);
        let other = |sha256: &str| Object::File {
            path: "/etc/x".into(),
            sha256: sha256.into(),
            before: Before::Absent,
        };
        story.add(Record::Begin { key: "b".into(), objects: vec![other("01")] });
        story.add(Record::Begin { key: "inventory".into(), objects: vec![other("")] });
        assert_eq!(story.objects, [other("01")]);
        story.add(Record::Undone { object: file(Before::Absent) });
        assert_eq!(story.objects, []);
    }

    #[test]
    fn first_snapshot_counts_as_later_ones_contain_our_changes() {
        let mut story = Story::default();
        for user in ["before", "dcos_after"] {
            let snapshot = Snapshot { users: vec![user.to_owned()], ..Snapshot::default() };
            story.add(Record::Snapshot { snapshot: Box::new(snapshot) });
        }
        assert_eq!(story.snapshot.unwrap().users, ["before"]);
    }

    #[test]
    fn no_action_counts_as_done_after_a_rollback() {
        let mut story = Story::default();
        story.add(Record::Begin { key: "a".into(), objects: vec![file(Before::Absent)] });
        story.add(Record::Done { key: "a".into() });
        story.add(Record::Undone { object: file(Before::Absent) });
        assert!(story.done.is_empty());
    }
}
