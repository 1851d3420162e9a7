//! A build with one thing changed differs in that thing.

use serde_json::Value;
use support::build::{BOOTSTRAP_ARCHIVE, Build, Compression, Damage, Packed};

use super::{members, unpack};

#[test]
fn compression_changes_the_bytes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let xz = Build::tiny().pack(dir.path());
    let expected = members(&xz, "files");
    let starts: [(Compression, &[u8]); 4] = [
        (Compression::XzStreams, b"\xfd7zXZ\0"),
        (Compression::Gzip, b"\x1f\x8b"),
        (Compression::Zstd, b"\x28\xb5\x2f\xfd"),
        (Compression::Plain, b"./"),
    ];
    for (compression, start) in starts {
        let dir = tempfile::tempdir().unwrap();
        let packed = Build::tiny().compressed(compression).pack(dir.path());
        assert_eq!(
            (&packed.bootstrap_id, &packed.ids),
            (&xz.bootstrap_id, &xz.ids),
            "{compression:?}"
        );
        let bytes = std::fs::read(packed.archive("files")).unwrap();
        assert!(bytes.starts_with(start), "{compression:?}");
        assert_eq!(unpack(&bytes), expected, "{compression:?}");
    }
}

#[test]
fn fixture_options_change_only_their_subject() {
    let pack = |build: Build| {
        let dir = tempfile::tempdir().unwrap();
        let packed = build.pack(dir.path());
        (dir, packed)
    };
    let (_plain_dir, plain) = pack(Build::tiny());

    let (_dir, changed) = pack(Build::tiny().with_file("tools", "share/more", 0o640, "more\n"));
    assert_ne!(changed.id("tools"), plain.id("tools"));
    assert_eq!(changed.id("files"), plain.id("files"));
    assert_ne!(changed.bootstrap_id, plain.bootstrap_id);
    assert_eq!(
        members(&changed, "tools")["./share/more"],
        (tar::EntryType::Regular, 0o640, b"more\n".to_vec())
    );

    let (_dir, fewer) =
        pack(Build::tiny().without_package("units").without_file("files", "etc/names"));
    assert_eq!(fewer.ids.keys().collect::<Vec<_>>(), ["files", "tools"]);
    assert!(!members(&fewer, "files").keys().any(|name| name.starts_with("./etc/names")));

    let (_dir, broken) = pack(Build::tiny().with_pkginfo("units", "{ broken"));
    assert_eq!(members(&broken, "units")["./pkginfo.json"].2, b"{ broken");

    let raw = Build::tiny()
        .with_raw_archive("tools", b"raw")
        .with_raw_archive(BOOTSTRAP_ARCHIVE, b"raw too");
    let (_dir, raw) = pack(raw);
    assert_eq!(raw.ids, plain.ids);
    assert_eq!(std::fs::read(raw.archive("tools")).unwrap(), b"raw");
    assert_eq!(std::fs::read(raw.bootstrap_archive()).unwrap(), b"raw too");

    let whole = std::fs::read(plain.archive("tools")).unwrap();
    let damages =
        [Damage::BitFlip, Damage::Truncated, Damage::TrailingGarbage, Damage::Empty, Damage::Page];
    for damage in damages {
        let (_dir, damaged) = pack(Build::tiny().damaged("tools", damage));
        assert_eq!(damaged.ids, plain.ids);
        assert_ne!(std::fs::read(damaged.archive("tools")).unwrap(), whole, "{damage:?}");
    }
    let (_dir, corrupt) = pack(Build::tiny().corrupt("tools"));
    assert_eq!(std::fs::read(corrupt.archive("tools")).unwrap().len(), whole.len());
}

#[test]
fn a_setting_changes_the_configuration_and_not_the_release() {
    let pack = |build: Build| {
        let dir = tempfile::tempdir().unwrap();
        let packed = build.pack(dir.path());
        (dir, packed)
    };
    let text = |packed: &Packed, path: &str| {
        members(packed, "dcos-config")
            .get(path)
            .map(|(_, _, content)| String::from_utf8(content.clone()).unwrap())
    };
    let (_plain_dir, plain) = pack(Build::fixture());
    assert_eq!(text(&plain, "./etc/check_time.env").unwrap(), "ENABLE_CHECK_TIME=false\n");
    assert!(
        text(&plain, "./etc/master_list").is_none()
            && text(&plain, "./bin/detect_fault_domain").is_none()
    );
    let version = members(&plain, "dcos-metadata")["./etc/dcos-version.json"].2.clone();
    let version: Value = serde_json::from_slice(&version).unwrap();
    assert_eq!(
        (version["version"].as_str(), version["bootstrap-id"].as_str()),
        (Some("1.12-fixture"), Some(&*plain.bootstrap_id))
    );

    let (_dir, timed) = pack(Build::fixture().with_config("check_time", "true"));
    assert_eq!(timed.bootstrap_id, plain.bootstrap_id);
    assert_ne!(timed.package_list_id, plain.package_list_id);
    let changed =
        plain.ids.keys().filter(|name| timed.id(name) != plain.id(name)).collect::<Vec<_>>();
    assert_eq!(changed, ["dcos-config", "dcos-metadata"]);
    assert_eq!(text(&timed, "./etc/check_time.env").unwrap(), "ENABLE_CHECK_TIME=true\n");
    let checks: Value =
        serde_json::from_str(&text(&timed, "./etc/dcos-check-config.json").unwrap()).unwrap();
    assert!(checks["node_checks"]["poststart"].as_array().unwrap().contains(&"clock_sync".into()));

    let masters = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let build =
        Build::fixture().with_masters(&masters).with_config("exhibitor_admin_password", "hunter2");
    let (_dir, three) = pack(
        build
            .with_proxy("http://u:p@10.0.0.9:3128", ".example.test")
            .with_config("fault_domain_enabled", "true"),
    );
    assert_eq!(
        serde_json::from_str::<Vec<String>>(&text(&three, "./etc/master_list").unwrap()).unwrap(),
        masters
    );
    assert_eq!(text(&three, "./etc_master/master_count").unwrap(), "3\n");
    assert!(
        text(&three, "./etc/exhibitor").unwrap().ends_with("=1:10.0.0.1,2:10.0.0.2,3:10.0.0.3\n")
    );
    assert!(text(&three, "./etc/mesos-master").unwrap().contains("MESOS_QUORUM=2\n"));
    assert!(
        text(&three, "./etc/proxy.env")
            .unwrap()
            .contains("http_proxy=\"http://u:p@10.0.0.9:3128\"\n")
    );
    assert!(text(&three, "./bin/detect_fault_domain").is_some());
    for (path, (_, mode, content)) in &members(&three, "dcos-config") {
        let secret = String::from_utf8_lossy(content).contains("hunter2");
        assert_eq!(secret, path.contains(".full."), "{path}");
        assert!(!secret || *mode == 0o600, "{path}: secrets are for root");
    }

    let (_dir, newer) =
        pack(Build::fixture().with_file("marathon", "share/news", 0o644, "newer\n"));
    assert_ne!(newer.bootstrap_id, plain.bootstrap_id);
    assert_eq!(newer.id("dcos-config"), plain.id("dcos-config"));
}
