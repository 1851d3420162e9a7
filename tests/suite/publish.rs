//! `publish` gives a serve directory an index and a stamped program, and nodes that have the
//! program install that build and no other.
//!
//! The nodes here are directories; `tests/nodes/publish_node.rs` has real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dcos_node::dcos::index::Index;
use dcos_node::system::slot;
use serde_json::{Value, json};
use support::build::{Build, Compression, Packed};
use support::http_server::Server;
use support::image::Mounted;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");

/// A serve directory, and the program that publishes it: a small copy, for a debug build has a
/// hundred megabytes of symbols.
struct Bench {
    directory: TempDir,
    packed: Packed,
    program: PathBuf,
    _elsewhere: TempDir,
}

impl Bench {
    fn new(build: Build) -> Bench {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packed = build.pack(directory.path());
        let program = elsewhere.path().join("program");
        assert!(
            Command::new("strip").arg("-o").arg(&program).arg(PROGRAM).status().unwrap().success()
        );
        Bench { directory, packed, program, _elsewhere: elsewhere }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn publish(&self, more: &[&str]) -> Output {
        let mut command = program(&self.program);
        command.args(["publish", "--json"]).arg(self.directory.path()).args(more);
        loop {
            match command.output() {
                // A child that another test has just started still holds the program open, which
                // this one has just written.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                output => return output.unwrap(),
            }
        }
    }

    fn published(&self, more: &[&str]) -> Value {
        let output = self.publish(more);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn index(&self) -> Index {
        Index::parse(&fs::read(self.path("dcos-build.json")).unwrap()).unwrap()
    }

    /// Installs into a fresh directory with the published program, without a URL unless one is
    /// among `more`.
    fn install(&self, more: &[&str]) -> (Output, TempDir) {
        install(&self.path("dcos-node"), more)
    }
}

/// A program with nothing of the environment of the tests but what they set.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    command
}

fn install(path: &Path, more: &[&str]) -> (Output, TempDir) {
    let node = tempfile::tempdir().unwrap();
    for directory in ["etc/systemd/system", "run"] {
        fs::create_dir_all(node.path().join(directory)).unwrap();
    }
    let groups = "root:x:0:\n\
                  dcos_tiny_files:x:60001:\n\
                  dcos_tiny_units:x:60002:\n\
                  systemd-journal:x:59001:dcos_tiny_units\n";
    fs::write(
        node.path().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n\
         dcos_tiny_files:x:60001:60001::/:/sbin/nologin\n\
         dcos_tiny_units:x:60002:60002::/:/sbin/nologin\n",
    )
    .unwrap();
    fs::write(node.path().join("etc/group"), groups).unwrap();
    let mut command = program(path);
    command.args(["install", "slave", "--json", "-d", "--root"]).arg(node.path()).args(more);
    (command.output().unwrap(), node)
}

#[track_caller]
fn exits(output: &Output, code: i32, words: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(code) && told.contains(words),
        "expected {code} with {words:?}: {output:?}"
    );
}

/// What `preflight` says of a node that is an empty directory: the exit code, and one check.
fn checked(path: &Path, url: &str, id: &str) -> (Option<i32>, Value) {
    let node = tempfile::tempdir().unwrap();
    let output = program(path)
        .args(["preflight", "--json", "--bootstrap-url", url, "--root"])
        .arg(node.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let check = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == id)
        .unwrap()
        .clone();
    (output.status.code(), check)
}

fn url(bench: &Bench) -> String {
    format!("file://{}", bench.directory.path().display())
}

