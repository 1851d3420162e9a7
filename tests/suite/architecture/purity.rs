//! Modules that only think know no clock, no disk and no path of their own.

use std::collections::BTreeSet;

use support::source::{Kind, Sources};

use super::{HANDS, at, finds, holds, is_in, src, uses};

/// Rooms that only think.
const PURE: [&str; 3] = ["dcos", "plan", "preflight"];
/// What a pure room has no use for, besides [`HANDS`].
const IMPURE: [&str; 12] = [
    "std::process",
    "std::env",
    "std::thread",
    "std::time::SystemTime::now",
    "std::time::Instant",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os",
    "tokio",
    "nix",
];
/// Methods of `Path` that look at the disk.
const LOOKING: [&str; 10] = [
    "exists",
    "try_exists",
    "is_file",
    "is_dir",
    "is_symlink",
    "metadata",
    "symlink_metadata",
    "read_dir",
    "read_link",
    "canonicalize",
];

/// Literals elsewhere than in `dcos/layout.rs` that begin with a slash: in which file (or file with
/// the files below it), how they begin, and why none of them belongs to the layout of a node. `/`
/// stands for itself only.
const PATHS_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "action/account",
        "/usr/sbin:/usr/bin:",
        "where this machine has programs; the node may be a directory",
    ),
    ("cli", "/", "the node is this machine unless --root says otherwise"),
    ("command/world", "/", "the node's root itself, for the name of its lock"),
    ("dcos/bundle", "/etc/", "a table of what a bundle holds, each with its name there"),
    ("dcos/bundle", "/opt/", "the same"),
    ("dcos/bundle", "/proc/", "the same"),
    ("dcos/bundle", "/var/", "the same"),
    ("dcos/cluster", "/dcos-metadata/", "a path of Admin Router's HTTP interface"),
    ("dcos/cluster", "/exhibitor/", "a path of Exhibitor's HTTP interface"),
    ("dcos/cluster", "/metrics/", "a path of Mesos' HTTP interface"),
    ("dcos/data", "/etc/", "a table of places with data, each with what it holds"),
    ("dcos/data", "/var/", "the same"),
    ("dcos/leftovers", "/etc/", "a table of what DC/OS leaves, each with who makes it"),
    ("dcos/leftovers", "/opt/", "the same"),
    ("dcos/leftovers", "/run/", "the same"),
    ("dcos/leftovers", "/tmp/", "the same"),
    ("dcos/installer_script", "/bootstrap/", "in the middle of a URL"),
    ("dcos/installer_script", "/ln", "the end of a path in a unit that is read"),
    ("dcos/network", "/rp_filter", "the end of a setting's name"),
    ("dcos/work", "/state", "a path of Mesos' HTTP interface"),
    ("dcos/work", "/slaves", "a path of Mesos' HTTP interface"),
    ("observe/docker", "/version", "a path of docker's HTTP interface"),
    ("observe/docker", "/info", "a path of docker's HTTP interface"),
    ("observe/host", "/containers/json", "a path of docker's HTTP interface"),
    (
        "system/resolver",
        "/etc/hosts",
        "of this machine, for its own lookups, as the resolver's servers",
    ),
    ("system/append", "/proc/self/fd/", "a descriptor of this process"),
    ("system/http", "/", "between a name and a version"),
    ("system/kernel", "/proc/self/task", "the threads of this process"),
    ("system/journald", "/proc/sys/kernel/random/", "the kernel's, of this machine"),
    ("system/journal_socket", "/proc/self/fd/", "a descriptor of this process"),
    ("system/label", "/etc/selinux/", "SELinux' own; looked for below the root"),
    ("system/label", "/usr/sbin:/usr/bin:", "where this machine has programs"),
    ("system/label", "/sys/fs/selinux/", "the kernel's; looked for below the root"),
    (
        "system/mount_points",
        "/proc/self/mountinfo",
        "what is mounted, for deletions on this machine",
    ),
    ("system/mounts", "/", "the directory above all others"),
    (
        "system/mounts",
        "/proc",
        "the kernel's, of this machine: what is mounted changes when this process is sealed",
    ),
    ("system/files/held", "/", "where an absolute path begins"),
    ("system/server", "/proc/self/fd/", "where a file of this process really is"),
    ("system/process/place", "/tmp/", "where a directory is made for scripts of this machine"),
    ("observe/modules", "/etc/modprobe.d:", "where kmod has its rules, in its order"),
    ("system/confine", "/proc/self/", "what the kernel says of this process, and this program"),
    ("system/confine/limits", "/proc/", "what the kernel counts of a script's processes"),
    ("system/confine/notices", "/proc", "the processes of a script"),
    ("system/confine/notices", "/var/run/nscd/socket", "where the C library looks on this machine"),
    ("system/confine/notices", "/run/nscd/socket", "where the C library looks on this machine"),
    (
        "system/confine/notices",
        "/var/run/.nscd_socket",
        "where the C library looks on this machine",
    ),
    ("system/confine/processes", "/proc", "the processes of a script"),
    ("system/confine/supervise", "/tmp", "where scripts of this machine write"),
    ("system/confine/view", "/", "the root of this process, and the view that replaces it"),
    ("system/confine/view", "/dev", "devices of this machine"),
    ("system/confine/view", "/proc", "the processes of this machine"),
    ("system/confine/view", "/sys", "the kernel's, of this machine"),
    ("system/confine/view", "/tmp", "where scripts of this machine write"),
    ("system/confine/view", "/var/", "where scripts of this machine write"),
    (
        "system/process",
        "/",
        "the working directory of programs; the beginning of an interpreter's path",
    ),
    ("system/root", "/", "the root that is this machine's"),
    ("system/seal", "/", "the root of this process, whatever node it looks at"),
    ("system/seal", "/proc/self/", "what the kernel tells of this process"),
    ("system/seal", "/dev/", "devices of this machine"),
    ("system/seal", "/tmp", "where programs of this machine write"),
    ("system/systemd/sockets", "/run/dbus/", "a default of `Sockets`, which tests replace"),
    ("system/systemd/sockets", "/run/systemd/", "a default of `Sockets`, which tests replace"),
    ("system/systemd", "/org/freedesktop/", "an object of D-Bus"),
    ("system/systemd/fake", "/etc/systemd/system", "systemd's own, which the fake plays"),
    ("system/systemd/fake", "/dev/null", "the target of the link that masks a unit"),
    ("system/systemd/fake", "/", "taken off a path to put it below the fake's root"),
    ("system/unpack", "/", "in the names of an archive's members"),
];

