//! What `make dist` packs: the same bytes whoever packs, whole, and a Debian package that a real
//! node installs and removes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::node::{self, Node};
use tempfile::TempDir;

/// The moment of everything in the packages.
const MOMENT: &str = "1700000000";
const DAY: &str = "2023-11-14 22:13";
/// Who packs: umask, time zone, locale and home make no difference.
const PACKERS: [(&str, &str, &str); 2] =
    [("022", "UTC", "C"), ("077", "Pacific/Kiritimati", "C.UTF-8")];

/// Packed files by their names, and where they lie.
struct Packed {
    directory: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

/// Packs the program of the tests twice; a small copy, for a debug build has a hundred megabytes of
/// symbols.
fn pack(desk: &TempDir) -> [Packed; 2] {
    let program = desk.path().join("program");
    must(Command::new("strip").arg("-o").arg(&program).arg(node::binary()));
    PACKERS.map(|(umask, zone, locale)| {
        let directory = desk.path().join(umask);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".packaging/dist.sh");
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"])
            .arg(script)
            .arg(&program)
            .arg(&directory);
        must(
            command
                .env("TZ", zone)
                .env("LC_ALL", locale)
                .env("SOURCE_DATE_EPOCH", MOMENT)
                .current_dir(desk.path()),
        );
        let list = fs::read_dir(&directory)
            .expect("what was packed")
            .map(|entry| entry.expect("a file").path());
        let files = list.map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(path).expect("a package"),
            )
        });
        Packed { files: files.collect(), directory }
    })
}

impl Packed {
    fn path(&self, end: &str) -> PathBuf {
        self.directory.join(
            self.files
                .keys()
                .find(|name| name.ends_with(end))
                .unwrap_or_else(|| panic!("no {end}")),
        )
    }
}

#[track_caller]
fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn said(command: &mut Command) -> String {
    String::from_utf8(must(command).stdout).expect("text")
}

/// Asserts of a listing of tar that everything in it belongs to root, can be read by all and
/// written by its owner alone, and has the one time.
#[track_caller]
fn is_plain(listing: &str, user: &str) {
    for line in listing.lines() {
        let mode = line.split_whitespace().next().unwrap_or_default();
        assert!(["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&mode), "{line}");
        assert!(line.contains(&format!(" {user} ")) && line.contains(DAY), "{line}");
    }
}

/// Asserts that every link of a document leads to something that was packed too, as it is or
/// packed.
#[track_caller]
fn leads_nowhere_else(document: &Path) {
    let text = fs::read_to_string(document)
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.split('#').next()?.to_owned()));
    for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
        let path = document.parent().expect("a directory").join(&link);
        assert!(path.exists(), "{}: {link} is not there", document.display());
    }
}

