//! Write protection of this process by the kernel, for runs that must not change anything: a
//! mistake of ours, or of a script that we run, cannot write.
//!
//! Whoever may make mounts gets a private copy of all of them, read-only (`mount_namespaces(7)`).
//! Others get Landlock (`landlock(7)`), which keeps from making, removing, renaming and writing
//! files, but not from changing the modes, owners and times of one's own. Neither keeps from
//! talking to sockets.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::mountinfo::Mount;
use super::{kernel, mountinfo};

/// How this process is kept from writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// Every mount that it sees is a read-only one of its own; programs that it runs have a `/tmp`
    /// of their own, which they may write to.
    MountNamespace,
    /// Landlock denies writing everywhere; programs that it runs can write nowhere.
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
/// The devices that scripts write to without changing anything, and terminals.
const HARMLESS: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts"];

/// Seals this process, for ever. It must not have started a thread: the kernel seals the calling
/// one and those that come after it.
pub fn seal() -> &'static Seal {
    let in_force = IN_FORCE.get_or_init(|| {
        let mounts = std::fs::read_to_string(MOUNTS);
        InForce { seal: strongest(&mounts), mounts: mounts.unwrap_or_default() }
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

fn strongest(mounts: &io::Result<String>) -> Seal {
    match alone() {
        Ok(true) => {}
        Ok(false) => return Seal::NotEnforced("other threads were running already".into()),
        Err(error) => return Seal::NotEnforced(format!("cannot count our threads: {error}")),
    }
    let no_namespace = match private_mounts(mounts) {
        Ok(()) => return Seal::MountNamespace,
        Err(why) => why,
    };
    match landlock() {
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
    kernel::unshare_mounts().map_err(|e| e.to_string())?;
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
    Some(if is_strict { flags | MsFlags::MS_STRICTATIME } else { flags })
}

/// `LANDLOCK_ACCESS_FS_WRITE_FILE` of linux/landlock.h.
const WRITE_FILE: u64 = 1 << 1;
/// From `LANDLOCK_ACCESS_FS_REMOVE_DIR` to `_MAKE_SYM`.
const CHANGE_NAMES: u64 = 0x1ff << 4;
/// `LANDLOCK_ACCESS_FS_REFER`, which came with version 2.
const REFER: u64 = 1 << 13;
/// `LANDLOCK_ACCESS_FS_TRUNCATE`, which came with version 3.
const TRUNCATE: u64 = 1 << 14;

fn landlock() -> io::Result<()> {
    let version = kernel::landlock_version()?;
    let (refer, truncate) =
        (if version >= 2 { REFER } else { 0 }, if version >= 3 { TRUNCATE } else { 0 });
    let rules = kernel::landlock_ruleset(WRITE_FILE | CHANGE_NAMES | refer | truncate)?;
    for place in HARMLESS.into_iter().filter_map(open_path) {
        kernel::landlock_allow(&rules, WRITE_FILE | truncate, place)?;
    }
    nix::sys::prctl::set_no_new_privs()?;
    kernel::landlock_restrict_self(&rules)
}

fn open_path(path: &str) -> Option<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()
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
            strongest(&Ok(String::new())),
            Seal::NotEnforced(why) if why.contains("threads")
        ));
        drop(stop);
        let _ = thread.join();
    }
}
