//! The comparison with golden records finds what differs, and tolerates no more than its table
//! says.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{Difference, Golden, Kind, Seen, Snapshot, Tolerated, differences};
use tempfile::TempDir;

/// A root directory that is as `record` says.
fn node() -> TempDir {
    let root = tempfile::tempdir().expect("a root directory");
    let at = |path: &str| root.path().join(path);
    for directory in ["etc", "opt/mesosphere/bin", "opt/mesosphere/lib", "usr/bin", "var/lib"] {
        fs::create_dir_all(at(directory)).expect("make a directory");
    }
    let id = fs::metadata(root.path())
        .map(|about| std::os::unix::fs::MetadataExt::uid(&about))
        .expect("our own number");
    fs::write(
        at("etc/passwd"),
        format!(
            "me:x:{id}:{id}:Me:/:/bin/sh\ndcos_log:x:{}:{id}:DCOS System \
             User:/opt/mesosphere:/sbin/nologin\n",
            id + 1
        ),
    )
    .expect("write");
    fs::write(at("etc/group"), format!("me:x:{id}:b,a\n")).expect("write");
    fs::write(at("usr/bin/sh"), "a shell").expect("write");
    fs::write(at("opt/mesosphere/bin/tool"), "hello").expect("write");
    fs::set_permissions(at("opt/mesosphere/bin/tool"), fs::Permissions::from_mode(0o4755))
        .expect("set a mode");
    fs::hard_link(at("opt/mesosphere/bin/tool"), at("opt/mesosphere/lib/twin")).expect("link");
    symlink("/opt/mesosphere/bin/tool", at("opt/mesosphere/lib/link")).expect("link");
    fs::write(at("opt/mesosphere/environment"), "A=1\n\n# package: x\nC=3\nB=2\n").expect("write");
    root
}

/// The record of that node; owners are those who run the test.
fn record() -> Value {
    let directory = json!({ "type": "directory", "mode": "0755", "owner": "me", "group": "me" });
    let tool = json!({
        "type": "file", "mode": "4755", "owner": "me", "group": "me", "size": 5,
        "hardlink": "/opt/mesosphere/bin/tool",
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    });
    json!({
        "areas": ["/etc", "/opt", "/run/dcos", "/usr", "/var/lib"],
        "owned": ["/opt/mesosphere"],
        "owned_patterns": ["/etc/systemd/system/dcos*"],
        "created": {
            "/opt/mesosphere": directory,
            "/opt/mesosphere/bin": directory,
            "/opt/mesosphere/lib": directory,
            "/opt/mesosphere/bin/tool": tool, "/opt/mesosphere/lib/twin": tool,
            "/opt/mesosphere/lib/link": {
                "type": "symlink", "owner": "me", "group": "me",
                "target": "/opt/mesosphere/bin/tool",
            },
            "/opt/mesosphere/environment": {
                "type": "file", "mode": "0644", "owner": "me", "group": "me",
            },
            "/run/dcos": directory,
        },
        "changed": { "/etc/passwd": { "type": "file" } },
        "removed": ["/etc/gone"],
        "texts": { "/opt/mesosphere/environment": { "": ["A=1"], "x": ["B=2", "C=3"] } },
        "accounts": {
            "users": {
                "dcos_log": {
                    "gecos": "DCOS System User", "group": "me", "shell": "/sbin/nologin",
                },
            },
            "groups": { "me": { "members": ["a", "b"] } },
        },
        "units": { "dcos.target": { "ActiveState": "active" } },
    })
}

fn compared(root: &Path, before: Option<&Snapshot>) -> Vec<String> {
    found(root, before).iter().map(Difference::to_string).collect()
}

fn found(root: &Path, before: Option<&Snapshot>) -> Vec<Difference> {
    differences(&Golden::parse(&record().to_string()), &Seen::in_directory(root), before)
}

#[test]
fn recorded_tree_does_not_differ_from_itself() {
    // Units have no states in a directory, and nothing is in /run before the first boot.
    assert_eq!(compared(node().path(), None), Vec::<String>::new());
}

#[test]
fn every_property_of_a_path_is_compared() {
    let root = node();
    let at = |path: &str| root.path().join(path);
    fs::set_permissions(at("opt/mesosphere/bin"), fs::Permissions::from_mode(0o700))
        .expect("set a mode");
    fs::remove_file(at("opt/mesosphere/lib/link")).expect("remove");
    symlink("elsewhere", at("opt/mesosphere/lib/link")).expect("link");
    fs::remove_file(at("opt/mesosphere/lib/twin")).expect("remove");
    fs::write(at("opt/mesosphere/bin/tool"), "other").expect("write");
    fs::set_permissions(at("opt/mesosphere/bin/tool"), fs::Permissions::from_mode(0o755))
        .expect("set a mode");
    fs::write(at("opt/mesosphere/environment"), "# package: x\nB=2\nC=4\n").expect("write");
    fs::create_dir_all(at("etc/systemd/system")).expect("make a directory");
    symlink("/nowhere", at("etc/systemd/system/dcos-x.service")).expect("link");
    fs::write(at("etc/gone"), "").expect("write");
    assert_eq!(
        compared(root.path(), None),
        [
            "different /opt/mesosphere/bin  mode: golden 0755, here 0700",
            "different /opt/mesosphere/bin/tool  hardlink: golden /opt/mesosphere/bin/tool, here -",
            "different /opt/mesosphere/bin/tool  mode: golden 4755, here 0755",
            "different /opt/mesosphere/bin/tool  sha256: golden \
             2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824, here \
             d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
            "different /opt/mesosphere/lib/link  target: golden /opt/mesosphere/bin/tool, here \
             elsewhere",
            "missing   /opt/mesosphere/lib/twin  file",
            "extra     /etc/gone  the golden run removed it",
            "extra     /etc/systemd/system/dcos-x.service  symlink",
            r#"different /opt/mesosphere/environment  head: golden ["A=1"], here []"#,
            r#"different /opt/mesosphere/environment  x: golden ["B=2","C=3"], here ["B=2","C=4"]"#,
        ]
    );
}

