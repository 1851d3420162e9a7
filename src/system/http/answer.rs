//! What came of a request: the headers of an answer that are used, and why there is none to use.

use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};

use super::address::Address;
use super::error::{Error, Kind, Validity, find, innermost};
use crate::system::resolver;

/// What a server tells about a file without sending it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status, such as 200 or 404.
    pub status: u16,
    /// Length in bytes, if the server tells.
    pub length: Option<u64>,
    /// The clock of the server.
    pub date: Option<SystemTime>,
}

pub(super) fn failure(
    operation: &'static str,
    address: &Address,
    kind: Kind,
    cause: String,
    transient: bool,
) -> Error {
    Error {
        operation,
        address: address.to_string(),
        kind,
        cause,
        transient,
        attempts: 1,
        retry_after: None,
        validity: None,
    }
}

pub(super) fn too_large(address: &Address, limit: u64) -> Error {
    failure("get", address, Kind::TooLarge, format!("it has more than {limit} bytes"), false)
}

/// A request without an answer.
pub(super) fn explain(operation: &'static str, address: &Address, error: &reqwest::Error) -> Error {
    let cause = innermost(error).to_string();
    let tls = find::<rustls::Error>(error);
    let (kind, transient) = if let Some(tls) = tls {
        (kind_of(tls), false)
    } else if let Some(resolver) = find::<resolver::Error>(error) {
        (Kind::Unreachable, resolver.is_transient())
    } else if error.is_builder() || error.is_redirect() {
        (Kind::Other, false)
    } else if error.is_connect()
        || error.is_timeout()
        || find::<io::Error>(error).is_some()
        || find::<hyper::Error>(error).is_some_and(is_closed)
    {
        (Kind::Unreachable, true)
    } else {
        (Kind::Other, false)
    };
    Error {
        validity: tls.and_then(Validity::of),
        ..failure(operation, address, kind, cause, transient)
    }
}

/// The connection ended before the answer.
fn is_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled()
}

fn kind_of(error: &rustls::Error) -> Kind {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    match error {
        InvalidCertificate(_) | NoCertificatesPresented => Kind::Certificate,
        _ => Kind::Tls,
    }
}

/// An answer that is none of those we can use.
pub(super) fn refusal(operation: &'static str, address: &Address, response: &Response) -> Error {
    let status = response.status();
    let retry_after =
        text(response.headers(), header::RETRY_AFTER).and_then(|value| match value.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => httpdate::parse_http_date(value)
                .ok()?
                .duration_since(date_of(response.headers())?)
                .ok(),
        });
    let error = failure(
        operation,
        address,
        Kind::Status(status.as_u16()),
        format!("the server answers {status}"),
        is_transient(status),
    );
    Error { retry_after, ..error }
}

pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error()
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn date_of(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, header::DATE)?).ok()
}

/// What goes into `If-Range`: weak tags do not promise equal bytes.
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(headers, header::LAST_MODIFIED)).map(str::to_owned)
}