#[test]
fn package_is_reproducible_and_installs_and_removes() {
    let desk = tempfile::tempdir().expect("a directory");
    let [first, second] = pack(&desk);
    assert_eq!(first.files.keys().collect::<Vec<_>>(), second.files.keys().collect::<Vec<_>>());
    for (name, bytes) in &first.files {
        assert!(*bytes == second.files[name], "{name} is not the same for both packers");
    }
    must(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&first.directory),
    );

    let (tarball, package) = (first.path(".tar.gz"), first.path(".deb"));
    is_plain(&said(Command::new("tar").args(["-tvzf"]).arg(&tarball).env("TZ", "UTC")), "0/0");
    is_plain(&said(Command::new("dpkg-deb").arg("-c").arg(&package).env("TZ", "UTC")), "root/root");
    let plain = desk.path().join("plain");
    fs::create_dir(&plain).expect("a directory");
    must(
        Command::new("tar")
            .arg("-xzf")
            .arg(&tarball)
            .arg("-C")
            .arg(&plain)
            .arg("--strip-components=1"),
    );
    must(Command::new(plain.join("dcos-node")).arg("--version"));
    let deb = desk.path().join("deb");
    must(Command::new("dpkg-deb").arg("-R").arg(&package).arg(&deb));
    must(
        Command::new("md5sum")
            .args(["--check", "--strict", "--quiet", "DEBIAN/md5sums"])
            .current_dir(&deb),
    );
    let sums = fs::read_to_string(deb.join("DEBIAN/md5sums")).expect("sums");
    assert_eq!(
        sums.lines().count(),
        said(Command::new("find").arg("usr").args(["-type", "f"]).current_dir(&deb))
            .lines()
            .count()
    );

    let share = deb.join("usr/share/doc/dcos-node");
    for top in [&plain, &share] {
        leads_nowhere_else(&top.join("README.md"));
        leads_nowhere_else(&top.join("docs/operators-guide.md"));
        assert!(top.join("examples/ansible/roles/dcos_node/vars/main.yml").is_file());
    }
    let of_others = fs::read_to_string(plain.join("THIRD-PARTY.txt"))
        .expect("what of others is in the program");
    for word in [
        "liblzma-sys ",
        "ring ",
        "rustls ",
        "zstd-sys ",
        "Permission is hereby granted",
        "ISC",
        "Copyright",
    ] {
        assert!(of_others.contains(word), "{word}");
    }
    let unpacked = |path: &str| said(Command::new("gzip").arg("-dc").arg(share.join(path)));
    assert_eq!(unpacked("THIRD-PARTY.txt.gz"), of_others);
    let changes =
        said(Command::new("dpkg-parsechangelog").args(["--show-field", "Version", "-l"]).arg({
            let path = desk.path().join("changelog");
            fs::write(&path, unpacked("changelog.Debian.gz")).expect("write the changelog");
            path
        }));
    let version = format!("{}-1", env!("CARGO_PKG_VERSION"));
    assert_eq!(changes.trim_end(), version);
    let copyright = fs::read_to_string(share.join("copyright")).expect("the copyright");
    assert!(
        copyright.starts_with("Format: ")
            && copyright.contains("/usr/share/common-licenses/Apache-2.0")
            && copyright.len() < 1500
    );
    for (field, value) in [
        ("Package", "dcos-node"),
        ("Version", version.as_str()),
        ("Architecture", "amd64"),
        ("Depends", ""),
    ] {
        assert_eq!(
            said(Command::new("dpkg-deb").arg("-f").arg(&package).arg(field)).trim_end(),
            value,
            "{field}"
        );
    }
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man"))
        .expect("pages")
        .count();
    assert_eq!(fs::read_dir(deb.join("usr/share/man/man8")).expect("pages").count(), pages);

    if !node::available() {
        return;
    }
    let node = Node::boot("package");
    node.copy_in(&package, "/root/dcos-node.deb");
    let files = || {
        node.shell(
            "find / -xdev \\( -name '*dcos*' -o -name '*.list' \\) ! -path '/proc/*' ! -path \
             '/root/*' | sort",
        )
        .stdout()
        .to_owned()
    };
    let before = files();
    node.shell("rm -f /usr/local/bin/dcos-node; dpkg -i /root/dcos-node.deb").succeeds();
    let told = node.run(&["dcos-node", "--version"]);
    told.succeeds().stdout_has(&format!("dcos-node {}", env!("CARGO_PKG_VERSION")));
    node.shell("command -v dcos-node; dpkg --verify dcos-node; dpkg -L dcos-node | grep -c man8")
        .succeeds()
        .stdout_has("/usr/bin/dcos-node");
    node.run(&["dcos-node", "status"]).exits_with(11);
    // Whoever is not root finds it too.
    node.shell(
        "su nobody -s /bin/sh -c 'PATH=/usr/local/bin:/usr/bin:/bin dcos-node preflight --list'",
    )
    .succeeds()
    .stdout_has("time.sync");
    node.run(&["dpkg", "-r", "dcos-node"]).succeeds();
    assert_eq!(files(), before);
}
