//! A build with something changed.

use serde_json::json;

use super::{Build, Compression, Damage, Entry, Kind, NodeFile, Owner, Package};

impl Build {
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
}
