//! A build: all packages with one bootstrap id and one cluster package list, as a serve directory
//! offers it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::PackageId;
use super::index::{Artifact, Artifacts, Content, INDEX, Index, SCHEMA, Unusable};
use super::installer_script::NodeFile;
use super::settings::Version;

/// Names the id of the newest bootstrap archive.
pub const BOOTSTRAP_LATEST: &str = "bootstrap.latest";
/// Names the id of the newest cluster package list.
pub const PACKAGE_LIST_LATEST: &str = "cluster-package-list.latest";
/// Carries the node files.
pub const INSTALLER_SCRIPT: &str = "dcos_install.sh";

/// Everything that an install needs to know of a build before the first package is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Where it was read from, without credentials.
    pub url: String,
    /// 40 hexadecimal digits; with the packages of the release it names the release.
    pub bootstrap_id: String,
    /// 40 hexadecimal digits; changes with the configuration too.
    pub package_list_id: String,
    /// The packages of the bootstrap archive that are active besides the list (`<id>.active.json`).
    pub bootstrap_packages: Vec<PackageId>,
    /// The cluster package list.
    pub packages: Vec<PackageId>,
    /// What the classic installer would write on the node.
    pub node_files: Vec<NodeFile>,
    /// Digests and sizes, from the build index; empty for a classic serve directory.
    #[serde(default, skip_serializing_if = "Artifacts::is_empty")]
    pub artifacts: Artifacts,
    /// The SHA-256 of the build index that all this comes from; none for a classic serve directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
}

impl Build {
    /// The build that an index describes, read from `url`.
    ///
    /// # Errors
    /// The index does not know an archive that an install needs.
    pub fn of_index(index: Index, url: String, sha256: String) -> Result<Build, InvalidBuild> {
        let build = Build {
            url,
            bootstrap_id: index.bootstrap_id,
            package_list_id: index.package_list_id,
            bootstrap_packages: index.bootstrap_packages,
            packages: index.packages,
            node_files: index.node_files,
            artifacts: index.artifacts,
            index_sha256: Some(sha256),
        };
        match build.archives().iter().find(|path| build.content(path).is_none()) {
            Some(path) => Err(InvalidBuild {
                file: INDEX.to_owned(),
                reason: format!("does not say what is in {path}"),
            }),
            None => Ok(build),
        }
    }

    /// The index of this build, with what is known of its archives.
    pub fn index(&self, version: Option<Version>, artifacts: Artifacts) -> Index {
        Index {
            schema: SCHEMA,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            version,
            bootstrap_id: self.bootstrap_id.clone(),
            package_list_id: self.package_list_id.clone(),
            bootstrap_packages: self.bootstrap_packages.clone(),
            packages: self.packages.clone(),
            artifacts,
            node_files: self.node_files.clone(),
        }
    }

    /// Every archive that an install fetches, by its path in the serve directory.
    pub fn archives(&self) -> Vec<String> {
        let bootstrap = Build::bootstrap_archive(&self.bootstrap_id);
        [bootstrap].into_iter().chain(self.to_fetch().into_iter().map(|id| id.archive())).collect()
    }

    /// What an archive unpacks to; none for a classic serve directory.
    pub fn content(&self, path: &str) -> Option<&Content> {
        self.artifact(path)?.content.as_ref()
    }

    /// Where the bootstrap archive lies in the serve directory.
    pub fn bootstrap_archive(bootstrap_id: &str) -> String {
        format!("bootstrap/{bootstrap_id}.bootstrap.tar.xz")
    }

    /// Where the list of the bootstrap archive's active packages lies.
    pub fn bootstrap_active(bootstrap_id: &str) -> String {
        format!("bootstrap/{bootstrap_id}.active.json")
    }

    /// Where a cluster package list lies.
    pub fn package_list(id: &str) -> String {
        format!("package_lists/{id}.package_list.json")
    }

    /// What the build index says of a file; none for a classic serve directory.
    pub fn artifact(&self, path: &str) -> Option<&Artifact> {
        self.artifacts.get(path)
    }

    /// The SHA-256 of every archive that a package may come from, as the build index names them;
    /// empty for a classic serve directory and for other packages.
    pub fn digests(&self, id: &PackageId) -> Vec<&str> {
        let path = if self.bootstrap_packages.contains(id) {
            Build::bootstrap_archive(&self.bootstrap_id)
        } else {
            id.archive()
        };
        self.artifact(&path).map(Artifact::digests).unwrap_or_default()
    }

    /// Whether the build index names an archive with this SHA-256 for a package.
    pub fn names(&self, id: &PackageId, archive_sha256: &str) -> bool {
        self.index_sha256.is_some() && self.digests(id).contains(&archive_sha256)
    }

    /// Whether two builds are the same in all that reaches a node, by the same index or both
    /// without one, wherever each was read from.
    pub fn has_content_of(&self, other: &Build) -> bool {
        Build { url: String::new(), ..self.clone() }
            == Build { url: String::new(), ..other.clone() }
    }

    /// All packages that will be active, sorted.
    pub fn active(&self) -> BTreeSet<PackageId> {
        self.packages.iter().chain(&self.bootstrap_packages).cloned().collect()
    }

    /// Packages that have an archive of their own and are not in the bootstrap archive.
    pub fn to_fetch(&self) -> Vec<PackageId> {
        let carried: BTreeSet<&PackageId> = self.bootstrap_packages.iter().collect();
        self.packages.iter().filter(|id| !carried.contains(id)).cloned().collect()
    }

    /// The package that holds the cluster's configuration; its id changes with it.
    pub fn config_package(&self) -> Option<&PackageId> {
        self.packages.iter().find(|id| id.name() == "dcos-config")
    }

    /// The package that says which release this is.
    pub fn metadata_package(&self) -> Option<&PackageId> {
        self.packages.iter().find(|id| id.name() == "dcos-metadata")
    }
}

/// The text of a `.latest` file or a package list is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct InvalidBuild {
    file: String,
    reason: String,
}

impl InvalidBuild {
    /// An index that cannot be used.
    pub fn index(file: &str, reason: &Unusable) -> InvalidBuild {
        InvalidBuild { file: file.to_owned(), reason: reason.to_string() }
    }
}

/// Reads the one id in a `.latest` file; white space around it does not count.
///
/// # Errors
/// Anything but 40 hexadecimal digits, for example the error page of a proxy.
pub fn parse_latest(file: &str, text: &[u8]) -> Result<String, InvalidBuild> {
    let invalid = |reason: &str| InvalidBuild { file: file.to_owned(), reason: reason.to_owned() };
    let text = std::str::from_utf8(text).map_err(|_| invalid("is not text"))?.trim();
    if super::id::is_build_id(text) {
        Ok(text.to_owned())
    } else {
        Err(invalid(
            "does not hold an id of 40 hexadecimal digits; is this the URL of a DC/OS build?",
        ))
    }
}

/// Reads a JSON list of package ids.
///
/// # Errors
/// Anything else, naming the file and the id that is none.
pub fn parse_package_list(file: &str, text: &[u8]) -> Result<Vec<PackageId>, InvalidBuild> {
    let invalid = |reason: String| InvalidBuild { file: file.to_owned(), reason };
    let ids: Vec<String> = serde_json::from_slice(text)
        .map_err(|e| invalid(format!("is not a JSON list of package ids: {e}")))?;
    ids.iter().map(|id| id.parse().map_err(|e| invalid(format!("{e}")))).collect()
}