#[test]
fn accounts_are_compared() {
    let root = node();
    let passwd = root.path().join("etc/passwd");
    let changed = fs::read_to_string(&passwd).expect("read").replace("/sbin/nologin", "/bin/sh");
    fs::write(&passwd, changed + "dcos_new:x:900:1:::\nother:x:901:1:::\n").expect("write");
    fs::write(root.path().join("etc/group"), "").expect("write");
    let found = compared(root.path(), None);
    let accounts: Vec<_> =
        found.iter().filter(|line| line.contains("user:") || line.contains("group:")).collect();
    assert!(
        accounts.contains(
            &&"different user:dcos_log  shell: golden /sbin/nologin, here /bin/sh".to_owned()
        ),
        "{found:#?}"
    );
    assert!(accounts.iter().any(|line| line.starts_with("extra     user:dcos_new")), "{found:#?}");
    assert!(accounts.iter().any(|line| line.starts_with("missing   group:me")), "{found:#?}");
    assert!(!accounts.iter().any(|line| line.contains("user:other")), "{found:#?}");
}

#[test]
fn other_changes_are_found_with_an_earlier_snapshot() {
    let root = node();
    fs::write(root.path().join("usr/old"), "").expect("write");
    let before = Snapshot::of(root.path());
    assert_eq!(compared(root.path(), Some(&before)), Vec::<String>::new());
    fs::write(root.path().join("usr/bin/sh"), "another").expect("write");
    fs::write(root.path().join("usr/bin/new"), "").expect("write");
    fs::remove_file(root.path().join("usr/old")).expect("remove");
    let found = found(root.path(), Some(&before));
    for (kind, what, detail) in [
        (Kind::Extra, "/usr/bin/new", "file"),
        (Kind::Different, "/usr/bin/sh", "changed since before: sha256"),
        (Kind::Missing, "/usr/old", "was there before"),
    ] {
        let wanted = Difference { kind, what: what.to_owned(), detail: detail.to_owned() };
        assert!(found.contains(&wanted), "{wanted} is not among {found:#?}");
    }
}

#[test]
fn extended_attributes_are_compared() {
    let root = node();
    let tool = root.path().join("opt/mesosphere/bin/tool");
    if rustix::fs::setxattr(&tool, "user.test", b"1", rustix::fs::XattrFlags::empty()).is_err() {
        // Not every file system that can hold temporary files has them, and only root's other kinds
        // are left then.
        return;
    }
    assert!(
        compared(root.path(), None).contains(
            &r#"different /opt/mesosphere/bin/tool  xattrs: golden -, here {"user.test":"31"}"#
                .to_owned()
        )
    );
}

#[test]
fn only_tabled_differences_are_tolerated_and_rows_needed() {
    let difference =
        |kind, what: &str| Difference { kind, what: what.to_owned(), detail: "x".to_owned() };
    let found = [
        difference(Kind::Missing, "/opt/mesosphere/bin.old/x"),
        difference(Kind::Extra, "/opt/dcos-node"),
    ];
    let old = ("/opt/mesosphere/*.old/*", Kind::Missing, "nothing is set aside");
    let ours = ("/opt/dcos-nod?", Kind::Extra, "our own");
    Tolerated(&[old, ours]).accepts(&found);
    assert_eq!(Tolerated(&[old]).complaints(&found), ["extra     /opt/dcos-node  x"]);
    assert_eq!(
        Tolerated(&[old, ours]).complaints(&found[1..]),
        ["stale row: Missing /opt/mesosphere/*.old/*, tolerated because nothing is set aside"]
    );
    assert_eq!(
        Tolerated(&[("/opt/dcos-node", Kind::Missing, "another kind")])
            .complaints(&found[1..])
            .len(),
        2
    );
    assert_eq!(
        Tolerated(&[("/opt/dcos", Kind::Extra, "a part is not the whole")])
            .complaints(&found[1..])
            .len(),
        2
    );
}

#[test]
fn the_golden_records_can_be_read() {
    for name in ["master", "slave", "master-swap", "master-after-pkgpanda-uninstall"] {
        Golden::read(format!("fixtures/reference/golden/{name}.json"));
    }
}
