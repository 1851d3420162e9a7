//! Packs the sources under `fixtures/` into a classic serve directory, as `dcos_generate_config.sh`
//! lays it out.
//!
//! ```no_run
//! let build = Build::fixture().with_config("check_time", "true");
//! let packed = build.compressed(Compression::Zstd).pack(dir);
//! let mesos = packed.archive("mesos");
//! ```
//!
//! The output depends on the sources and the knobs only: packing twice gives the same bytes. A
//! mistake in a fixture is a mistake in the suite, so everything here panics and says which package
//! it was.
//!
//! # How sources stand in the checkout
//!
//! `fixtures/<build>/build.json` names the packages of the bootstrap archive and the configuration;
//! `fixtures/<build>/packages/<name>/` holds the files of a package. What a checkout cannot carry
//! is in the file `.entries` at the top of a package, one line each, `#` for comments; the path is
//! the rest of the line, so it may hold spaces:
//!
//! ```text
//! dir 0700 etc/private                a directory that is empty, or has another mode than 0755
//! mode 4755 bin/set-id                otherwise 0755 if executable in the checkout, else 0644
//! owner 4321:4321 etc/by-number       otherwise root
//! owner nobody=4321:nogroup=4321 etc/by-name
//! symlink lib/libx.so -> libx.so.1
//! hardlink bin/second -> bin/first
//! when master_discovery=static etc/master_list     only with this configuration
//! ```
//!
//! In every file `@PKG_PATH@` becomes the path of the package on a node. In the packages that
//! `build.json` calls `configured` (their version is `setup_<hash of the configuration>`), `@key@`
//! becomes the value of that key, or of what follows from the settings ([`Build::derived`]).

// Each test program uses a part of this. It makes fixtures, so the rules for files of a node do not
// bind it.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types)]

mod archive;
mod changed;
mod derived;
mod package;
mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use archive::compress;
use archive::{archive_name, tar_of};
use derived::list;

/// Where DC/OS lives on a node.
const MESOSPHERE: &str = "/opt/mesosphere";

/// The directories of a package that activation links (those of the bootstrap archive have no
/// roles).
const LINKED: [&str; 4] = ["bin", "etc", "include", "lib"];

/// The time of every member: 2021-01-01.
const MODIFIED: u64 = 1_609_459_200;

/// Stands for the bootstrap archive where a package is named: [`Build::with_raw_archive`],
/// [`Build::damaged`].
pub const BOOTSTRAP_ARCHIVE: &str = "(bootstrap archive)";

/// How archives are compressed. The names of the files end in `.tar.xz` all the same: readers go by
/// the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// One xz stream.
    Xz,
    /// Several xz streams, one after the other, cut regardless of members (what pxz makes).
    XzStreams,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// No compression: a tar file.
    Plain,
}

/// What is wrong with a damaged archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit in the middle is flipped.
    BitFlip,
    /// The second half is missing.
    Truncated,
    /// 4 KiB of noise follow the archive.
    TrailingGarbage,
    /// A file of no bytes.
    Empty,
    /// A page of HTML, as a captive proxy sends it.
    Page,
}

/// A build: its sources, and what is to be different this time.
#[derive(Clone, Debug)]
pub struct Build {
    packages: BTreeMap<String, Package>,
    /// Packages of the bootstrap archive.
    bootstrap: Vec<String>,
    /// Those of them that the package list does not name.
    bootstrap_only: BTreeSet<String>,
    /// Packages whose version is the hash of the configuration.
    configured: BTreeSet<String>,
    config: BTreeMap<String, String>,
    node_files: Vec<NodeFile>,
    compression: Compression,
    raw_archives: BTreeMap<String, Vec<u8>>,
    damages: BTreeMap<String, Damage>,
}

#[derive(Clone, Debug, Default)]
struct Package {
    entries: BTreeMap<PathBuf, Entry>,
    without_buildinfo: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: Kind,
    mode: u32,
    owner: Owner,
    /// Present only if the configuration has this value.
    when: Option<(String, String)>,
}

#[derive(Clone, Debug)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(PathBuf),
    HardLink(PathBuf),
}

#[derive(Clone, Debug)]
struct Owner {
    user: (String, u64),
    group: (String, u64),
}

#[derive(Clone, Debug)]
struct NodeFile {
    path: String,
    mode: u32,
    content: String,
}

/// A packed build: where it lies, and its ids.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The serve directory.
    pub dir: PathBuf,
    /// What `bootstrap.latest` says.
    pub bootstrap_id: String,
    /// What `cluster-package-list.latest` says.
    pub package_list_id: String,
    /// The ids of the package list, by name.
    pub ids: BTreeMap<String, String>,
    /// The ids in the bootstrap archive, by name.
    pub bootstrap_ids: BTreeMap<String, String>,
}

impl Packed {
    /// The id of a package: `name--version`.
    pub fn id(&self, package: &str) -> &str {
        self.ids
            .get(package)
            .or_else(|| self.bootstrap_ids.get(package))
            .unwrap_or_else(|| panic!("the build has no package {package}"))
    }

    /// The archive of a package in the serve directory.
    pub fn archive(&self, package: &str) -> PathBuf {
        self.dir.join(archive_name(package, self.id(package)))
    }

    /// The bootstrap archive in the serve directory.
    pub fn bootstrap_archive(&self) -> PathBuf {
        self.dir.join(format!("bootstrap/{}.bootstrap.tar.xz", self.bootstrap_id))
    }

    /// The package list in the serve directory.
    pub fn package_list(&self) -> PathBuf {
        self.dir.join(format!("package_lists/{}.package_list.json", self.package_list_id))
    }
}

impl Build {
    /// The small DC/OS-shaped build whose stand-in daemons answer (`fixtures/build`).
    pub fn fixture() -> Build {
        Build::read(&fixtures().join("build"))
    }

