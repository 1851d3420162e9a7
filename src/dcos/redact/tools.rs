//! Secrets of the tools and services that run on a node of DC/OS, by the form that each has there.

use regex::Captures;

use super::names::NAMES;
use super::rule::{Instead, REDACTED, VALUE, group, is_mixed};

/// The rules: what to find, and what comes in its place.
pub(super) fn shapes() -> Vec<(String, Instead)> {
    use Instead::{Judged, Text};
    const AFTER: &str = "${1}[redacted]";
    vec![
        // Addresses whose path is the secret: where logs and alarms go.
        (r"(\bdiscord(?:app)?\.com/api/webhooks/\d+/)[\w-]+".into(), Text(AFTER)),
        (r"(\bapi\.telegram\.org/bot\d+:)[\w-]+".into(), Text(AFTER)),
        (r"(/receiver/v1/http/)[\w=+-]+".into(), Text(AFTER)),
        // Keys in the environment of services, and of Vault, which keeps the secrets of DC/OS.
        (
            r"\b(?:[rs]k_(?:live|test)_\w{10,}|SG\.[\w-]{10,}\.[\w-]{10,}|s\.[A-Za-z0-9]{24})\b"
                .into(),
            Text(REDACTED),
        ),
        (r"(?i)(\btoken\s+)[bs]\.[A-Za-z0-9]+".into(), Text(AFTER)),
        (
            format!(r"(?i)(\b(?:unseal|unlock)\s+keys?(?:\s+\d+)?\s*[:=]\s*)(?:{VALUE})"),
            Text(AFTER),
        ),
        // JSON in a query or a form, where it is percent-encoded, up to the encoded quote.
        (
            format!(
                r#"(?i)(%22[\w.-]*(?:{NAMES})[\w.-]*%22(?:\+|%20)*%3A(?:\+|%20)*%22)(?:[^%\s"'&]|%[013-9a-f]|%2[013-9a-f])+"#
            ),
            Text(AFTER),
        ),
        // Command lines.
        (
            r"(\b(?:echo|printf)\s+)[^\r\n|]+(\|[^\r\n|]*\bsudo\s+(?:-\w+\s+)*-\w*S)".into(),
            Text("${1}[redacted] ${2}"),
        ),
        (format!(r"(\b(?:mongo|ncftp)\w*\b[^\r\n|;]*?\s-p\s*)(?:{VALUE})"), Text(AFTER)),
        (format!(r"(\bldap\w+\b[^\r\n|;]*?\s-w\s*)(?:{VALUE})"), Text(AFTER)),
        (format!(r"(\blftp\b[^\r\n|;]*?\s-u\s*[^\s,]+,)(?:{VALUE})"), Text(AFTER)),
        (format!(r"(\b(?:ipmitool|sqlcmd)\b[^\r\n|;]*?\s-P\s*)(?:{VALUE})"), Text(AFTER)),
        (format!(r"(\bcryptsetup\b[^\r\n|;<]*<<<\s*)(?:{VALUE})"), Text(AFTER)),
        (
            format!(r#"(?i)(assword:?[\s"'{{}};]*\bsend\s+(?:--\s+)?)(?:{VALUE})"#),
            Text(AFTER),
        ),
        // What a service says of a secret that it does not take.
        (
            r#"(?i)(\b(?:password|passphrase|secret|token|api[ _-]?key)\s+)([^\s"']+)(\s+(?:is|was|not|rejected|refused|invalid|expired|denied)\b)"#
                .into(),
            Judged(refused),
        ),
        (r#"(?i)(\bprivate[ _-]key\s+)([^\s"']+)()"#.into(), Judged(refused)),
    ]
}

/// A word that is refused, if it looks like a secret.
fn refused(found: &Captures<'_>) -> Option<String> {
    is_mixed(group(found, 2)).then(|| [group(found, 1), REDACTED, group(found, 3)].concat())
}
