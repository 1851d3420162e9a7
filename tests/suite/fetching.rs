//! Fetching: from several places, held to digests, rates and sizes, and ahead of an install.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use dcos_node::action::capacity::Capacity;
use dcos_node::action::journal::Journal;
use dcos_node::action::{self, Action, Site};
use dcos_node::dcos::event::{Event, Events};
use dcos_node::dcos::fetching::Fetching;
use dcos_node::dcos::index::{Alternative, Artifact, Content};
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::http::{Client, Options};
use dcos_node::system::root::Root;
use dcos_node::system::source::{Mirrors, Source};
use dcos_node::system::{archive, digest};
use support::build::{Build, Compression, Damage, Packed, compress};
use support::http_server::{CLOSED, Server};
use support::image::Mounted;
use support::tree::Snapshot;
use tempfile::TempDir;

/// Nobody, on every system.
const NOBODY: u32 = 65534;

/// A directory that becomes a node, and belongs to who runs dcos-node.
fn image() -> TempDir {
    let image = tempfile::tempdir().unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(image.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    image
}

/// A packed build that everybody may read.
fn packed(build: &Build) -> (Packed, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    (build.pack(directory.path()), directory)
}

fn run_with(image: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(arguments).arg("--root").arg(image).env_remove("http_proxy").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

fn run(image: &Path, arguments: &[&str]) -> Output {
    run_with(image, arguments, &[])
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
    said
}

/// Where packages wait for an install.
const STORE: &str = "var/lib/dcos-node/packages";

/// The names of packages that wait for an install, hidden ones too.
fn store(image: &Path) -> Vec<String> {
    let Ok(listed) = fs::read_dir(image.join(STORE)) else { return Vec::new() };
    let mut names: Vec<String> =
        listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_gets_all_for_an_install_and_uninstall_removes_it() {
    let (tiny, directory) = packed(&Build::tiny());
    let server = Server::start(directory.path()).await;
    let image = image();
    let fetch = ["fetch", "--bootstrap-url", server.url()];
    let archives = || {
        server
            .heads()
            .iter()
            .filter(|head| head.starts_with("GET") && head.contains(".tar.xz"))
            .count()
    };

    let dry = run(image.path(), &[&fetch[..], &["--dry-run"]].concat());
    ends(&dry, 0, &["fetch and unpack", "none of them done"]);
    assert_eq!(fs::read_dir(image.path()).unwrap().count(), 0);

    ends(
        &run(image.path(), &[&fetch[..], &["--json"]].concat()),
        0,
        &["\"changed\": true", &tiny.bootstrap_id],
    );
    let top: Vec<_> = fs::read_dir(image.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(top, ["var"], "other tools take /opt/mesosphere for an installed node");
    ends(&run(image.path(), &["status"]), 11, &["not installed", "packages wait for an install"]);
    let fetched = Snapshot::of(image.path());
    ends(&run(image.path(), &[&fetch[..], &["--json"]].concat()), 0, &["\"changed\": false"]);
    let mut again = Snapshot::of(image.path()).changes_since(&fetched);
    // The journal is opened for every run.
    again.retain(|change| !change.contains("/var/lib/dcos-node"));
    assert_eq!(again, Vec::<String>::new());

    // One package is not any more what was unpacked; the others are not downloaded again.
    let damaged = image.path().join(STORE).join(tiny.id("files")).join("pkginfo.json");
    let content = fs::read(&damaged).unwrap();
    fs::write(&damaged, vec![b'x'; content.len()]).unwrap();
    // Neither is this, which somebody added.
    fs::write(damaged.with_file_name("added"), "x").unwrap();
    let before = archives();
    let install = ["install", "master", "-d", "--bootstrap-url", server.url()];
    ends(
        &run(image.path(), &install),
        0,
        &["was kept from an earlier run, but pkginfo.json", "it is fetched again"],
    );
    let placed =
        image.path().join("opt/mesosphere/packages").join(tiny.id("files")).join("pkginfo.json");
    assert_eq!(fs::read(placed).unwrap(), content);
    // The settings are read out of two packages; of the archives only the damaged one came.
    let came = server
        .heads()
        .iter()
        .filter(|head| head.starts_with(&format!("GET /{}", archive_of(&tiny, "files"))))
        .count();
    assert!(came >= 2 && archives() - before <= 3, "{came}, {}", archives() - before);
    ends(&run(image.path(), &["uninstall"]), 0, &["removed"]);
    assert_eq!(store(image.path()), Vec::<String>::new());

    ends(&run(image.path(), &fetch), 0, &[]);
    ends(&run(image.path(), &["uninstall"]), 0, &["removed"]);
    assert!(!image.path().join("opt").exists(), "something is left");
}

/// Relative to the serve directory.
fn archive_of(packed: &Packed, package: &str) -> String {
    packed.archive(package).strip_prefix(&packed.dir).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn killed_fetch_can_be_resumed_or_removed() {
    let (_, directory) = packed(&Build::tiny());
    let fetch = ["fetch", "--bootstrap-url", directory.path().to_str().unwrap()];
    let alone = ("DCOS_NODE_FAULT_WORKERS", "1");
    let record = tempfile::NamedTempFile::new().unwrap();
    let image = image();
    fs::set_permissions(record.path(), fs::Permissions::from_mode(0o666)).unwrap();
    run_with(
        image.path(),
        &fetch,
        &[alone, ("DCOS_NODE_FAULTS_RECORD", record.path().to_str().unwrap())],
    );
    let whole = store(image.path());
    let root = image.path().to_str().unwrap().to_owned();
    let text = fs::read_to_string(record.path()).unwrap().replace(&root, "{root}");
    // What the record tells besides effects, and the lock, whose name follows from that of the
    // image, are no points.
    let effects: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(".lock")).collect();
    assert!(effects.len() > 100 && !whole.is_empty());
    for at in (0..effects.len()).step_by(effects.len() / 24) {
        let image = self::image();
        let (effect, object) = effects[at].split_once(' ').unwrap();
        let nth = effects[..=at].iter().filter(|other| **other == effects[at]).count();
        let fault = format!(
            "kill {effect} {nth} {}",
            object.replace("{root}", image.path().to_str().unwrap())
        );
        let killed = run_with(image.path(), &fetch, &[alone, ("DCOS_NODE_FAULT", &fault)]);
        assert_eq!(killed.status.code(), None, "{fault} was not hit");
        if at % 2 == 0 {
            ends(&run(image.path(), &fetch), 0, &[]);
            assert_eq!(store(image.path()), whole, "{fault}");
        }
        ends(&run(image.path(), &["uninstall"]), 0, &[]);
        assert!(!image.path().join("opt").exists(), "{fault}: something is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_or_wrong_mirror_is_reported_and_the_next_one_used() {
    let (tiny, directory) = packed(&Build::tiny());
    let good = Server::start(directory.path()).await;
    let fetch = |first: &str, mirrors: &[&str]| {
        let image = self::image();
        let mirrors: Vec<&str> = mirrors.iter().flat_map(|mirror| ["--mirror", mirror]).collect();
        let output =
            run(image.path(), &[&["fetch", "--bootstrap-url", first], &mirrors[..]].concat());
        (output, store(image.path()))
    };
    let whole = fetch(good.url(), &[]).1;

    // It is dead from the beginning.
    let with_secret = good.url().replace("http://", "http://user:secret@");
    let nobody = format!("http://{CLOSED}");
    let (output, packages) = fetch(&nobody, &[&with_secret]);
    let said = ends(&output, 0, &["is passed over", "Connection refused"]);
    assert!(packages == whole && !said.contains("secret"), "{said}");

    // It has everything but one archive; it gives a damaged one; it breaks off in the middle and
    // cannot go on.
    let archive = format!("/{}", archive_of(&tiny, "units"));
    for how in 0..4 {
        let (_other, bad) = packed(&match how {
            0 => Build::tiny().damaged("units", Damage::BitFlip),
            _ => Build::tiny(),
        });
        let first = Server::start(bad.path()).await;
        match how {
            1 => first.answer(&archive, 404, 99),
            2 => first.cut_after(&archive, 100).ignore_range(&archive),
            3 => first.answer(&archive, 403, 99),
            _ => &first,
        };
        let (output, packages) = fetch(first.url(), &[good.url()]);
        ends(&output, 0, &[tiny.id("units"), &format!("trying {}", good.url())]);
        assert_eq!(packages, whole, "{how}");
    }

    // Wrong everywhere: the archive is named, and what was whole stays.
    let (_other, bad) = packed(&Build::tiny().damaged("units", Damage::Truncated));
    let first = Server::start(bad.path()).await;
    let (output, packages) = fetch(first.url(), &[bad.path().to_str().unwrap()]);
    ends(&output, 6, &[tiny.id("units"), "damaged", "dcos-node uninstall removes"]);
    assert!(
        !packages.is_empty()
            && packages.iter().all(|name| !name.starts_with('.') && name != tiny.id("units")),
        "{packages:?}"
    );
    // What may still pass is no reason to call the archive wrong.
    let (output, _) = fetch(&first.at("/"), &[&nobody]);
    ends(&output, 1, &[tiny.id("units")]);
}

/// A package with a sound member and one with this name or link, for which there is no program that
/// would write it.
fn with_member(name: &str, kind: tar::EntryType, link: &str) -> Vec<u8> {
    let member = |name: &str, kind: tar::EntryType, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        *header.as_bytes()
    };
    [&member("bin/", tar::EntryType::Directory, "")[..], &member(name, kind, link), &[0; 1024]]
        .concat()
}

#[test]
fn hostile_archive_is_named_with_reason_and_leaves_nothing() {
    use tar::EntryType;
    let members = [
        (with_member("../../outside", EntryType::Regular, ""), "../../outside", "\"..\""),
        (with_member("/outside", EntryType::Regular, ""), "/outside", "absolute"),
        (with_member("bin/passwd", EntryType::Link, "../../../outside"), "bin/passwd", "\"..\""),
        (with_member("bin/disk", EntryType::Block, ""), "bin/disk", "device"),
    ];
    for form in [
        Compression::Xz,
        Compression::XzStreams,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Plain,
    ] {
        for (archive, member, reason) in &members {
            let (tiny, directory) =
                packed(&Build::tiny().with_raw_archive("units", compress(archive, form)));
            let (url, image) = (directory.path().to_str().unwrap(), image());
            let fetched = run(image.path(), &["fetch", "--bootstrap-url", url]);
            ends(&fetched, 6, &[tiny.id("units"), member, reason, "dcos-node uninstall removes"]);
            assert!(
                store(image.path())
                    .iter()
                    .all(|name| !name.starts_with('.') && name != tiny.id("units")),
                "{form:?}"
            );
            let installed = run(image.path(), &["install", "master", "-d", "--bootstrap-url", url]);
            ends(&installed, 6, &[tiny.id("units"), member, reason, "the node is as it was"]);
            ends(&run(image.path(), &["uninstall"]), 0, &[]);
            let left: Vec<_> = fs::read_dir(image.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert!(left.is_empty(), "{member} in {form:?}: {left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_credentials_are_sent_only_to_the_proxy() {
    let (tiny, directory) = packed(&Build::tiny());
    let server = Server::start(directory.path()).await;
    let proxy = server.url().replace("http://", "http://opener:sesame@");
    // Of that, in base 64.
    let secrets = ["sesame", "b3BlbmVyOnNlc2FtZQ"];
    let events = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(events.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let events_to = ["--events", events.path().to_str().unwrap()];
    let url = "http://bootstrap.example:8080";
    let through = [("http_proxy", proxy.as_str()), ("no_proxy", "other.example")];
    let lines: [&[&str]; 4] = [
        &["preflight", "master", "-vv", "--bootstrap-url", url],
        &["fetch", "-vv", "--bootstrap-url", url],
        &[
            "install",
            "master",
            "-d",
            "-vv",
            "--log-format",
            "json",
            "--json",
            "--bootstrap-url",
            url,
        ],
        &["status", "--json", "-vv"],
    ];
    let (image, mut said) = (image(), String::new());
    for line in lines {
        let output = run_with(image.path(), &[line, &events_to].concat(), &through);
        said += &String::from_utf8_lossy(
            &[output.stdout, output.stderr, fs::read(events.path()).unwrap()].concat(),
        );
    }
    assert!(said.contains("bootstrap.example") && said.contains("first boot"), "{said}");
    // Everything came through the proxy, which was told both.
    let asked = format!("GET {url}/{} ", archive_of(&tiny, "units"));
    let heads = server.heads();
    assert!(heads.iter().any(|head| head.starts_with(&asked)), "{heads:?}");
    let opened = |head: &String| {
        head.to_lowercase().contains("proxy-authorization: basic ") && head.contains(secrets[1])
    };
    assert!(heads.iter().all(opened), "{heads:?}");
    // It fails too, in a download and before it.
    server.answer(&format!("/{}", archive_of(&tiny, "units")), 407, 99);
    let other = self::image();
    for line in [
        lines[1],
        &["fetch", "-vv", "--json", "--bootstrap-url", "http://bootstrap.example:8080/nothing"],
    ] {
        let output = run_with(other.path(), &[line, &events_to].concat(), &through);
        assert!(!output.status.success());
        said += &String::from_utf8_lossy(
            &[output.stdout, output.stderr, fs::read(events.path()).unwrap()].concat(),
        );
    }
    for root in [image.path(), other.path()] {
        for (path, content) in
            files_below(&root.join("var")).into_iter().chain(files_below(&root.join("etc")))
        {
            assert!(
                secrets.iter().all(|secret| !content.contains(secret)),
                "{}: {content}",
                path.display()
            );
        }
    }
    assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
}

/// Every file below a directory, as text.
fn files_below(directory: &Path) -> Vec<(PathBuf, String)> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            match fs::symlink_metadata(&path).unwrap() {
                meta if meta.is_dir() => open.push(path),
                meta if meta.is_file() => found.push((
                    path.clone(),
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
                )),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_does_not_try_another_mirror() {
    if !support::is_root() {
        return;
    }
    let (_, directory) = packed(&Build::tiny());
    let (first, second) =
        (Server::start(directory.path()).await, Server::start(directory.path()).await);
    let image = image();
    let opt = image.path().join("opt");
    fs::create_dir_all(&opt).unwrap();
    let _small = Mounted::memory(&opt, 8 << 10);
    std::os::unix::fs::chown(&opt, Some(NOBODY), Some(NOBODY)).unwrap();
    let output =
        run(image.path(), &["fetch", "--bootstrap-url", first.url(), "--mirror", second.url()]);
    let said = ends(&output, 1, &["No space left on device", "dcos-node fetch goes on"]);
    assert!(!said.contains("trying") && second.heads().is_empty(), "{said}{:?}", second.heads());
    let store = image.path().join("opt/dcos-node/packages");
    let names = fs::read_dir(store).into_iter().flatten();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}

/// A node that is a directory, and what is told about it.
struct Alone {
    directory: TempDir,
    site: Site,
    journal: Journal,
    news: Receiver<Event>,
}

impl Alone {
    fn new(places: &[&str]) -> Alone {
        let directory = tempfile::tempdir().unwrap();
        let options =
            Options { attempts: 2, first_pause: Duration::from_millis(10), ..Options::default() };
        let client = Client::new(&options).unwrap();
        let mut places = places.iter().map(|place| Source::parse(place, &client).unwrap());
        let (sender, news) = channel();
        let site = Site {
            root: Root::new(directory.path()),
            systemd: None,
            patience: Duration::ZERO,
            source: Some(Mirrors::new(places.next().unwrap(), places)),
            capacity: Capacity::new(&Fetching::default()),
            privileged: false,
            events: Events::to(sender),
            cancellation: Cancellation::default(),
        };
        let journal = Journal::open(&site.root).unwrap();
        Alone { directory, site, journal, news }
    }

    async fn fetch(
        &self,
        packed: &Packed,
        package: &str,
        artifact: Artifact,
    ) -> action::Result<()> {
        let fetch = Action::FetchPackage {
            id: packed.id(package).parse().unwrap(),
            artifact: Some(artifact),
        };
        action::run::run(&[vec![fetch]], &self.site, &self.journal, 1).await
    }
}

/// What an index would say of an archive.
fn artifact(archive: &Path, members: u64, bytes: u64) -> Artifact {
    let content = fs::read(archive).unwrap();
    Artifact {
        bytes: content.len() as u64,
        sha256: digest::hex(&digest::sha256(&content)),
        content: Some(Content { disk_bytes: bytes, bytes, members, links: 0 }),
        alternative: None,
    }
}

/// How many members and bytes are in an archive of the tiny build.
fn content(archive: &Path) -> (u64, u64) {
    let decoder = archive::decode(fs::File::open(archive).unwrap(), 80 << 20).unwrap();
    let mut tar = tar::Archive::new(decoder);
    let sizes: Vec<u64> = tar.entries().unwrap().map(|entry| entry.unwrap().size()).collect();
    (sizes.len() as u64, sizes.iter().sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_must_match_its_index_entry() {
    let (tiny, directory) = packed(&Build::tiny());
    let archive = tiny.archive("units");
    let (members, bytes) = content(&archive);
    let right = artifact(&archive, members, bytes);
    let place = directory.path().to_str().unwrap();
    let refused = async |artifact: Artifact| {
        let node = Alone::new(&[place]);
        let error = node.fetch(&tiny, "units", artifact).await.unwrap_err();
        assert!(matches!(error, action::Error::Integrity { .. }), "{error:?}");
        assert_eq!(store(node.directory.path()), Vec::<String>::new());
        format!("{:#}", anyhow::Error::from(error))
    };
    let other = Artifact { sha256: "0".repeat(64), ..right.clone() };
    let said = refused(other.clone()).await;
    assert!(said.contains("SHA-256") && said.contains(tiny.id("units")), "{said}");
    assert!(
        refused(artifact(&archive, members - 1, bytes))
            .await
            .contains(&format!("more than {} files", members - 1))
    );
    assert!(
        refused(artifact(&archive, members, bytes - 1))
            .await
            .contains(&format!("more than {} bytes", bytes - 1))
    );

    let shorter = Artifact { bytes: right.bytes - 1, ..right.clone() };
    assert!(refused(shorter).await.contains(&format!("more than {} bytes", right.bytes - 1)));

    Alone::new(&[place]).fetch(&tiny, "units", right.clone()).await.unwrap();

    // A digest that is wrong at one place is right at the next.
    let (_, bad) = packed(&Build::tiny().damaged("units", Damage::Page));
    let node = Alone::new(&[bad.path().to_str().unwrap(), place]);
    node.fetch(&tiny, "units", right.clone()).await.unwrap();
    assert!(
        node.news
            .try_iter()
            .any(|news| matches!(&news, Event::Warning { text } if text.contains("trying")))
    );

    // The cheaper archive is taken while it is there and right.
    let (zstd, cheaper) = packed(&Build::tiny().compressed(Compression::Zstd));
    let path = archive_of(&tiny, "units").replace(".xz", ".zst");
    fs::copy(zstd.archive("units"), directory.path().join(&path)).unwrap();
    let content = fs::read(zstd.archive("units")).unwrap();
    let alternative = Alternative {
        path: path.clone(),
        bytes: content.len() as u64,
        sha256: digest::hex(&digest::sha256(&content)),
    };
    let both = Artifact { alternative: Some(alternative), ..other };
    Alone::new(&[place]).fetch(&tiny, "units", both.clone()).await.unwrap();
    fs::remove_file(directory.path().join(&path)).unwrap();
    let usual = Artifact { sha256: right.sha256, ..both };
    Alone::new(&[place]).fetch(&tiny, "units", usual).await.unwrap();
    drop(cheaper);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_sends_more_than_the_index_says_is_cut_off() {
    let (tiny, directory) = packed(&Build::tiny());
    let archive = tiny.archive("units");
    let (members, bytes) = content(&archive);
    let right = artifact(&archive, members, bytes);
    let server = Server::start(directory.path()).await;
    server.hide_length(&format!("/{}", archive_of(&tiny, "units")));
    Alone::new(&[server.url()]).fetch(&tiny, "units", right.clone()).await.unwrap();
    let longer = [fs::read(&archive).unwrap(), vec![0; 4096]].concat();
    fs::write(&archive, longer).unwrap();
    let node = Alone::new(&[server.url()]);
    let error = node.fetch(&tiny, "units", right.clone()).await.unwrap_err();
    assert!(matches!(error, action::Error::Integrity { .. }), "{error:?}");
    let said = format!("{:#}", anyhow::Error::from(error));
    assert!(said.contains(&format!("more than {} bytes", right.bytes)), "{said}");
    assert_eq!(store(node.directory.path()), Vec::<String>::new());
}

#[test]
fn zeros_behind_an_archive_are_limited() {
    use std::io::Read;
    let (tiny, _directory) = packed(&Build::tiny());
    let mut tar = Vec::new();
    let sound = fs::File::open(tiny.archive("units")).unwrap();
    archive::decode(sound, 80 << 20).unwrap().read_to_end(&mut tar).unwrap();
    for (zeros, code) in [(1 << 19, 0), (2 << 20, 6)] {
        let tail = zstd::encode_all(&[tar.as_slice(), &vec![0; zeros]].concat()[..], 1).unwrap();
        let (tiny, directory) = packed(&Build::tiny().with_raw_archive("units", &tail));
        let place = directory.path().to_str().unwrap();
        let output = run(image().path(), &["fetch", "--bootstrap-url", place]);
        let said: &[&str] = if code == 0 { &[] } else { &[tiny.id("units"), "zeros follows"] };
        ends(&output, code, said);
    }
}

#[test]
fn archive_bomb_without_index_stops_at_a_ratio() {
    // Zeros to more than is free of the ratio, in some kilobytes, in the middle of a package.
    let zeros = 100 << 20;
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(zeros);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, "bomb", std::io::Read::take(std::io::repeat(0), zeros)).unwrap();
    let bomb = tar.into_inner().unwrap().finish().unwrap();
    assert!(bomb.len() < 64 << 10);
    let (tiny, directory) = packed(&Build::tiny().with_raw_archive("units", &bomb));
    let image = image();
    let output =
        run(image.path(), &["fetch", "--bootstrap-url", directory.path().to_str().unwrap()]);
    ends(&output, 6, &[tiny.id("units"), "bomb", "decompression bomb"]);
    assert!(
        store(image.path()).iter().all(|name| name != tiny.id("units") && !name.starts_with('.'))
    );
}

#[test]
fn fetch_beside_an_unfinished_install_is_refused() {
    let (_, directory) = packed(&Build::tiny());
    let (_, other) = packed(&Build::tiny().with_file("files", "etc/new", 0o644, "new"));
    let (this, that) = (directory.path().to_str().unwrap(), other.path().to_str().unwrap());
    let image = image();
    ends(
        &run(image.path(), &["fetch", "--bootstrap-url", this, "--require-digests"]),
        6,
        &["no digests"],
    );
    ends(&run(image.path(), &["install", "master", "-d", "--bootstrap-url", this]), 0, &[]);
    let before = Snapshot::of(image.path());
    ends(
        &run(image.path(), &["fetch", "--bootstrap-url", that]),
        5,
        &["unfinished", "nothing was changed"],
    );
    assert_eq!(Snapshot::of(image.path()).changes_since(&before), Vec::<String>::new());
}

/// The value of the header of the first question.
fn login_of(server: &Server) -> Option<String> {
    let head = server.heads().first()?.to_lowercase();
    head.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn password_leaves_the_command_line_and_reaches_the_server() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bootstrap.latest"), "0".repeat(40)).unwrap();
    let server = Server::start(directory.path()).await;
    server.stall_at("/bootstrap.latest", 0).stall_at("/dcos-build.json", 0);
    let url = server.url().replace("http://", "http://user:PASSWORD@");
    let image = image();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(["fetch", "--bootstrap-url", &url, "--root"]).arg(image.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    server.is_asked("").await;
    let line = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(line.contains("fetch") && !line.contains("PASSWORD"), "{line:?}");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("DCOS_NODE_BOOTSTRAP_URL") && !said.contains("PASSWORD"), "{said}");
    // user:PASSWORD
    assert_eq!(login_of(&server).as_deref(), Some("basic dxnlcjpqqvntv09sra=="));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_of_a_netrc_file_is_sent_to_its_host_only() {
    let (_tiny, directory) = packed(&Build::tiny());
    let netrc = directory.path().join("netrc");
    let path = netrc.to_str().unwrap();
    for (host, login) in [("127.0.0.1", Some("basic dxnlcjpqqvntv09sra==")), ("else.test", None)] {
        let server = Server::start(directory.path()).await;
        fs::write(&netrc, format!("machine {host} login user password PASSWORD\n")).unwrap();
        let fetch = ["fetch", "--dry-run", "--bootstrap-url", server.url()];
        ends(&run_with(image().path(), &fetch, &[("NETRC", path)]), 0, &[]);
        assert_eq!(login_of(&server).as_deref(), login, "{host}");
    }
}

#[test]
fn splay_is_shown_and_journal_keeps_options_without_secrets() {
    let (_, directory) = packed(&Build::tiny());
    let (url, image) = (directory.path().to_str().unwrap(), image());
    let options = [
        "--splay",
        "1s",
        "--limit-rate",
        "100M",
        "--parallel",
        "1",
        "--mirror",
        "http://user:secret@mirror.invalid/x",
    ];
    let dry = run(
        image.path(),
        &[&["install", "master", "-d", "--dry-run", "--bootstrap-url", url], &options[..]].concat(),
    );
    assert!(!ends(&dry, 0, &[]).contains("--splay"));
    // Killed in the middle, its journal stays.
    let bin = image.path().join("opt/dcos-node/bin");
    let fault =
        format!("kill Rename 1 {0}/.dcos-node.dcos-node.tmp -> {0}/dcos-node", bin.display());
    let arguments = [&["install", "master", "-d", "--bootstrap-url", url], &options[..]].concat();
    let killed = run_with(image.path(), &arguments, &[("DCOS_NODE_FAULT", &fault)]);
    let said = String::from_utf8_lossy(&killed.stderr);
    assert!(
        killed.status.code().is_none() && said.contains("before the first request (--splay 1 s)"),
        "{said}"
    );
    let journal = fs::read_to_string(image.path().join("var/lib/dcos-node/journal")).unwrap();
    let kept = r#""fetching":{"mirrors":["http://mirror.invalid/x"],"bytes_per_second":100000000,"parallel":1}"#;
    assert!(journal.contains(kept) && !journal.contains("secret"), "{journal}");
    ends(&run(image.path(), &["recover"]), 0, &[]);
}