/// The bytes of everything that is published, hidden files left out.
fn tree(directory: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                continue;
            }
            match path.is_dir() {
                true => open.push(path),
                false => found.push((
                    path.strip_prefix(directory).unwrap().to_owned(),
                    path.metadata().unwrap().permissions().mode(),
                    fs::read(&path).unwrap(),
                )),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn published_build_installs_with_digests_and_no_argument() {
    let bench = Bench::new(Build::tiny());
    let before = tree(bench.directory.path());
    let told = bench.published(&["--bootstrap-url", &url(&bench)]);
    let words = format!(
        "curl -O {0}/dcos-node && sudo install -m 755 dcos-node /usr/local/bin/ && sudo dcos-node \
         install ROLE",
        url(&bench)
    );
    assert_eq!((&told["install"], &told["changed"]), (&json!(words), &json!(true)));
    let after = tree(bench.directory.path());
    assert!(before.iter().all(|file| after.contains(file)), "a classic file was changed");
    let sum = Command::new("sha256sum").arg(bench.path("dcos-node")).output().unwrap();
    assert!(
        String::from_utf8_lossy(&sum.stdout).starts_with(told["program_sha256"].as_str().unwrap())
    );

    let (output, node) = bench.install(&["--require-digests"]);
    exits(&output, 0, "");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("no digests"), "{output:?}");
    assert!(node.path().join("opt/mesosphere/packages").join(bench.packed.id("files")).is_dir());

    // A classic one is refused with the same wish, and warned of without it.
    let classic = Bench::new(Build::tiny());
    exits(
        &install(&classic.program, &["--require-digests", "--bootstrap-url", &url(&classic)]).0,
        6,
        "dcos-node publish",
    );
    exits(&install(&classic.program, &["--bootstrap-url", &url(&classic)]).0, 0, "no digests");
}

#[test]
fn index_has_the_unpacked_size_of_an_archive() {
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench)]);
    let (output, node) = bench.install(&[]);
    exits(&output, 0, "");
    let index = bench.index();
    for (path, artifact) in index.artifacts.iter().filter(|(path, _)| path.starts_with("packages/"))
    {
        let id =
            Path::new(path).file_name().unwrap().to_str().unwrap().strip_suffix(".tar.xz").unwrap();
        let top = node.path().join("opt/mesosphere/packages").join(id);
        let found = Command::new("sh")
            .args(["-c", "find \"$0\" | wc -l; find \"$0\" -type f -links 1 -printf '%s\\n'"])
            .arg(&top)
            .output()
            .unwrap();
        let numbers: Vec<u64> = String::from_utf8_lossy(&found.stdout)
            .lines()
            .map(|n| n.trim().parse().unwrap())
            .collect();
        let content = artifact.content.unwrap();
        assert!(content.members.abs_diff(numbers[0]) <= 1, "{path}: {content:?} {numbers:?}");
        assert!(
            content.bytes >= numbers[1..].iter().sum()
                && content.disk_bytes >= content.bytes.min(4096),
            "{path}: {content:?}"
        );
        assert_eq!(content.disk_bytes % 4096, 0);
    }
    assert!(index.artifacts.values().any(|artifact| artifact.content.unwrap().links > 0));
}

#[test]
fn second_publish_gives_same_bytes_and_reads_only_changes() {
    let bench = Bench::new(Build::tiny());
    // What changed a moment ago could change again without a trace, so it is not remembered.
    std::thread::sleep(Duration::from_millis(50));
    let first = bench.published(&["--bootstrap-url", &url(&bench)]);
    let archives = first["archives"].as_u64().unwrap() as usize;
    assert_eq!(first["read"].as_array().unwrap().len(), archives);
    let before = tree(bench.directory.path());
    let again = bench.published(&["--bootstrap-url", &url(&bench)]);
    assert_eq!(
        (&again["read"], &again["reused"], &again["changed"]),
        (&json!([]), &json!(archives), &json!(false))
    );
    assert!(tree(bench.directory.path()) == before);

    // The same bytes in a new file are read, and give the same index; so does a fresh copy of the
    // directory, whatever its times.
    let archive = bench.packed.archive("files");
    let name = archive.strip_prefix(bench.directory.path()).unwrap().display().to_string();
    let bytes = fs::read(&archive).unwrap();
    fs::remove_file(&archive).unwrap();
    fs::write(&archive, &bytes).unwrap();
    let third = bench.published(&["--bootstrap-url", &url(&bench)]);
    assert_eq!((&third["read"], &third["changed"]), (&json!([name]), &json!(false)));
    let copy = Bench::new(Build::tiny());
    copy.published(&["--bootstrap-url", &url(&bench)]);
    assert!(tree(copy.directory.path()) == before);

    // A program that was published publishes too, and its stamp is replaced.
    fs::copy(bench.path("dcos-node"), &bench.program).unwrap();
    bench.published(&["--bootstrap-url", "http://elsewhere.example"]);
    let stamp: Value = serde_json::from_slice(
        &slot::of(&fs::read(bench.path("dcos-node")).unwrap()).unwrap().unwrap(),
    )
    .unwrap();
    assert_eq!(stamp["bootstrap_url"], "http://elsewhere.example");
}

