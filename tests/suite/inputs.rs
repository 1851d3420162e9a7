//! What options name must exist and be readable before anything else happens: exit code 2. A pipe
//! is read once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use support::build::Build;
use support::http_server::Server;
use support::image::{Image, Said};
use support::tls;

/// Options that name a file, each with a command that would change something.
const FILES: [(&str, &[&str]); 3] = [
    ("--ca-file", &["install", "slave", "--bootstrap-url", "http://192.0.2.1/"]),
    ("--ip-detect", &["preflight", "slave"]),
    ("--binary", &["publish", "."]),
];

/// Demands that a path is refused with its cause, before anything was made.
#[track_caller]
fn refused(image: &Image, option: &str, words: &[&str], path: &str, cause: &str) {
    let events = image.at("events");
    let more = ["--json", "--events", events.to_str().unwrap(), option, path];
    let said = image.run(&[words, &more].concat());
    let error = format!("error: cannot read {path} ({option}): {cause}");
    said.ends(2, &[&[&error], &["state:  nothing was changed"], &["cure:   name ", option]]);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((report["code"].as_u64(), report["exit"].as_str()), (Some(2), Some("usage")));
    assert!(!events.exists() && !image.has("var/lib/dcos-node"), "something was made before");
}

#[test]
fn missing_input_or_one_of_another_kind_is_a_usage_error() {
    let image = Image::new();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::create_dir(at("directory")).unwrap();
    for (option, words) in FILES {
        refused(&image, option, words, &at("missing"), "No such file or directory");
        refused(&image, option, words, "genconf/no-such-file", "No such file or directory");
        refused(&image, option, words, &at("directory"), "Is a directory");
        refused(&image, option, words, "/dev/null", "it is not a regular file");
    }
    fs::write(at("file"), "").unwrap();
    for command in ["publish", "serve"] {
        let refuse = |path: &str, cause: &str| {
            let error = format!("error: cannot read {path} (<DIRECTORY>): {cause}");
            image.run(&[command, path]).ends(2, &[&[&error], &["cure:", "genconf/serve"]]);
        };
        refuse(&at("missing"), "No such file or directory");
        refuse(&at("file"), "not a directory");
    }
}

#[test]
fn root_that_is_not_a_directory_is_a_usage_error() {
    let run = |root: &str, cause: &str| {
        let mut command = Command::new(support::node::binary());
        let said = Said::of(command.args(["status", "--root", root]).output().unwrap());
        let error = format!("error: cannot read {root} (--root): {cause}");
        said.ends(2, &[&[&error], &["cure:", "absolute path"]]);
    };
    run("/nonexistent", "No such file or directory");
    run("/etc/passwd", "not a directory");
    run("etc", "it is not an absolute path");
}

#[test]
fn input_that_this_user_cannot_read_is_a_usage_error() {
    if !support::is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (file, root) = (directory.path().join("file"), directory.path().join("root"));
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(&root).unwrap();
    for (option, words) in FILES {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(support::node::binary()).args(words).arg(option).arg(&file);
        let said = Said::of(command.arg("--root").arg(&root).output().unwrap());
        let error = format!("cannot read {} ({option}): Permission denied", file.display());
        said.ends(2, &[&[&error], &["cure:   name"]]);
    }
}

/// Runs a command of bash, which has process substitution, on an image.
fn bash(image: &Image, script: &str) -> Said {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "120", "bash", "-c", script]);
    command.env("NODE", support::node::binary()).env("ROOT", image.path());
    Said::of(command.output().unwrap())
}

#[test]
fn script_in_a_pipe_is_read_once_and_judged() {
    let image = Image::new();
    // Scripts run on a node only, not on a directory: this machine. A preflight changes nothing.
    let said = bash(
        &image,
        "\"$NODE\" preflight slave --json \
         --ip-detect <(printf '#!/bin/sh\\necho not-an-address\\n')",
    );
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let checks = report["checks"].as_array().unwrap().iter();
    let output = checks.clone().find(|check| check["id"] == "ip-detect.output").unwrap();
    assert!(output.to_string().contains("not-an-address"), "{output:#}");
    let closed = image.run(&["preflight", "--ip-detect", "/dev/fd/63"]);
    closed.ends(2, &[&["cure:", "sudo closes the pipe"]]);
    let binary = bash(&image, "\"$NODE\" publish --root \"$ROOT\" . --binary <(echo)");
    binary.ends(2, &[&["(--binary): it is not a regular file"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_in_a_pipe_serve_a_whole_fetch() {
    if !support::is_root() {
        return;
    }
    let (image, directory) = (Image::new(), tempfile::tempdir().unwrap());
    Build::tiny().pack(directory.path());
    let server = Server::start(directory.path()).await;
    let url = tls::in_front_of(server.url(), "valid.pem");
    let authority = tls::file("authority.pem");
    let run = tokio::task::spawn_blocking(move || {
        let said = bash(
            &image,
            &format!(
                "\"$NODE\" fetch --root \"$ROOT\" --bootstrap-url {url} --ca-file <(cat {})",
                authority.display()
            ),
        );
        said.ends(0, &[]);
    });
    run.await.unwrap();
}
