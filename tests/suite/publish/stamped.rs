//! The program that carries its build, and what it fetches.

use std::fs;
use std::path::Path;
use std::process::Command;

use dcos_node::system::slot;
use support::build::{Build, Compression};
use support::http_server::Server;
use support::image::Mounted;

use super::{Bench, PROGRAM, checked, exits, install, program, url};

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
