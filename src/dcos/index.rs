//! The build index: what `publish` knows of a build, so that a node can verify every byte before it
//! uses one.
//!
//! The document is described in `docs/build-index.md`. It says nothing of where a build lies: the
//! same directory may be served anywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{PackageId, is_build_id};
use super::installer_script::{self, NodeFile};
use super::settings::Version;

/// Where the index lies in a serve directory.
pub const INDEX: &str = "dcos-build.json";
/// The directory that keeps every index that was ever published, each named by its SHA-256.
pub const INDEXES: &str = "dcos-build";
/// The schema that this program writes; it reads this one and all older ones.
pub const SCHEMA: u32 = 1;
/// Longest index that is read, in bytes: that of a real build has some 200 KiB.
pub const LONGEST: u64 = 16 << 20;
/// More packages, artifacts or node files than any build has.
const MOST: usize = 10_000;

/// The files of a build by their paths in the serve directory.
pub type Artifacts = BTreeMap<String, Artifact>;

/// A build index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// The version of that program; it, and every newer one, reads this index.
    pub written_by: String,
    /// Which DC/OS it is; none if its packages do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// 40 hexadecimal digits.
    pub bootstrap_id: String,
    /// 40 hexadecimal digits.
    pub package_list_id: String,
    /// The packages of the bootstrap archive that are active besides the list.
    pub bootstrap_packages: Vec<PackageId>,
    /// The cluster package list.
    pub packages: Vec<PackageId>,
    /// Every archive that an install fetches, by its path relative to the serve directory.
    pub artifacts: Artifacts,
    /// What the classic installer would write on the node.
    pub node_files: Vec<NodeFile>,
}

/// What is known of one file of a serve directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its length.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
    /// What an archive holds; none for a file that is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The same content in an archive that is cheaper to unpack (`publish --recompress`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Alternative>,
}

/// What an archive unpacks to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes of all files, each rounded up to blocks of 4 KiB, as a file system holds them.
    pub disk_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Members of every kind; each takes an inode.
    pub members: u64,
    /// Those of them that an active set links to, whatever the role; each link takes an inode.
    #[serde(default)]
    pub links: u64,
}

/// Another archive with the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Relative to the serve directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Artifact {
    /// The length of an archive of this content: of the alternative, if the path is that.
    pub fn bytes_of(&self, path: &str) -> u64 {
        let other = self.alternative.as_ref().filter(|other| other.path == path);
        other.map_or(self.bytes, |other| other.bytes)
    }

    /// The SHA-256 of the archive, and that of its alternative.
    pub fn digests(&self) -> Vec<&str> {
        let other = self.alternative.as_ref().map(|other| other.sha256.as_str());
        [self.sha256.as_str()].into_iter().chain(other).collect()
    }
}

/// The archive that is fetched for a path of the build, with its SHA-256 if that is known: the one
/// that is cheapest to unpack.
pub fn preferred<'a>(path: &'a str, artifact: Option<&'a Artifact>) -> (&'a str, Option<&'a str>) {
    match artifact {
        None => (path, None),
        Some(Artifact { alternative: Some(other), .. }) => (&other.path, Some(&other.sha256)),
        Some(Artifact { sha256, .. }) => (path, Some(sha256)),
    }
}

/// Where a serve directory lists the indexes that it keeps.
pub const KEPT_LIST: &str = "dcos-build/builds.json";
/// Longest such list that is read, in bytes.
pub const LONGEST_LIST: u64 = 4 << 20;

/// One index that a serve directory keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptIndex {
    /// Its SHA-256.
    pub index_sha256: String,
    /// The ids of the packages that it makes active, sorted, with spaces between them.
    pub packages: String,
}

/// Every index that a serve directory keeps, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptIndexes {
    /// Each once.
    pub builds: Vec<KeptIndex>,
}

impl KeptIndexes {
    /// Notes an index as the newest one.
    pub fn note(&mut self, sha256: &str, index: &Index) {
        self.builds.retain(|known| known.index_sha256 != sha256);
        let index_sha256 = sha256.to_owned();
        self.builds.push(KeptIndex { index_sha256, packages: ids(&index.active()) });
    }

