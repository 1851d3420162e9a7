//! Every fault under which the classic installer was watched, met by dcos-node: `docs/faults.md`
//! has both side by side.
//!
//! A row is replayed so: something is broken, `install` says in one line what and ends with the
//! right code, the node is as it was, the cause is removed, and the same command ends in the
//! undisturbed tree.

mod archives;
mod machine;
mod server;
mod table;

use std::path::Path;
use std::sync::OnceLock;

use support::build::Build;
use support::http_server::Server;
use support::image::{Image, Serve};
use support::tree::Snapshot;

/// The tree of `tiny` without any fault, and the bytes that it takes.
fn undisturbed() -> &'static Snapshot {
    static TREE: OnceLock<Snapshot> = OnceLock::new();
    TREE.get_or_init(|| {
        let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
        image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
        image.tree()
    })
}

/// Replays one row about what a server has: `install` fails with this code and these words in one
/// line, and works once the server is mended.
#[track_caller]
fn replay(spoil: impl FnOnce(&Serve), code: i32, line: &[&str], more: &[&str]) {
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    spoil(&serve);
    let before = image.tree();
    image.install(serve.url(), more).ends(code, &[line, &["state:"], &["cure:"]]);
    image.is_as(&before);
    Build::tiny().pack(serve.path());
    image.install(serve.url(), &[]).ends(0, &[&["done:"]]);
    image.equals(undisturbed());
}

/// The archive of one package replaced by that of another build, under its old name.
fn content(package: &'static str, change: impl FnOnce(Build) -> Build) -> impl FnOnce(&Serve) {
    move |serve| {
        let other = Serve::of(&change(Build::tiny()));
        std::fs::copy(other.packed.archive(package), serve.packed.archive(package))
            .expect("replace the archive");
    }
}

fn id(package: &str) -> String {
    static IDS: OnceLock<std::collections::BTreeMap<String, String>> = OnceLock::new();
    IDS.get_or_init(|| Serve::of(&Build::tiny()).packed.ids.clone())[package].clone()
}

/// A server of `tiny`, an image, and what stood in it.
async fn served() -> (Serve, Server, Image, Snapshot) {
    let serve = Serve::of(&Build::tiny());
    let server = Server::start(serve.path()).await;
    let image = Image::new();
    let before = image.tree();
    (serve, server, image, before)
}

/// The path of an archive on the server.
fn on_server(serve: &Serve, archive: &Path) -> String {
    format!("/{}", archive.strip_prefix(serve.path()).expect("it is served").display())
}

/// The same command with the same address of the server, now that it is well again.
#[track_caller]
fn converges(image: &Image, url: &str) {
    image.install(url, &[]).ends(0, &[&["done:"]]);
    image.equals(undisturbed());
}
