//! Names whose values are secrets.

use std::path::Path;

use regex::Regex;

use super::rule::compile;
use crate::dcos::layout;

/// Parts of names whose values are secrets: those of DC/OS' configuration
/// (`superuser_password_hash`, `zk_super_credentials`, `exhibitor_azure_account_key`,
/// `aws_secret_access_key`, `license_key_contents`), of ZooKeeper's (`superDigest`,
/// `zk_agent_digest`), of docker's (`HttpHeaders`), of keytool's (`-storepass`), and of programs in
/// general.
pub(super) const NAMES: &str = "passw(?:or)?d|pass[_-]?(?:phrase|code)|(?:pass|pwd?)[_-]?hash|(?:auth|key|root|ssh|store)pass\\b|(?:\\b|[_.-])(?:pass|pswd|pwd|pw)(?:[_.-]?\\d+)?\\b|(?-i:[a-z](?:Pass|Pw|Pwd|Auth)\\b)|\
    secret|token|credential|(?:\\b|[_.-])creds?\\b|licen[sc]e|api[ _-]?key|access[_-]?key|account[_-]?key|private|\
    (?:\\b|[_.-])auths?\\b|authorization|http[_-]?headers?\\b|(?:super|master|agent|zk|acl)[_-]?digest(?:s?\\b|_)|userpass|requirepass|masterauth|(?:bind|root)pw|cookie|jsessionid|psk|shared[_-]?key|signature|[_.-]keys?(?:\\b|_(?:b64|base64|pem|data|contents?)\\b)|(?-i:[a-z]Key\\b|\\bKEY\\b)|\
    htpasswd|realm\\b|pgp|jwt|otp\\b";
/// Names of files whose whole content is a secret.
const FILES: &str = "docker_credentials|dockercfg|licen[sc]e|realm|\\.full\\.|exhibitor\\.properties|\\.(?:key|pem|psk|jks|p12|keytab)$|\
    secret|passw|credential|netrc$|^id_(?:rsa|dsa|ecdsa|ed25519)$";

/// Knows them.
#[derive(Debug)]
pub(super) struct Names {
    name: Regex,
    file: Regex,
}

impl Names {
    pub(super) fn new() -> Result<Names, regex::Error> {
        Ok(Names {
            name: compile(&format!("(?i)(?:{NAMES})"))?,
            file: compile(&format!("(?i)(?:{FILES})"))?,
        })
    }

    /// Whether the value of this name is a secret.
    pub(super) fn has(&self, name: &str) -> bool {
        self.name.is_match(name)
    }

    /// Whether a file of this name has nothing but a secret in it.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.file.is_match(path.rsplit('/').next().unwrap_or(path))
    }

    /// Whether a record may give away what this file holds, as far as that has no secret in it: of
    /// what an install writes or replaces, setup flags, roles, units of DC/OS, and settings that
    /// have none. What another file holds is redacted as a whole.
    pub(super) fn knows_file(&self, path: &str) -> bool {
        let is_below = |top: &str| Path::new(path).starts_with(top);
        let places = [layout::ROLES, layout::SETUP_FLAGS, layout::JOURNALD_SETTINGS];
        let is_known = places.into_iter().any(is_below)
            || [layout::PROFILE, layout::RESOLV_CONF].contains(&path)
            || path
                .strip_prefix(layout::SYSTEM_UNITS)
                .is_some_and(|unit| unit.trim_start_matches('/').starts_with("dcos"));
        is_known && !path.contains("..") && !self.has_file(path)
    }
}
