//! The one enum of events: everything that a run tells while it runs. Progress bars, plain lines,
//! files of events and entries of the node's journal are made from it.

mod kind;

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use serde::{Deserialize, Serialize};

use super::action_key::ActionKey;
use super::cluster::Member;
use super::exit::Exit;
use super::id::PackageId;
use super::level::Level;
use super::preview::Preview;
use super::role::Role;
use super::trust::{Origin, Trust};

pub use kind::Kind;

/// The schema of events as lines of JSON.
pub const SCHEMA: u32 = 1;

/// Something that happened. Sent by commands and actions, printed by `output` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A command begins; the first event of a run.
    Started {
        /// The subcommand.
        command: String,
        /// The role that was asked for.
        role: Option<Role>,
        /// The version of dcos-node.
        version: String,
    },
    /// What will be done.
    Planned {
        /// One line each.
        actions: Vec<Preview>,
    },
    /// An action begins.
    Begun {
        /// The name of the action.
        key: ActionKey,
        /// For people.
        text: String,
    },
    /// Bytes of an action, so far.
    Progress {
        /// The name of the action.
        key: ActionKey,
        /// Bytes done.
        bytes: u64,
        /// Bytes in all, if that is known.
        total: Option<u64>,
    },
    /// An action is done and durable.
    Done {
        /// The name of the action.
        key: ActionKey,
    },
    /// An action failed.
    Failed {
        /// The name of the action.
        key: ActionKey,
        /// Why, with all causes, for people.
        error: String,
    },
    /// An object is gone or as it was.
    Undone {
        /// The name of the action.
        key: ActionKey,
        /// For people.
        text: String,
    },
    /// A package is whole, and may be used.
    Package {
        /// Which.
        id: PackageId,
        /// How it came to the node.
        origin: Origin,
        /// Whether the build index names the archive that it came from.
        trust: Trust,
        /// SHA-256 of that archive; none where nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        archive_sha256: Option<String>,
    },
    /// What the run waits for now.
    Waiting {
        /// For people.
        text: String,
    },
    /// The file server gave an answer.
    Answered {
        /// When it ended.
        at: String,
        /// The address of who asked.
        client: String,
        /// As it was asked.
        method: String,
        /// As it was asked, still encoded.
        path: String,
        /// The status.
        status: u16,
        /// Bytes of the body that were sent.
        bytes: u64,
        /// How long it took.
        milliseconds: u64,
    },
    /// How far a node is that is waited for.
    Watched(Box<Watched>),
    /// Worth knowing.
    Note {
        /// For people.
        text: String,
    },
    /// Worth acting upon.
    Warning {
        /// For people.
        text: String,
    },
    /// A command has ended; the last event of a run.
    Ended {
        /// What it came to.
        exit: Exit,
        /// The exit code for that. `recover` at boot exits with 0 whatever it came to.
        code: u8,
        /// What went wrong, with all causes, for people.
        error: Option<String>,
        /// How the node stands after what went wrong.
        state: Option<String>,
        /// What to do about it.
        cure: Option<String>,
        /// The command that collects what support needs, where it is offered.
        #[serde(default)]
        help: Option<String>,
        /// How long the run took.
        seconds: u64,
    },
}

/// One look at a node that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The level that is waited for.
    pub wanted: Level,
    /// The level that is reached.
    pub level: Option<Level>,
    /// Since the wait began.
    pub seconds: u64,
    /// How many units are well, converging, failed.
    pub units: BTreeMap<String, usize>,
    /// All masters, as this master's Exhibitor has them, or their ZooKeepers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Member>,
    /// The first cause, for people.
    pub waits_for: Option<String>,
    /// The unit of the first cause, if it is one.
    pub unit: Option<String>,
}

/// Where events go. Sending never fails: a listener that is gone is no reason to stop an install.
#[derive(Clone, Debug)]
pub struct Events(Option<Sender<Event>>);

impl Events {
    /// Events that somebody follows.
    pub fn to(sender: Sender<Event>) -> Events {
        Events(Some(sender))
    }

    /// Events that nobody follows.
    pub fn unheard() -> Events {
        Events(None)
    }

    /// Sends one event.
    pub fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(event);
        }
    }

    /// Sends a [`Event::Note`].
    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note { text: text.into() });
    }

    /// Sends a [`Event::Warning`].
    pub fn warn(&self, text: impl Into<String>) {
        self.send(Event::Warning { text: text.into() });
    }
}
