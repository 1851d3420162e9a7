//! The receipt: an inventory of what this node owes to us, and what was there before.

use serde::{Deserialize, Serialize};

use super::build::Build;
use super::id::PackageId;
use super::role::Role;
use super::settings::Version;
use super::snapshot::Snapshot;
use super::trust::{Trust, TrustRecord};

mod accepted;
mod object;

pub use accepted::{Accepted, Content};
pub use object::{Before, Blob, Object, merge};

/// The schema that this program writes; it reads this one and all older ones.
pub const SCHEMA: u32 = 1;
/// A manifest of a package with some 100,000 files is below this.
pub const LONGEST_MANIFEST: u64 = 256 << 20;

/// An installed node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// Version of the dcos-node that installed.
    pub dcos_node: String,
    /// When, in UTC (RFC 3339).
    pub installed_at: String,
    /// Whether the classic installer installed, and `adopt` wrote this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// What the node is.
    pub role: Role,
    /// What was installed, and where from.
    pub build: Build,
    /// Which DC/OS the build is, if it says so.
    pub version: Option<Version>,
    /// Checks that the operator skipped.
    #[serde(default)]
    pub skips: Vec<Skip>,
    /// Checks that warned and did not stop the install; none in receipts of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<CheckWarning>,
    /// Everything that we made or changed, in the order in which it was begun.
    pub objects: Vec<Object>,
    /// The node before the install; none in receipts of a dcos-node that took no snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Box<Snapshot>>,
    /// Which packages were compared with a build index; none in receipts of older versions, of
    /// adopted nodes, and where pkgpanda activated other packages since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustRecord>,
    /// Changes that count as intact; none in receipts of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
}

/// A check that an operator takes responsibility for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The id of the check.
    pub check: String,
    /// The operator's words.
    pub reason: String,
}

/// A check of an install that was not as it should be and did not stop the install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckWarning {
    /// The id of the check.
    pub check: String,
    /// Whether its subject could not be looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// What each path of one package was when it was unpacked: the content of a manifest file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// The package.
    pub id: PackageId,
    /// SHA-256 of the archive that it came in, hexadecimal; a package of the bootstrap archive has
    /// that archive's. Empty where nobody knows: the package was there when the node was adopted.
    pub archive_sha256: String,
    /// Length of that archive in bytes.
    pub archive_bytes: u64,
    /// Every path, parents before children.
    pub files: Vec<ManifestEntry>,
}

impl Manifest {
    /// Reads the SHA-256 of the archive of a package out of the text of its manifest, without the
    /// paths. None where nobody knows it, and for a text that is not the manifest of this package.
    pub fn archive_in(text: &[u8], package: &PackageId) -> Option<String> {
        #[derive(Deserialize)]
        struct Head {
            id: PackageId,
            archive_sha256: String,
        }
        let head = serde_json::from_slice::<Head>(text).ok()?;
        (head.id == *package && !head.archive_sha256.is_empty()).then_some(head.archive_sha256)
    }
}

/// One path of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// Relative to the package; bytes that are not UTF-8 are in hexadecimal.
    pub path: Blob,
    /// Permission bits.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name as the archive has it: what a node that is unpacked elsewhere needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Group by name as the archive has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: ManifestKind,
}

/// What a path of a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ManifestKind {
    /// A file, or another name of one (`hardlink`).
    File {
        /// Bytes.
        size: u64,
        /// Hexadecimal.
        sha256: String,
    },
    /// Another name of a file of this package.
    Hardlink {
        /// The first name.
        to: Blob,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it points.
        target: Blob,
    },
}

impl Receipt {
    /// SHA-256 of the build index that every active package was compared with; none if one of them
    /// was not.
    pub fn verified_index(&self) -> Option<&str> {
        self.trust.as_ref().and_then(|record| record.index_sha256.as_deref())
    }

    /// Whether the installed build was compared with a build index, byte for byte.
    pub fn trust(&self) -> Trust {
        self.trust.as_ref().map(TrustRecord::trust).unwrap_or_default()
    }

    /// Reads a receipt of any schema up to [`SCHEMA`].
    ///
    /// # Errors
    /// Text that is no receipt, or one of a newer dcos-node.
    pub fn parse(text: &[u8]) -> Result<Receipt, InvalidReceipt> {
        let invalid = |what: String, is_newer| InvalidReceipt { what, is_newer };
        let value: serde_json::Value = serde_json::from_slice(text)
            .map_err(|e| invalid(format!("is not JSON: {e}"), false))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema <= u64::from(SCHEMA) => {
                serde_json::from_value(value).map_err(|e| invalid(e.to_string(), false))
            }
            Some(schema) => Err(invalid(
                format!("has schema {schema}; this dcos-node knows schemas up to {SCHEMA}"),
                true,
            )),
            None => Err(invalid("has no schema number".into(), false)),
        }
    }
}

/// Why a receipt cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the receipt {what}")]
pub struct InvalidReceipt {
    /// What is wrong with it.
    what: String,
    /// Whether a newer dcos-node wrote it, who can use it.
    pub is_newer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_of_a_newer_program_is_refused_by_name() {
        let newer = Receipt::parse(br#"{"schema":99}"#).unwrap_err();
        assert!(newer.is_newer && newer.to_string().contains("schema 99"));
        assert!(Receipt::parse(b"{").is_err_and(|error| !error.is_newer));
    }
}
