//! Write protection of this process by the kernel, for runs that must not change anything: a
//! mistake of ours, or of a script that we run, cannot write.
//!
//! Whoever may make mounts gets a private copy of all of them, read-only (`mount_namespaces(7)`).
//! Others get Landlock (`landlock(7)`), which keeps from making, removing, renaming and writing
//! files, but not from changing the modes, owners and times of one's own. Neither keeps from
//! talking to sockets. Detection scripts are confined besides (`confine.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, AccessFs, LandlockStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetStatus, Scope, path_beneath_rules,
};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::mountinfo::Mount;
use super::{kernel, mountinfo};

/// How this process is kept from writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// Every mount that it sees is a read-only one of its own; programs that it runs have a `/tmp`
    /// of their own, which they may write to.
    MountNamespace,
    /// Landlock denies writing everywhere except in a private directory for scripts.
    Landlock,
    /// The kernel has neither, or keeps us from using it: the reasons.
    NotEnforced(String),
}

/// What there is to know about a sealed process.
struct InForce {
    seal: Seal,
    mounts: String,
}

static IN_FORCE: OnceLock<InForce> = OnceLock::new();

/// Where a process' mounts are listed (`proc_pid_mountinfo(5)`).
const MOUNTS: &str = "/proc/self/mountinfo";
/// The devices that programs write to without changing anything.
const HARMLESS: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Seals this process, for ever. It must not have started a thread: the kernel seals the calling
/// one and those that come after it.
///
/// Where nothing can be mounted, `place` makes a private directory for scripts before it is too
/// late for that.
pub fn seal(place: impl FnOnce() -> Option<PathBuf>) -> &'static Seal {
    let in_force = IN_FORCE.get_or_init(|| {
        let mounts = std::fs::read_to_string(MOUNTS);
        InForce { seal: strongest(&mounts, place), mounts: mounts.unwrap_or_default() }
    });
    &in_force.seal
}

/// How this process is sealed; none if it is not meant to be.
pub fn in_force() -> Option<&'static Seal> {
    IN_FORCE.get().map(|in_force| &in_force.seal)
}

/// The mounts as they were before the seal, in the form of `/proc/self/mountinfo`; none if this
/// process is not sealed. What that file says since is true of this process only: everything is
/// read-only.
pub fn mounts_before() -> Option<&'static str> {
    IN_FORCE.get().map(|in_force| in_force.mounts.as_str())
}

fn strongest(mounts: &io::Result<String>, place: impl FnOnce() -> Option<PathBuf>) -> Seal {
    match alone() {
        Ok(true) => {}
        Ok(false) => return Seal::NotEnforced("other threads were running already".into()),
        Err(error) => return Seal::NotEnforced(format!("cannot count our threads: {error}")),
    }
    let no_namespace = match private_mounts(mounts) {
        Ok(()) => return Seal::MountNamespace,
        Err(why) => why,
    };
    match restrict_writes(place().as_deref()) {
        Ok(()) => Seal::Landlock,
        Err(error) => {
            Seal::NotEnforced(format!("no private mounts: {no_namespace}; no Landlock: {error}"))
        }
    }
}

fn alone() -> io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

fn private_mounts(mounts: &io::Result<String>) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| e.to_string())?;
    let (root, nothing) = (Path::new("/"), None::<&Path>);
    mount(nothing, root, nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(|e| format!("cannot make them private: {e}"))?;
    // Kernels without the call answer ENOSYS, and filters of system calls what they like.
    kernel::set_mounts_read_only(root).or_else(|_| set_each_read_only(mounts))
}

/// The same for kernels that can only do one mount after the other. Those that another one covers
/// cannot be reached by anybody.
fn set_each_read_only(mounts: &io::Result<String>) -> Result<(), String> {
    let mounts = mounts.as_ref().map_err(|e| format!("cannot read {MOUNTS}: {e}"))?;
    for known in mountinfo::parse(mounts.as_bytes()) {
        let Some(flags) = writable(&known) else { continue };
        let (point, flags) =
            (known.point, flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY);
        match mount(None::<&Path>, &point, None::<&Path>, flags, None::<&Path>) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EINVAL) => {}
            Err(error) => {
                return Err(format!("cannot make {} read-only: {error}", point.display()));
            }
        }
    }
    Ok(())
}

