//! `verify` and the drift in `status`: what was changed behind dcos-node is found, by name and by
//! letter, and nothing else is.
#[allow(dead_code, reason = "whole nodes of the classic installer are enough here")]
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use serde_json::{Value, json};
use support::build::Build;
use support::image::{Image, Said, Serve};
use support::tree::Snapshot;

/// An image with a build installed in it.
struct Installed {
    image: Image,
    serve: Serve,
}

impl Installed {
    fn new() -> Installed {
        Installed::with(&Build::fixture())
    }

    fn with(build: &Build) -> Installed {
        let installed = Installed { image: Image::new(), serve: Serve::of(build) };
        // Packages ask for a group that a bare directory does not have.
        installed.write("/etc/group", "root:x:0:\nsystemd-journal:x:101:\ndocker:x:102:\n");
        installed.image.install(installed.serve.url(), &["-d"]).ends(0, &[]);
        installed
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let said = self.image.run(&[arguments, &["--json"]].concat());
        said.ends(code, &[]);
        serde_json::from_str(&said.out).expect("JSON")
    }

    /// What `status` says of the server. Nobody waits for more than five seconds for one; a machine
    /// that stalls for so long is asked again.
    fn offered(&self) -> Value {
        let told = || self.json(&["status", "--online"], 0)["drift"]["offered"].clone();
        let is_told = |told: &Value| {
            !told["unknown"].as_str().is_some_and(|why| why.contains("no answer within"))
        };
        (0..20).map(|_| told()).find(is_told).expect("an answer")
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.image.at(path.trim_start_matches('/'))
    }

    /// A path inside a package, as the node sees it.
    fn of(&self, package: &str, path: &str) -> String {
        format!("/opt/mesosphere/packages/{}/{path}", self.serve.packed.id(package))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(path, text).expect("write");
    }

    fn change_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn give(&self, path: &str, user: u32, group: u32) {
        lchown(self.at(path), Some(user), Some(group)).expect("chown");
    }

    /// Puts a link in the place of what stands there.
    fn replace_by_link(&self, path: &str, target: &str) {
        fs::remove_file(self.at(path)).expect("remove");
        symlink(target, self.at(path)).expect("link");
    }

    /// Changes the lines of a file; a line of none goes.
    fn edit(&self, path: &str, change: impl Fn(&str) -> Option<String>) {
        let text = fs::read_to_string(self.at(path)).expect("read");
        let lines: Vec<String> = text.lines().filter_map(change).collect();
        fs::write(self.at(path), lines.join("\n") + "\n").expect("write");
    }

    /// The lines of `verify`, without the count at the end.
    fn lines(&self, code: i32) -> Vec<String> {
        let said = self.image.run(&["verify"]);
        said.ends(code, &[]);
        assert_eq!(said.err.contains("  help:   dcos-node bundle"), code == 6, "{}", said.err);
        let (lines, _) = said.out.split_once("\n\n").unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }
}

