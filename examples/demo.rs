//! Shows the main job on a throwaway node: `demo [SERVE-DIRECTORY]`. Without a directory it packs
//! and serves the fixture build.
//!
//! As root on Linux it is a real node: a system that boots, a network, a bootstrap server. Without
//! root the same commands work on a temporary directory, with `--root`. What is printed between the
//! command lines is what dcos-node printed.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the rules of src/; this looks from outside"
)]

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use support::build::Build;
use support::node::{self, Node, Server};

/// A build may name other machines as masters than the throwaway node.
const OTHER_MASTERS: [&str; 2] = ["--skip", "ip-detect.master-list=the build names other machines"];

fn main() -> ExitCode {
    let packed = tempfile::tempdir().expect("a temporary directory");
    let build = std::env::args_os().nth(1).map(PathBuf::from).unwrap_or_else(|| {
        Build::fixture().pack(packed.path());
        packed.path().to_owned()
    });
    let all_well = match node::can_run() {
        Ok(()) => on_a_node(build),
        Err(reason) => {
            println!(
                "No throwaway node can be had here ({reason}); a temporary directory has to do, \
                 with --root."
            );
            in_a_directory(build)
        }
    };
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn on_a_node(build: PathBuf) -> bool {
    println!(
        "Booting a throwaway node and a bootstrap server; the first time, a Debian is made for it, \
         which takes a minute."
    );
    let server = Server::serving(build);
    let node = Node::boot("demo").knowing(&server);
    node.install_binary();
    story(server.url(), |arguments| {
        let done = node.run(&[&["dcos-node"], arguments].concat());
        (done.code(), done.stdout().to_owned(), done.stderr().to_owned())
    })
}

fn in_a_directory(build: PathBuf) -> bool {
    let root = tempfile::tempdir().expect("a temporary directory");
    let directory = root.path().to_str().expect("its path is UTF-8").to_owned();
    let build = build.to_str().expect("the path of the build is UTF-8");
    story(build, |arguments| {
        let done = Command::new(node::binary())
            .args(arguments)
            .args(["--root", &directory])
            .output()
            .expect("run dcos-node");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    })
}

/// Runs the commands and shows what they print. True if the node was installed and is clean again.
fn story(url: &str, run: impl Fn(&[&str]) -> (Option<i32>, String, String)) -> bool {
    let show = |arguments: &[&str]| {
        let quoted: Vec<_> = arguments
            .iter()
            .map(|it| if it.contains(' ') { format!("'{it}'") } else { (*it).to_owned() })
            .collect();
        println!("\n# dcos-node {}", quoted.join(" "));
        let (code, stdout, stderr) = run(arguments);
        print!("{stderr}{stdout}");
        println!("[exit code {}]", code.map_or_else(|| "none".to_owned(), |code| code.to_string()));
        code == Some(0)
    };
    let skips = [node::LACKS, &OTHER_MASTERS].concat();
    show(&[&["preflight", "master", "--bootstrap-url", url], skips.as_slice()].concat());
    let installed =
        show(&[&["install", "master", "--bootstrap-url", url], skips.as_slice()].concat());
    show(&["status"]);
    let removed = show(&["uninstall", "--yes"]);
    installed && removed
}
