//! The build index: digests, sizes and forms, written whole or not at all.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dcos_node::dcos::index::Index;
use dcos_node::system::slot;
use serde_json::{Value, json};
use support::build::Build;

use super::{Bench, exits, install, program, tree, url};

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
