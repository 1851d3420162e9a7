//! What keeps the masters from being one cluster.

use std::fmt;

use super::answer::Silence;

/// The first reason that was found; its text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disunion {
    /// Exhibitor of this node does not answer.
    NoExhibitor(Silence),
    /// These masters do not serve.
    Missing(Vec<String>),
    /// One that was asked knows fewer masters than there should be.
    Fewer {
        /// Exhibitor or ZooKeeper.
        who: &'static str,
        /// The masters that it knows.
        known: usize,
        /// The masters that the configuration names.
        expected: usize,
    },
    /// So many of them lead.
    Leaders(usize),
}

impl fmt::Display for Disunion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disunion::NoExhibitor(silence) => write!(f, "Exhibitor does not answer: {silence}"),
            Disunion::Missing(hosts) => write!(f, "waiting for masters: {}", hosts.join(", ")),
            Disunion::Fewer { who, known, expected } => {
                write!(f, "waiting for masters: {who} knows {known} of {expected}")
            }
            Disunion::Leaders(leaders) => {
                write!(f, "{leaders} of the masters lead; it should be one")
            }
        }
    }
}