#[test]
fn verify_finds_every_kind_of_change_with_its_letter() {
    if !support::is_root() {
        return;
    }
    let image = Installed::new();
    let clean = image.json(&["verify"], 0);
    assert_eq!(
        (clean["clean"].as_bool(), clean["packages"].as_u64()),
        (Some(true), Some(32)),
        "{clean:#}"
    );

    let config = image.of("dcos-config", "etc/dns_config");
    image.write(&config, "RESOLVERS=192.0.2.99\n");
    let program = image.of("check-time", "bin/check-time");
    fs::set_permissions(image.at(&program), fs::Permissions::from_mode(0o777)).expect("chmod");
    let lost = image.of("mesos-dns", "dcos.target.wants_master/dcos-mesos-dns.service");
    fs::remove_file(image.at(&lost)).expect("remove");
    let extra = image.of("java", "bin/miner");
    image.write(&extra, "#!/bin/sh\n");
    let compiled = image.of("python", "lib/__pycache__/a.pyc");
    image.write(&compiled, "compiled");
    fs::remove_file(image.at("/opt/mesosphere/bin/detect_ip")).expect("remove");
    symlink("/tmp/other", image.at("/opt/mesosphere/bin/detect_ip")).expect("link");
    image.write("/etc/systemd/system/dcos-net.service", "[Service]\nExecStart=/bin/true\n");
    image.write("/etc/systemd/system/dcos-net.service.d/more.conf", "[Service]\n");
    symlink(
        "/etc/systemd/system/portworx.service",
        image.at("/etc/systemd/system/dcos.target.wants/portworx.service"),
    )
    .expect("link");

    let expected = [
        "extra      c /etc/systemd/system/dcos-net.service.d/more.conf".to_owned(),
        "S.5......    /etc/systemd/system/dcos-net.service".to_owned(),
        "extra        /etc/systemd/system/dcos.target.wants/portworx.service".to_owned(),
        "....L....    /opt/mesosphere/bin/detect_ip".to_owned(),
        format!(".M.......    {program}"),
        format!("S.5....T.  c {config}"),
        format!("extra        {extra}"),
        format!("missing      {lost}"),
    ];
    let mut found = image.lines(6);
    found.sort_by(|a, b| a[13..].cmp(&b[13..]));
    let mut expected = expected.to_vec();
    expected.sort_by(|a, b| a[13..].cmp(&b[13..]));
    assert_eq!(found, expected);
    let report = image.json(&["verify"], 6);
    let at_run_time: Vec<&str> = report["at_run_time"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["what"].as_str())
        .collect();
    assert!(
        at_run_time.contains(&compiled.as_str())
            && at_run_time.iter().all(|path| path.contains("__pycache__")),
        "{at_run_time:?}"
    );

    // Of all this the quick look sees what has another size, time or link.
    let drift = &image.json(&["status"], 12)["drift"];
    assert_eq!(
        (drift["drifted"].as_bool(), drift["foreign_units"][0].as_str()),
        (Some(true), Some("portworx.service")),
        "{drift:#}"
    );
    assert_eq!(
        (
            drift["files"]["changed"].as_u64(),
            drift["files"]["missing"].as_u64(),
            drift["files"]["extra"].as_u64()
        ),
        (Some(3), Some(1), Some(2))
    );
}

/// Modes and owners count everywhere: in packages, of what activation makes, of units, of node
/// files and directories, of data directories.
#[test]
fn verify_compares_modes_owners_kinds_and_capabilities() {
    if !support::is_root() {
        return;
    }
    let odd = "dcos.target.wants_master/dcos-odd.service";
    let image = Installed::with(
        &Build::fixture()
            .with_file("java", odd, 0o640, "[Service]\nExecStart=/bin/true\n")
            .with_file("java", "share/notes", 0o644, "notes\n"),
    );
    // A unit is copied with its mode.
    assert_eq!(
        fs::metadata(image.at("/etc/systemd/system/dcos-odd.service"))
            .expect("look")
            .permissions()
            .mode()
            & 0o7777,
        0o640
    );
    assert_eq!(image.lines(0), [] as [&str; 0]);

    image.give("/etc/mesosphere/roles", 7, 0);
    let mut expected = vec![".....U...  c /etc/mesosphere/roles".to_owned()];
    let mut expect = |letters: &str, path: &str| expected.push(format!("{letters}    {path}"));
    for (path, mode) in [
        ("/etc/systemd/system/dcos-odd.service", 0o644),
        ("/opt/mesosphere/environment", 0o666),
        ("/opt/mesosphere/etc", 0o777),
        ("/opt/dcos-node/bin/dcos-node", 0o4755),
        ("/var/lib/dcos-node", 0o755),
        ("/var/lib/dcos/exhibitor", 0o777),
    ] {
        image.change_mode(path, mode);
        expect(".M.......", path);
    }
    for path in [
        "/etc/systemd/system/dcos-net.service",
        "/opt/mesosphere/bin/detect_ip",
        "/opt/mesosphere/active",
    ] {
        image.give(path, 7, 8);
        expect(".....UG..", path);
    }
    let java = image.of("java", "bin");
    image.give(&java, 0, 8);
    expect("......G..", &java);
    for (path, target) in [
        ("/etc/systemd/system/dcos-spartan.service", "/dev/null"),
        ("/opt/mesosphere/environment.export", "environment"),
    ] {
        if image.at(path).is_file() {
            image.replace_by_link(path, target);
            expect("...D.....", path);
        }
    }
    let notes = image.of("java", "share/notes");
    fs::remove_file(image.at(&notes)).expect("remove");
    fs::create_dir(image.at(&notes)).expect("make a directory");
    image.change_mode(&notes, 0o644);
    expect("...D.....", &notes);
    let raw = image.of("mesos-dns", "bin/mesos-dns");
    let set = std::process::Command::new("setcap")
        .arg("cap_net_raw+ep")
        .arg(image.at(&raw))
        .status()
        .expect("run setcap");
    assert!(set.success());
    expect("........P", &raw);
    // An account with another number: its data is another's. One in another group, and one that is
    // gone.
    image.edit("/etc/passwd", |line| {
        let mut fields: Vec<&str> = line.split(':').collect();
        match fields[0] {
            "dcos_signal" => return None,
            "dcos_marathon" => fields[2] = "4321",
            "dcos_log" => fields[3] = "0",
            _ => {}
        }
        Some(fields.join(":"))
    });
    expect(".....U...", "/var/lib/dcos/marathon");
    expect("......G..", "dcos_log");
    expect("missing  ", "dcos_signal");
    let mut found = image.lines(6);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let report = image.json(&["verify"], 6);
    let of = |what: &str| {
        report["differences"]
            .as_array()
            .and_then(|all| all.iter().find(|d| d["what"] == what))
            .cloned()
    };
    assert_eq!(of("/var/lib/dcos/marathon").expect("told")["details"][0]["was"], "4321");
}

