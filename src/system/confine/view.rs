//! The file systems of a confined script: this machine's, copy-on-write, with a `/dev` of the
//! harmless devices and a `/proc` of its own processes.
//!
//! Each mount gets an overlay whose upper layer is a tmpfs that nobody else sees; what an overlay
//! cannot be put on (`vfat`, network file systems, overlays on overlays) is bound read-only. Where
//! that is so for `/tmp`, `/var/tmp` or `/var/cache`, the script has a private one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, chroot, pivot_root};

use super::order::{Failure, Missing, Piece, View};
use crate::system::fault::{self, Effect};
use crate::system::mountinfo::{self, Mount};
use crate::system::seal::kept_flags;

/// Where this process' mounts are listed.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The tmpfs that holds all that the script changes. A directory that exists on every machine, and
/// that the view has another one of.
const LAYERS: &str = "/dev";
/// Where the view is put together.
const NEW_ROOT: &str = "/dev/root";
/// Enough for a script, and not the machine's memory.
const LAYERS_OPTIONS: &str = "mode=0755,size=64m,nr_inodes=64k";
const PRIVATE_OPTIONS: &str = "mode=1777,size=64m,nr_inodes=64k";
/// Devices that scripts use without changing anything. `/dev/tty` is there as it is for a unit:
/// opening it fails, because the script has no terminal.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// Directories that every script may expect to write to.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/var/cache"];
/// File systems of the kernel that a script has no use for. Its directories look empty.
const HIDDEN: [&str; 18] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "tracefs",
];
/// File systems that are bound read-only: the kernel's, those of the network, which an overlay
/// would have to ask, and those that no overlay can be put on.
const READ_ONLY: [&str; 21] = [
    "9p",
    "afs",
    "ceph",
    "cgroup",
    "cgroup2",
    "cifs",
    "erofs",
    "exfat",
    "gfs2",
    "glusterfs",
    "gpfs",
    "iso9660",
    "lustre",
    "msdos",
    "nfs",
    "nfs4",
    "ocfs2",
    "selinuxfs",
    "smb3",
    "squashfs",
    "sysfs",
];

/// How a mount is shown in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Overlay,
    ReadOnly,
}

/// Gives this process, which has mounts of its own already, the view as its root.
///
/// # Errors
/// The view cannot be made; this process' files are as they were.
pub(super) fn enter(read_only: &[OsString], missing: &mut Vec<Missing>) -> Result<View, Failure> {
    let view = build(read_only, missing);
    if view.is_err() && fault::point(Effect::Mounts, LAYERS).is_ok() {
        let _ = umount2(LAYERS, MntFlags::MNT_DETACH);
    }
    view
}

