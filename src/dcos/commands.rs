//! The programs of the distribution that DC/OS runs by name, by version.

/// What all versions run (`gen/build_deploy/bash.py`, check_all, and `dcos-net.service`).
const ALWAYS: [&str; 14] = [
    "bash",
    "curl",
    "docker",
    "ip",
    "ipset",
    "iptables",
    "modprobe",
    "ping",
    "systemctl",
    "systemd-notify",
    "tar",
    "unzip",
    "useradd",
    "xz",
];
/// What only 1.12 asks for, in its script and in its checks.
const IN_1_12: [&str; 1] = ["ifconfig"];

/// What any version runs.
pub fn all() -> impl Iterator<Item = &'static str> {
    ALWAYS.into_iter().chain(IN_1_12)
}

/// What this version runs, as (major, minor); what all do, if it is not known.
pub fn needed(version: Option<(u32, u32)>) -> impl Iterator<Item = &'static str> {
    ALWAYS.into_iter().chain(IN_1_12.into_iter().filter(move |_| version == Some((1, 12))))
}
