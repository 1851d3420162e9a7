//! Events as entries of the node's journal: a message for people, and fields for those who search
//! (`docs/events.md` has the table).

use super::watch::Watch;
use crate::dcos::action_key::ActionKey;
use crate::dcos::event::{Event, Kind};
use crate::dcos::exit::Exit;

/// How journald sorts entries (`syslog(3)`).
const ERROR: &str = "3";
const WARNING: &str = "4";
const NOTICE: &str = "5";
const INFO: &str = "6";

/// One entry: names and values of its fields.
pub type Entry = Vec<(&'static str, String)>;

/// Makes entries of the events of one run.
#[derive(Default)]
pub struct Record {
    /// What is the same in every entry of the run.
    run: Entry,
    watch: Watch,
}

impl Record {
    /// The entry for an event; none for what comes too often, or says nothing new.
    pub fn entry(&mut self, event: &Event) -> Option<Entry> {
        let kind = event.kind();
        let id = kind.message_id()?;
        if let Event::Started { command, role, version } = event {
            self.run = vec![
                ("DCOS_NODE_COMMAND", command.clone()),
                ("DCOS_NODE_VERSION", version.clone()),
            ];
            self.run.extend(role.map(|role| ("DCOS_NODE_ROLE", role.to_string())));
        }
        let message = self.message(event)?;
        let mut entry = vec![
            ("MESSAGE", message),
            ("MESSAGE_ID", id.to_owned()),
            ("PRIORITY", priority(event).to_owned()),
            ("SYSLOG_IDENTIFIER", "dcos-node".to_owned()),
            ("DCOS_NODE_EVENT", kind.word().to_owned()),
        ];
        entry.extend(self.run.iter().cloned());
        entry.extend(details(event));
        Some(entry)
    }

    fn message(&mut self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Started { command, role: Some(role), .. } => format!("{command} {role} begins"),
            Event::Started { command, role: None, .. } => format!("{command} begins"),
            Event::Planned { actions } => format!("{} actions are planned", actions.len()),
            Event::Done { key } => format!("{key}: done"),
            Event::Failed { key, error } => format!("{key}: failed: {error}"),
            Event::Package { id, origin, .. } => format!("package {id}: {origin}"),
            Event::Waiting { text } => format!("waiting {text}"),
            Event::Watched(watched) => self.watch.news(watched)?.trim_start().to_owned(),
            Event::Begun { text, .. }
            | Event::Undone { text, .. }
            | Event::Note { text }
            | Event::Warning { text } => text.clone(),
            Event::Ended { error: Some(error), .. } => error.clone(),
            Event::Ended { exit, seconds, .. } => {
                format!("ended after {seconds} s: {}", exit.word())
            }
            Event::Progress { .. } | Event::Answered { .. } => return None,
        })
    }
}

fn priority(event: &Event) -> &'static str {
    match event.kind() {
        Kind::Failed => ERROR,
        Kind::Ended if matches!(event, Event::Ended { exit, .. } if *exit != Exit::Done) => ERROR,
        Kind::Warning => WARNING,
        Kind::Note => NOTICE,
        _ => INFO,
    }
}

