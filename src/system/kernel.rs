//! The system calls that need unsafe code; the only file that may use it.
//!
//! Each function is one call and returns the kernel's own error number: which of them mean "this
//! kernel or file system cannot do it" is for the caller to decide, who knows the fallback.

#![allow(
    unsafe_code,
    reason = "neither the standard library nor nix has these calls on every C library we build for"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid};

/// The return value of `adjtimex(2)` for a clock that no time daemon keeps.
pub const TIME_ERROR: i32 = libc::TIME_ERROR;

/// The bit in [`ClockReading::status`] that says the same.
pub const STA_UNSYNC: i32 = libc::STA_UNSYNC;

/// The inode flag of `chattr +i`: not even root may change, rename or remove the file.
pub const IMMUTABLE: u32 = 0x10; // FS_IMMUTABLE_FL of linux/fs.h, which libc does not have

/// What `adjtimex(2)` reports, with its units made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The return value: 0 is a good clock, 1 to 4 are about leap seconds, 5 is [`TIME_ERROR`].
    pub state: i32,
    /// `STA_*` bits, such as [`STA_UNSYNC`].
    pub status: i32,
    /// What is still to be corrected, in nanoseconds; negative when the clock is ahead.
    pub offset_ns: i64,
    /// The most that the clock can be wrong, in microseconds; the kernel raises it by 500 a second
    /// until a daemon sets it.
    pub maxerror_us: i64,
    /// How much the time daemon believes the clock to be wrong, in microseconds.
    pub esterror_us: i64,
}

/// Reads the kernel clock's state with `adjtimex(2)`. Changes nothing, and needs no privilege.
pub fn clock_state() -> io::Result<ClockReading> {
    // SAFETY: timex is a C struct of integers, for which all zeroes is a valid value; its `modes`
    // of zero means "only read".
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed timex, which the kernel fills and does
    // not keep.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // The fields are C longs, which are narrower than i64 on 32-bit targets only.
    #[allow(clippy::useless_conversion)]
    let (offset, maxerror_us, esterror_us) =
        (i64::from(timex.offset), i64::from(timex.maxerror), i64::from(timex.esterror));
    let offset_ns =
        if timex.status & libc::STA_NANO == 0 { offset.saturating_mul(1000) } else { offset };
    Ok(ClockReading { state, status: timex.status, offset_ns, maxerror_us, esterror_us })
}

/// Opens `path` relative to a directory; the kernel refuses every way out of it and every symlink
/// on the way: `openat2(2)` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`.
///
/// `ENOSYS` (Linux before 5.6) comes back as it is, and so does the `EPERM` of sandboxes that do
/// not know the call.
pub fn open_beneath(directory: impl AsFd, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    // struct open_how: flags, mode, resolve.
    let how: [u64; 3] = [u64::from(flags.cast_unsigned()), 0, resolve];
    // SAFETY: the path is NUL-terminated and the descriptor open until the call returns; the kernel
    // only reads `how`, whose length is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_fd().as_raw_fd(),
            path.as_ptr(),
            how.as_ptr(),
            std::mem::size_of_val(&how),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Exchanges two names in one atomic step: `renameat2(2)` with `RENAME_EXCHANGE`. Both must exist;
/// a symlink is exchanged, not followed.
///
/// `ENOSYS` (Linux before 3.15) and `EINVAL` (the file system has no such operation) come back as
/// they are.
pub fn rename_exchange(
    a_directory: impl AsFd,
    a: &Path,
    b_directory: impl AsFd,
    b: &Path,
) -> io::Result<()> {
    renameat2(a_directory, a, b_directory, b, libc::RENAME_EXCHANGE)
}

/// Renames, and fails with `EEXIST` rather than replace the new name: `renameat2(2)` with
/// `RENAME_NOREPLACE`.
///
/// `ENOSYS` (Linux before 3.15) and `EINVAL` (the file system has no such operation) come back as
/// they are.
pub fn rename_noreplace(
    old_directory: impl AsFd,
    old: &Path,
    new_directory: impl AsFd,
    new: &Path,
) -> io::Result<()> {
    renameat2(old_directory, old, new_directory, new, libc::RENAME_NOREPLACE)
}

// By number: the C libraries that we build for have a wrapper only since glibc 2.28 and musl 1.2.6.
fn renameat2(
    old_directory: impl AsFd,
    old: &Path,
    new_directory: impl AsFd,
    new: &Path,
    flags: libc::c_uint,
) -> io::Result<()> {
    let (old, new) = (c_path(old)?, c_path(new)?);
    let (old_directory, new_directory) = (old_directory.as_fd(), new_directory.as_fd());
    // SAFETY: both paths are NUL-terminated and both descriptors open until the call returns; the
    // kernel only reads the paths.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            old_directory.as_raw_fd(),
            old.as_ptr(),
            new_directory.as_raw_fd(),
            new.as_ptr(),
            flags,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Writes everything that waits for the file system of `fd` to its disk, and waits for that:
/// `syncfs(2)`.
///
/// The kernel reports errors of writing back from Linux 5.8 on only.
pub fn sync_filesystem(fd: impl AsFd) -> io::Result<()> {
    Ok(nix::unistd::syncfs(fd)?)
}

/// The flags that `lsattr` shows, such as [`IMMUTABLE`]: `FS_IOC_GETFLAGS` of `ioctl_iflags(2)`.
///
/// `fd` must be open for reading (not `O_PATH`). `ENOTTY` or `EOPNOTSUPP`: the file system has no
/// such flags.
pub fn inode_flags(fd: impl AsFd) -> io::Result<u32> {
    // The number says that a long is passed, yet most file systems write an int; FUSE writes the
    // long.
    let mut flags = [0u32; 2];
    // SAFETY: the descriptor is open until the call returns, and the buffer holds the eight bytes
    // that the kernel may write.
    let result =
        unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FS_IOC_GETFLAGS, flags.as_mut_ptr()) };
    if result == 0 { Ok(flags[0]) } else { Err(io::Error::last_os_error()) }
}

