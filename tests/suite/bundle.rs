//! A support bundle: what is in it, that no planted secret is, and that it can be had of any node.

mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dcos_node::command::bundle;
use dcos_node::system::systemd::Fake;
use serde_json::Value;
use support::image::{Image, Mounted};

/// The files of a bundle by name.
fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(
        fs::File::open(path).expect("open the bundle"),
    ));
    let read = |mut entry: tar::Entry<'_, flate2::read::GzDecoder<fs::File>>| {
        let (name, mut text) = (entry.path().expect("a name").display().to_string(), String::new());
        entry.read_to_string(&mut text).expect("text");
        (name, text)
    };
    archive.entries().expect("an archive").map(|entry| read(entry.expect("an entry"))).collect()
}

#[test]
fn bundle_works_on_any_node_and_failures_suggest_it() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    // Nothing is installed, and the name is our own.
    fs::write(image.at("etc/hostname"), "node-7\n").expect("write");
    let place = image.at("bundles");
    fs::create_dir(&place).expect("make a directory");
    image
        .run(&["bundle", place.to_str().expect("UTF-8")])
        .ends(0, &[&["done:", "dcos-node-bundle-node-7-"], &["left out:", "docker credentials"]]);
    let made: Vec<_> =
        fs::read_dir(&place).expect("list").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(unpacked(&made[0]).contains_key("status.json"));

    // The journal cannot be followed, which stops every command that would go by it.
    image
        .run(&["install", "master", "--bootstrap-url", "/nowhere"])
        .ends(3, &[&["help:", "dcos-node bundle --root"]]);
    fs::create_dir_all(image.at("var/lib/dcos-node")).expect("make a directory");
    fs::write(image.at("var/lib/dcos-node/journal"), "garbage token=abc\n{}\n").expect("write");
    image
        .run(&["recover"])
        .ends(1, &[&["help:", "dcos-node bundle --root", "known secrets taken out"]]);
    let file = image.at("second.tar.gz");
    image.run(&["bundle", file.to_str().expect("UTF-8")]).ends(0, &[]);
    let files = unpacked(&file);
    assert_eq!(files["journal"], "garbage token=[redacted]\n{}\n");
    assert!(files["status.json"].contains("\"damaged\""), "{}", files["status.json"]);

    // Every command on a node offers one where it ends otherwise than hoped for, and not where a
    // bundle could tell nothing.
    let offers = |words: &[&str], code: i32| {
        let said = image.run(words);
        said.ends(code, &[]);
        assert_eq!(
            said.err.matches("  help:   dcos-node bundle --root ").count(),
            usize::from(code != 2),
            "{}",
            said.err
        );
    };
    offers(&["status"], 11);
    offers(&["verify"], 1);
    offers(&["adopt"], 1);
    offers(&["recover"], 1);
    offers(&["fetch", "--bootstrap-url", "/nowhere"], 1);
    offers(&["preflight", "master", "--bootstrap-url", "/nowhere"], 1);
    offers(&["uninstall", "--skip", "x"], 2);
    assert!(!image.run(&["publish", "/nowhere"]).err.contains("help:"));

    // For programs the same: what, why, how the node stands, what to do, and who could help.
    let document =
        |words: &[&str]| -> Value { serde_json::from_str(&image.run(words).out).expect("JSON") };
    let offer = format!("dcos-node bundle --root {}", image.path().display());
    let failure = document(&["recover", "--json"]);
    assert_eq!(
        (failure["code"].as_u64(), &failure["exit"], failure["help"].as_str()),
        (Some(1), &"failed".into(), Some(&*offer))
    );
    assert!(
        failure["error"]
            .as_str()
            .is_some_and(|error| error.contains("is damaged: line 1 of the journal")),
        "{failure:#}"
    );
    assert!(
        failure["cure"].as_str().is_some_and(|cure| cure.starts_with("restore it from a backup")),
        "{failure:#}"
    );
    assert_eq!(failure["state"], "nothing was changed");
    fs::remove_file(image.at("var/lib/dcos-node/journal")).expect("remove");
    let usage = document(&["install", "master", "--json"]);
    assert_eq!(
        (usage["code"].as_u64(), &usage["help"], usage["log"].as_array()),
        (Some(2), &Value::Null, None)
    );
    assert!(
        usage["cure"].as_str().is_some_and(|cure| cure.contains("--bootstrap-url")),
        "{usage:#}"
    );
    // A result that is not what was hoped for; and none that could be better.
    let refused = image.run(&["preflight", "master"]);
    assert_eq!(
        refused.code() == Some(3),
        refused.err.contains(&format!("  help:   {offer} collects")),
        "{}",
        refused.err
    );
    assert!(!image.run(&["status"]).ends(11, &[]).err.contains("help:"));
    image
        .run(&["bundle", "/proc/nowhere/x.tar.gz"])
        .ends(1, &[&["no bundle was written"], &["cure:", "dcos-node bundle FILE"]]);
}