#[test]
fn verify_finds_a_change_of_equal_length_by_its_time() {
    if !support::is_root() {
        return;
    }
    let image = Installed::new();
    assert_eq!(image.json(&["status"], 0)["drift"]["drifted"], false);
    let path = image.of("dcos-config", "etc/check_time.env");
    let mut text = fs::read(image.at(&path)).expect("read");
    let last = text.len() - 1;
    text[last] ^= 1;
    fs::write(image.at(&path), &text).expect("write");
    assert_eq!(image.lines(6), [format!("..5....T.  c {path}")]);
    assert_eq!(image.json(&["status"], 0)["drift"]["files"]["first"][0]["what"], path.as_str());
    // A touch is no change.
    text[last] ^= 1;
    fs::write(image.at(&path), &text).expect("write");
    assert_eq!(image.lines(0), [] as [&str; 0]);
    assert_eq!(image.json(&["status"], 0)["drift"]["drifted"], false);
}

#[test]
fn verify_fails_for_unreadable_files_or_without_dcos() {
    if !support::is_root() {
        return;
    }
    Image::new().run(&["verify"]).ends(11, &[&["DC/OS is not installed here"]]);
    let image = Installed::new();
    let manifest = format!("/var/lib/dcos-node/manifests/{}.json", image.serve.packed.id("java"));
    fs::remove_file(image.at(&manifest)).expect("remove");
    let unproved = image.json(&["verify"], 4);
    assert_eq!(unproved["unknown"][0]["what"].as_str(), Some(image.serve.packed.id("java")));
    fs::remove_dir_all(image.at(&image.of("java", ""))).expect("remove");
    let lost = format!("missing      /opt/mesosphere/packages/{}", image.serve.packed.id("java"));
    assert!(image.lines(6).contains(&lost));
}

