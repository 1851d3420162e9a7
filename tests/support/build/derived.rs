//! Texts that follow from a build: ids, settings, lists and the install script.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::archive::tar_of;
use super::{Build, Entry, Kind, LINKED, MESOSPHERE, NodeFile, Package, Packed, fixtures, hex};

impl Build {
    /// Ids by package name. Like DC/OS', they are hashes of what a package was made from, not of
    /// its archive.
    pub(super) fn ids(&self) -> BTreeMap<String, String> {
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
    pub(super) fn bootstrap_id(&self, ids: &BTreeMap<String, String>) -> String {
        let fixed = ids
            .iter()
            .filter(|(name, _)| !self.configured.contains(*name))
            .map(|(_, id)| id.as_str());
        hex(Sha256::digest(
            fixed.collect::<Vec<_>>().join("\n") + "\n--\n" + &self.bootstrap.join("\n"),
        ))
    }

    /// The package as it is in its archive: placeholders replaced, build information added.
    pub(super) fn filled(
        &self,
        name: &str,
        package: &Package,
        id: &str,
        bootstrap_id: &str,
    ) -> Package {
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

    pub(super) fn configured_text(&self, text: &str, bootstrap_id: &str) -> String {
        let mut values = self.derived();
        values.insert("bootstrap_id", bootstrap_id.to_owned());
        let config = self.config.iter().map(|(key, value)| (key.as_str(), value));
        let values = values.iter().map(|(key, value)| (*key, value)).chain(config);
        values.fold(text.to_owned(), |text, (key, value)| text.replace(&format!("@{key}@"), value))
    }

    /// What follows from the settings, as DC/OS' configuration has it in its files.
    pub(super) fn derived(&self) -> BTreeMap<&'static str, String> {
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
    pub(super) fn bootstrap_tree(
        &self,
        packed: &Packed,
        contents: &BTreeMap<&str, Package>,
    ) -> Vec<u8> {
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

    pub(super) fn install_script(&self, packed: &Packed) -> String {
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
}

/// The names in a directory, sorted.
pub(super) fn list(dir: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut names: Vec<OsString> =
        entries.map(|entry| entry.expect("the checkout can be read").file_name()).collect();
    names.sort();
    names
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
