//! Trees as the classic installer leaves them: made from the golden records, the packages of the
//! reference build, and a state of `faults.md`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use dcos_node::dcos::installer_script;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// An image of a node, or a node that is switched off.
pub struct Image {
    root: PathBuf,
    _directory: Option<TempDir>,
}

const ACTIVE: [&str; 8] = [
    "bin",
    "etc",
    "include",
    "lib",
    "environment",
    "environment.export",
    "active",
    "active.buildinfo.full.json",
];

/// What pkgpanda, and a service of the reference build, write; all other files without a source are
/// empty.
const WRITTEN: [(&str, &str); 2] = [
    ("/etc/systemd/system/dcos.target", "[Install]\nWantedBy=multi-user.target\n"),
    ("/var/lib/dcos/dcos-history/series", "kept by the service\n"),
];

impl Image {
    /// A node before anything of DC/OS.
    pub fn clean() -> Image {
        let image = Image::empty();
        for directory in [
            "etc/systemd/system/multi-user.target.wants",
            "etc/profile.d",
            "etc/systemd/network",
            "opt",
            "usr",
            "var/lib",
            "run",
            "tmp",
            "var/log",
        ] {
            fs::create_dir_all(image.at(directory)).expect("make a directory");
        }
        for (file, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"),
            ("etc/group", "root:x:0:\nsystemd-journal:x:101:\nann:x:1000:\n"),
            ("etc/resolv.conf", "nameserver 192.0.2.1\n"),
            ("etc/systemd/system/operators.service", "[Service]\nExecStart=/bin/true\n"),
        ] {
            image.write(file, text);
        }
        image
    }

    /// What the installer and pkgpanda leave, by a golden record.
    pub fn golden(name: &str, role: &str) -> Image {
        let image = Image::clean();
        image.lay(name, role);
        image
    }

    /// A node that is switched off, whose files these are.
    pub fn of_node(root: &Path) -> Image {
        Image { root: root.to_owned(), _directory: None }
    }

    /// Puts everything of a golden record here.
    pub fn lay(&self, name: &str, role: &str) {
        let image = self;
        let text =
            fs::read_to_string(reference(&format!("golden/{name}.json"))).expect("the record");
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        let created = golden["created"].as_object().expect("what was created");
        if created.keys().any(|path| path.starts_with("/opt/mesosphere/packages/")) {
            image.unpack_repository(created.keys().map(String::as_str));
        }
        let (node_files, texts) = (node_files(), texts(&golden["texts"]));
        image.add_accounts(&golden["accounts"]);
        let [users, groups] = ["etc/passwd", "etc/group"].map(|file| image.numbers(file));
        // A node makes its /run when it boots.
        let left_out = if image._directory.is_some() { "/none" } else { "/run/" };
        for (path, entry) in created.iter().filter(|(path, _)| {
            !path.starts_with("/opt/mesosphere/packages/") && !path.starts_with(left_out)
        }) {
            let real = image.at(path);
            match entry["type"].as_str() {
                Some("directory") => fs::create_dir_all(&real).expect("make a directory"),
                Some("symlink") => {
                    symlink(entry["target"].as_str().expect("a target"), &real).expect("link")
                }
                _ => {
                    let unit = image.packaged_unit(path, role, &entry["sha256"]);
                    let text =
                        texts.get(path).or(node_files.get(Path::new(path))).cloned().or(unit);
                    let written = WRITTEN
                        .iter()
                        .find(|(written, _)| path == written)
                        .map_or("", |(_, text)| text);
                    image.write(path, &text.unwrap_or_else(|| written.into()));
                }
            }
            let number = |numbers: &BTreeMap<String, u32>, field: &str| {
                let name = entry[field].as_str().expect("an owner");
                Some(numbers.get(name).copied().unwrap_or_else(|| name.parse().expect("a number")))
            };
            // For who is not root everything is his.
            if nix::unistd::geteuid().is_root() {
                lchown(&real, number(&users, "owner"), number(&groups, "group"))
                    .expect("set the owner");
            }
            if let (Some(mode), false) = (entry["mode"].as_str(), entry["type"] == "symlink") {
                let mode = u32::from_str_radix(mode, 8).expect("a mode");
                fs::set_permissions(&real, fs::Permissions::from_mode(mode)).expect("set the mode");
            }
        }
    }