#[test]
fn stamp_survives_strip_and_a_damaged_stamp_is_refused() {
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench), "--binary", PROGRAM]);
    let stamped = bench.path("dcos-node");
    let text = slot::of(&fs::read(&stamped).unwrap()).unwrap().unwrap();
    assert!(Command::new("strip").args(["--strip-all"]).arg(&stamped).status().unwrap().success());
    assert_eq!(slot::of(&fs::read(&stamped).unwrap()).unwrap().unwrap(), text);
    exits(&bench.install(&[]).0, 0, "");

    // Without section headers the magic is looked for.
    let mut headless = fs::read(&stamped).unwrap();
    headless[40..48].fill(0);
    headless[58..64].fill(0);
    assert_eq!(slot::of(&headless).unwrap().unwrap(), text);

    let mut program = fs::read(&stamped).unwrap();
    let at = program.windows(text.len()).position(|bytes| bytes == text).unwrap();
    program[at + 25] ^= 1;
    fs::write(&stamped, program).unwrap();
    exits(&bench.install(&[]).0, 6, "stamp is damaged");
    exits(&bench.install(&["--bootstrap-url", &url(&bench)]).0, 6, "stamp is damaged");
    exits(
        &self::program(&stamped).args(["preflight", "slave"]).output().unwrap(),
        6,
        "stamp is damaged",
    );
    exits(&bench.publish(&["--check"]), 6, "stamp is damaged");
    bench.published(&["--bootstrap-url", &url(&bench)]);
    bench.published(&["--check"]);
    // A file that is no program of ours cannot be stamped.
    exits(
        &bench.publish(&["--bootstrap-url", &url(&bench), "--binary", "/bin/true"]),
        6,
        "no slot",
    );
}