/// Rooms that only think have no file, socket, process or clock.
fn purity(sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    let forbidden = [&HANDS[..], &IMPURE].concat();
    for file in sources.files.iter().filter(|file| PURE.contains(&file.room())) {
        complaints.extend(uses(file, &forbidden).map(|(line, path)| {
            at(file, line, &format!("{path} in the pure room {}", file.room()))
        }));
        for three in file.tokens.windows(3) {
            if three[0].text == "."
                && LOOKING.contains(&three[1].text.as_str())
                && three[2].text == "("
            {
                complaints.push(at(
                    file,
                    three[1].line,
                    &format!(".{}() in the pure room {}", three[1].text, file.room()),
                ));
            }
        }
    }
    complaints
}

#[test]
fn dcos_plan_and_preflight_are_pure() {
    holds(&purity(&src()));
}

#[test]
fn planted_clock_in_a_pure_module_is_found() {
    let planted = Sources::of([
        (
            "dcos/moment.rs",
            "use std::time::SystemTime;\n\
             fn a(t: SystemTime) { SystemTime::now(); }\n\
             fn b() { env!(\"X\"); }\n",
        ),
        (
            "plan/mod.rs",
            "use std::net::IpAddr;\n\
             use std::net::{TcpStream};\n\
             fn a(p: &Path) { p.exists(); exists(); }\n",
        ),
        ("preflight/mod.rs", "use std::thread;\nfn a() { nix::unistd::getuid(); }\n"),
        ("observe/mod.rs", "use std::thread;\n"),
    ]);
    let expected = [
        "moment.rs:2",
        "plan/mod.rs:2",
        "plan/mod.rs:3: .exists()",
        "preflight/mod.rs:1",
        "preflight/mod.rs:2",
    ];
    finds(&purity(&planted), &expected);
}

/// The root directory is a value: absolute paths stand in one file, and what else looks like one
/// has a reason in a table.
fn absolute_paths(sources: &Sources, elsewhere: &[(&str, &str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = BTreeSet::new();
    for file in sources.files.iter().filter(|file| file.path != "dcos/layout.rs") {
        for token in file.tokens.iter().filter(|t| t.kind == Kind::Text && t.text.starts_with('/'))
        {
            let begins = |literal: &str| {
                token.text == literal || (literal != "/" && token.text.starts_with(literal))
            };
            match elsewhere
                .iter()
                .position(|(place, literal, _)| is_in(file, place) && begins(literal))
            {
                Some(reason) => drop(used.insert(reason)),
                None => complaints.push(at(
                    file,
                    token.line,
                    &format!("\"{}\" belongs into dcos/layout.rs", token.text),
                )),
            }
        }
    }
    let unused = elsewhere.iter().enumerate().filter(|(index, _)| !used.contains(index));
    complaints.extend(unused.map(|(_, (place, literal, _))| {
        format!(
            "src/{place}: \"{literal}\" is gone; so may be its reason in \
             tests/suite/architecture/purity.rs"
        )
    }));
    complaints
}

#[test]
fn absolute_paths_are_in_the_layout() {
    holds(&absolute_paths(&src(), PATHS_ELSEWHERE));
}

#[test]
fn planted_absolute_path_is_found() {
    let planted = Sources::of([
        ("dcos/layout.rs", "const A: &str = \"/opt\";"),
        (
            "action/place.rs",
            "const A: &str = \"/proc/self/exe\";\n\
             const B: &[u8] = br#\"/etc\"#;\n\
             fn a(c: char) { c == '/' || c == '\"'; \"a/b\" }\n\
             // \"/x\"\n\
             const C: &str = \"\\\"/\";\n\
             const D: &str = \"/\";\n",
        ),
    ]);
    let reasons = [
        ("action/place", "/proc/self/", "ourselves"),
        ("action", "/", "a separator"),
        ("action/run", "/x", "gone"),
    ];
    finds(&absolute_paths(&planted, &reasons), &["place.rs:2: \"/etc\"", "src/action/run"]);
}
