//! The build index: what `publish` knows of a build, so that a node can verify every byte before it uses one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the index lies in a serve directory.
pub const INDEX: &str = "dcos-build.json";
/// The schema that this program writes; it reads this one and all older ones.
pub const SCHEMA: u32 = 1;

/// The files of a build by their paths in the serve directory.
pub type Artifacts = BTreeMap<String, Artifact>;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes of all files, each rounded up to blocks of 4 KiB, as a file system holds them.
    pub disk_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Members of every kind; each takes an inode.
    pub members: u64,
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