#[test]
fn missing_directory_of_a_build_is_no_earlier_build() {
    let bench = Bench::new(Build::tiny());
    let url = format!("file://{}", bench.directory.path().display());
    bench.published(&["--bootstrap-url", &url]);
    let elsewhere = tempfile::tempdir().unwrap();
    let (old, away) = (elsewhere.path().join("old"), elsewhere.path().join("away"));
    fs::rename(bench.path("dcos-node"), &old).unwrap();
    fs::rename(bench.directory.path(), &away).unwrap();
    let (output, _) = install(&old, &[]);
    exits(&output, 3, &format!("cannot read the directory {}", bench.directory.path().display()));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("earlier build"), "{told}");
    fs::rename(&away, bench.directory.path()).unwrap();
    exits(&install(&old, &[]).0, 0, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamped_program_installs_only_its_build_from_any_place() {
    let bench = Bench::new(Build::tiny());
    let server = Server::start(bench.directory.path()).await;
    // The URL that it was published for answers nobody any more.
    bench.published(&["--bootstrap-url", "http://127.0.0.1:1/moved"]);
    let old = bench.path("old");
    fs::rename(bench.path("dcos-node"), &old).unwrap();
    exits(&install(&old, &["--bootstrap-url", server.url()]).0, 0, "");
    let environment = {
        let node = tempfile::tempdir().unwrap();
        fs::create_dir_all(node.path().join("etc")).unwrap();
        let mut command = program(&old);
        command
            .env("DCOS_NODE_BOOTSTRAP_URL", server.url())
            .args(["install", "slave", "-d", "--dry-run", "--root"])
            .arg(node.path());
        command.output().unwrap()
    };
    exits(&environment, 0, "");

    // Another build is published there: the old index stays, and its archives do.
    Build::tiny().with_file("files", "etc/more", 0o644, "more").pack(bench.directory.path());
    exits(&install(&old, &["--bootstrap-url", server.url()]).0, 0, "");
    let (_, check) = checked(&old, server.url(), "bootstrap.index");
    assert_eq!(
        (check["verdict"].as_str(), check["cure"].as_str().unwrap().contains("dcos-node publish")),
        (Some("warn"), true),
        "{check}"
    );
    bench.published(&["--bootstrap-url", server.url()]);
    exits(&install(&old, &["--bootstrap-url", server.url()]).0, 0, "");
    exits(&bench.install(&[]).0, 0, "");

    // An index that is neither.
    let index = bench.path("dcos-build.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::remove_dir_all(bench.path("dcos-build")).unwrap();
    let (output, node) = install(&old, &["--bootstrap-url", server.url()]);
    exits(&output, 6, "published for an earlier build");
    assert!(!node.path().join("opt").exists());
    // The checks go on to what else is wrong with the node.
    let (code, check) = checked(&old, server.url(), "bootstrap.build");
    assert_eq!((code, check["verdict"].as_str()), (Some(3), Some("fail")), "{check}");
    assert!(check["found"].as_str().unwrap().contains("published for an earlier build"), "{check}");
    assert!(
        check["cure"].as_str().unwrap().contains("take the dcos-node that lies beside the build"),
        "{check}"
    );
    fs::write(&index, text.replacen("\"bytes\": ", "\"bytes\":  ", 1)).unwrap();
    exits(&bench.install(&[]).0, 6, "published for an earlier build");
    fs::remove_file(&index).unwrap();
    exits(&bench.install(&[]).0, 6, "no index");
    // A classic server for the program of a published build.
    let classic = Bench::new(Build::tiny());
    exits(&install(&old, &["--bootstrap-url", &url(&classic)]).0, 6, "no index");
}

#[test]
fn unpublished_archive_is_refused_before_its_content_counts() {
    for (package, config) in [("files", false), ("dcos-config", true)] {
        let bench = Bench::new(if config { Build::fixture() } else { Build::tiny() });
        bench.published(&["--bootstrap-url", &url(&bench)]);
        let other = tempfile::tempdir().unwrap();
        let build = if config { Build::fixture() } else { Build::tiny() };
        let other = build.compressed(Compression::Gzip).pack(other.path());
        let archive = bench.packed.archive(package);
        let published = fs::metadata(&archive).unwrap().len();
        let is_longer = fs::copy(other.archive(package), archive).unwrap() > published;
        let (output, node) = bench.install(&[]);
        exits(&output, 6, if is_longer { " bytes" } else { "SHA-256" });
        let has = |place: &str| node.path().join(place).join(bench.packed.id(package)).exists();
        assert!(!has("opt/mesosphere/packages") && !has("var/lib/dcos-node/packages"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_archive_length_is_found_before_the_fetch() {
    let bench = Bench::new(Build::tiny());
    let server = Server::start(bench.directory.path()).await;
    bench.published(&["--bootstrap-url", server.url(), "--recompress", "zstd"]);
    let check = || checked(&bench.path("dcos-node"), server.url(), "bootstrap.artifacts").1;
    let longer = |archive: &Path| {
        let content = fs::read(archive).unwrap();
        fs::write(archive, [&content[..], b"x"].concat()).unwrap();
        format!("({} bytes, published were {})", content.len() + 1, content.len())
    };
    assert_eq!(check()["verdict"], "pass");
    // The usual archive serves where the alternative does not.
    let usual = bench.packed.archive("units");
    longer(&usual.with_extension("zst"));
    assert_eq!(check()["verdict"], "pass");
    let lengths = longer(&usual);
    let (check, found) = (
        check(),
        format!(
            "1 of 3 are not as long as published: packages/units/{}.tar.xz {lengths}",
            bench.packed.id("units")
        ),
    );
    assert_eq!(
        (check["verdict"].as_str(), check["found"].as_str()),
        (Some("fail"), Some(found.as_str()))
    );
    assert!(!server.heads().iter().any(|head| head.starts_with("GET") && head.contains("units--")));
}

#[test]
fn fetch_without_enough_space_is_not_started() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench)]);
    let content = || bench.index().artifacts.into_values().filter_map(|artifact| artifact.content);
    let bytes: u64 = content().map(|content| content.disk_bytes).sum();
    let node = tempfile::tempdir().unwrap();
    let repository = node.path().join("opt/mesosphere");
    fs::create_dir_all(&repository).unwrap();
    let small =
        Mounted::memory(&repository, usize::try_from((bytes - 4096) / 4096 * 4096).unwrap());
    let fetch = |more: &[&str]| {
        program(&bench.path("dcos-node"))
            .args(["fetch", "--root"])
            .arg(node.path())
            .args(more)
            .output()
            .unwrap()
    };
    for more in [&[][..], &["--dry-run"]] {
        let output = fetch(more);
        exits(&output, 3, "do not fit");
        exits(&output, 3, &format!("{} (tmpfs) needs", repository.display()));
        exits(&output, 3, "give /opt/mesosphere a file system of its own");
        assert!(
            fs::read_dir(&repository).unwrap().next().is_none()
                && !node.path().join("var/lib/dcos-node").exists()
        );
    }
    small.resize(usize::try_from(2 * bytes).unwrap() + (8 << 20));
    exits(&fetch(&[]), 0, "");
}

#[test]
fn a_check_finds_every_flipped_bit_and_changes_nothing() {
    let bench = Bench::new(Build::tiny());
    exits(&bench.publish(&["--check"]), 1, "was not published");
    bench.published(&["--bootstrap-url", &url(&bench), "--recompress", "zstd"]);
    let before = tree(bench.directory.path());
    let told = bench.published(&["--check"]);
    assert_eq!((&told["changed"], &told["reused"]), (&json!(false), &json!(0)));
    assert!(tree(bench.directory.path()) == before);
    let (archive, alternative) =
        (bench.packed.archive("files"), bench.packed.archive("files").with_extension("zst"));
    let files = [
        archive,
        alternative,
        bench.packed.bootstrap_archive(),
        bench.path("dcos-build.json"),
        bench.path("dcos-node"),
    ];
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        // Of the program only the stamp is known here; its SHA-256 is compared out of band.
        let at = match file.ends_with("dcos-node") {
            true => {
                flipped.windows(21).rposition(|text| text == b"{\"bootstrap_url\":\"fil").unwrap()
            }
            false => bytes.len() / 2,
        };
        flipped[at] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let output = bench.publish(&["--check"]);
        assert_eq!(output.status.code(), Some(6), "{}: {output:?}", file.display());
        fs::write(&file, &bytes).unwrap();
    }
    fs::remove_file(bench.packed.archive("files")).unwrap();
    exits(&bench.publish(&["--check"]), 1, "files--");
}

#[test]
fn invalid_build_is_not_published_and_the_old_one_stays() {
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench)]);
    let before = tree(bench.directory.path());
    let archive = bench.packed.archive("files");
    let sound = fs::read(&archive).unwrap();
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 1;
    for bad in [
        flipped,
        sound[..sound.len() / 2].to_vec(),
        Vec::new(),
        b"<html>".to_vec(),
        tar_that_leads_outside(),
    ] {
        fs::write(&archive, bad).unwrap();
        exits(&bench.publish(&["--bootstrap-url", &url(&bench)]), 6, &name);
    }
    fs::remove_file(&archive).unwrap();
    exits(&bench.publish(&["--bootstrap-url", &url(&bench)]), 1, &name);
    fs::write(&archive, sound).unwrap();
    assert!(tree(bench.directory.path()) == before);
    exits(&bench.publish(&["--bootstrap-url", "http://user:secret@host"]), 2, "no user, password");
    exits(&bench.publish(&["--bootstrap-url", "http://host/$(reboot)"]), 2, "characters");
    exits(
        &bench.publish(&["--bootstrap-url", &format!("http://host/{}", "x".repeat(9000))]),
        2,
        "does not fit",
    );
    let nothing = tempfile::tempdir().unwrap();
    exits(
        &program(PROGRAM.as_ref()).arg("publish").arg(nothing.path()).output().unwrap(),
        2,
        "has no build",
    );
    fs::write(nothing.path().join("bootstrap.latest"), "0123456789abcdef").unwrap();
    exits(
        &program(PROGRAM.as_ref()).arg("publish").arg(nothing.path()).output().unwrap(),
        1,
        "holds no build",
    );
}