/// Each distribution has another time daemon, and only those that are there are told of; that a
/// unit of DC/OS is absent tells something.
#[tokio::test]
async fn bundle_describes_only_the_clock_of_the_node() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    let units = image.at("etc/systemd/system");
    fs::create_dir_all(&units).expect("make a directory");
    for name in ["chrony.service", "containerd.service", "backup.service"] {
        fs::write(units.join(name), "[Service]\nExecStart=/bin/true\n").expect("write");
    }
    let world = image.world(Some(Ok(Arc::new(Fake::new(image.path())))));
    let file = image.at("bundle.tar.gz");
    // The same unit twice is one unit.
    let asked = ["backup.service", "chrony.service"].map(str::to_owned).to_vec();
    let request = bundle::Request { file: file.clone(), units: asked };
    bundle::run(&request, &world).await.expect("a bundle");
    let states: Value = serde_json::from_str(&unpacked(&file)["units.json"]).expect("JSON");
    let names: Vec<&str> =
        states.as_array().expect("units").iter().filter_map(|unit| unit["name"].as_str()).collect();
    assert!(names.ends_with(&[
        "dcos-setup.service",
        "dcos-download.service",
        "dcos-link-env.service",
        "containerd.service",
        "chrony.service",
        "backup.service"
    ]));
    assert!(!names.contains(&"chronyd.service") && !names.contains(&"docker.service"), "{names:?}");
}

/// A bundle takes the place of a bundle, of nothing else, and what cannot be written is not
/// collected first.
#[test]
fn bundle_overwrites_only_an_earlier_bundle() {
    if !support::is_root() {
        return;
    }
    let image = Image::new();
    let bundle = |path: &Path| image.run(&["bundle", path.to_str().expect("UTF-8")]);
    let (other, precious) = (image.at("other.tar.gz"), image.at("etc/passwd"));
    fs::write(&other, "another archive").expect("write");
    for path in [&other, &precious] {
        let was = fs::read(path).expect("read");
        bundle(path)
            .ends(2, &[&["is no bundle that a new one could replace"], &["no bundle was written"]]);
        assert_eq!(fs::read(path).expect("read"), was);
    }
    // Whatever its name is.
    let first = image.at("first");
    bundle(&first).ends(0, &[]);
    bundle(&first).ends(0, &[]);
    image.run(&["bundle", "-"]).ends(2, &[&["is no file"]]);
    for name in ["../sshd.service", "a b", ""] {
        image.run(&["bundle", "--unit", name]).ends(2, &[&["--unit", "not the name of a unit"]]);
    }
    bundle(&image.at("nowhere/")).ends(2, &[&["is not a directory"]]);
    bundle(&image.at("nowhere/x.tar.gz"))
        .ends(1, &[&["cannot write into the directory", "nowhere", "No such file"]]);
    let place = image.at("read-only");
    fs::create_dir(&place).expect("make a directory");
    let mounted = Mounted::memory(&place, 1 << 20);
    mounted.read_only(true);
    bundle(&place)
        .ends(1, &[&["cannot write into the directory", "read-only"], &["Read-only file system"]]);
    drop(mounted);
    // Two within one second have names of their own.
    let place = image.at("many");
    fs::create_dir(&place).expect("make a directory");
    for _ in 0..3 {
        bundle(&place).ends(0, &[]);
    }
    assert_eq!(fs::read_dir(&place).expect("list").count(), 3);
}
