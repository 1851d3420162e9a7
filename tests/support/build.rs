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

mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

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

    /// Leaves a package out.
    pub fn without_package(mut self, package: &str) -> Build {
        self.package(package);
        self.packages.remove(package);
        self.bootstrap.retain(|name| name != package);
        self
    }

    /// Adds or replaces a file; a package that is not there yet is made. Its id changes, as with
    /// any change of content.
    pub fn with_file(
        mut self,
        package: &str,
        path: &str,
        mode: u32,
        content: impl AsRef<[u8]>,
    ) -> Build {
        let entry = Entry {
            kind: Kind::File(content.as_ref().to_vec()),
            mode,
            owner: Owner::root(),
            when: None,
        };
        let package = self.packages.entry(package.to_owned()).or_default();
        package.entries.insert(path.into(), entry);
        package.add_parents();
        self
    }

    /// Adds or replaces a symbolic link.
    pub fn with_symlink(mut self, package: &str, path: &str, target: &str) -> Build {
        let package = self.packages.entry(package.to_owned()).or_default();
        package.entries.insert(path.into(), Entry::new(Kind::Symlink(target.into())));
        package.add_parents();
        self
    }

    /// Leaves a file, a link or a whole directory of a package out.
    pub fn without_file(mut self, package: &str, path: &str) -> Build {
        let entries = &mut self.package(package).entries;
        let before = entries.len();
        entries.retain(|name, _| !name.starts_with(path));
        assert!(entries.len() < before, "package {package} has no {path}");
        self
    }

    /// Gives a package another name, with these texts replaced in its paths and files.
    pub fn renamed_package(mut self, name: &str, to: &str, replaced: &[(&str, &str)]) -> Build {
        let package = self.package(name).clone();
        self.packages.remove(name);
        let replace = |text: &str| {
            replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
        };
        let renamed = package.entries.into_iter().map(|(path, mut entry)| {
            if let Kind::File(content) = &mut entry.kind {
                *content = replace(&String::from_utf8_lossy(content)).into_bytes();
            }
            (replace(path.to_str().expect("ASCII")).into(), entry)
        });
        let renamed = Package { entries: renamed.collect(), ..Package::default() };
        self.packages.insert(to.to_owned(), renamed);
        self
    }

    /// Mode and content of a file of a package.
    pub fn file(&self, package: &str, path: &str) -> (u32, Vec<u8>) {
        let entry = self.packages.get(package).and_then(|p| p.entries.get(Path::new(path)));
        match entry {
            Some(Entry { kind: Kind::File(content), mode, .. }) => (*mode, content.clone()),
            _ => panic!("package {package} has no file {path}"),
        }
    }

    /// Replaces `pkginfo.json`, with anything.
    pub fn with_pkginfo(self, package: &str, content: &str) -> Build {
        self.with_file(package, "pkginfo.json", 0o644, content)
    }

    /// Changes one setting of the configuration. The configured packages and the package list get
    /// other ids; the bootstrap id stays.
    pub fn with_config(mut self, key: &str, value: &str) -> Build {
        self.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The address that nodes are told to fetch from: setting `bootstrap_url`.
    pub fn with_bootstrap_url(self, url: &str) -> Build {
        self.with_config("bootstrap_url", url)
    }

    /// A static list of masters.
    pub fn with_masters(self, addresses: &[&str]) -> Build {
        self.with_config("master_discovery", "static")
            .with_config("exhibitor_storage_backend", "static")
            .with_config("master_list", &json!(addresses).to_string())
            .with_config("num_masters", &addresses.len().to_string())
    }

    /// A proxy for every address but those of DC/OS itself and `no_proxy`.
    pub fn with_proxy(self, url: &str, no_proxy: &str) -> Build {
        self.with_config("http_proxy", url)
            .with_config("https_proxy", url)
            .with_config("no_proxy", no_proxy)
    }

    /// Adds a file that `dcos_install.sh` writes on the node.
    pub fn with_node_file(mut self, path: &str, mode: u32, content: &str) -> Build {
        self.node_files.push(NodeFile { path: path.to_owned(), mode, content: content.to_owned() });
        self
    }

    /// Compresses every archive so.
    pub fn compressed(mut self, compression: Compression) -> Build {
        self.compression = compression;
        self
    }

    /// Serves these bytes in place of the archive of a package (or of [`BOOTSTRAP_ARCHIVE`]). The
    /// id stays.
    pub fn with_raw_archive(mut self, package: &str, bytes: impl AsRef<[u8]>) -> Build {
        self.check_archive_name(package);
        self.raw_archives.insert(package.to_owned(), bytes.as_ref().to_vec());
        self
    }

    /// Serves a damaged archive of a package (or of [`BOOTSTRAP_ARCHIVE`]). The id stays.
    pub fn damaged(mut self, package: &str, damage: Damage) -> Build {
        self.check_archive_name(package);
        self.damages.insert(package.to_owned(), damage);
        self
    }

    /// [`Build::damaged`] by one flipped bit.
    pub fn corrupt(self, package: &str) -> Build {
        self.damaged(package, Damage::BitFlip)
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

    /// Ids by package name. Like DC/OS', they are hashes of what a package was made from, not of
    /// its archive.
    fn ids(&self) -> BTreeMap<String, String> {
        let mut setup = Sha256::new();
        for (key, value) in &self.config {
            setup.update(format!("{key}={value}\0"));
        }
        for name in &self.configured {
            if let Some(package) = self.packages.get(name) {
                setup.update(package.digest());
            }
        }
        let setup = hex(setup.finalize());
        let id = |name: &String, package: &Package| match self.configured.contains(name) {
            true => format!("{name}--setup_{setup}"),
            false => format!("{name}--{}", hex(package.digest())),
        };
        self.packages.iter().map(|(name, package)| (name.clone(), id(name, package))).collect()
    }

    /// The hash of all packages that do not depend on the configuration.
    fn bootstrap_id(&self, ids: &BTreeMap<String, String>) -> String {
        let fixed = ids
            .iter()
            .filter(|(name, _)| !self.configured.contains(*name))
            .map(|(_, id)| id.as_str());
        hex(Sha256::digest(
            fixed.collect::<Vec<_>>().join("\n") + "\n--\n" + &self.bootstrap.join("\n"),
        ))
    }

    /// The package as it is in its archive: placeholders replaced, build information added.
    fn filled(&self, name: &str, package: &Package, id: &str, bootstrap_id: &str) -> Package {
        let configured = self.configured.contains(name);
        let mut filled = package.clone();
        filled.entries.retain(|_, entry| match &entry.when {
            Some((key, value)) => self.config.get(key) == Some(value),
            None => true,
        });
        for (path, entry) in &mut filled.entries {
            let Kind::File(content) = &mut entry.kind else { continue };
            let Ok(text) = std::str::from_utf8(content) else { continue };
            let mut text = text.replace("@PKG_PATH@", &format!("{MESOSPHERE}/packages/{id}"));
            if configured {
                text = self.configured_text(&text, bootstrap_id);
                if let Some(rest) = placeholder(&text) {
                    panic!("{name}/{}: no setting {rest}", path.display());
                }
            }
            *content = text.into_bytes();
        }
        if !filled.without_buildinfo && !configured {
            let info = serde_json::to_vec_pretty(&buildinfo(name, id, package)).expect("strings");
            filled.entries.insert("buildinfo.full.json".into(), Entry::new(Kind::File(info)));
        }
        filled
    }

    fn configured_text(&self, text: &str, bootstrap_id: &str) -> String {
        let mut values = self.derived();
        values.insert("bootstrap_id", bootstrap_id.to_owned());
        let config = self.config.iter().map(|(key, value)| (key.as_str(), value));
        let values = values.iter().map(|(key, value)| (*key, value)).chain(config);
        values.fold(text.to_owned(), |text, (key, value)| text.replace(&format!("@{key}@"), value))
    }

    /// What follows from the settings, as DC/OS' configuration has it in its files.
    fn derived(&self) -> BTreeMap<&'static str, String> {
        let setting = |key: &str| self.config.get(key).map_or("", String::as_str);
        let masters: Vec<String> = serde_json::from_str(setting("master_list")).unwrap_or_default();
        let ensemble: Vec<String> =
            masters.iter().enumerate().map(|(i, address)| format!("{}:{address}", i + 1)).collect();
        let is_static = setting("master_discovery") == "static";
        let exhibitor = match is_static {
            true => {
                format!("EXHIBITOR_BACKEND=STATIC\nEXHIBITOR_STATICENSEMBLE={}", ensemble.join(","))
            }
            false => {
                "EXHIBITOR_BACKEND=SHARED_FS\nEXHIBITOR_FSCONFIGDIR=/var/lib/dcos/exhibitor/conf"
                    .to_owned()
            }
        };
        let no_proxy = [
            ".mesos,.thisdcos.directory,.dcos.directory,.zk,127.0.0.1,localhost",
            setting("no_proxy"),
        ];
        let no_proxy = no_proxy
            .iter()
            .filter(|names| !names.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(",");
        let proxy = ["http_proxy", "https_proxy"].map(|key| (key, setting(key).to_owned()));
        let in_use = proxy.iter().any(|(_, url)| !url.is_empty());
        let proxy: String = proxy
            .into_iter()
            .chain([("no_proxy", no_proxy)])
            .filter(|(_, value)| in_use && !value.is_empty())
            .map(|(key, value)| format!("{key}=\"{value}\"\n{}=\"{value}\"\n", key.to_uppercase()))
            .collect();
        let hidden = |key: &str, value: &String| {
            if key.contains("password") { "**HIDDEN**".to_owned() } else { value.clone() }
        };
        let public: BTreeMap<&String, String> =
            self.config.iter().map(|(key, value)| (key, hidden(key, value))).collect();
        let yaml = |config: &BTreeMap<&String, String>| {
            config.iter().map(|(key, value)| format!("{key}: {}\n", json!(value))).collect()
        };
        let full: BTreeMap<&String, String> =
            self.config.iter().map(|(key, value)| (key, value.clone())).collect();
        let clock_check = if setting("check_time") == "true" { ", \"clock_sync\"" } else { "" };
        BTreeMap::from([
            ("clock_check", clock_check.to_owned()),
            ("exhibitor_env", exhibitor),
            ("expanded_config", serde_json::to_string_pretty(&public).expect("strings")),
            ("expanded_config_full", serde_json::to_string_pretty(&full).expect("strings")),
            ("master_quorum", (masters.len() / 2 + 1).to_string()),
            ("master_source", if is_static { "master_list" } else { "exhibitor" }.to_owned()),
            ("proxy_env", proxy),
            ("user_config", yaml(&public)),
            ("user_config_full", yaml(&full)),
        ])
    }

    /// The tree of the bootstrap archive: its packages, activated as on a node without a role.
    fn bootstrap_tree(&self, packed: &Packed, contents: &BTreeMap<&str, Package>) -> Vec<u8> {
        let mut tree = Package::default();
        let mut environment = String::from(
            "LD_LIBRARY_PATH=/opt/mesosphere/lib\nPATH=/opt/mesosphere/bin:/usr/bin:/bin:/sbin\n\n",
        );
        let mut export = String::from(
            "export LD_LIBRARY_PATH=/opt/mesosphere/lib\n\
             export PATH=\"/opt/mesosphere/bin:$PATH\"\n\
             \n",
        );
        let mut buildinfos = Map::new();
        for dir in LINKED.iter().chain(&["active", "packages"]) {
            tree.entries.insert(dir.into(), Entry::new(Kind::Directory));
        }
        for (name, id) in &packed.bootstrap_ids {
            let package = &contents[name.as_str()];
            let home = format!("{MESOSPHERE}/packages/{id}");
            tree.entries.insert(
                format!("active/{name}").into(),
                Entry::new(Kind::Symlink(home.clone().into())),
            );
            for (path, entry) in &package.entries {
                if !LINKED.iter().any(|dir| path.starts_with(dir) && path != Path::new(dir)) {
                    continue;
                }
                let kind = match entry.kind {
                    Kind::Directory => Kind::Directory,
                    _ => Kind::Symlink(Path::new(&home).join(path)),
                };
                let is_directory = matches!(kind, Kind::Directory);
                let before = tree.entries.insert(path.clone(), Entry::new(kind));
                assert!(
                    is_directory || before.is_none(),
                    "two packages of the bootstrap archive have {}",
                    path.display()
                );
            }
            let pkginfo: Value =
                serde_json::from_slice(package.file("pkginfo.json").unwrap_or_default())
                    .unwrap_or_default();
            environment += &format!("# package: {id}\n");
            export += &format!("# package: {id}\n");
            for (key, value) in pkginfo["environment"].as_object().into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                environment += &format!("{key}={value}\n");
                export += &format!("export {key}={value}\n");
            }
            environment += "\n";
            export += "\n";
            let info = package
                .file("buildinfo.full.json")
                .map(|text| serde_json::from_slice(text).expect("made here"));
            buildinfos.insert(name.clone(), info.unwrap_or(Value::Null));
        }
        let service_configuration = b"{\n  \"sysctl\": {}\n}\n".to_vec();
        let buildinfos = serde_json::to_vec_pretty(&buildinfos).expect("strings");
        for (path, content) in [
            ("environment", environment.into_bytes()),
            ("environment.export", export.into_bytes()),
            ("active.buildinfo.full.json", buildinfos),
            ("etc/dcos-service-configuration.json", service_configuration),
            ("bootstrap", Vec::new()),
        ] {
            tree.entries.insert(path.into(), Entry::new(Kind::File(content)));
        }
        let homes: Vec<(String, &Package)> = packed
            .bootstrap_ids
            .iter()
            .map(|(name, id)| (format!("packages/{id}"), &contents[name.as_str()]))
            .collect();
        let mut parts = vec![("", &tree)];
        parts.extend(homes.iter().map(|(home, package)| (home.as_str(), *package)));
        tar_of(&parts)
    }

    fn install_script(&self, packed: &Packed) -> String {
        let template = std::fs::read_to_string(fixtures().join("dcos_install.sh.in"))
            .expect("fixtures/dcos_install.sh.in");
        let more: String = self
            .node_files
            .iter()
            .map(|NodeFile { path, mode, content }| {
                format!(
                    "mkdir -p `dirname {path}`\n\
                     cat <<'EOF' > \"{path}\"\n\
                     {content}\n\
                     EOF\n\
                     chmod {mode:04o} {path}\n\
                     \n"
                )
            })
            .collect();
        let url = self.config.get("bootstrap_url").expect("build.json has a bootstrap_url");
        template
            .replace("@MORE_NODE_FILES@\n", &more)
            .replace("@BOOTSTRAP_URL@", url)
            .replace("@BOOTSTRAP_ID@", &packed.bootstrap_id)
            .replace("@PACKAGE_LIST_ID@", &packed.package_list_id)
    }

    fn archive(&self, name: &str, tar: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        let mut bytes = match self.raw_archives.get(name) {
            Some(bytes) => bytes.clone(),
            None => compress(&tar(), self.compression),
        };
        match self.damages.get(name) {
            None => {}
            Some(Damage::BitFlip) => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            Some(Damage::Truncated) => bytes.truncate(bytes.len() / 2),
            Some(Damage::TrailingGarbage) => {
                bytes.extend((0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8))
            }
            Some(Damage::Empty) => bytes.clear(),
            Some(Damage::Page) => {
                bytes = b"<html><body>Please log in to use this network.</body></html>\n".to_vec()
            }
        }
        bytes
    }

    fn package(&mut self, name: &str) -> &mut Package {
        self.packages.get_mut(name).unwrap_or_else(|| panic!("the build has no package {name}"))
    }

    fn check_archive_name(&self, name: &str) {
        assert!(
            name == BOOTSTRAP_ARCHIVE || self.packages.contains_key(name),
            "the build has no package {name}"
        );
    }
}