/// Root without the leave to read everything, and nobody.
#[test]
fn verify_reports_forbidden_files_as_unknown() {
    if !support::is_root() {
        return;
    }
    let image =
        Installed::with(&Build::fixture().with_file("java", "share/secret", 0o200, "secret\n"));
    let secret = image.of("java", "share/secret");
    let verify = |through: &[&str]| {
        let words = [through, &[env!("CARGO_BIN_EXE_dcos-node"), "verify", "--root"]].concat();
        Said::of(
            std::process::Command::new(words[0])
                .args(&words[1..])
                .arg(image.image.path())
                .output()
                .expect("run"),
        )
    };
    verify(&["env"]).ends(0, &[&["as installed"]]);
    let blind = verify(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
    blind.ends(
        4,
        &[
            &["..?......    ", &secret],
            &["as installed as far as it can be read; 1 not to be compared"],
        ],
    );
    fs::set_permissions(image.image.path(), fs::Permissions::from_mode(0o755)).expect("open it");
    let nobody = verify(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    nobody.ends(
        4,
        &[&["unknown      /var/lib/dcos-node: only root may read the receipt and the manifests"]],
    );
}

/// The server has another configuration, has the same, or is gone; it is asked only with
/// `--online`.
#[test]
fn verify_reports_another_server_build_only_on_request() {
    if !support::is_root() {
        return;
    }
    let image = Installed::new();
    assert!(image.json(&["status"], 0)["drift"].get("offered").is_none());
    assert_eq!(image.offered()["same"], true);
    let other =
        Build::fixture().with_config("dns_search", "other.example").pack(image.serve.path());
    let offered = image.offered();
    assert_eq!(
        (offered["same"].as_bool(), offered["difference"].as_str()),
        (Some(false), Some("configuration")),
        "{offered:#}"
    );
    assert_eq!(offered["config_package"].as_str(), Some(other.id("dcos-config")));
    // Both values are told, and no value that is the same; so does the install that is refused.
    let here = image.serve.packed.id("dcos-config");
    let pair = json!({ "what": "configuration", "here": here, "offered": other.id("dcos-config") });
    let differences = offered["differences"].as_array().expect("a list");
    assert!(
        differences.contains(&pair)
            && differences.iter().all(|pair| pair["here"] != pair["offered"]),
        "{offered:#}"
    );
    let refused = image.image.install(image.serve.url(), &[]);
    refused.ends(
        5,
        &[
            &["this node runs another build: the configuration differs"],
            &["here:"],
            &["configuration", here],
            &["offered:"],
        ],
    );
    assert!(
        refused.err.contains(other.id("dcos-config")) && !refused.err.contains("bootstrap id"),
        "{}",
        refused.err
    );
    fs::remove_dir_all(image.serve.path()).expect("remove");
    let offered = image.offered();
    assert!(offered["same"].is_null() && offered["unknown"].is_string(), "{offered:#}");
}

/// Packages that are not active any more are of the inventory; what pkgpanda had not come to the
/// end of is not.
#[test]
fn verify_compares_an_adopted_node_with_its_adoption() {
    if !support::is_root() {
        return;
    }
    let image = support::classic::Image::golden("master", "master");
    let inactive = "opt/mesosphere/packages/python--half_tmp";
    image.write(&format!("{inactive}/bin/half"), "#!/bin/sh\n");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dcos-node"));
        Said::of(
            command
                .args(arguments)
                .arg("--root")
                .arg(image.root())
                .output()
                .expect("run dcos-node"),
        )
    };
    let before = Snapshot::of(image.root());
    run(&["adopt"]).ends(0, &[&["is adopted as master"]]);
    let changed = Snapshot::of(image.root()).changes_since(&before);
    assert!(changed.iter().all(|change| change.contains("/var/lib/dcos-node")), "{changed:#?}");
    run(&["verify"]).ends(0, &[&["as installed"]]);
    let directory = tempfile::tempdir().expect("a directory");
    run(&["bundle", directory.path().join("b.tar.gz").to_str().expect("UTF-8")]).ends(0, &[]);

    let names = |place: &str| {
        fs::read_dir(image.at(place))
            .expect("list")
            .map(|entry| entry.expect("an entry").path())
            .collect::<Vec<_>>()
    };
    let active: Vec<_> = names("opt/mesosphere/active")
        .iter()
        .map(|link| fs::read_link(link).expect("a link"))
        .collect();
    let is_active = |package: &std::path::Path| {
        active.iter().any(|target| target.file_name() == package.file_name())
    };
    let packages = names("opt/mesosphere/packages")
        .into_iter()
        .filter(|package| package.join("pkginfo.json").is_file());
    let inactive: Vec<_> = packages.filter(|package| !is_active(package)).collect();
    assert_eq!(inactive.len(), 1, "{inactive:?}");
    fs::write(inactive[0].join("pkginfo.json"), "{}").expect("write");
    run(&["verify"]).ends(6, &[&["pkginfo.json"]]);
}
