//! `verify` and the drift in `status`: what was changed behind dcos-node is found, by name and by letter, and nothing else is.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;
use support::build::Build;
use support::image::{Image, Serve};

/// An image with a build installed in it.
struct Installed {
    image: Image,
    serve: Serve,
}

impl Installed {
    fn new() -> Installed {
        let installed = Installed { image: Image::new(), serve: Serve::of(&Build::fixture()) };
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
fn every_kind_of_change_is_found_with_its_letter_and_nothing_else() {
    if !support::is_root() {
        return;
    }
    let image = Installed::new();
    let clean = image.json(&["verify"], 0);
    assert_eq!((clean["clean"].as_bool(), clean["packages"].as_u64()), (Some(true), Some(32)), "{clean:#}");

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
    symlink("/etc/systemd/system/portworx.service", image.at("/etc/systemd/system/dcos.target.wants/portworx.service")).expect("link");

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
    let at_run_time: Vec<&str> = report["at_run_time"].as_array().expect("a list").iter().filter_map(|d| d["what"].as_str()).collect();
    assert!(at_run_time.contains(&compiled.as_str()) && at_run_time.iter().all(|path| path.contains("__pycache__")), "{at_run_time:?}");

    // Of all this the quick look sees what has another size, time or link.
    let drift = &image.json(&["status"], 0)["drift"];
    assert_eq!((drift["drifted"].as_bool(), drift["foreign_units"][0].as_str()), (Some(true), Some("portworx.service")), "{drift:#}");
    assert_eq!(
        (drift["files"]["changed"].as_u64(), drift["files"]["missing"].as_u64(), drift["files"]["extra"].as_u64()),
        (Some(3), Some(1), Some(2))
    );
}

#[test]
fn a_change_of_the_same_length_is_found_although_only_its_time_tells() {
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
fn what_cannot_be_read_is_no_proof_and_a_node_without_dcos_has_nothing_to_compare() {
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

/// The server has another configuration, has the same, or is gone; it is asked only with `--online`.
#[test]
fn another_build_on_the_server_is_told_only_when_it_is_asked_for() {
    if !support::is_root() {
        return;
    }
    let image = Installed::new();
    assert!(image.json(&["status"], 0)["drift"].get("offered").is_none());
    assert_eq!(image.json(&["status", "--online"], 0)["drift"]["offered"]["same"], true);
    let other = Build::fixture().with_config("dns_search", "other.example").pack(image.serve.path());
    let offered = &image.json(&["status", "--online"], 0)["drift"]["offered"];
    assert_eq!((offered["same"].as_bool(), offered["difference"].as_str()), (Some(false), Some("configuration")), "{offered:#}");
    assert_eq!(offered["config_package"].as_str(), Some(other.id("dcos-config")));
    fs::remove_dir_all(image.serve.path()).expect("remove");
    let offered = &image.json(&["status", "--online"], 0)["drift"]["offered"];
    assert!(offered["same"].is_null() && offered["unknown"].is_string(), "{offered:#}");
}