impl Package {
    fn read(dir: &Path) -> Package {
        let mut package = Package::default();
        package.read_tree(dir, Path::new(""));
        if let Some(Entry { kind: Kind::File(text), .. }) =
            package.entries.remove(Path::new(".entries"))
        {
            let text = String::from_utf8(text)
                .unwrap_or_else(|_| panic!("{}/.entries: not UTF-8", dir.display()));
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                package
                    .apply(line)
                    .unwrap_or_else(|| panic!("{}/.entries: cannot read {line:?}", dir.display()));
            }
        }
        package.add_parents();
        package
    }

    fn read_tree(&mut self, dir: &Path, below: &Path) {
        for name in list(dir) {
            let (source, path) = (dir.join(&name), below.join(&name));
            let metadata = std::fs::symlink_metadata(&source)
                .unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            if metadata.is_dir() {
                self.read_tree(&source, &path);
                continue;
            }
            assert!(metadata.is_file(), "{}: links belong into .entries", source.display());
            let content =
                std::fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            let mut entry = Entry::new(Kind::File(content));
            entry.mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            self.entries.insert(path, entry);
        }
    }

    /// One line of `.entries`.
    fn apply(&mut self, line: &str) -> Option<()> {
        let (verb, rest) = line.split_once(' ')?;
        if let "symlink" | "hardlink" = verb {
            let (path, target) = rest.split_once(" -> ")?;
            let kind = if verb == "symlink" {
                Kind::Symlink(target.into())
            } else {
                Kind::HardLink(target.into())
            };
            self.entries.insert(path.into(), Entry::new(kind));
            return Some(());
        }
        let (argument, path) = rest.split_once(' ')?;
        if verb == "dir" {
            let mut entry = Entry::new(Kind::Directory);
            entry.mode = u32::from_str_radix(argument, 8).ok()?;
            self.entries.insert(path.into(), entry);
            return Some(());
        }
        let entry = self.entries.get_mut(Path::new(path))?;
        match verb {
            "mode" => entry.mode = u32::from_str_radix(argument, 8).ok()?,
            "owner" => entry.owner = Owner::parse(argument)?,
            "when" => {
                entry.when =
                    argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
            }
            _ => return None,
        }
        Some(())
    }

    fn add_parents(&mut self) {
        let parents: BTreeSet<PathBuf> = self
            .entries
            .keys()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|dir| !dir.as_os_str().is_empty())
            .map(Path::to_owned)
            .collect();
        for dir in parents {
            self.entries.entry(dir).or_insert_with(|| Entry::new(Kind::Directory));
        }
    }

    fn file(&self, path: &str) -> Option<&[u8]> {
        match &self.entries.get(Path::new(path))?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    /// Of everything that the package is made from.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (path, entry) in &self.entries {
            let Owner { user, group } = &entry.owner;
            digest.update(path.as_os_str().as_bytes());
            digest.update(format!("\0{:o} {user:?} {group:?} {:?}\0", entry.mode, entry.when));
            let (kind, content) = match &entry.kind {
                Kind::Directory => ("directory", [].as_slice()),
                Kind::File(content) => ("file", content.as_slice()),
                Kind::Symlink(target) => ("symlink", target.as_os_str().as_bytes()),
                Kind::HardLink(target) => ("hard link", target.as_os_str().as_bytes()),
            };
            digest.update(format!("{kind} {}\0", content.len()));
            digest.update(content);
        }
        digest.finalize().into()
    }
}