    /// Only what `dcos_install.sh` writes itself.
    pub fn node_files_only(role: &str) -> Image {
        let image = Image::clean();
        for (path, text) in node_files() {
            image.write(&path.to_string_lossy(), &text);
        }
        image.write(&format!("/etc/mesosphere/roles/{role}"), "");
        image.link("/etc/profile.d/dcos.sh", "/opt/mesosphere/bin/add_dcos_path.sh");
        image.link(
            "/etc/systemd/system/multi-user.target.wants/dcos-setup.service",
            "/etc/systemd/system/dcos-setup.service",
        );
        image
    }

    /// With the bootstrap archive unpacked, as `dcos-download.service` does it.
    pub fn with_bootstrap(self) -> Image {
        fs::create_dir_all(self.at("opt/mesosphere")).expect("make a directory");
        untar(&bootstrap_archive(), &self.at("opt/mesosphere"), &[]);
        self
    }

    /// With these packages of the reference build in the repository.
    pub fn with_packages(self, names: &[&str]) -> Image {
        for (id, archive) in archives()
            .into_iter()
            .filter(|(id, _)| names.iter().any(|name| id.starts_with(&format!("{name}--"))))
        {
            fs::create_dir_all(self.at(&format!("opt/mesosphere/packages/{id}")))
                .expect("make a directory");
            untar(&archive, &self.at(&format!("opt/mesosphere/packages/{id}")), &[]);
        }
        self
    }

    /// Another image with the same content.
    pub fn copy(&self) -> Image {
        let copy = Image::empty();
        let status = Command::new("cp")
            .args(["-a", "-T"])
            .arg(self.root())
            .arg(copy.root())
            .status()
            .expect("cp");
        assert!(status.success());
        copy
    }

    fn empty() -> Image {
        let directory =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
        Image { root: directory.path().to_owned(), _directory: Some(directory) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub fn has(&self, path: &str) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().expect("a parent")).expect("make a directory");
        fs::write(self.at(path), text).expect(path);
    }

    pub fn link(&self, path: &str, target: &str) {
        fs::create_dir_all(self.at(path).parent().expect("a parent")).expect("make a directory");
        symlink(target, self.at(path)).expect(path);
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).expect(from);
    }

    pub fn remove(&self, path: &str) {
        let real = self.at(path);
        if real.is_dir() && !real.is_symlink() {
            fs::remove_dir_all(real)
        } else {
            fs::remove_file(real)
        }
        .expect(path);
    }

    /// One file name of each kind of active name is set aside, as in the first half of pkgpanda's
    /// swap.
    pub fn set_aside(&self, names: &[&str]) {
        for name in names {
            let old = format!("opt/mesosphere/{name}.old");
            if self.has(&old) {
                self.remove(&old);
            }
            self.rename(&format!("opt/mesosphere/{name}"), &old);
        }
    }

    /// A copy of every active name, and of the links of the target, is to become live.
    pub fn with_new_names(&self) {
        for name in ACTIVE
            .map(|name| format!("opt/mesosphere/{name}"))
            .into_iter()
            .chain(["etc/systemd/system/dcos.target.wants".into()])
        {
            let status = Command::new("cp")
                .arg("-aT")
                .arg(self.at(&name))
                .arg(self.at(&format!("{name}.new")))
                .status()
                .expect("cp");
            assert!(status.success());
        }
    }

    /// Every file of DC/OS' is as long as nothing, as after a power cut.
    pub fn emptied(&self) {
        let mut open =
            ["opt/mesosphere", "etc/mesosphere", "etc/rexray"].map(|top| self.at(top)).to_vec();
        open.extend(
            self.units().into_iter().map(|name| self.at(&format!("etc/systemd/system/{name}"))),
        );
        while let Some(path) = open.pop() {
            let about = path.symlink_metadata().expect("look");
            if about.is_dir() {
                open.extend(
                    fs::read_dir(&path).expect("list").map(|entry| entry.expect("an entry").path()),
                );
            } else if about.is_file() {
                fs::write(&path, "").expect("empty it");
            }
        }
    }

    /// Names of DC/OS' unit files.
    pub fn units(&self) -> Vec<String> {
        let names = fs::read_dir(self.at("etc/systemd/system")).expect("list");
        let names =
            names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("dcos-")).collect()
    }

    fn unpack_repository<'a>(&self, created: impl Iterator<Item = &'a str>) {
        let wanted: Vec<&str> = created.collect();
        fs::create_dir_all(self.at("opt/mesosphere/packages")).expect("make a directory");
        untar(&bootstrap_archive(), &self.at("opt/mesosphere"), &["./packages"]);
        for (id, archive) in archives() {
            let place = format!("/opt/mesosphere/packages/{id}");
            if wanted.contains(&place.as_str()) && !self.has(&place) {
                fs::create_dir_all(self.at(&place)).expect("make a directory");
                untar(&archive, &self.at(&place), &[]);
            }
        }
    }

    /// The text of a unit that is copied from a package, that version of it which has this digest.
    fn packaged_unit(&self, path: &str, role: &str, sha256: &Value) -> Option<String> {
        let name = path.strip_prefix("/etc/systemd/system/").filter(|name| !name.contains('/'))?;
        let packages = fs::read_dir(self.at("opt/mesosphere/packages")).ok()?;
        let tops: Vec<PathBuf> = packages.map(|entry| entry.expect("an entry").path()).collect();
        let wants = [format!("dcos.target.wants_{role}"), "dcos.target.wants".to_owned()];
        let files =
            tops.iter().flat_map(|top| wants.iter().map(move |wants| top.join(wants).join(name)));
        let is_recorded = |text: &String| {
            Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                == *sha256
        };
        files.filter_map(|file| fs::read_to_string(file).ok()).find(is_recorded)
    }

    fn add_accounts(&self, accounts: &Value) {
        let mut groups = self.numbers("etc/group");
        let (mut passwd, mut group) = (self.read("etc/passwd"), self.read("etc/group"));
        for (number, name) in (900..).zip(accounts["groups"].as_object().expect("groups").keys()) {
            groups.insert(name.clone(), number);
            group.push_str(&format!("{name}:x:{number}:\n"));
        }
        for (number, (name, user)) in (900..).zip(accounts["users"].as_object().expect("users")) {
            let group = groups[user["group"].as_str().expect("a group")];
            passwd.push_str(&format!(
                "{name}:x:{number}:{group}:DCOS System User:/opt/mesosphere:/sbin/nologin\n"
            ));
        }
        self.write("etc/passwd", &passwd);
        self.write("etc/group", &group);
        for (file, names, fields) in
            [("etc/shadow", "users", ":!:20000::::::\n"), ("etc/gshadow", "groups", ":!::\n")]
        {
            if self.has(file) {
                let added = accounts[names]
                    .as_object()
                    .expect("accounts")
                    .keys()
                    .map(|name| format!("{name}{fields}"));
                self.write(file, &format!("{}{}", self.read(file), added.collect::<String>()));
            }
        }
    }

    /// The numbers of users or groups.
    fn numbers(&self, file: &str) -> BTreeMap<String, u32> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        self.read(file)
            .lines()
            .map(fields)
            .map(|line| (line[0].clone(), line[2].parse().expect("a number")))
            .collect()
    }
}

