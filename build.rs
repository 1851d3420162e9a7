//! Build script: records the commit and the target for `--version`.
#![allow(clippy::print_stdout, clippy::disallowed_types, reason = "a build script speaks to cargo by printing")]

fn main() {
    let commit = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.ok().filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo::rustc-env=DCOS_NODE_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
    println!("cargo::rustc-env=DCOS_NODE_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=units");
}
