//! `pkginfo.json`: what a package says of itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::id::PackageId;

/// The keys of `pkginfo.json` that activation uses; all others are ignored, as pkgpanda does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackageInfo {
    /// Packages that must be in the same active set, by name.
    pub requires: Vec<String>,
    /// Variables for `environment` and `environment.export`, in the order of the file.
    pub environment: Vec<(String, String)>,
    /// The user that the package's service runs as.
    pub username: Option<String>,
    /// The primary group of that user; without one the user gets a group of its own name.
    pub group: Option<String>,
    /// Whether `/var/lib/dcos/<name>` is made for it.
    pub state_directory: bool,
    /// Kernel settings by service name.
    pub sysctl: BTreeMap<String, Map<String, Value>>,
    /// The flavour of the package, if it has one.
    pub variant: Option<String>,
}

/// Why a `pkginfo.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct InvalidInfo {
    key: String,
    reason: String,
}

fn invalid(key: &str, reason: impl Into<String>) -> InvalidInfo {
    InvalidInfo { key: key.to_owned(), reason: reason.into() }
}

impl PackageInfo {
    /// Reads the text of a `pkginfo.json`.
    ///
    /// # Errors
    /// The first key that does not have the form that `pkgpanda/__init__.py` needs.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidInfo> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|e| invalid("pkginfo.json", format!("not JSON: {e}")))?;
        let Value::Object(mut map) = value else {
            return Err(invalid("pkginfo.json", "must be a JSON object"));
        };
        let mut take = |key: &str| map.remove(key).filter(|v| !v.is_null());
        Ok(PackageInfo {
            requires: take("requires").map_or(Ok(Vec::new()), requires)?,
            environment: take("environment").map_or(Ok(Vec::new()), environment)?,
            username: take("username")
                .map(|v| text_of("username", v))
                .transpose()?
                .map(user_name)
                .transpose()?,
            group: take("group")
                .map(|v| text_of("group", v))
                .transpose()?
                .map(group_name)
                .transpose()?
                .flatten(),
            state_directory: take("state_directory").map_or(Ok(false), |v| {
                v.as_bool().ok_or_else(|| invalid("state_directory", "must be true or false"))
            })?,
            sysctl: take("sysctl").map_or(Ok(BTreeMap::new()), sysctl)?,
            variant: take("variant").map(|v| text_of("variant", v)).transpose()?,
        })
    }
}

fn text_of(key: &str, value: Value) -> Result<String, InvalidInfo> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(invalid(key, format!("must be a string, not {other}"))),
    }
}

/// A requirement is a name, or a name with a variant; the variant is never compared
/// (`validate_compatible`).
fn requires(value: Value) -> Result<Vec<String>, InvalidInfo> {
    let Value::Array(list) = value else { return Err(invalid("requires", "must be a list")) };
    let mut names = Vec::new();
    for item in list {
        let name = match item {
            Value::String(name) => name,
            Value::Object(mut map) if map.contains_key("name") && map.contains_key("variant") => {
                text_of("requires", map.remove("name").unwrap_or_default())?
            }
            Value::Object(_) => {
                return Err(invalid("requires", "an object needs both `name` and `variant`"));
            }
            other => {
                return Err(invalid(
                    "requires",
                    format!("{other} is neither a name nor an object"),
                ));
            }
        };
        if name.parse::<PackageId>().is_ok() {
            return Err(invalid(
                "requires",
                format!("{name} is an exact id; only names may be required"),
            ));
        }
        names.push(name);
    }
    Ok(names)
}

/// Python writes a value as `str()` would; only what looks the same in JSON is taken.
fn environment(value: Value) -> Result<Vec<(String, String)>, InvalidInfo> {
    let Value::Object(map) = value else { return Err(invalid("environment", "must be an object")) };
    map.into_iter()
        .map(|(name, value)| {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                other => {
                    return Err(invalid(
                        "environment",
                        format!("{name} must be a string, not {other}"),
                    ));
                }
            };
            if name.is_empty() || name.contains(['=', '\n', '\0']) || text.contains(['\n', '\0']) {
                return Err(invalid(
                    "environment",
                    format!("{name:?} would not be one line NAME=VALUE"),
                ));
            }
            Ok((name, text))
        })
        .collect()
}

/// `^dcos_[a-z0-9_]+$` (`pkgpanda/__init__.py`, username_regex).
fn user_name(name: String) -> Result<String, InvalidInfo> {
    let rest = name.strip_prefix("dcos_").unwrap_or_default();
    if rest.is_empty()
        || name.len() > 32
        || !rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        return Err(invalid(
            "username",
            format!(
                "{name:?} must begin with dcos_ and go on with lower-case letters, digits and \
                 underscores"
            ),
        ));
    }
    Ok(name)
}

/// `^[a-z_][a-z0-9_-]*$` (`pkgpanda/__init__.py`, linux_group_regex); an empty name is none.
fn group_name(name: String) -> Result<Option<String>, InvalidInfo> {
    if name.is_empty() {
        return Ok(None);
    }
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if name.len() > 32
        || !name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        || !name.bytes().all(good)
    {
        return Err(invalid("group", format!("{name:?} is not a group name")));
    }
    Ok(Some(name))
}

fn sysctl(value: Value) -> Result<BTreeMap<String, Map<String, Value>>, InvalidInfo> {
    let Value::Object(services) = value else {
        return Err(invalid("sysctl", "must be an object of services"));
    };
    services
        .into_iter()
        .map(|(service, settings)| match settings {
            Value::Object(settings) => Ok((service, settings)),
            other => Err(invalid(
                "sysctl",
                format!("{service} must be an object of settings, not {other}"),
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_pkginfo_is_a_package_without_requirements() {
        assert_eq!(PackageInfo::parse(b"{}").unwrap(), PackageInfo::default());
    }

    #[test]
    fn pkginfo_that_pkgpanda_cannot_use_is_refused() {
        for bad in [
            "[]",
            "{",
            r#"{"username":"mesos"}"#,
            r#"{"username":"dcos_Mesos"}"#,
            r#"{"username":"dcos_"}"#,
            r#"{"group":"Bad Group"}"#,
            r#"{"requires":["a--b"]}"#,
            r#"{"requires":[{"name":"a"}]}"#,
            r#"{"environment":{"A":"x\ny"}}"#,
            r#"{"environment":{"A=B":"x"}}"#,
            r#"{"sysctl":{"dcos-net":1}}"#,
            r#"{"state_directory":"yes"}"#,
        ] {
            assert!(PackageInfo::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variant_in_a_requirement_is_read_and_not_compared() {
        let info =
            PackageInfo::parse(br#"{"requires":["openssl",{"name":"java","variant":null}]}"#)
                .unwrap();
        assert_eq!(info.requires, ["openssl", "java"]);
    }
}