/// An archive with a member `../../x`.
fn tar_that_leads_outside() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"../../x");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    [&header.as_bytes()[..], &[0; 1024]].concat()
}

#[test]
fn nodes_prefer_the_archive_with_a_verified_digest() {
    let bench = Bench::new(Build::tiny());
    let told = bench.published(&["--bootstrap-url", &url(&bench), "--recompress", "zstd"]);
    let saving = &told["recompressed"];
    assert!(
        saving["bytes_after"].as_u64() > Some(0)
            && saving["cpu_seconds_before"].is_f64()
            && saving["cpu_seconds_after"].is_f64(),
        "{told}"
    );
    assert_eq!(saving["archives"], told["archives"]);
    for (path, artifact) in &bench.index().artifacts {
        let stream = |program: &str, path: &str| {
            Command::new(program).arg("-dc").arg(bench.path(path)).output().unwrap().stdout
        };
        let alternative = artifact.alternative.as_ref().unwrap();
        assert!(stream("xz", path) == stream("zstd", &alternative.path), "{path}");
    }
    // Without the option they stay, unread.
    let before = tree(bench.directory.path());
    std::thread::sleep(Duration::from_millis(50));
    bench.published(&["--bootstrap-url", &url(&bench)]);
    assert_eq!(bench.published(&["--bootstrap-url", &url(&bench)])["read"], json!([]));
    assert!(tree(bench.directory.path()) == before);
    // The originals are not needed by a node.
    for path in bench.index().artifacts.keys() {
        fs::remove_file(bench.path(path)).unwrap();
    }
    exits(&bench.install(&[]).0, 0, "");

    // One that holds something else is not published.
    let bench = Bench::new(Build::tiny());
    let alternative = bench.packed.archive("files").with_extension("zst");
    fs::copy(bench.packed.archive("units"), &alternative).unwrap();
    let output = bench.publish(&["--bootstrap-url", &url(&bench)]);
    exits(&output, 0, "does not hold what");
    assert!(bench.index().artifacts.values().all(|artifact| artifact.alternative.is_none()));
}

