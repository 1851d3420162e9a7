//! Package ids: `name--version` (`pkgpanda/__init__.py`, class PackageId, 1.10 to 2.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of one package: a name, two hyphens, a version.
///
/// The version is opaque: a SHA-1 of the package's *inputs*, so it cannot verify content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    name: String,
    version: String,
}

/// Why a text is not a package id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a package id: {reason}")]
pub struct InvalidId {
    text: String,
    reason: &'static str,
}

impl PackageId {
    /// The part before the two hyphens, for example `mesos`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part after the two hyphens, for example 40 hexadecimal digits or `setup_` and 40 digits.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the archive of this package lies in a serve directory, without the suffix of its
    /// format.
    pub fn archive(&self) -> String {
        format!("packages/{}/{}.tar.xz", self.name, self)
    }
}

/// May start a name: no dot and no hyphen, so that no id is a hidden file or looks like an option.
fn starts_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "@_+".contains(c)
}

impl FromStr for PackageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |reason| InvalidId { text: text.to_owned(), reason };
        let mut parts = text.split("--");
        let (Some(name), Some(version), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("it must contain `--` exactly once, between name and version"));
        };
        if !name.starts_with(starts_name)
            || !name.chars().all(|c| starts_name(c) || ".-".contains(c))
        {
            return Err(invalid(
                "the name may hold letters, digits and @ . _ + -, and may not begin with a dot or \
                 a hyphen",
            ));
        }
        if version.is_empty() || !version.chars().all(|c| starts_name(c) || ":.".contains(c)) {
            return Err(invalid(
                "the version may hold letters, digits and @ _ + : ., and may not be empty",
            ));
        }
        if version.chars().all(|c| c == '.') || text.len() > 240 {
            return Err(invalid("it cannot be the name of a directory"));
        }
        Ok(PackageId { name: name.to_owned(), version: version.to_owned() })
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--{}", self.name, self.version)
    }
}

impl Serialize for PackageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Checks an id of a whole build: 40 lower-case hexadecimal digits, as `bootstrap.latest` and
/// `cluster-package-list.latest` hold them.
pub fn is_build_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_pkgpanda_accepts() {
        for good in
            ["mesos--a0ea57", "dcos-config--setup_393ca5", "python@3+x--1.2:3", "_x--@", "a.b-c--_"]
        {
            assert_eq!(good.parse::<PackageId>().unwrap().to_string(), good);
        }
        for bad in [
            "mesos", "a--b--c", "--b", "a--", ".a--b", "-a--b", "a/b--c", "a--b/c", "a--b-c",
            "a--..", "a\n--b", "../x--y",
        ] {
            assert!(bad.parse::<PackageId>().is_err(), "{bad}");
        }
    }
}
