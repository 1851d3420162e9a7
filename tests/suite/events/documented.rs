//! Kinds and fields of events, as the document has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dcos_node::dcos::action_key::ActionKey;
use dcos_node::dcos::cluster::{Member, Serving};
use dcos_node::dcos::event::{Event, Kind, SCHEMA, Watched};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::level::Level;
use dcos_node::dcos::preview::Preview;
use dcos_node::dcos::role::Role;
use dcos_node::dcos::trust::{Origin, Trust};
use dcos_node::output::record::Record;
use serde_json::{Value, json};

/// Every kind of event, with its word and the `MESSAGE_ID` by which operators have their journals
/// searched.
const FROZEN: [(Kind, &str, Option<&str>); 14] = [
    (Kind::Started, "started", Some("a8c0f4c7d00b4abc8f1062d6c5bcffcd")),
    (Kind::Planned, "planned", Some("72ed26144c474a01a7a27000eb1cf8fa")),
    (Kind::Begun, "begun", Some("0dbef3d51bae49898be2c43a0e117afe")),
    (Kind::Progress, "progress", None),
    (Kind::Done, "done", Some("1bbf77f4b25442688a4e4e9c3fb1dbca")),
    (Kind::Failed, "failed", Some("32ad632504864490b6612b6cbd5a3239")),
    (Kind::Undone, "undone", Some("1ffcc0adf6ba4fe39bcd3582a4a8c535")),
    (Kind::Package, "package", Some("87955d1b15444e9d95e9d6f2dd02617f")),
    (Kind::Waiting, "waiting", Some("3991164f6af64cfba7f0666e1182ac3e")),
    (Kind::Answered, "answered", None),
    (Kind::Watched, "watched", Some("a49792c8364d4702a5f4835af43a5212")),
    (Kind::Note, "note", Some("bce54771beff494f835452775f2d31ef")),
    (Kind::Warning, "warning", Some("b09420f3314b44fbbd1f9e1d3e671dc7")),
    (Kind::Ended, "ended", Some("cc49b3fc21c141cfa4054126c592ee93")),
];

/// An event of each kind, with every field there is.
fn full(kind: Kind) -> Event {
    let text = || "text".to_owned();
    let key = || ActionKey::from("package a--b");
    match kind {
        Kind::Started => Event::Started {
            command: "install".to_owned(),
            role: Some(Role::Master),
            version: text(),
        },
        Kind::Planned => Event::Planned { actions: vec![Preview { key: key(), text: text() }] },
        Kind::Begun => Event::Begun { key: key(), text: text() },
        Kind::Progress => Event::Progress { key: key(), bytes: 1, total: Some(2) },
        Kind::Done => Event::Done { key: key() },
        Kind::Failed => Event::Failed { key: key(), error: text() },
        Kind::Undone => Event::Undone { key: key(), text: text() },
        Kind::Package => Event::Package {
            id: "a--b".parse().expect("an id"),
            origin: Origin::KeptVerified,
            trust: Trust::Verified,
            archive_sha256: Some(text()),
        },
        Kind::Waiting => Event::Waiting { text: text() },
        Kind::Answered => Event::Answered {
            at: text(),
            client: text(),
            method: text(),
            path: text(),
            status: 200,
            bytes: 1,
            milliseconds: 2,
        },
        Kind::Watched => Event::Watched(Box::new(Watched {
            wanted: Level::ClusterReady,
            level: Some(Level::Started),
            seconds: 1,
            units: [("well".to_owned(), 1)].into(),
            masters: vec![Member { host: text(), serving: Serving::Serving, leads: true }],
            waits_for: Some(text()),
            unit: Some(text()),
        })),
        Kind::Note => Event::Note { text: text() },
        Kind::Warning => Event::Warning { text: text() },
        Kind::Ended => Event::Ended {
            exit: Exit::Failed,
            code: 1,
            error: Some(text()),
            state: Some(text()),
            cure: Some(text()),
            help: Some(text()),
            seconds: 1,
        },
    }
}

#[test]
fn event_kinds_keep_their_words_and_message_ids() {
    assert_eq!(FROZEN.map(|(kind, ..)| kind), Kind::ALL, "a kind is missing");
    for (kind, word, id) in FROZEN {
        assert_eq!((kind.word(), kind.message_id()), (word, id));
        let event = full(kind);
        assert_eq!((event.kind(), &json!(event)["event"]), (kind, &json!(word)));
        let id_is_sound = |id: &str| {
            id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(id.is_none_or(id_is_sound), "{id:?}");
    }
    let ids: BTreeSet<&str> = FROZEN.iter().filter_map(|(.., id)| *id).collect();
    assert_eq!(ids.len(), 12, "two kinds share an id");
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md"))
        .expect("docs/events.md")
}

/// The cells of every row of the document whose first cell is a word.
fn rows(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

/// Every field of an event, as the document names it.
fn fields(word: &str, value: &Value, found: &mut BTreeSet<String>) {
    let inner = |value: &Value, found: &mut BTreeSet<String>| {
        // The words for units are data, not fields.
        for (name, value) in value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "event" && *name != "well")
        {
            found.insert(format!("{word}.{name}"));
            match value {
                Value::Object(_) => fields(&format!("{word}.{name}"), value, found),
                Value::Array(list) => {
                    list.iter().for_each(|value| fields(&format!("{word}.{name}[]"), value, found))
                }
                _ => {}
            }
        }
    };
    inner(value, found);
}

#[test]
fn documented_event_kinds_and_fields_match_the_program() {
    let text = document();
    let rows = rows(&text);
    let (mut real, mut in_the_journal) = (BTreeSet::new(), BTreeSet::new());
    for (kind, word, id) in FROZEN {
        let row = rows.get(word).unwrap_or_else(|| panic!("{word} is not documented"));
        assert!(row.contains(id.unwrap_or("not in the journal")), "{word}: {row}");
        real.insert(word.to_owned());
        fields(word, &json!(full(kind)), &mut real);
        let mut record = Record::default();
        record.entry(&full(Kind::Started));
        in_the_journal.extend(
            record.entry(&full(kind)).into_iter().flatten().map(|(name, _)| name.to_owned()),
        );
    }
    // What only a key can tell.
    in_the_journal.insert("DCOS_NODE_UNIT".to_owned());
    let (upper, lower): (BTreeSet<String>, BTreeSet<String>) = rows
        .into_keys()
        .partition(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'));
    real.extend(["schema".to_owned(), "time".to_owned(), "event".to_owned()]);
    assert_eq!(lower, real);
    assert_eq!(upper, in_the_journal);
    assert!(
        text.contains(&format!("This is schema {SCHEMA}.")),
        "which schema it is is not documented"
    );
}
