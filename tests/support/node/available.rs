//! What a machine needs for nodes, and what is said where it lacks that.

use std::env;
use std::io::Write;
use std::path::PathBuf;

use super::{cgroups, debian};

/// Whether this machine can have nodes, and if not, what is missing.
pub fn can_run() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it takes root".to_owned());
    }
    let programs = ["systemd-nspawn", "nsenter", "ip", "nginx", "cp", "setsid"];
    let mut missing: Vec<&str> = programs.into_iter().filter(|name| !installed(name)).collect();
    if !debian::are_there() && !installed("mmdebstrap") {
        missing.push("mmdebstrap");
    }
    if !missing.is_empty() {
        return Err(format!("not installed: {}", missing.join(", ")));
    }
    cgroups::check()
}

/// True if nodes can be had. If not, says on the terminal that the test was not run, and fails it
/// where `CI` is set: there a missing capability must not look like success.
pub fn available() -> bool {
    match can_run() {
        Ok(()) => true,
        Err(reason) => not_run(&reason),
    }
}

/// False, after the same for a test that lacks something else.
pub fn not_run(reason: &str) -> bool {
    if env::var("CI").is_ok_and(|value| value == "true" || value == "1") {
        panic!("this test needs real nodes, and CI must have them: {reason}");
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Written past the test runner, which swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test} needs real nodes: {reason}");
    false
}

fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).any(|directory| directory.join(program).is_file())
}

/// What no throwaway node has, as arguments of `install` and `preflight`: it is a container of a
/// small Debian.
pub const LACKS: &[&str] = &[
    "--skip",
    "time.sync=the clock is the host's",
    "--skip",
    "kernel.modules-net=the kernel is the host's, and the stand-ins for DC/OS load no modules",
    "--skip",
    "software.commands=the small Debian has no docker, ipset and unzip, and the stand-ins run none \
     of them",
    "--skip",
    "accounts.groups=there is no docker that would have made its group",
    "--skip",
    "docker.reachable=there is no docker, and the stand-ins for DC/OS start no containers",
];