fn reference(path: &str) -> PathBuf {
    crate::checkout().join("fixtures/reference").join(path)
}

fn node_files() -> BTreeMap<PathBuf, String> {
    let script = fs::read_to_string(reference("serve/dcos_install.sh")).expect("the script");
    installer_script::node_files(&script)
        .expect("node files")
        .into_iter()
        .map(|file| (file.path, file.content))
        .collect()
}

/// The texts that a record has in full, those by package put together again.
fn texts(recorded: &Value) -> BTreeMap<String, String> {
    let paragraph = |(package, lines): (&String, &Value)| {
        let head =
            if package.is_empty() { String::new() } else { format!("\n# package: {package}\n") };
        let lines = lines
            .as_array()
            .expect("lines")
            .iter()
            .map(|line| format!("{}\n", line.as_str().expect("a line")));
        format!("{head}{}", lines.collect::<String>())
    };
    let text = |text: &Value| match text.as_object() {
        Some(packages) => packages.iter().map(paragraph).collect(),
        None => text.as_str().expect("a text").to_owned(),
    };
    recorded
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, recorded)| (path.clone(), text(recorded)))
        .collect()
}

fn archives() -> Vec<(String, PathBuf)> {
    let packages = fs::read_dir(reference("serve/packages"))
        .expect("list")
        .map(|entry| entry.expect("an entry").path());
    let archives = packages.flat_map(|directory| {
        fs::read_dir(directory).expect("list").map(|entry| entry.expect("an entry").path())
    });
    archives
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().replace(".tar.xz", ""), path)
        })
        .collect()
}

fn bootstrap_archive() -> PathBuf {
    let id = fs::read_to_string(reference("serve/bootstrap.latest")).expect("the id");
    reference(&format!("serve/bootstrap/{}.bootstrap.tar.xz", id.trim()))
}

fn untar(archive: &Path, into: &Path, members: &[&str]) {
    let status = Command::new("tar")
        .arg("-xpf")
        .arg(archive)
        .arg("-C")
        .arg(into)
        .args(members)
        .status()
        .expect("tar");
    assert!(status.success(), "{}", archive.display());
}