    /// The indexes of builds with exactly these active packages, the newest first.
    pub fn of(&self, active: &BTreeSet<PackageId>) -> Vec<&str> {
        let wanted = ids(active);
        let same = self.builds.iter().rev().filter(|known| known.packages == wanted);
        same.map(|known| known.index_sha256.as_str()).filter(|sha256| is_sha256(sha256)).collect()
    }
}

fn ids(active: &BTreeSet<PackageId>) -> String {
    active.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Where the index with this SHA-256 stays, whatever is published later.
pub fn kept(sha256: &str) -> String {
    format!("{INDEXES}/{sha256}.json")
}

/// A text that is no index of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    /// A newer program wrote it.
    #[error("it has schema {schema}, and dcos-node {ours} reads none newer than {SCHEMA}; \
             dcos-node {needed} or newer reads it",
        ours = env!("CARGO_PKG_VERSION"),
        needed = .written_by.as_deref().unwrap_or("of a later version")
    )]
    Newer {
        /// Its schema.
        schema: u64,
        /// The version of the program that wrote it.
        written_by: Option<String>,
    },
    /// It is something else, or not what we write.
    #[error("{0}")]
    Invalid(String),
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable::Invalid(reason.into()))
}

impl Index {
    /// All packages that the build makes active.
    pub fn active(&self) -> BTreeSet<PackageId> {
        self.packages.iter().chain(&self.bootstrap_packages).cloned().collect()
    }