impl Entry {
    fn new(kind: Kind) -> Entry {
        let mode = match kind {
            Kind::Directory => 0o755,
            Kind::Symlink(_) => 0o777,
            Kind::File(_) | Kind::HardLink(_) => 0o644,
        };
        Entry { kind, mode, owner: Owner::root(), when: None }
    }
}

impl Owner {
    fn root() -> Owner {
        Owner { user: ("root".into(), 0), group: ("root".into(), 0) }
    }

    /// `user:group`, each a number, or `name=number`.
    fn parse(text: &str) -> Option<Owner> {
        let one = |text: &str| {
            let (name, number) = text.split_once('=').unwrap_or(("", text));
            Some((name.to_owned(), number.parse().ok()?))
        };
        let (user, group) = text.split_once(':')?;
        Some(Owner { user: one(user)?, group: one(group)? })
    }
}

/// `fixtures/` of the checkout.
fn fixtures() -> PathBuf {
    crate::checkout().join("fixtures")
}

fn archive_name(package: &str, id: &str) -> String {
    format!("packages/{package}/{id}.tar.xz")
}

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|name| name.as_str().expect("build.json lists names").to_owned())
        .collect()
}

/// The names in a directory, sorted.
fn list(dir: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut names: Vec<OsString> =
        entries.map(|entry| entry.expect("the checkout can be read").file_name()).collect();
    names.sort();
    names
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

/// What `mkpanda` records about how a package was built.
fn buildinfo(name: &str, id: &str, package: &Package) -> Value {
    let pkginfo: Value = serde_json::from_slice(package.file("pkginfo.json").unwrap_or_default())
        .unwrap_or_default();
    let requires = pkginfo.get("requires").cloned().unwrap_or(json!([]));
    let version = id.split_once("--").map_or(id, |(_, version)| version);
    json!({
        "name": name,
        "package_version": version,
        "requires": requires,
        "sources": {name: {"kind": "local", "origin": "fixture build"}},
        "variant": null,
    })
}

/// The first `@key@` that is left in a text.
fn placeholder(text: &str) -> Option<&str> {
    text.match_indices('@').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let key = &rest
            [..rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()))?];
        (!key.is_empty() && rest[key.len()..].starts_with('@')).then_some(key)
    })
}

