//! The kinds of events, each with its word in JSON and its `MESSAGE_ID` in the journal: part of the
//! interface, frozen by a test.

use super::Event;

/// What sort of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Event::Started`]
    Started,
    /// [`Event::Planned`]
    Planned,
    /// [`Event::Begun`]
    Begun,
    /// [`Event::Progress`]
    Progress,
    /// [`Event::Done`]
    Done,
    /// [`Event::Failed`]
    Failed,
    /// [`Event::Undone`]
    Undone,
    /// [`Event::Package`]
    Package,
    /// [`Event::Waiting`]
    Waiting,
    /// [`Event::Answered`]
    Answered,
    /// [`Event::Watched`]
    Watched,
    /// [`Event::Note`]
    Note,
    /// [`Event::Warning`]
    Warning,
    /// [`Event::Ended`]
    Ended,
}

impl Kind {
    /// All, in the order of the documentation.
    pub const ALL: [Kind; 14] = [
        Kind::Started,
        Kind::Planned,
        Kind::Begun,
        Kind::Progress,
        Kind::Done,
        Kind::Failed,
        Kind::Undone,
        Kind::Package,
        Kind::Waiting,
        Kind::Answered,
        Kind::Watched,
        Kind::Note,
        Kind::Warning,
        Kind::Ended,
    ];

    /// The word for it in JSON and in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Started => "started",
            Kind::Planned => "planned",
            Kind::Begun => "begun",
            Kind::Progress => "progress",
            Kind::Done => "done",
            Kind::Failed => "failed",
            Kind::Undone => "undone",
            Kind::Package => "package",
            Kind::Waiting => "waiting",
            Kind::Answered => "answered",
            Kind::Watched => "watched",
            Kind::Note => "note",
            Kind::Warning => "warning",
            Kind::Ended => "ended",
        }
    }

    /// The `MESSAGE_ID` of a journal entry (`systemd.journal-fields(7)`); none for what comes too
    /// often for a journal.
    pub fn message_id(self) -> Option<&'static str> {
        match self {
            Kind::Started => Some("a8c0f4c7d00b4abc8f1062d6c5bcffcd"),
            Kind::Planned => Some("72ed26144c474a01a7a27000eb1cf8fa"),
            Kind::Begun => Some("0dbef3d51bae49898be2c43a0e117afe"),
            Kind::Done => Some("1bbf77f4b25442688a4e4e9c3fb1dbca"),
            Kind::Failed => Some("32ad632504864490b6612b6cbd5a3239"),
            Kind::Undone => Some("1ffcc0adf6ba4fe39bcd3582a4a8c535"),
            Kind::Package => Some("87955d1b15444e9d95e9d6f2dd02617f"),
            Kind::Waiting => Some("3991164f6af64cfba7f0666e1182ac3e"),
            Kind::Watched => Some("a49792c8364d4702a5f4835af43a5212"),
            Kind::Note => Some("bce54771beff494f835452775f2d31ef"),
            Kind::Warning => Some("b09420f3314b44fbbd1f9e1d3e671dc7"),
            Kind::Ended => Some("cc49b3fc21c141cfa4054126c592ee93"),
            Kind::Progress | Kind::Answered => None,
        }
    }
}

impl Event {
    /// What sort of event it is.
    pub fn kind(&self) -> Kind {
        match self {
            Event::Started { .. } => Kind::Started,
            Event::Planned { .. } => Kind::Planned,
            Event::Begun { .. } => Kind::Begun,
            Event::Progress { .. } => Kind::Progress,
            Event::Done { .. } => Kind::Done,
            Event::Failed { .. } => Kind::Failed,
            Event::Undone { .. } => Kind::Undone,
            Event::Package { .. } => Kind::Package,
            Event::Waiting { .. } => Kind::Waiting,
            Event::Answered { .. } => Kind::Answered,
            Event::Watched(_) => Kind::Watched,
            Event::Note { .. } => Kind::Note,
            Event::Warning { .. } => Kind::Warning,
            Event::Ended { .. } => Kind::Ended,
        }
    }
}