/// Replaces the flags that `chattr` sets: `FS_IOC_SETFLAGS` of `ioctl_iflags(2)`. Pass what
/// [`inode_flags`] returned, with bits changed.
///
/// `EPERM`: [`IMMUTABLE`] needs `CAP_LINUX_IMMUTABLE`, which containers often lack.
pub fn set_inode_flags(fd: impl AsFd, flags: u32) -> io::Result<()> {
    let flags = [flags, 0];
    // SAFETY: the descriptor is open until the call returns, and the buffer holds the eight bytes
    // that the kernel may read.
    let result =
        unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FS_IOC_SETFLAGS, flags.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The length of an extended attribute of what stands at a path, which is not followed:
/// `lgetxattr(2)`.
///
/// `ENODATA`: there is no such attribute. `EOPNOTSUPP`: the file system has none.
pub fn attribute_length(path: &Path, name: &CStr) -> io::Result<usize> {
    let path = c_path(path)?;
    // SAFETY: both strings end in a zero byte and live until the call returns; with a length of
    // zero nothing is written.
    let length = unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// What `XFS_IOC_FSGEOMETRY_V1` fills (`xfs_fs.h`): 112 bytes, of which the word at byte 92 has the
/// file system's features.
const XFS_GEOMETRY_WORDS: usize = 28;
const XFS_FEATURES: usize = 23;
/// `XFS_FSOP_GEOM_FLAGS_FTYPE`.
const XFS_HAS_FILE_TYPES: u32 = 1 << 16;
/// `_IOR('X', 100, struct xfs_fsop_geom_v1)` of `ioctl(2)`'s usual encoding, which all machines
/// that DC/OS runs on have.
const XFS_GEOMETRY: u64 = 2 << 30 | 112 << 16 | (b'X' as u64) << 8 | 100;

/// Whether the XFS of `fd` keeps the types of files in its directories. `ENOTTY`: it is no XFS.
pub fn xfs_has_file_types(fd: impl AsFd) -> io::Result<bool> {
    let mut geometry = [0u32; XFS_GEOMETRY_WORDS];
    // The C libraries disagree on the type of the number.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)]
    let number = XFS_GEOMETRY as _;
    // SAFETY: the descriptor is open until the call returns, and the buffer has the 112 bytes that
    // the number says the kernel writes.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), number, geometry.as_mut_ptr()) };
    if result == 0 {
        Ok(geometry[XFS_FEATURES] & XFS_HAS_FILE_TYPES != 0)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes all mounts at and below the one at `path` read-only in one step, all or none:
/// `mount_setattr(2)` with `AT_RECURSIVE`.
///
/// `ENOSYS`: Linux before 5.12. The mounts must be private, or others see it too.
pub fn set_mounts_read_only(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let attributes = MountAttributes {
        set: libc::MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the path is NUL-terminated, and the struct is the kernel's mount_attr, whose size is
    // passed; both are only read.
    done(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
}

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Between fork and exec of this command, gives the child mounts of its own with an empty tmpfs at
/// `directory`. Where that cannot be done the child starts all the same, without.
pub fn start_with_private_tmpfs(
    command: &mut tokio::process::Command,
    directory: &'static CStr,
    options: &'static CStr,
) {
    let mount = move || {
        // SAFETY: both calls only read their NUL-terminated, static strings.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS) == 0 {
                let flags = libc::MS_NOSUID | libc::MS_NODEV;
                libc::mount(
                    c"tmpfs".as_ptr(),
                    directory.as_ptr(),
                    c"tmpfs".as_ptr(),
                    flags,
                    options.as_ptr().cast(),
                );
            }
        }
        Ok(())
    };
    // SAFETY: two system calls are all that the closure does: no lock, no allocation, nothing that
    // another thread may have held at the fork.
    unsafe { command.pre_exec(mount) };
}

/// Starts a copy of this process: `fork(2)`. Returns the child's number, and none in the child.
///
/// # Errors
/// There are other threads, which the copy would lack, with the locks that they hold; or the kernel
/// refuses.
pub fn fork() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("other threads are running"));
    }
    // SAFETY: there is only this thread, so that the child has all of the process.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Closes every descriptor from `first` on: `close_range(2)`.
///
/// `ENOSYS`: Linux before 5.9.
pub fn close_from(first: libc::c_uint) -> io::Result<()> {
    // SAFETY: the call takes numbers. Descriptors that a value of ours owns must not be among them:
    // the only caller runs before anything is opened.
    done(unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0 as libc::c_uint)
    })
}