/// One tar file of several trees, each below its own directory: `./` first, names sorted, hard
/// links after all else.
fn tar_of(parts: &[(&str, &Package)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    add_member(&mut tar, Path::new(""), &Entry::new(Kind::Directory), None);
    for last in [false, true] {
        for (below, package) in parts {
            if !last && !below.is_empty() {
                add_member(&mut tar, Path::new(below), &Entry::new(Kind::Directory), None);
            }
            for (path, entry) in &package.entries {
                match &entry.kind {
                    Kind::HardLink(first) if last => {
                        let original = package
                            .entries
                            .get(first)
                            .unwrap_or_else(|| panic!("hard link to nothing: {}", first.display()));
                        let entry = Entry {
                            mode: original.mode,
                            owner: original.owner.clone(),
                            ..entry.clone()
                        };
                        add_member(
                            &mut tar,
                            &Path::new(below).join(path),
                            &entry,
                            Some(&Path::new(below).join(first)),
                        );
                    }
                    Kind::HardLink(_) => {}
                    _ if last => {}
                    _ => add_member(&mut tar, &Path::new(below).join(path), entry, None),
                }
            }
        }
    }
    tar.into_inner().expect("written to memory")
}

/// Appends a member named `./path`, as `tar -C dir .` names it.
fn add_member(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    entry: &Entry,
    hard_link_to: Option<&Path>,
) {
    let mut name = dotted(path);
    let (kind, link, content) = match &entry.kind {
        Kind::Directory => (tar::EntryType::Directory, None, [].as_slice()),
        Kind::File(content) => (tar::EntryType::Regular, None, content.as_slice()),
        Kind::Symlink(target) => {
            (tar::EntryType::Symlink, Some(target.as_os_str().to_owned()), [].as_slice())
        }
        Kind::HardLink(_) => (tar::EntryType::Link, hard_link_to.map(dotted), [].as_slice()),
    };
    if kind.is_dir() && !path.as_os_str().is_empty() {
        name.push("/");
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(entry.mode);
    header.set_mtime(MODIFIED);
    header.set_size(content.len() as u64);
    header.set_uid(entry.owner.user.1);
    header.set_gid(entry.owner.group.1);
    header.set_username(&entry.owner.user.0).expect("short");
    header.set_groupname(&entry.owner.group.0).expect("short");
    if let Some(link) = &link {
        add_long(tar, tar::EntryType::GNULongLink, link);
        copy(&mut header.as_gnu_mut().expect("GNU").linkname, link);
    }
    add_long(tar, tar::EntryType::GNULongName, &name);
    copy(&mut header.as_gnu_mut().expect("GNU").name, &name);
    header.set_cksum();
    tar.append(&header, content).expect("written to memory");
}

/// `./path`; `./` for the root.
fn dotted(path: &Path) -> OsString {
    OsString::from_vec([b"./", path.as_os_str().as_bytes()].concat())
}

/// The member that GNU tar puts before one whose name does not fit.
fn add_long(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, text: &OsStr) {
    if text.len() < 100 {
        return;
    }
    let content = [text.as_bytes(), b"\0"].concat();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    copy(&mut header.as_gnu_mut().expect("GNU").name, OsStr::new("././@LongLink"));
    header.set_cksum();
    tar.append(&header, content.as_slice()).expect("written to memory");
}

fn copy(field: &mut [u8; 100], text: &OsStr) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// A tar file in this form.
pub fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
        encoder.write_all(bytes).expect("written to memory");
        encoder.finish().expect("written to memory")
    };
    match compression {
        Compression::Plain => tar.to_vec(),
        Compression::Xz => xz(tar),
        Compression::XzStreams => tar.chunks(tar.len().div_ceil(4)).flat_map(xz).collect(),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(tar).expect("written to memory");
            encoder.finish().expect("written to memory")
        }
        Compression::Zstd => zstd::encode_all(tar, 3).expect("written to memory"),
    }
}
