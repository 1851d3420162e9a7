//! Archives and lists that are damaged, cut, or of something else.

use std::time::Duration;

use dcos_node::action::capacity::Capacity;
use dcos_node::action::journal::Journal;
use dcos_node::action::run::run;
use dcos_node::action::{Action, Error, Site};
use dcos_node::dcos::event::Events;
use dcos_node::dcos::fetching::Fetching;
use dcos_node::dcos::index::Artifact;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::digest::{hex, sha256};
use dcos_node::system::http::{Client, Options};
use dcos_node::system::root::Root;
use dcos_node::system::source::{Mirrors, Source};
use support::build::{BOOTSTRAP_ARCHIVE, Build, Damage};
use support::image::{Image, Serve};

use super::{content, id, replay};

#[test]
fn damaged_package_is_named_and_fetched_again() {
    if !support::is_root() {
        return;
    }
    for damage in [Damage::BitFlip, Damage::Truncated, Damage::Page] {
        let spoil = |serve: &Serve| drop(Build::tiny().damaged("units", damage).pack(serve.path()));
        replay(spoil, 6, &["error:", &id("units")], &[]);
    }
}

#[test]
fn damaged_bootstrap_archive_leaves_the_node_installable() {
    if !support::is_root() {
        return;
    }
    let whole = std::fs::metadata(Serve::of(&Build::tiny()).packed.bootstrap_archive())
        .expect("the archive")
        .len();
    for kept in [whole / 2, whole * 97 / 100, whole * 997 / 1000, whole - 1] {
        let cut = |serve: &Serve| {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(serve.packed.bootstrap_archive())
                .expect("open");
            file.set_len(kept).expect("cut");
        };
        replay(cut, 6, &["error:", "bootstrap"], &[]);
    }
    replay(
        |serve| drop(Build::tiny().damaged(BOOTSTRAP_ARCHIVE, Damage::BitFlip).pack(serve.path())),
        6,
        &["error:", "bootstrap"],
        &[],
    );
}

#[test]
fn archive_of_another_package_is_refused_by_name() {
    if !support::is_root() {
        return;
    }
    let other = |serve: &Serve| {
        std::fs::copy(serve.packed.archive("files"), serve.packed.archive("units")).expect("copy");
    };
    replay(other, 6, &[&id("units")], &[]);
}

#[tokio::test]
async fn intact_archive_with_unknown_digest_is_refused() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let archive = serve.packed.archive("units");
    let mut right = std::fs::read(&archive).expect("the archive");
    content("units", |build| {
        build.with_file("units", "bin/tiny-master", 0o755, "#!/bin/sh\necho tampered with\n")
    })(&serve);
    let mut tampered = std::fs::read(&archive).expect("the archive");
    // Both end in padding of xz, so that their lengths are the same and only the digest differs.
    let length = right.len().max(tampered.len());
    right.resize(length, 0);
    tampered.resize(length, 0);
    std::fs::write(&archive, tampered).expect("pad the archive");
    let sha256 = hex(&sha256(&right));
    let artifact =
        Artifact { bytes: length as u64, sha256: sha256.clone(), content: None, alternative: None };

    let client = Client::new(&Options::default()).expect("a client");
    let site = Site {
        root: Root::new(image.path()),
        systemd: None,
        patience: Duration::from_secs(1),
        source: Some(Mirrors::new(Source::parse(serve.url(), &client).expect("a source"), [])),
        capacity: Capacity::new(&Fetching::default()),
        privileged: true,
        events: Events::to(std::sync::mpsc::channel().0),
        cancellation: Cancellation::default(),
    };
    let journal = Journal::open(&site.root).expect("a journal");
    let fetch = [vec![Action::FetchPackage {
        id: id("units").parse().expect("an id"),
        artifact: Some(artifact),
    }]];
    let Err(Error::Integrity { source, .. }) = run(&fetch, &site, &journal, 1).await else {
        panic!("it was taken")
    };
    let why = format!("{source:#}");
    assert!(
        why.contains(&sha256) && why.contains("the build index says") && why.contains(&id("units")),
        "{why}"
    );
    let place = format!("var/lib/dcos-node/packages/{}", id("units"));
    assert!(!image.has(&place));
    std::fs::write(&archive, right).expect("mend the server");
    run(&fetch, &site, &journal, 1).await.expect("the right content");
    assert!(image.has(&place));
}

#[test]
fn unfit_packages_are_named_and_fetched_again_once_fixed() {
    if !support::is_root() {
        return;
    }
    let pkginfo =
        |text: &'static str| content("units", move |build| build.with_pkginfo("units", text));
    let units = id("units");
    replay(pkginfo("{not JSON"), 6, &[&units, "pkginfo.json"], &[]);
    replay(pkginfo("[]"), 6, &[&units, "pkginfo.json"], &[]);
    replay(
        content("units", |build| build.without_file("units", "pkginfo.json")),
        6,
        &[&units, "pkginfo.json"],
        &[],
    );
    replay(pkginfo(r#"{"requires": ["nowhere"]}"#), 6, &[&units, "nowhere"], &[]);
    replay(pkginfo(r#"{"username": "root"}"#), 6, &[&units, "root"], &[]);
    let reserved = |build: Build| {
        build.with_file(
            "units",
            "dcos.target.wants/dcos-setup.service",
            0o644,
            "[Service]\nExecStart=/bin/true\n",
        )
    };
    replay(content("units", reserved), 6, &[&units, "dcos-setup.service"], &[]);
    let same = |build: Build| build.with_file("units", "lib/first", 0o644, "another");
    replay(content("units", same), 6, &[&units, &id("files"), "lib/first"], &[]);
}

#[test]
fn archive_member_outside_its_package_is_refused() {
    if !support::is_root() {
        return;
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let name = b"../../../../root/evil";
    header.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name);
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, &b"evil"[..]).expect("written to memory");
    let evil = tar.into_inner().expect("written to memory");
    let spoil =
        |serve: &Serve| drop(Build::tiny().with_raw_archive("units", evil).pack(serve.path()));
    replay(spoil, 6, &["../../../../root/evil"], &[]);
}

#[test]
fn missing_or_cut_package_list_is_named_without_changes() {
    if !support::is_root() {
        return;
    }
    let list = Serve::of(&Build::tiny()).packed.package_list_id;
    replay(
        |serve| std::fs::remove_file(serve.packed.package_list()).expect("remove"),
        3,
        &[&list, "No such file"],
        &[],
    );
    replay(
        |serve| std::fs::write(serve.packed.package_list(), "[\"files--1").expect("cut"),
        3,
        &[&list, "JSON"],
        &[],
    );
}
