//! What `make dist` packs: the same bytes whoever packs, and whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::packing::{Packed, Packer, must};
use tempfile::TempDir;

/// The time of everything in the packages, as tar prints it.
const DAY: &str = "2023-11-14 22:13";

/// Two packers with different environments.
const PACKERS: [Packer; 2] = [("022", "UTC", "C"), ("077", "Pacific/Kiritimati", "C.UTF-8")];

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

/// The packages, and the content of the tarball and of the Debian package.
struct Unpacked {
    desk: TempDir,
    packed: Packed,
    plain: PathBuf,
    deb: PathBuf,
}

impl Unpacked {
    fn of(packed: Packed, desk: TempDir) -> Unpacked {
        let (plain, deb) = (desk.path().join("plain"), desk.path().join("deb"));
        fs::create_dir(&plain).expect("a directory");
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(packed.path(".tar.gz")).arg("-C").arg(&plain);
        must(tar.arg("--strip-components=1"));
        must(Command::new("dpkg-deb").arg("-R").arg(packed.path(".deb")).arg(&deb));
        Unpacked { desk, packed, plain, deb }
    }

    /// Directory of the documents in the Debian package.
    fn share(&self) -> PathBuf {
        self.deb.join("usr/share/doc/dcos-node")
    }

    /// A compressed document of the Debian package.
    fn document(&self, name: &str) -> String {
        said(Command::new("gzip").arg("-dc").arg(self.share().join(name)))
    }
}

#[test]
fn packages_are_reproducible_and_complete() {
    let desk = tempfile::tempdir().expect("a directory");
    let [first, second] = PACKERS.map(|packer| Packed::by(packer, desk.path()));
    are_equal(&first, &second);
    let unpacked = Unpacked::of(first, desk);
    entries_belong_to_root(&unpacked.packed);
    checksums_match(&unpacked);
    must(Command::new(unpacked.plain.join("dcos-node")).arg("--version"));
    documents_are_packed_with_their_targets(&unpacked);
    licences_are_packed(&unpacked);
    fields_are_those_of_the_program(&unpacked);
}

fn are_equal(first: &Packed, second: &Packed) {
    assert_eq!(first.files.keys().collect::<Vec<_>>(), second.files.keys().collect::<Vec<_>>());
    for (name, bytes) in &first.files {
        assert!(*bytes == second.files[name], "{name} is not the same for both packers");
    }
}

fn entries_belong_to_root(packed: &Packed) {
    let (tarball, package) = (packed.path(".tar.gz"), packed.path(".deb"));
    is_plain(&said(Command::new("tar").args(["-tvzf"]).arg(&tarball).env("TZ", "UTC")), "0/0");
    is_plain(&said(Command::new("dpkg-deb").arg("-c").arg(&package).env("TZ", "UTC")), "root/root");
}

fn checksums_match(unpacked: &Unpacked) {
    let check = ["--check", "--strict", "--quiet"];
    let packages = &unpacked.packed.directory;
    must(Command::new("sha256sum").args(check).arg("SHA256SUMS").current_dir(packages));
    let deb = &unpacked.deb;
    must(Command::new("md5sum").args(check).arg("DEBIAN/md5sums").current_dir(deb));
    let sums = fs::read_to_string(deb.join("DEBIAN/md5sums")).expect("sums");
    let files = said(Command::new("find").arg("usr").args(["-type", "f"]).current_dir(deb));
    assert_eq!(sums.lines().count(), files.lines().count());
}

fn documents_are_packed_with_their_targets(unpacked: &Unpacked) {
    for top in [&unpacked.plain, &unpacked.share()] {
        leads_nowhere_else(&top.join("README.md"));
        leads_nowhere_else(&top.join("docs/operators-guide.md"));
        assert!(top.join("examples/ansible/roles/dcos_node/vars/main.yml").is_file());
    }
    let count = |directory: PathBuf| fs::read_dir(directory).expect("pages").count();
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    assert_eq!(count(unpacked.deb.join("usr/share/man/man8")), count(pages));
}

fn licences_are_packed(unpacked: &Unpacked) {
    let third_party =
        fs::read_to_string(unpacked.plain.join("THIRD-PARTY.txt")).expect("the licences");
    for word in [
        "liblzma-sys ",
        "ring ",
        "rustls ",
        "zstd-sys ",
        "Permission is hereby granted",
        "ISC",
        "Copyright",
    ] {
        assert!(third_party.contains(word), "{word}");
    }
    assert_eq!(unpacked.document("THIRD-PARTY.txt.gz"), third_party);
    let copyright = fs::read_to_string(unpacked.share().join("copyright")).expect("the copyright");
    assert!(
        copyright.starts_with("Format: ")
            && copyright.contains("/usr/share/common-licenses/Apache-2.0")
            && copyright.len() < 1500
    );
}

fn fields_are_those_of_the_program(unpacked: &Unpacked) {
    let version = format!("{}-1", env!("CARGO_PKG_VERSION"));
    let changelog = unpacked.desk.path().join("changelog");
    fs::write(&changelog, unpacked.document("changelog.Debian.gz")).expect("write the changelog");
    let mut parse = Command::new("dpkg-parsechangelog");
    let changes = said(parse.args(["--show-field", "Version", "-l"]).arg(changelog));
    assert_eq!(changes.trim_end(), version);
    for (field, value) in [
        ("Package", "dcos-node"),
        ("Version", version.as_str()),
        ("Architecture", "amd64"),
        ("Depends", ""),
    ] {
        let package = unpacked.packed.path(".deb");
        let found = said(Command::new("dpkg-deb").arg("-f").arg(package).arg(field));
        assert_eq!(found.trim_end(), value, "{field}");
    }
}
