//! Our own records on a node, journal and receipt, as far as they can be read.

use std::path::PathBuf;

use serde::Serialize;

use crate::dcos::journal::{InvalidJournal, Story};
use crate::dcos::layout;
use crate::dcos::receipt::{InvalidReceipt, Receipt};
use crate::system::files;
use crate::system::root::Root;

/// Both records.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The journal; of a damaged one only what it tells of the inventory.
    pub story: Story,
    /// The receipt; none if there is none, or a damaged one.
    pub receipt: Option<Receipt>,
    /// What is there and is not what a dcos-node writes.
    pub damaged: Vec<Damaged>,
}

/// A record that is there and cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// As the node sees it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Why records are not judged at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, or a right that is lacking.
    #[error(transparent)]
    Unread(#[from] files::Error),
    /// Nothing is wrong with it, but this program is too old for it.
    #[error("{path} cannot be followed by this dcos-node")]
    NewerJournal {
        /// Which.
        path: &'static str,
        /// Why.
        source: InvalidJournal,
    },
    /// The same of the receipt.
    #[error("{path} cannot be used by this dcos-node")]
    NewerReceipt {
        /// Which.
        path: &'static str,
        /// Why.
        source: InvalidReceipt,
    },
}

impl Error {
    /// What an operator can do.
    pub fn cure(&self) -> String {
        match self {
            Error::Unread(_) => format!(
                "see that {} and its file system can be read, then run the same command again",
                layout::OUR_STATE
            ),
            Error::NewerJournal { .. } | Error::NewerReceipt { .. } => {
                format!("use the newer one: {}", layout::OUR_BINARY)
            }
        }
    }
}

/// Reads both.
///
/// # Errors
/// One cannot be read, or is of a newer dcos-node.
pub fn look(root: &Root) -> Result<Records, Error> {
    let mut records = Records::default();
    let text = root.read(layout::JOURNAL, 1 << 30)?.unwrap_or_default();
    match Story::read(&text) {
        Ok(story) => records.story = story,
        Err(source) if source.is_newer => {
            return Err(Error::NewerJournal { path: layout::JOURNAL, source });
        }
        Err(invalid) => {
            records.story = Story::salvage(&text);
            records
                .damaged
                .push(Damaged { path: layout::JOURNAL.into(), why: invalid.to_string() });
        }
    }
    let text = root.read(layout::RECEIPT, 256 << 20)?;
    match text.map(|text| Receipt::parse(&text)).transpose() {
        Ok(receipt) => records.receipt = receipt,
        Err(source) if source.is_newer => {
            return Err(Error::NewerReceipt { path: layout::RECEIPT, source });
        }
        Err(invalid) => {
            records.damaged.push(Damaged { path: layout::RECEIPT.into(), why: invalid.to_string() })
        }
    }
    Ok(records)
}
