//! Which proxies the environment names, and whether one of them catches an address.

use std::collections::BTreeMap;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::NoProxy;

use super::address::Address;
use super::netrc;

/// The variables that the HTTP client reads, in its order: of two that mean the same, the first
/// that is set counts.
const VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// A variable of the environment that is about proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its value, without credentials.
    pub value: String,
}

/// A proxy that requests for an address go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Setting {
    /// All that are set.
    pub fn all() -> Vec<Setting> {
        let set = |name: &'static str| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value))
        };
        VARIABLES
            .into_iter()
            .filter_map(set)
            .map(|(name, value)| Setting { name, value: without_credentials(&value) })
            .collect()
    }
}

impl Proxy {
    /// The proxy for an address: the same code decides that the HTTP client asks.
    pub fn for_address(address: &Address) -> Option<Proxy> {
        Self::named_by(&Matcher::from_system(), address)
    }

    fn named_by(matcher: &Matcher, address: &Address) -> Option<Proxy> {
        let found = matcher.intercept(&address.as_str().parse().ok()?)?;
        let uri = found.uri();
        let usual = match uri.scheme_str() {
            Some("https") => 443,
            Some(scheme) if scheme.starts_with("socks") => 1080,
            _ => 80,
        };
        Some(Proxy {
            host: uri.host()?.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(usual),
        })
    }
}

/// A client that uses these settings if the environment has none.
pub(super) fn proxied(
    builder: reqwest::ClientBuilder,
    settings: &BTreeMap<String, String>,
) -> reqwest::ClientBuilder {
    if settings.is_empty() || !Setting::all().is_empty() {
        return builder;
    }
    let value = |name: &str| {
        let names = [name.to_uppercase(), name.to_owned()];
        names.iter().find_map(|name| settings.get(name)).cloned().unwrap_or_default()
    };
    let except = NoProxy::from_string(&value("no_proxy"));
    type Make = fn(String) -> reqwest::Result<reqwest::Proxy>;
    let kinds: [(&str, Make); 3] = [
        ("http_proxy", reqwest::Proxy::http),
        ("https_proxy", reqwest::Proxy::https),
        ("all_proxy", reqwest::Proxy::all),
    ];
    kinds.into_iter().fold(builder, |builder, (name, proxy)| {
        match Some(value(name)).filter(|value| !value.is_empty()).map(proxy) {
            Some(Ok(proxy)) => builder.proxy(proxy.no_proxy(except.clone())),
            // Names no proxy.
            Some(Err(_)) | None => builder,
        }
    })
}

/// The settings with the logins that a `.netrc` has for the proxies.
pub fn with_logins(settings: &BTreeMap<String, String>, netrc: &str) -> BTreeMap<String, String> {
    let with_login = |name: &str, value: &str| -> Option<String> {
        let is_list = name.eq_ignore_ascii_case("no_proxy");
        let has_scheme = value.contains("://");
        let address = if has_scheme { value.to_owned() } else { format!("http://{value}") };
        let address = Address::parse(&address).ok().filter(|_| !is_list)?;
        Some(netrc::with_login(address, netrc).as_str().to_owned())
    };
    settings
        .iter()
        .map(|(name, value)| {
            let value = with_login(name, value).unwrap_or_else(|| value.clone());
            (name.clone(), value)
        })
        .collect()
}

/// `http://user:secret@proxy:3128/` as `http://proxy:3128`; the value may lack the scheme.
fn without_credentials(value: &str) -> String {
    let (scheme, rest) =
        value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    // A password may hold a slash, so what comes before the last @ is taken off first.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    // Lists of exceptions may hold networks with a slash, and no credentials.
    let host = if value.contains("://") || value.contains('@') { host } else { value };
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (value, shown) in [
            ("http://user:secret@proxy:3128/", "http://proxy:3128"),
            ("user:se/cret@proxy:3128", "proxy:3128"),
            ("http://user:se@cr/et@proxy:3128", "http://proxy:3128"),
            ("proxy:3128", "proxy:3128"),
            ("10.0.0.0/8,.dcos.test,localhost", "10.0.0.0/8,.dcos.test,localhost"),
        ] {
            assert_eq!(without_credentials(value), shown);
        }
    }

    #[test]
    fn excepted_host_bypasses_the_proxy() {
        let matcher = Matcher::builder()
            .http("http://user:secret@proxy.test:3128")
            .https("tls.test")
            .no("10.0.0.0/8, .dcos.test")
            .build();
        let proxy = |url: &str| {
            Proxy::named_by(&matcher, &Address::parse(url).unwrap())
                .map(|p| format!("{}:{}", p.host, p.port))
        };
        assert_eq!(proxy("http://bootstrap.example:8080/dcos").as_deref(), Some("proxy.test:3128"));
        assert_eq!(proxy("https://bootstrap.example/").as_deref(), Some("tls.test:80"));
        assert_eq!(proxy("http://10.1.2.3/"), None);
        assert_eq!(proxy("http://bootstrap.dcos.test/"), None);
    }
}
