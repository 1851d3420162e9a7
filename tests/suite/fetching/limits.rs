//! Archives that are hostile, too long, or not those of the index.

use std::fs;
use std::path::Path;
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
use support::http_server::Server;
use tempfile::TempDir;

use super::{archive_of, ends, image, packed, run, store};

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