    /// Three packages with every odd case (`fixtures/tiny`).
    pub fn tiny() -> Build {
        Build::read(&fixtures().join("tiny"))
    }

    /// Reads the sources of a build.
    pub fn read(dir: &Path) -> Build {
        let description = std::fs::read(dir.join("build.json"))
            .unwrap_or_else(|e| panic!("{}/build.json: {e}", dir.display()));
        let description: Value = serde_json::from_slice(&description)
            .unwrap_or_else(|e| panic!("{}/build.json: {e}", dir.display()));
        let without_buildinfo: BTreeSet<String> =
            names(&description["without_buildinfo"]).into_iter().collect();
        let mut packages = BTreeMap::new();
        for name in list(&dir.join("packages")) {
            let name = name.into_string().expect("package names are ASCII");
            let mut package = Package::read(&dir.join("packages").join(&name));
            package.without_buildinfo = without_buildinfo.contains(&name);
            packages.insert(name, package);
        }
        let bootstrap_only: BTreeSet<String> =
            names(&description["bootstrap_only"]).into_iter().collect();
        let mut bootstrap = names(&description["bootstrap"]);
        bootstrap.extend(bootstrap_only.iter().cloned());
        bootstrap.sort();
        let config = description["config"].as_object().cloned().unwrap_or_default();
        let config = config.into_iter().map(|(key, value)| {
            let value = value
                .as_str()
                .unwrap_or_else(|| panic!("configuration {key}: not a string"))
                .to_owned();
            (key, value)
        });
        Build {
            packages,
            bootstrap,
            bootstrap_only,
            configured: names(&description["configured"]).into_iter().collect(),
            config: config.collect(),
            node_files: Vec::new(),
            compression: Compression::Xz,
            raw_archives: BTreeMap::new(),
            damages: BTreeMap::new(),
        }
    }

    /// Mode and content of a file of a package.
    pub fn file(&self, package: &str, path: &str) -> (u32, Vec<u8>) {
        let entry = self.packages.get(package).and_then(|p| p.entries.get(Path::new(path)));
        match entry {
            Some(Entry { kind: Kind::File(content), mode, .. }) => (*mode, content.clone()),
            _ => panic!("package {package} has no file {path}"),
        }
    }

    /// The packages of this build.
    pub fn package_names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    /// Writes the serve directory. One that is there already keeps what else it holds, as on a real
    /// bootstrap server.
    pub fn pack(&self, dir: &Path) -> Packed {
        let ids = self.ids();
        let bootstrap_id = self.bootstrap_id(&ids);
        let contents: BTreeMap<&str, Package> = self
            .packages
            .iter()
            .map(|(name, package)| {
                (name.as_str(), self.filled(name, package, &ids[name], &bootstrap_id))
            })
            .collect();

        let listed: BTreeMap<String, String> = ids
            .clone()
            .into_iter()
            .filter(|(name, _)| !self.bootstrap_only.contains(name))
            .collect();
        let bootstrap_ids: BTreeMap<String, String> =
            self.bootstrap.iter().map(|name| (name.clone(), ids[name].clone())).collect();
        let package_list = json!(listed.values().collect::<Vec<_>>()).to_string();
        let package_list_id = hex(Sha256::digest(&package_list));
        let packed = Packed {
            dir: dir.to_owned(),
            bootstrap_id,
            package_list_id,
            ids: listed,
            bootstrap_ids,
        };

        for (name, id) in &packed.ids {
            let archive = self.archive(name, || tar_of(&[("", &contents[name.as_str()])]));
            write(&dir.join(archive_name(name, id)), 0o644, &archive);
        }
        let archive = self.archive(BOOTSTRAP_ARCHIVE, || self.bootstrap_tree(&packed, &contents));
        write(&packed.bootstrap_archive(), 0o644, &archive);
        let active = serde_json::to_vec_pretty(&packed.bootstrap_ids.values().collect::<Vec<_>>())
            .expect("strings");
        write(&dir.join(format!("bootstrap/{}.active.json", packed.bootstrap_id)), 0o644, &active);
        write(&packed.package_list(), 0o644, package_list.as_bytes());
        let info: Map<String, Value> = packed
            .ids
            .iter()
            .map(|(name, id)| (name.clone(), json!({"filename": archive_name(name, id), "id": id})))
            .collect();
        write(
            &dir.join("cluster-package-info.json"),
            0o644,
            &serde_json::to_vec_pretty(&info).expect("strings"),
        );
        write(&dir.join("dcos_install.sh"), 0o755, self.install_script(&packed).as_bytes());
        write(&dir.join("bootstrap.latest"), 0o644, packed.bootstrap_id.as_bytes());
        write(&dir.join("cluster-package-list.latest"), 0o644, packed.package_list_id.as_bytes());
        packed
    }

    fn package(&mut self, name: &str) -> &mut Package {
        self.packages.get_mut(name).unwrap_or_else(|| panic!("the build has no package {name}"))
    }
}

/// `fixtures/` of the checkout.
fn fixtures() -> PathBuf {
    crate::checkout().join("fixtures")
}

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|name| name.as_str().expect("build.json lists names").to_owned())
        .collect()
}

/// Whoever reads meanwhile, as a node that installs, sees the file as it was or as it is to be.
fn write(path: &Path, mode: u32, content: &[u8]) {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let result = std::fs::create_dir_all(path.parent().expect("below the serve directory"))
        .and_then(|()| std::fs::write(&new, content))
        .and_then(|()| std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)))
        .and_then(|()| std::fs::rename(&new, path));
    result.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// 40 hexadecimal digits, like DC/OS' ids.
fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref()[..20].iter().map(|byte| format!("{byte:02x}")).collect()
}
