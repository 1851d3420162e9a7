//! What can go wrong with a request.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

/// A request that did not give what it should. The text names the address, without credentials, and the cause, once.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {operation} {address}: {cause}{}", if *.attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() })]
pub struct Error {
    pub(super) operation: &'static str,
    /// Fit to be shown.
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) cause: String,
    pub(super) transient: bool,
    pub(super) attempts: u32,
    /// When the server wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No answer: the name, the connection, or the connection before the answer.
    Unreachable,
    /// The server answered with this status.
    Status(u16),
    /// No bytes for longer than the stall timeout.
    Stalled,
    /// The answer ended early, or it could not be gone on with.
    Truncated,
    /// More bytes than allowed.
    TooLarge,
    /// No trust, or no common ground, between us and the server.
    Tls,
    /// Anything else, such as an address that is none.
    Other,
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same request may succeed later; for a body that was begun: from its start.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// The server answered that there is nothing under this address.
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind, Kind::Status(404 | 410))
    }
}

/// The error and what it comes from, the innermost last. An `io::Error` names what is inside of what it carries, not that itself.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn StdError + 'static)| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => Some(carried as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// The cause that all others only pass on.
pub(super) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

/// The first of a kind.
pub(super) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}
