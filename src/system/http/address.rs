//! Addresses of HTTP.

use std::fmt;

use reqwest::Url;

use super::error::{Error, local};

/// An address of HTTP. It is shown without credentials and without a query, which may carry some.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads `http://...` or `https://...`.
    pub fn parse(url: &str) -> Result<Self, Error> {
        // Text that is no address is not repeated: a credential may be in it.
        let bad = |cause: String| local("read", "the given URL".to_owned(), cause);
        let parsed = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        match parsed.scheme() {
            "http" | "https" => Ok(Self(parsed)),
            other => Err(bad(format!("it starts with {other}:, not with http: or https:"))),
        }
    }

    /// The address of something below this one; `relative` is a path of names, in which no
    /// character has a meaning but the slash.
    pub fn below(&self, relative: &str) -> Self {
        let mut url = self.0.clone();
        // Only addresses without a host have no path, and HTTP has none of those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(relative.split('/').filter(|name| !name.is_empty()));
        }
        Self(url)
    }

    /// The name or address of its host; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Its user, if it names one.
    pub fn user(&self) -> Option<&str> {
        Some(self.0.username()).filter(|user| !user.is_empty())
    }

    /// Whether it has a password in it.
    pub fn has_password(&self) -> bool {
        self.0.password().is_some()
    }

    /// The same address with this user and password.
    pub fn with_login(&self, user: &str, password: &str) -> Self {
        let mut url = self.0.clone();
        // Both fail only on addresses without a host.
        let _ = (url.set_username(user), url.set_password(Some(password)));
        Self(url)
    }

    /// Its port, also where that is not named.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// Whether it is spoken to through TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The whole address with its credentials: to be sent, not to be shown.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Both fail only on addresses without a host.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_fragment(None);
        if url.query().is_some() {
            url.set_query(Some("..."));
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
