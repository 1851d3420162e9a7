//! A package as it stands in the repository: its word about itself, and what it has to link.

use std::path::PathBuf;

use serde_json::Value;

use super::id::PackageId;
use super::pkginfo::PackageInfo;

/// One package, read whole.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its id, which is also the name of its directory.
    pub id: PackageId,
    /// `pkginfo.json`.
    pub info: PackageInfo,
    /// `buildinfo.full.json`, which packages made by `setup` do not have.
    pub buildinfo: Option<Value>,
    /// What lies below its well-known directories and their role forms, parents before children.
    pub members: Vec<Member>,
    /// Names of all `*.service` files anywhere in it, without the suffix: `sysctl` counts for these
    /// only.
    pub services: Vec<String>,
}

/// One path below a well-known directory of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The top directory, for example `bin` or `etc_master`.
    pub top: String,
    /// The path below it.
    pub path: PathBuf,
    /// A directory is made for real and merged; anything else is linked.
    pub directory: bool,
}
