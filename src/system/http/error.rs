//! What can go wrong with a request.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// A request that did not give what it should. The text names the address, without credentials, and
/// the cause, once.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "cannot {operation} {address}: {cause}{}",
    if *.attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
)]
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
    /// The certificate's dates, if it was refused for them.
    pub(super) validity: Option<Validity>,
}

/// A certificate that is not valid now, by our own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It was valid until then.
    Ended(SystemTime),
    /// It will be valid from then on.
    NotBegun(SystemTime),
}

impl Validity {
    pub(super) fn of(error: &rustls::Error) -> Option<Validity> {
        let time = |unix: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(unix.as_secs());
        match error {
            rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            }) => Some(Validity::Ended(time(*not_after))),
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            }) => Some(Validity::NotBegun(time(*not_before))),
            _ => None,
        }
    }
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
    /// The certificate of the server is not trusted, or it has none.
    Certificate,
    /// TLS failed for another reason, such as no common ground.
    Tls,
    /// Somebody asked to stop.
    Cancelled,
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

    /// Why, without the address.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The dates of the server's certificate, if it was refused for them.
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }

    /// The server answered that there is nothing under this address.
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind, Kind::Status(404 | 410))
    }
}

/// What went wrong before anything was sent.
pub(super) fn local(operation: &'static str, address: String, cause: String) -> Error {
    Error {
        operation,
        address,
        kind: Kind::Other,
        cause,
        transient: false,
        attempts: 1,
        retry_after: None,
        validity: None,
    }
}

/// The error and what it comes from, the innermost last. An `io::Error` names what is inside of
/// what it carries, not that itself.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
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
pub(super) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}