/// The fields that an event has besides those that all have.
fn details(event: &Event) -> Entry {
    match event {
        Event::Planned { actions } => vec![("DCOS_NODE_ACTIONS", actions.len().to_string())],
        Event::Begun { key, .. } | Event::Done { key } | Event::Undone { key, .. } => action(key),
        Event::Failed { key, error } => {
            [action(key), vec![("DCOS_NODE_ERROR", error.clone())]].concat()
        }
        Event::Package { id, origin, trust, archive_sha256 } => {
            let mut entry = vec![
                ("DCOS_NODE_PACKAGE", id.to_string()),
                ("DCOS_NODE_ORIGIN", origin.to_string()),
                ("DCOS_NODE_TRUST", trust.to_string()),
            ];
            entry.extend(archive_sha256.clone().map(|sha256| ("DCOS_NODE_ARCHIVE_DIGEST", sha256)));
            entry
        }
        Event::Watched(watched) => {
            let mut entry = vec![
                ("DCOS_NODE_WANTED", watched.wanted.to_string()),
                ("DCOS_NODE_SECONDS", watched.seconds.to_string()),
            ];
            entry.extend(watched.level.map(|level| ("DCOS_NODE_LEVEL", level.to_string())));
            entry.extend(watched.unit.clone().map(|unit| ("DCOS_NODE_UNIT", unit)));
            entry
        }
        Event::Ended { exit, code, error, state, cure, help, seconds } => {
            let mut entry = vec![
                ("DCOS_NODE_EXIT", exit.word().to_owned()),
                ("DCOS_NODE_EXIT_CODE", code.to_string()),
                ("DCOS_NODE_SECONDS", seconds.to_string()),
            ];
            let texts = [
                ("DCOS_NODE_ERROR", error),
                ("DCOS_NODE_STATE", state),
                ("DCOS_NODE_CURE", cure),
                ("DCOS_NODE_HELP", help),
            ];
            entry.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
            entry
        }
        _ => Vec::new(),
    }
}

/// An action, and the package or unit that it is about.
fn action(key: &ActionKey) -> Entry {
    let mut entry = vec![("DCOS_NODE_ACTION", key.to_string())];
    match key {
        ActionKey::Package(id) => entry.push(("DCOS_NODE_PACKAGE", id.to_string())),
        ActionKey::Start(unit) | ActionKey::Restart(unit) => {
            entry.push(("DCOS_NODE_UNIT", unit.clone()));
        }
        _ => {}
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::role::Role;

    fn field<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
        entry.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn journal_entry_has_kind_command_role_package_and_unit() {
        let mut record = Record::default();
        let started = Event::Started {
            command: "install".to_owned(),
            role: Some(Role::Master),
            version: "0.1.0".to_owned(),
        };
        assert_eq!(
            field(&record.entry(&started).unwrap(), "MESSAGE"),
            Some("install master begins")
        );
        let failed = Event::Failed { key: "package a--b".into(), error: "no such file".to_owned() };
        let entry = record.entry(&failed).unwrap();
        for (name, value) in [
            ("MESSAGE", "package a--b: failed: no such file"),
            ("MESSAGE_ID", Kind::Failed.message_id().unwrap()),
            ("PRIORITY", "3"),
            ("SYSLOG_IDENTIFIER", "dcos-node"),
            ("DCOS_NODE_EVENT", "failed"),
            ("DCOS_NODE_COMMAND", "install"),
            ("DCOS_NODE_ROLE", "master"),
            ("DCOS_NODE_VERSION", "0.1.0"),
            ("DCOS_NODE_ACTION", "package a--b"),
            ("DCOS_NODE_PACKAGE", "a--b"),
            ("DCOS_NODE_ERROR", "no such file"),
        ] {
            assert_eq!(field(&entry, name), Some(value), "{name}");
        }
        let begun =
            Event::Begun { key: "start dcos.target".into(), text: "start dcos.target".to_owned() };
        assert_eq!(field(&record.entry(&begun).unwrap(), "DCOS_NODE_UNIT"), Some("dcos.target"));
    }

    #[test]
    fn unfinished_end_event_has_error_priority() {
        let ended = |exit: Exit, error: Option<&str>| Event::Ended {
            exit,
            code: exit.code(),
            error: error.map(str::to_owned),
            state: None,
            cure: None,
            help: None,
            seconds: 3,
        };
        let done = Record::default().entry(&ended(Exit::Done, None)).unwrap();
        assert_eq!(
            (field(&done, "PRIORITY"), field(&done, "MESSAGE")),
            (Some("6"), Some("ended after 3 s: done"))
        );
        let busy = Record::default().entry(&ended(Exit::Busy, Some("taken"))).unwrap();
        assert_eq!(
            (field(&busy, "PRIORITY"), field(&busy, "DCOS_NODE_EXIT_CODE")),
            (Some("3"), Some("8"))
        );
    }
}