    /// The text that [`INDEX`] holds; the same for the same index, always.
    pub fn text(&self) -> Vec<u8> {
        // All keys are strings and all values plain, so there is nothing that could not be written.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads the text of an index; the caller has limited its length to [`LONGEST`].
    ///
    /// # Errors
    /// A newer schema, fields that this schema does not have, and everything that `publish` never
    /// writes.
    pub fn parse(text: &[u8]) -> Result<Index, Unusable> {
        let value: Value = match serde_json::from_slice(text) {
            Ok(value) => value,
            Err(error) => return invalid(format!("it is not JSON: {error}")),
        };
        match value.get("schema").and_then(Value::as_u64) {
            None => return invalid("it has no schema number; is it a build index?"),
            Some(0) => return invalid("its schema number is 0"),
            Some(schema) if schema > u64::from(SCHEMA) => {
                let written_by = value
                    .get("written_by")
                    .and_then(Value::as_str)
                    .filter(|v| is_version(v))
                    .map(str::to_owned);
                return Err(Unusable::Newer { schema, written_by });
            }
            Some(_) => {}
        }
        // From the text and not from the value, which keeps only the last of fields that are there
        // twice.
        let index: Index = match serde_json::from_slice(text) {
            Ok(index) => index,
            Err(error) => {
                return invalid(format!("it does not have the form of schema {SCHEMA}: {error}"));
            }
        };
        match serde_json::to_value(&index) {
            Ok(again) if again == value => {}
            _ => return invalid(format!("it has fields that schema {SCHEMA} does not have")),
        }
        index.check()?;
        Ok(index)
    }

    fn check(&self) -> Result<(), Unusable> {
        if !is_version(&self.written_by) {
            return invalid("written_by is no version");
        }
        if !is_build_id(&self.bootstrap_id) || !is_build_id(&self.package_list_id) {
            return invalid("bootstrap_id and package_list_id must have 40 hexadecimal digits");
        }
        for (name, count) in [
            ("packages", self.packages.len()),
            ("bootstrap_packages", self.bootstrap_packages.len()),
            ("artifacts", self.artifacts.len()),
            ("node_files", self.node_files.len()),
        ] {
            if count > MOST {
                return invalid(format!("{name} has more than {MOST} entries"));
            }
        }
        for (path, artifact) in &self.artifacts {
            let other = artifact
                .alternative
                .as_ref()
                .map(|other| (other.path.as_str(), other.sha256.as_str()));
            for (path, sha256) in
                [(path.as_str(), artifact.sha256.as_str())].into_iter().chain(other)
            {
                if !is_inside(path) {
                    return invalid(format!("{path:?} is no path inside of a serve directory"));
                }
                if !is_sha256(sha256) {
                    return invalid(format!(
                        "the sha256 of {path} does not have 64 hexadecimal digits"
                    ));
                }
            }
        }
        installer_script::check(&self.node_files)
            .or_else(|reason| invalid(format!("node_files: {reason}")))
    }
}

/// Up to 40 characters of a version, safe to be shown.
fn is_version(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
}

/// 64 lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A relative path that leads nowhere else and names no hidden file.
fn is_inside(path: &str) -> bool {
    path.len() <= 1024
        && path.split('/').all(|part| {
            !part.is_empty() && !part.starts_with('.') && !part.contains(char::is_control)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sound() -> Value {
        json!({
            "schema": 1, "written_by": "0.1.0",
            "version": {"version": "1.12.4", "dcos-variant": "open"},
            "bootstrap_id": "a".repeat(40), "package_list_id": "b".repeat(40),
            "bootstrap_packages": ["pkgpanda--1"], "packages": ["mesos--1"],
            "artifacts": {"packages/mesos/mesos--1.tar.xz": {
                "bytes": 1, "sha256": "c".repeat(64),
                "content": {"disk_bytes": 4096, "bytes": 1, "members": 1, "links": 0},
                "alternative": {
                    "path": "packages/mesos/mesos--1.tar.zst", "bytes": 1, "sha256": "d".repeat(64)
                },
            }},
            "node_files": [
                {
                    "path": "/etc/mesosphere/setup-flags/repository-url",
                    "mode": 420, "content": "\n"
                },
                {
                    "path": "/etc/mesosphere/setup-flags/cluster-package-list",
                    "mode": 420, "content": "\n"
                },
            ],
        })
    }

    #[test]
    fn index_round_trip_keeps_every_field() {
        let index = Index::parse(sound().to_string().as_bytes()).unwrap();
        assert_eq!(Index::parse(&index.text()).unwrap(), index);
        let (path, artifact) = index.artifacts.first_key_value().unwrap();
        assert_eq!(
            preferred(path, Some(artifact)),
            ("packages/mesos/mesos--1.tar.zst", Some("d".repeat(64).as_str()))
        );
        assert_eq!(preferred("a", None), ("a", None));
    }

    #[test]
    fn a_newer_schema_names_the_program_that_reads_it() {
        let error =
            Index::parse(br#"{"schema": 7, "written_by": "3.1.0", "anything": []}"#).unwrap_err();
        assert_eq!(error, Unusable::Newer { schema: 7, written_by: Some("3.1.0".into()) });
        assert!(error.to_string().contains("dcos-node 3.1.0 or newer"), "{error}");
        let error = Index::parse(b"{\"schema\": 7, \"written_by\": \"\x1b[31m\"}").unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }

    #[test]
    fn index_that_publish_cannot_write_is_refused() {
        let changes: [(&str, Value, &str); 12] = [
            ("/schema", json!(0), "0"),
            ("/schema", json!("1"), "no schema"),
            ("/bootstrap_id", json!("A".repeat(40)), "40 hexadecimal"),
            ("/packages/0", json!("../x"), "not a package id"),
            (
                "/artifacts/packages~1mesos~1mesos--1.tar.xz/sha256",
                json!("C".repeat(64)),
                "64 hexadecimal",
            ),
            ("/artifacts/packages~1mesos~1mesos--1.tar.xz/bytes", json!(-1), "form"),
            (
                "/artifacts/packages~1mesos~1mesos--1.tar.xz/alternative/path",
                json!("/etc/passwd"),
                "inside",
            ),
            (
                "/artifacts/packages~1mesos~1mesos--1.tar.xz/alternative/path",
                json!("a/../b"),
                "inside",
            ),
            (
                "/artifacts/packages~1mesos~1mesos--1.tar.xz/content",
                json!({"disk_bytes": 0, "bytes": 0, "members": 0, "x": 1}),
                "fields",
            ),
            ("/node_files/0/path", json!("/etc/../x"), "node_files"),
            ("/node_files/0/mode", json!(0o17777), "node_files"),
            ("/written_by", json!(""), "written_by"),
        ];
        for (place, value, words) in changes {
            let mut index = sound();
            *index.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = value;
            let error = Index::parse(index.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(words), "{place}: {error}");
        }
        let mut more = sound();
        more["surprise"] = json!(1);
        assert!(Index::parse(more.to_string().as_bytes()).is_err());
        let twice = sound().to_string().replacen('{', "{\"schema\": 1,", 1);
        assert!(Index::parse(twice.as_bytes()).is_err(), "a field that is there twice");
        assert!(Index::parse(b"<html>404</html>").unwrap_err().to_string().contains("not JSON"));
    }
}
