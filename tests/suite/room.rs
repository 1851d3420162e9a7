//! Room for the packages of a published build is judged on each file system that they will be
//! written to: where they wait, and where an install moves them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::statvfs::statvfs;
use support::build::Build;
use support::image::{Image, Mounted, Serve};
use tempfile::TempDir;

/// Bytes of the one large file of the build.
const LARGE: usize = 6 << 20;
/// Less than that.
const SMALL: usize = 2 << 20;
/// Enough for all of it twice.
const AMPLE: usize = 64 << 20;

struct Published {
    serve: Serve,
    programs: TempDir,
}

impl Published {
    fn of(build: Build) -> Published {
        let published =
            Published { serve: Serve::of(&build), programs: tempfile::tempdir().unwrap() };
        // A small copy: a debug build has a hundred megabytes of symbols.
        let strip = Command::new("strip")
            .arg("-o")
            .arg(published.programs.path().join("program"))
            .arg(env!("CARGO_BIN_EXE_dcos-node"))
            .status();
        assert!(strip.unwrap().success());
        published
    }

    fn url(&self) -> String {
        format!("file://{}", self.serve.url())
    }

    /// Publishes what is there and returns the stamped program.
    fn publish(&self) -> PathBuf {
        let output = Command::new(self.programs.path().join("program"))
            .args(["publish", "--bootstrap-url", &self.url(), self.serve.url()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.serve.path().join("dcos-node")
    }
}

fn large() -> Build {
    Build::tiny().with_file("files", "etc/large", 0o644, "x".repeat(LARGE))
}

/// Leaves so many bytes on a file system in memory.
fn leave(mounted: &Mounted, at: PathBuf, bytes: usize) {
    let status = statvfs(&at).unwrap();
    let used = (status.blocks() - status.blocks_free()) * status.fragment_size();
    mounted.resize(usize::try_from(used).unwrap() + bytes);
}

#[test]
fn unverified_kept_packages_need_room_again() {
    if !support::is_root() {
        return;
    }
    let server = Published::of(large());
    let (image, mounted) = Image::of_size(AMPLE);
    let sound = server.serve.packed.tamper("files", "etc/by-number", |text| text + "more\n");
    image.run(&["fetch", "--bootstrap-url", &server.url()]).ends(0, &[]);
    fs::write(server.serve.packed.archive("files"), sound).unwrap();
    let stamped = server.publish();
    leave(&mounted, image.at(""), SMALL);
    let refused = image.run_with(&stamped, &["fetch"]);
    refused.ends(3, &[&["do not fit", "(tmpfs) needs 6.", "left"]]);
    mounted.resize(AMPLE);
    image.run_with(&stamped, &["fetch"]).ends(0, &[]);
    // The same packages, now verified, need nothing.
    leave(&mounted, image.at(""), SMALL);
    image.run_with(&stamped, &["fetch"]).ends(0, &[]);
}

#[test]
fn packages_need_room_where_they_wait_and_where_they_go() {
    if !support::is_root() {
        return;
    }
    let server = Published::of(large());
    let stamped = server.publish();
    let image = Image::new();
    for directory in ["opt/mesosphere", "opt/dcos-node"] {
        fs::create_dir(image.at(directory)).unwrap();
    }
    let repository = Mounted::memory(&image.at("opt/mesosphere"), AMPLE);
    let _state = Mounted::memory(&image.at("var"), AMPLE);
    fs::create_dir(image.at("var/lib")).unwrap();
    let fetch = || image.run_with(&stamped, &["fetch"]);

    let store = Mounted::memory(&image.at("opt/dcos-node"), SMALL);
    fetch().ends(3, &[&["opt/dcos-node (tmpfs) needs 6."]]);
    store.resize(AMPLE);
    repository.resize(SMALL);
    fetch().ends(3, &[&["opt/mesosphere (tmpfs) needs 6."]]);
    repository.resize(AMPLE);
    fetch().ends(0, &[]);
    // What waits on another file system needs no more room there, but still has to be moved.
    leave(&store, image.at("opt/dcos-node"), SMALL);
    fetch().ends(0, &[]);
    repository.resize(SMALL);
    fetch().ends(3, &[&["opt/mesosphere (tmpfs) needs 6."]]);
}
