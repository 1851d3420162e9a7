//! Whether packages and builds were compared with a build index, byte for byte.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::build::Build;
use super::id::PackageId;

/// Whether every byte was compared with what a build index names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Every byte was compared.
    Verified,
    /// There was no index, or nobody knows where the bytes came from.
    #[default]
    Unverified,
}

/// What a receipt records of the trust in a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRecord {
    /// SHA-256 of the build index that every active package was compared with; none if one of them
    /// was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
    /// Every active package.
    #[serde(default)]
    pub packages: BTreeMap<PackageId, PackageTrust>,
}

/// What is recorded of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageTrust {
    /// SHA-256 of the archive that it came from; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_sha256: Option<String>,
    /// Whether a build index names that archive for it.
    pub trust: Trust,
}

/// How a package came to the node in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From a server or directory, now.
    Fetched,
    /// From an earlier run, out of an archive that the build index names.
    KeptVerified,
    /// From an earlier run, for a build without digests.
    KeptUnverified,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trust::Verified => "verified",
            Trust::Unverified => "unverified",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Fetched => "fetched",
            Origin::KeptVerified => "kept, verified",
            Origin::KeptUnverified => "kept, unverified",
        })
    }
}

impl TrustRecord {
    /// The trust in `build`, given the SHA-256 of the archive that each package came from.
    pub fn of(build: &Build, archive_of: impl Fn(&PackageId) -> Option<String>) -> TrustRecord {
        let package = |id: PackageId| {
            let archive_sha256 = archive_of(&id);
            let is_named = archive_sha256.as_ref().is_some_and(|sha256| build.names(&id, sha256));
            let trust = if is_named { Trust::Verified } else { Trust::Unverified };
            (id, PackageTrust { archive_sha256, trust })
        };
        let packages: BTreeMap<PackageId, PackageTrust> =
            build.active().into_iter().map(package).collect();
        let all = packages.values().all(|package| package.trust == Trust::Verified);
        let index_sha256 = build.index_sha256.clone().filter(|_| all && !packages.is_empty());
        TrustRecord { index_sha256, packages }
    }

    /// The trust in the whole build.
    pub fn trust(&self) -> Trust {
        if self.index_sha256.is_some() { Trust::Verified } else { Trust::Unverified }
    }
}

/// How many packages of one run came to the node in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origins {
    /// From a server or directory.
    pub fetched: usize,
    /// From an earlier run, out of archives that the build index names.
    pub kept_verified: usize,
    /// From an earlier run, for a build without digests.
    pub kept_unverified: usize,
}

impl Origins {
    /// Whether the run needed no packages.
    pub fn is_nothing(&self) -> bool {
        *self == Origins::default()
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<T: IntoIterator<Item = Origin>>(origins: T) -> Origins {
        origins.into_iter().fold(Origins::default(), |mut sum, origin| {
            match origin {
                Origin::Fetched => sum.fetched += 1,
                Origin::KeptVerified => sum.kept_verified += 1,
                Origin::KeptUnverified => sum.kept_unverified += 1,
            }
            sum
        })
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.fetched, Origin::Fetched),
            (self.kept_verified, Origin::KeptVerified),
            (self.kept_unverified, Origin::KeptUnverified),
        ];
        let words: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, origin)| format!("{count} {origin}"))
            .collect();
        f.write_str(&words.join("; "))
    }
}