fn build(read_only: &[OsString], missing: &mut Vec<Missing>) -> Result<View, Failure> {
    set_private(Path::new("/"))?;
    fault::point(Effect::Mounts, MOUNTS).map_err(Failure::of("list the mounts"))?;
    let table = std::fs::read(MOUNTS).map_err(Failure::of("list the mounts"))?;
    let table: Vec<Mount> = mountinfo::parse(&table).collect();
    let read_only: BTreeSet<&Path> = read_only.iter().map(Path::new).collect();
    let devices: Vec<(&str, File)> = DEVICES
        .iter()
        .filter_map(|name| Some((*name, open(&Path::new("/dev").join(name))?)))
        .collect();
    let proc = open(Path::new("/proc"))
        .ok_or_else(|| Failure::of("open /proc")(io::Error::from(io::ErrorKind::NotFound)))?;
    let places: Vec<(&Mount, File)> = visible(&table)
        .into_iter()
        .filter(|mount| is_shown(mount))
        .filter_map(|mount| Some((mount, open(&mount.point)?)))
        .collect();
    mount_tmpfs(Path::new(LAYERS), LAYERS_OPTIONS)?;
    make_directory(Path::new(NEW_ROOT))?;
    let mut layers: Vec<(PathBuf, Layer)> = Vec::new();
    for (index, (mount, place)) in places.iter().enumerate() {
        let target = below_new_root(&mount.point);
        let wants_overlay = !is_read_only(mount, &read_only);
        let layer = match wants_overlay.then(|| overlay(index, mount, place, &target)) {
            Some(Ok(())) => Layer::Overlay,
            refused => {
                if let (Some(Err(failure)), "/") = (refused, mount.point.to_string_lossy().as_ref())
                {
                    missing.push(Piece::CopyOnWrite.missing(failure));
                }
                match bind_read_only(mount, place, &target) {
                    Ok(()) => Layer::ReadOnly,
                    // Its directory lies on a mount that is not shown.
                    Err(_) if mount.point != Path::new("/") => continue,
                    Err(failure) => return Err(failure),
                }
            }
        };
        layers.push((mount.point.clone(), layer));
    }
    for scratch in SCRATCH.map(Path::new) {
        if layer_of(scratch, &layers) == Some(Layer::ReadOnly) {
            // A machine without this directory has scripts that need none.
            let _ = mount_tmpfs(&below_new_root(scratch), PRIVATE_OPTIONS);
        }
    }
    processes(&proc, missing)?;
    harmless_devices(&devices)?;
    change_root()?;
    let is_whole = layer_of(Path::new("/"), &layers) == Some(Layer::Overlay);
    Ok(if is_whole { View::CopyOnWrite } else { View::ReadOnly })
}

/// The mounts that a path leads to, those above before those below.
fn visible(table: &[Mount]) -> Vec<&Mount> {
    // Mounted later, on a directory above of the same mount.
    let is_hidden_from_beside = |mount: &Mount| {
        table.iter().any(|other| {
            other.parent == mount.parent
                && other.point != mount.point
                && mount.point.starts_with(&other.point)
        })
    };
    let is_covered_but_by = |mount: &Mount, but: Option<u32>| {
        table.iter().any(|other| {
            other.parent == mount.id
                && other.id != mount.id
                && Some(other.id) != but
                && other.point == mount.point
        })
    };
    let is_visible = |mount: &&Mount| {
        if is_covered_but_by(mount, None) {
            return false;
        }
        let mut at: &Mount = mount;
        for _ in 0..table.len() {
            if is_hidden_from_beside(at) {
                return false;
            }
            match table.iter().find(|other| other.id == at.parent && other.id != at.id) {
                Some(parent) if is_covered_but_by(parent, Some(at.id)) => return false,
                Some(parent) => at = parent,
                None => return true,
            }
        }
        false
    };
    let mut visible: Vec<&Mount> = table.iter().filter(is_visible).collect();
    visible.sort_by_key(|mount| mount.point.components().count());
    visible
}

fn is_shown(mount: &Mount) -> bool {
    let has_another = [Path::new("/dev"), Path::new("/proc")]
        .into_iter()
        .any(|directory| mount.point.starts_with(directory));
    !has_another && !HIDDEN.contains(&mount.kind.as_str())
}

fn is_read_only(mount: &Mount, read_only: &BTreeSet<&Path>) -> bool {
    let is_nested = mount.kind == "overlay" && mount.point != Path::new("/");
    mount.point.starts_with("/sys")
        || read_only.contains(mount.point.as_path())
        || is_nested
        || mount.kind.starts_with("fuse")
        || READ_ONLY.contains(&mount.kind.as_str())
}

/// How the mount is shown on which a path lies.
fn layer_of(path: &Path, layers: &[(PathBuf, Layer)]) -> Option<Layer> {
    let holds = layers.iter().filter(|(point, _)| path.starts_with(point));
    holds.max_by_key(|(point, _)| point.components().count()).map(|(_, layer)| *layer)
}

