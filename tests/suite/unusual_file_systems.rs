//! Disks and directories that are full, read-only, links or mount points: each failure ends in a
//! clear error and in a state from which the same command resumes; an uninstall too.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::build::Build;
use support::image::{Image, Mounted, Serve};

#[test]
fn install_with_read_only_etc_leaves_nothing() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    let mounted = Mounted::bind(&image.at("etc"), &image.at("etc"));
    mounted.read_only(true);
    image.install(serve.url(), &[]).ends(
        1,
        &[&["/etc/", "Read-only file system"], &["state:", "the node is as it was"], &["cure:"]],
    );
    image.equals(&before);
    assert!(
        !image.has("var/lib/dcos-node") && !image.has("opt/dcos-node"),
        "something of ours is left"
    );
    mounted.read_only(false);
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    mounted.read_only(true);
    image.run(&["uninstall"]).ends(
        1,
        &[
            &["/etc/", "Read-only file system"],
            &["state:"],
            &["cure:", "dcos-node uninstall goes on"],
        ],
    );
    let status = image.run(&["status"]);
    assert!(status.out.contains("an uninstall was interrupted"), "{}", status.out);
    mounted.read_only(false);
    image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
    image.equals(&before);
}

#[test]
fn full_var_is_found_before_any_change() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let mut refused = 0;
    for pages in [0, 1, 2, 100, 255, 256, 257, 258, 260, 262, 265, 270, 280, 300] {
        let mounted = Mounted::memory(&image.at("var"), 4 << 20);
        fs::create_dir(image.at("var/lib")).expect("make it");
        fs::write(image.at("var/full"), vec![1; (4 << 20) - pages * 4096]).expect("fill it");
        let before = image.tree();
        let said = image.install(serve.url(), &[]);
        if said.code() == Some(0) {
            image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
            image.equals(&before);
        } else {
            refused += 1;
            said.ends(1, &[&["/var/lib/dcos", "No space left on device"], &["state:"], &["cure:"]]);
            image.is_as(&before);
            // Too little for the journal is found first; afterwards the journal has room to undo.
            let state = if pages < 256 { "nothing was changed" } else { "the node is as it was" };
            said.ends(1, &[&["state:", state]]);
            assert!(
                pages >= 256 || !image.has("var/lib/dcos-node"),
                "{pages} pages: something of ours is left"
            );
            fs::write(image.at("var/full"), "").expect("make room");
            image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
            image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
            image.equals(&before);
        }
        drop(mounted);
    }
    assert!(refused > 2, "/var was too small {refused} times only");
}

#[test]
fn opt_mesosphere_link_to_another_disk_is_kept() {
    if !support::is_root() {
        return;
    }
    for target in ["/data/mesosphere", "../data/mesosphere"] {
        let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
        fs::create_dir(image.at("data")).expect("make it");
        let _disk = Mounted::memory(&image.at("data"), 64 << 20);
        fs::create_dir(image.at("data/mesosphere")).expect("make it");
        std::os::unix::fs::symlink(target, image.at("opt/mesosphere")).expect("link");
        let before = image.tree();
        let stays = || {
            assert_eq!(
                fs::read_link(image.at("opt/mesosphere")).expect("a link"),
                Path::new(target)
            );
            fs::read_dir(image.at("data/mesosphere")).expect("it is there").count()
        };
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        assert!(stays() > 7 && image.has("data/mesosphere/active/tools"));
        image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        assert_eq!(stays(), 0);
        image.equals(&before);
        let bad = Serve::of(&Build::tiny().corrupt("units"));
        image.install(bad.url(), &[]).ends(6, &[&["state:", "the node is as it was"]]);
        assert_eq!(stays(), 0, "packages are kept elsewhere");
        image.run(&["uninstall"]).ends(0, &[&["done:"]]);
        assert_eq!(stays(), 0);
        image.equals(&before);
    }
}

#[test]
fn opt_mesosphere_mount_point_is_kept() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    fs::create_dir(image.at("opt/mesosphere")).expect("make it");
    let _disk = Mounted::memory(&image.at("opt/mesosphere"), 64 << 20);
    let before = image.tree();
    for (build, code) in [(&Serve::of(&Build::tiny().corrupt("units")), 6), (&serve, 0)] {
        image.install(build.url(), &[]).ends(code, &[]);
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        image.equals(&before);
        assert!(
            Command::new("mountpoint")
                .arg("-q")
                .arg(image.at("opt/mesosphere"))
                .status()
                .expect("mountpoint")
                .success()
        );
    }
}

/// As in a container: the file cannot be replaced, only written.
#[test]
fn mounted_resolv_conf_is_restored_in_place() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let generated = "# Generated by gen_resolvconf.py. Do not edit.\nnameserver 198.51.100.1\n";
    // Shorter and longer than what DC/OS writes.
    for text in ["nameserver 192.0.2.9\n".to_owned(), "search example.org\n".repeat(20)] {
        let outside = tempfile::NamedTempFile::new().expect("a file");
        fs::write(outside.path(), &text).expect("write");
        let mounted = Mounted::bind(outside.path(), &image.at("etc/resolv.conf"));
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        fs::write(image.at("etc/resolv.conf"), generated).expect("write");
        image.run(&["uninstall", "--purge-data", "--yes"]).ends(0, &[&["done:"]]);
        assert_eq!(fs::read_to_string(image.at("etc/resolv.conf")).expect("read"), text);
        drop(mounted);
    }
}

#[test]
fn missing_lock_directory_is_named_with_a_fix() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new().with("TMPDIR", "/not/there"));
    let before = image.tree();
    for command in
        [&["install", "master", "--bootstrap-url", serve.url()][..], &["uninstall"], &["recover"]]
    {
        image.run(command).ends(
            1,
            &[
                &["error:", "lock", "/not/there/"],
                &["state:", "nothing was changed"],
                &["cure:", "/not/there", "TMPDIR"],
            ],
        );
    }
    image.equals(&before);
}
