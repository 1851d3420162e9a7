//! The units that we install ourselves, and the names that no package may use.

/// `pkgpanda/constants.py`, RESERVED_UNIT_NAMES.
pub const RESERVED: [&str; 3] = ["dcos.target", "dcos-download.service", "dcos-setup.service"];

/// Ours: runs `dcos-node recover` at every boot.
pub const SETUP: &str = include_str!("../../units/dcos-setup.service");

/// What starts the role; only an `[Install]` section, as pkgpanda writes it (`pkgpanda/actions.py`, setup).
pub const TARGET: &str = include_str!("../../units/dcos.target");

/// What runs Mesos' agent, by role.
pub const AGENTS: [&str; 2] = ["dcos-mesos-slave.service", "dcos-mesos-slave-public.service"];

/// What runs ZooKeeper on a master.
pub const EXHIBITOR: &str = "dcos-exhibitor.service";

/// The suffixes that make a file name a unit (`systemd.unit(5)`).
const SUFFIXES: [&str; 11] = ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

/// Whether systemd takes a file of this name as a unit (`systemd.unit(5)`: at most 255 characters).
pub fn is_unit_name(name: &str) -> bool {
    let Some((stem, suffix)) = name.rsplit_once('.') else { return false };
    let good = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    !stem.is_empty() && name.len() <= 255 && name.bytes().all(good) && SUFFIXES.contains(&suffix)
}

/// Units that tell others about this node but are not needed by it: their failure does not degrade it (`dcos-docs#62`; DC/OS' own
/// components check leaves out the poststart checks, `gen/calc.py` 1.12).
pub fn is_auxiliary(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    matches!(stem, "dcos-signal" | "dcos-checks-poststart")
}