/// The flags that a remount of a mount that can be written must repeat, as it would lift them (and
/// may not, in a container); none if it cannot be.
fn writable(mount: &Mount) -> Option<MsFlags> {
    // Only its daemon can write to an automount point, and to name one mounts what it stands for.
    if mount.has("ro") || mount.kind == "autofs" {
        return None;
    }
    Some(kept_flags(mount))
}

/// The flags of a mount that a remount must repeat.
pub(super) fn kept_flags(mount: &Mount) -> MsFlags {
    let known = [
        ("nosuid", MsFlags::MS_NOSUID),
        ("nodev", MsFlags::MS_NODEV),
        ("noexec", MsFlags::MS_NOEXEC),
        ("noatime", MsFlags::MS_NOATIME),
        ("nodiratime", MsFlags::MS_NODIRATIME),
        ("relatime", MsFlags::MS_RELATIME),
    ];
    let flags: MsFlags =
        known.into_iter().filter(|(option, _)| mount.has(option)).map(|(_, flag)| flag).collect();
    let is_strict = !mount.has("noatime") && !mount.has("relatime");
    if is_strict { flags | MsFlags::MS_STRICTATIME } else { flags }
}

/// Landlock's rules for this process: nothing is made, removed, renamed or written anywhere, except
/// in `place`. The rights are those that a kernel of ABI 3 knows (a device is written to as before:
/// ioctls are not files); an older one enforces what it has of them. From ABI 6 on (Linux 6.12)
/// no signal reaches a process outside: the other processes of the user who runs this are not the
/// script's to end.
pub(super) fn restrict_writes(place: Option<&Path>) -> Result<(), String> {
    let writing = AccessFs::from_write(ABI::V3);
    let harmless = AccessFs::WriteFile | AccessFs::Truncate;
    let enforced = Ruleset::default()
        .handle_access(writing)
        .and_then(|rules| rules.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(HARMLESS, harmless)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(place, writing)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match (enforced.ruleset, enforced.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, _) => Ok(()),
        (_, LandlockStatus::NotEnabled) => Err("not switched on in this kernel".to_owned()),
        (_, LandlockStatus::NotImplemented) => Err("not in this kernel".to_owned()),
        (_, LandlockStatus::Available { .. }) => Err("not enforced by this kernel".to_owned()),
    }
}

/// Where a program that a sealed process runs may write.
const TMP: &std::ffi::CStr = c"/tmp";
/// Enough for a script, and not the machine's memory.
const TMP_OPTIONS: &std::ffi::CStr = c"mode=1777,size=64m";

/// Prepares a command that is about to be started, if this process is sealed by mounts of its own:
/// it gets a `/tmp` to write to, which is gone with it. Ours stays as it is, because an operator
/// may name files there.
pub(super) fn prepare(command: &mut tokio::process::Command) {
    if in_force() == Some(&Seal::MountNamespace) {
        kernel::start_with_private_tmpfs(command, TMP, TMP_OPTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_made_read_only_with_the_flags_that_it_has() {
        let flags = |options: &str, kind: &str| {
            let line = format!("36 35 98:0 /m /mnt {options} shared:1 - {kind} /dev/x rw");
            writable(&mountinfo::parse(line.as_bytes()).next().unwrap())
        };
        let options = flags("rw,nosuid,nodev,relatime", "ext4");
        assert_eq!(options, Some(MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RELATIME));
        assert_eq!(flags("rw", "xfs"), Some(MsFlags::MS_STRICTATIME));
        assert_eq!(flags("ro,relatime", "xfs"), None);
        assert_eq!(flags("rw,relatime", "autofs"), None);
    }

    #[test]
    fn process_with_threads_is_not_partly_sealed() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        assert!(matches!(
            strongest(&Ok(String::new()), || None),
            Seal::NotEnforced(why) if why.contains("threads")
        ));
        drop(stop);
        let _ = thread.join();
    }
}
