//! A machine without space, with another install at work, or asked for what it cannot do.

use std::time::Duration;

use support::build::Build;
use support::image::{Image, Mounted, Said, Serve};

use super::{converges, on_server, served, undisturbed};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_installs_result_in_one_install() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, _) = served().await;
    server.stall_after(&on_server(&serve, &serve.packed.archive("units")), 100, 1000);
    let mut first = image.start(&["install", "master", "--bootstrap-url", server.url()]);
    while !image.has("opt/dcos-node/bin/dcos-node") {
        assert!(first.try_wait().expect("look after it").is_none(), "it ended before it had begun");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = first.id().to_string();
    let is = |said: &Said| {
        said.ends(
            8,
            &[&["error:", &pid, "install master"], &["state:", "nothing was changed"], &["cure:"]],
        );
    };
    is(&image.install(server.url(), &[]));
    is(&image.run(&["install", "slave", "--bootstrap-url", server.url()]));
    is(&image.run(&["uninstall"]));
    is(&image.run(&["recover"]));
    first.kill().expect("kill");
    first.wait().expect("wait");
    image
        .run(&["install", "slave", "--bootstrap-url", serve.url()])
        .ends(5, &[&["error:", "master", "slave"], &["cure:"]]);
    converges(&image, serve.url());
    image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
    image.install(serve.url(), &["--json", "-d"]).ends(0, &[&["\"changed\": false"]]);
    image.equals(undisturbed());
}

#[test]
fn unknown_role_is_a_usage_error() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let before = image.tree();
    image
        .run(&["install", "foo", "--bootstrap-url", serve.url()])
        .ends(2, &[&["foo"], &["master", "slave", "slave_public"]]);
    image
        .run(&["install", "master", "slave", "--bootstrap-url", serve.url()])
        .ends(2, &[&["slave"]]);
    image.run(&["install", "--bootstrap-url", serve.url()]).ends(2, &[&["ROLE"]]);
    image.equals(&before);
}

#[test]
fn disk_full_at_any_step_leaves_the_node_unchanged() {
    if !support::is_root() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let (image, _mounted) = Image::of_size(2 << 30);
    let used = || {
        let status = nix::sys::statvfs::statvfs(image.path()).expect("statvfs");
        usize::try_from((status.blocks() - status.blocks_free()) * status.fragment_size())
            .expect("bytes")
    };
    image.install(serve.url(), &[]).ends(0, &[]);
    let (all, binary) = (
        used(),
        std::fs::metadata(image.at("opt/dcos-node/bin/dcos-node")).expect("the binary").len()
            as usize,
    );
    drop((image, _mounted));
    let rest = all - binary;
    // The journal takes a mebibyte while an install is under way.
    let sizes =
        [0, 8, 20, 35, 50, 65, 80, 90, 95].map(|part| binary + (1 << 20) + rest * part / 100);
    let mut refused = 0;
    for size in [4096 * 40, binary / 2].into_iter().chain(sizes) {
        let (image, mounted) = Image::of_size(size);
        let before = image.tree();
        let said = image.install(serve.url(), &[]);
        if said.code() != Some(0) {
            refused += 1;
            // useradd does not say why it cannot write.
            let why = if said.err.contains("useradd") {
                "/etc/passwd"
            } else {
                "No space left on device"
            };
            said.ends(1, &[&[why], &["state:"], &["cure:"]]);
            assert!(!said.err.contains("could not be made"), "{}", said.err);
            image.is_as(&before);
        }
        mounted.resize(2 * all);
        converges(&image, serve.url());
    }
    assert!(refused > 5, "the disk was full {refused} times only");
}

#[test]
fn full_tmp_does_not_stop_an_install() {
    if !support::is_root() {
        return;
    }
    let (serve, tmp) = (Serve::of(&Build::tiny()), tempfile::tempdir().expect("a directory"));
    let _mounted = Mounted::memory(tmp.path(), 4096);
    std::fs::write(tmp.path().join("full"), [0; 4096]).expect("fill it");
    assert!(std::fs::write(tmp.path().join("more"), "x").is_err(), "it is not full");
    let image = Image::new().with("TMPDIR", tmp.path().to_str().expect("UTF-8"));
    converges(&image, serve.url());
}

#[test]
fn fresh_file_system_for_opt_mesosphere_is_kept() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    std::fs::create_dir_all(image.at("opt/mesosphere")).expect("make it");
    let mounted = Mounted::memory(&image.at("opt/mesosphere"), 64 << 20);
    std::fs::create_dir(image.at("opt/mesosphere/lost+found")).expect("as mkfs makes it");
    let before = image.tree();
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    image.install(serve.url(), &["--json"]).ends(0, &[&["\"changed\": false"]]);
    image.run(&["uninstall"]).ends(0, &[&["done:"]]);
    assert!(image.has("opt/mesosphere/lost+found"));
    let left: Vec<String> = image
        .tree()
        .changes_since(&before)
        .into_iter()
        .filter(|change| !change.contains("/var/lib/dcos"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    mounted.resize(16 << 10);
    image
        .install(serve.url(), &[])
        .ends(1, &[&["No space left"], &["state:", "the node is as it was"]]);
    mounted.resize(64 << 20);
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
}
