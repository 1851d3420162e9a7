//! Nothing of a published build is used, run or called verified that was not compared with its
//! index, byte for byte.

mod compared;
mod fetched;
mod stamped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::build::{Build, Packed};
use support::image::{Image, Said};
use tempfile::TempDir;

/// What an attacker adds to a file.
const EVIL: &str = "# EVIL\n";

/// A serve directory and the programs of its publications.
struct Server {
    directory: TempDir,
    packed: Packed,
    plain: PathBuf,
    _programs: TempDir,
}

impl Server {
    fn of(build: Build) -> Server {
        let (directory, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packed = build.pack(directory.path());
        // A small copy: a debug build has a hundred megabytes of symbols.
        let plain = programs.path().join("program");
        let strip = Command::new("strip")
            .arg("-o")
            .arg(&plain)
            .arg(env!("CARGO_BIN_EXE_dcos-node"))
            .status();
        assert!(strip.unwrap().success());
        Server { directory, packed, plain, _programs: programs }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn url(&self) -> String {
        format!("file://{}", self.directory.path().display())
    }

    /// Publishes what is there, and returns the stamped program.
    fn publish(&self, more: &[&str]) -> PathBuf {
        let output = Command::new(&self.plain)
            .args(["publish", "--bootstrap-url", &self.url()])
            .args(more)
            .arg(self.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.path("dcos-node")
    }

    fn index_sha256(&self) -> String {
        let text = fs::read(self.path("dcos-build.json")).unwrap();
        dcos_node::system::digest::hex(&dcos_node::system::digest::sha256(&text))
    }

    /// The same package ids with something added to a file; returns the true archive.
    fn tamper(&self, package: &str, file: &str) -> Vec<u8> {
        self.packed.tamper(package, file, |text| text + EVIL)
    }
}

/// The file that the attacker changes.
const CHANGED: &str = "etc/by-number";
/// Where packages wait for an install.
const STORE: &str = "var/lib/dcos-node/packages";

fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
}

fn is_evil(image: &Image, server: &Server) -> bool {
    let files = |place: &str| image.at(place).join(server.packed.id("files")).join(CHANGED);
    let file = ["opt/mesosphere/packages", STORE].map(files).into_iter().find(|file| file.exists());
    fs::read_to_string(file.unwrap()).unwrap().contains(EVIL)
}

fn receipt(image: &Image) -> Value {
    serde_json::from_slice(&fs::read(image.at("var/lib/dcos-node/receipt.json")).unwrap()).unwrap()
}

/// The origins of all packages that a run told, by package name.
fn origins(events: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(events).unwrap();
    let mut origins: Vec<(String, String)> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "package")
        .map(|event| {
            let id = event["id"].as_str().unwrap();
            (
                id.split("--").next().unwrap().to_owned(),
                event["origin"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    origins.sort();
    fs::remove_file(events).unwrap();
    origins
}

fn all(origin: &str) -> Vec<(String, String)> {
    ["files", "tools", "units"].map(|name| (name.to_owned(), origin.to_owned())).into()
}

const INSTALL: [&str; 5] = ["install", "master", "-d", "--require-digests", "--json"];