#[test]
fn publish_killed_anywhere_leaves_the_old_or_the_new_build() {
    let bench = Bench::new(Build::tiny());
    bench.published(&["--bootstrap-url", &url(&bench)]);
    Build::tiny().with_file("files", "etc/more", 0o644, "more").pack(bench.directory.path());
    let record = bench._elsewhere.path().join("effects");
    let copy = tempfile::tempdir().unwrap();
    let copied = |to: &Path| {
        assert!(
            Command::new("cp")
                .arg("-a")
                .arg(bench.directory.path())
                .arg(to)
                .status()
                .unwrap()
                .success()
        )
    };
    copied(&copy.path().join("recorded"));
    let publish = |directory: &Path, variable: &str, value: &str| {
        let mut command = program(&bench.program);
        command.env(variable, value).env("DCOS_NODE_FAULT_WORKERS", "1");
        command
            .args(["publish", "--bootstrap-url", &url(&bench), "--recompress", "zstd"])
            .arg(directory)
            .output()
            .unwrap()
    };
    exits(
        &publish(
            &copy.path().join("recorded"),
            "DCOS_NODE_FAULTS_RECORD",
            &record.display().to_string(),
        ),
        0,
        "",
    );
    let wanted = tree(&copy.path().join("recorded"));
    let effects = fs::read_to_string(&record).unwrap();
    let recorded = copy.path().join("recorded").display().to_string();
    // What is told besides tells where in the source a point is.
    let effects: Vec<&str> = effects.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(effects.len() > 20, "{effects:?}");
    for (index, effect) in effects.iter().enumerate() {
        let directory = copy.path().join(format!("case-{index}"));
        copied(&directory);
        let nth = effects.iter().take(index + 1).filter(|line| *line == effect).count();
        let (effect, object) = effect.split_once(' ').unwrap();
        let object = object.replace(&recorded, &directory.display().to_string());
        let action = ["kill", "ENOSPC"][index % 2];
        let output =
            publish(&directory, "DCOS_NODE_FAULT", &format!("{action} {effect} {nth} {object}"));
        assert!(!output.status.success(), "{action} {effect} {nth} {object}: {output:?}");
        // The program and the index that it asks for are always there together.
        let stamp: Value = serde_json::from_slice(
            &slot::of(&fs::read(directory.join("dcos-node")).unwrap()).unwrap().unwrap(),
        )
        .unwrap();
        let kept =
            directory.join(format!("dcos-build/{}.json", stamp["index_sha256"].as_str().unwrap()));
        Index::parse(&fs::read(kept).unwrap()).unwrap();
        Index::parse(&fs::read(directory.join("dcos-build.json")).unwrap()).unwrap();
        exits(&publish(&directory, "DCOS_NODE_UNUSED", ""), 0, "");
        assert!(tree(&directory) == wanted, "{action} {effect} {nth} {object}");
        fs::remove_dir_all(directory).unwrap();
    }
}