fn below_new_root(path: &Path) -> PathBuf {
    Path::new(NEW_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

/// What is at a path, not opened for reading or writing; none if nothing is.
fn open(path: &Path) -> Option<File> {
    File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path).ok()
}

/// The name of an open file that holds without its path, and without characters that options of
/// mounts give a meaning to.
fn name_of(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

fn overlay(index: usize, known: &Mount, lower: &File, target: &Path) -> Result<(), Failure> {
    let doing = || format!("put an overlay on {} ({})", known.point.display(), known.kind);
    let below = lower.metadata().map_err(Failure::of(doing()))?;
    if !below.is_dir() {
        return Err(Failure::of(doing())(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    let layers = Path::new(LAYERS);
    let (upper, work) = (layers.join(format!("up{index}")), layers.join(format!("work{index}")));
    make_directory(&upper)?;
    make_directory(&work)?;
    // The root of an overlay looks as that of its upper layer.
    fault::point(Effect::Attributes, &upper).map_err(Failure::of(doing()))?;
    std::os::unix::fs::chown(&upper, Some(below.uid()), Some(below.gid()))
        .and_then(|()| std::fs::set_permissions(&upper, Permissions::from_mode(below.mode())))
        .map_err(Failure::of(doing()))?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        name_of(lower).display(),
        upper.display(),
        work.display()
    );
    let flags = safe_flags(known);
    fault::point(Effect::Confine, format!("overlay {}", known.point.display()))
        .map_err(Failure::of(doing()))?;
    mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))
        .map_err(Failure::of(doing()))
}

/// Programs there gain no rights, and devices are none; what cannot be executed stays so.
fn safe_flags(known: &Mount) -> MsFlags {
    let kept = kept_flags(known) & MsFlags::MS_NOEXEC;
    kept | MsFlags::MS_NOSUID | MsFlags::MS_NODEV
}

fn bind_read_only(known: &Mount, place: &File, target: &Path) -> Result<(), Failure> {
    let doing = || format!("show {} read-only", known.point.display());
    let (nothing, bind) = (None::<&str>, MsFlags::MS_BIND);
    fault::point(Effect::Confine, format!("bind {}", known.point.display()))
        .map_err(Failure::of(doing()))?;
    mount(Some(&name_of(place)), target, nothing, bind, nothing).map_err(Failure::of(doing()))?;
    let flags = kept_flags(known) | bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(nothing, target, nothing, flags, nothing).map_err(|error| {
        // One that can be written to must not be there.
        let _ = fault::point(Effect::Mounts, target);
        let _ = umount2(target, MntFlags::MNT_DETACH);
        Failure::of(doing())(error)
    })
}

fn set_private(root: &Path) -> Result<(), Failure> {
    let (nothing, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    fault::point(Effect::Confine, "private mounts").map_err(Failure::of("make mounts private"))?;
    mount(nothing, root, nothing, flags, nothing).map_err(Failure::of("make mounts private"))
}

fn mount_tmpfs(target: &Path, options: &str) -> Result<(), Failure> {
    let doing = || format!("mount a tmpfs on {}", target.display());
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    fault::point(Effect::Confine, format!("tmpfs {}", target.display()))
        .map_err(Failure::of(doing()))?;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options)).map_err(Failure::of(doing()))
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    let doing = || format!("make the directory {}", path.display());
    fault::point(Effect::Directory, path).map_err(Failure::of(doing()))?;
    std::fs::create_dir(path).map_err(Failure::of(doing()))
}

/// `/proc` shows the processes of this process' namespace only, and cannot be written to. Where the
/// container forbids to mount another one, the old one is shown, read-only.
fn processes(old: &File, missing: &mut Vec<Missing>) -> Result<(), Failure> {
    let target = below_new_root(Path::new("/proc"));
    let doing = || "mount /proc".to_owned();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let nothing = None::<&str>;
    let mounted = fault::point(Effect::Confine, "proc")
        .and_then(|()| Ok(mount(Some("proc"), &target, Some("proc"), flags, nothing)?));
    let Err(error) = mounted else { return Ok(()) };
    missing.push(Piece::PidNamespace.missing(Failure::of(doing())(error)));
    let (bind, again) = (MsFlags::MS_BIND, MsFlags::MS_BIND | MsFlags::MS_REMOUNT);
    mount(Some(&name_of(old)), &target, nothing, bind, nothing).map_err(Failure::of(doing()))?;
    mount(nothing, &target, nothing, again | flags, nothing).map_err(Failure::of(doing()))
}

fn harmless_devices(devices: &[(&str, File)]) -> Result<(), Failure> {
    let target = below_new_root(Path::new("/dev"));
    let doing = || "make /dev".to_owned();
    // Not with nodev: it would hold for the devices below as well on some kernels.
    mount_tmpfs(&target, "mode=0755,size=64k")?;
    for (name, device) in devices {
        let place = target.join(name);
        fault::point(Effect::Open, &place).map_err(Failure::of(doing()))?;
        File::create(&place).map_err(Failure::of(doing()))?;
        let (source, nothing) = (name_of(device), None::<&str>);
        fault::point(Effect::Confine, format!("device {name}")).map_err(Failure::of(doing()))?;
        mount(Some(&source), &place, nothing, MsFlags::MS_BIND, nothing)
            .map_err(Failure::of(doing()))?;
    }
    for (name, to) in LINKS {
        let place = target.join(name);
        fault::point(Effect::Link, &place).map_err(Failure::of(doing()))?;
        std::os::unix::fs::symlink(to, &place).map_err(Failure::of(doing()))?;
    }
    let shared_memory = target.join("shm");
    make_directory(&shared_memory)?;
    mount_tmpfs(&shared_memory, PRIVATE_OPTIONS)?;
    let nothing = None::<&str>;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    fault::point(Effect::Confine, "read-only /dev").map_err(Failure::of(doing()))?;
    mount(nothing, &target, nothing, flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV, nothing)
        .map_err(Failure::of(doing()))
}

/// The view becomes the root, and what was the root can be reached no more.
fn change_root() -> Result<(), Failure> {
    let doing = || "change the root".to_owned();
    chdir(NEW_ROOT).map_err(Failure::of(doing()))?;
    fault::point(Effect::Confine, "root").map_err(Failure::of(doing()))?;
    if pivot_root(".", ".").is_ok() {
        fault::point(Effect::Mounts, ".").map_err(Failure::of(doing()))?;
        umount2(".", MntFlags::MNT_DETACH).map_err(Failure::of(doing()))?;
    } else {
        // A machine that runs from its initramfs has a root that cannot be exchanged.
        let nothing = None::<&str>;
        mount(Some("."), "/", nothing, MsFlags::MS_MOVE, nothing).map_err(Failure::of(doing()))?;
        chroot(".").map_err(Failure::of(doing()))?;
    }
    chdir("/").map_err(Failure::of(doing()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[&str]) -> Vec<Mount> {
        mountinfo::parse(lines.join("\n").as_bytes()).collect()
    }

    #[test]
    fn covered_mounts_are_not_shown() {
        let table = table(&[
            "1 0 8:1 / / rw - xfs /dev/a rw",
            "2 1 8:2 / /var rw - xfs /dev/b rw",
            "3 2 8:3 / /var/lib rw - xfs /dev/c rw",
            "4 2 8:4 / /var rw - xfs /dev/d rw",
            "5 4 8:5 / /var/log rw - xfs /dev/e rw",
            "6 1 8:6 / /mnt/x rw - xfs /dev/f rw",
            "7 1 8:7 / /mnt rw - xfs /dev/g rw",
        ]);
        let ids: Vec<u32> = visible(&table).iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [1, 4, 7, 5]);
    }

    #[test]
    fn scratch_directory_lies_on_the_deepest_mount() {
        let layers = [
            ("/".into(), Layer::Overlay),
            ("/var".into(), Layer::ReadOnly),
            ("/var/tmp".into(), Layer::Overlay),
            ("/tmpfiles".into(), Layer::ReadOnly),
        ];
        let layer = |path| layer_of(Path::new(path), &layers);
        assert_eq!(layer("/tmp"), Some(Layer::Overlay));
        assert_eq!(layer("/var/cache"), Some(Layer::ReadOnly));
        assert_eq!(layer("/var/tmp"), Some(Layer::Overlay));
    }
}
