//! What real builds of DC/OS 1.10 to 2.2 do, each in the shape of its release: files that are empty
//! from the beginning, units that are links, owners that services change, files outside of DC/OS'
//! own places, a first activation that was killed.

use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Output};

use support::build::Compression;
use support::classic::Image;
use support::shape::Shape;
use tempfile::TempDir;

fn run(image: &Image, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(arguments).arg("--root").arg(image.root()).output().expect("run dcos-node")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    said(output)
}

fn serving(shape: Shape) -> TempDir {
    let serve = tempfile::tempdir().expect("a directory");
    shape.build().compressed(Compression::Zstd).pack(serve.path());
    serve
}

fn install(image: &Image, serve: &TempDir, role: &str) -> Output {
    let url = serve.path().to_str().expect("UTF-8");
    run(image, &["install", role, "--bootstrap-url", url])
}

/// An image that was installed, and where from.
fn installed(shape: Shape, role: &str) -> (Image, TempDir) {
    let (image, serve) = (Image::clean(), serving(shape));
    ends(&install(&image, &serve, role), 0);
    (image, serve)
}

/// The same, had the classic installer made it.
fn classic(shape: Shape, role: &str) -> (Image, TempDir) {
    let (image, serve) = installed(shape, role);
    ["opt/dcos-node", "var/lib/dcos-node"].iter().for_each(|ours| image.remove(ours));
    image.write(
        "etc/systemd/system/dcos-setup.service",
        "[Service]\nExecStart=/opt/mesosphere/bin/pkgpanda setup\n",
    );
    (image, serve)
}

fn names(image: &Image, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(image.at(directory)).expect("list");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A package's directory in the repository.
fn package(image: &Image, name: &str) -> String {
    let id = names(image, "opt/mesosphere/packages")
        .into_iter()
        .find(|id| id.split_once("--").is_some_and(|(of, _)| of == name));
    format!("opt/mesosphere/packages/{}", id.expect(name))
}

#[test]
fn classic_node_with_a_script_built_empty_is_adopted() {
    if !support::is_root() {
        return;
    }
    for shape in [Shape::V1_12, Shape::V2_2] {
        let (image, _serve) = classic(shape, "master");
        let status: serde_json::Value =
            serde_json::from_slice(&run(&image, &["status", "--json"]).stdout).expect("JSON");
        let data = status.get("data").unwrap_or(&status);
        assert_eq!(data["unfinished"], serde_json::json!([]), "{status}");
        ends(&run(&image, &["adopt"]), 0);
        ends(&run(&image, &["verify"]), 0);
    }
}

#[test]
fn classic_node_with_an_emptied_program_is_not_adopted() {
    if !support::is_root() {
        return;
    }
    let (image, _serve) = classic(Shape::V1_12, "master");
    let program = format!("{}/bin/detect_ip", package(&image, "dcos-config"));
    image.write(&program, "");
    let refusal = ends(&run(&image, &["adopt"]), 5);
    assert!(refusal.contains(&program) && !refusal.contains("detect_ip6"), "{refusal}");
}

#[test]
fn owners_changed_by_the_ui_updater_are_no_drift() {
    if !support::is_root() {
        return;
    }
    for shape in [Shape::V1_13, Shape::V2_2] {
        let (image, _serve) = installed(shape, "master");
        let group = image.read("etc/group");
        let number = group.lines().find_map(|line| {
            line.strip_prefix("dcos_ui_update_service:")?.split(':').nth(1)?.parse::<u32>().ok()
        });
        let number = number.expect("the group");
        let interface = format!("{}/usr", package(&image, "dcos-ui"));
        for given in ["var/lib/dcos/dcos-ui-update-service", interface.as_str()] {
            chown(image.at(given), Some(0), Some(number)).expect("chown");
        }
        ends(&run(&image, &["verify"]), 0);
        let status: serde_json::Value =
            serde_json::from_slice(&run(&image, &["status", "--json"]).stdout).expect("JSON");
        let data = status.get("data").unwrap_or(&status);
        assert_eq!(data["drift"]["drifted"], false, "{status}");
        // What the updater does not own is drift as ever.
        let page = format!("{interface}/index.html");
        chown(image.at(&page), None, Some(number)).expect("chown");
        assert_eq!(image.at(&page).metadata().expect("the page").gid(), number);
        let drift = ends(&run(&image, &["verify"]), 6);
        assert!(drift.contains(&page), "{drift}");
    }
}