/// Takes every capability out of the bounding set of this thread, so that no program that it
/// executes can gain one: `PR_CAPBSET_DROP` of `prctl(2)`.
///
/// `EPERM`: it needs `CAP_SETPCAP`.
pub fn drop_bounding_set() -> io::Result<()> {
    const MAX_CAPABILITIES: libc::c_ulong = 64;
    for capability in 0..MAX_CAPABILITIES {
        // SAFETY: the call takes numbers and touches no memory of ours.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match done(result.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

/// Empties the effective, permitted and inheritable set of capabilities of this thread, and with
/// them the ambient one: `capset(2)`.
pub fn drop_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522; // _LINUX_CAPABILITY_VERSION_3, which libc does not have
    // struct __user_cap_header_struct: version, and 0 for this thread; two of
    // struct __user_cap_data_struct, of three words each.
    let (header, none) = ([VERSION_3, 0], [0u32; 6]);
    // SAFETY: the kernel reads the header and, as its version says, 24 bytes of sets.
    done(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })
}

/// An instruction of a filter of system calls.
pub use libc::sock_filter as Instruction;

/// Puts this thread, and all that it starts from now on, under a filter of system calls for ever:
/// `PR_SET_SECCOMP` of `prctl(2)`.
///
/// `EINVAL`: the kernel has no such filters. `EACCES`: it needs `PR_SET_NO_NEW_PRIVS` first.
pub fn filter_system_calls(program: &mut [Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the struct and the instructions that it points to live until the call returns; the
    // kernel copies and checks them.
    let result = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    done(result.into())
}

/// Bytes that were written to a TCP socket and that its peer has not acknowledged: `SIOCOUTQ` of
/// `tcp(7)`.
pub fn unacknowledged(socket: &impl AsRawFd) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request, which has the number of TIOCOUTQ, writes one int to the pointer, which
    // is to a live one.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    done(result.into())?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Length of the slot in the program file that [`super::slot`] reads and fills, in bytes.
pub const SLOT_BYTES: usize = 8192;
/// Length of the magic at its beginning.
pub const MAGIC_BYTES: usize = 32;

/// The slot, in a section of its own: `strip` takes no section away that is loaded.
#[used]
#[unsafe(link_section = ".dcos_node_stamp")]
static SLOT: [u8; SLOT_BYTES] = empty_slot();

/// The magic and zeros. It is made at compile time only, so that the program has the magic at one
/// place.
const fn empty_slot() -> [u8; SLOT_BYTES] {
    const MAGIC: [u8; MAGIC_BYTES] =
        *b"\x00dcos-node stamp\xd2\x9c\x41\xe7\x0b\x86\xf3\x5a\x1d\xb8\x62\x94\xcf\x37\x0e\xa1";
    let mut slot = [0; SLOT_BYTES];
    if let Some(start) = slot.first_chunk_mut() {
        *start = MAGIC;
    }
    slot
}

/// What the slot of this very program holds: the file may have been changed after it was compiled.
pub fn slot() -> Vec<u8> {
    let start = (&raw const SLOT).cast::<u8>();
    // SAFETY: all offsets are inside of the static, which nobody writes to. Volatile, or the
    // compiler would put in what it knows of it.
    (0..SLOT_BYTES).map(|offset| unsafe { start.add(offset).read_volatile() }).collect()
}

/// Gives a signal its default action, or has it ignored: `sigaction(2)`.
pub fn set_signal(signal: Signal, ignored: bool) -> io::Result<()> {
    let action = if ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: neither action runs code of ours.
    unsafe { nix::sys::signal::signal(signal, action) }?;
    Ok(())
}

/// The system's allocator; a program that gets no memory ends with a message and exit code 1.
pub struct ExitingAllocator;

// SAFETY: all is the system allocator's; a null pointer is never returned.
unsafe impl GlobalAlloc for ExitingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_exit(unsafe { System.alloc(layout) })
    }
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        or_exit(unsafe { System.realloc(old, layout, size) })
    }
    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

fn or_exit(memory: *mut u8) -> *mut u8 {
    let text = super::startup::WITHOUT_MEMORY;
    if !memory.is_null() {
        return memory;
    }
    // SAFETY: the text is static, and neither call needs memory.
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(1)
    }
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
