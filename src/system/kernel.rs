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
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::signal::{SigHandler, Signal};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::{ForkResult, Pid};

use super::empty_slot::{EMPTY, SLOT_BYTES};

/// The inode flag of `chattr +i`: not even root may change, rename or remove the file.
pub const IMMUTABLE: u32 = 0x10; // FS_IMMUTABLE_FL of linux/fs.h, which libc does not have

/// What `adjtimex(2)` returns and fills. It changes nothing, and needs no privilege.
pub fn adjtimex() -> io::Result<(i32, libc::timex)> {
    // SAFETY: timex is a C struct of integers, for which all zeroes is a valid value; its `modes`
    // of zero means "only read".
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed timex, which the kernel fills and does
    // not keep.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok((state, timex)) }
}

/// Exchanges two names in one atomic step: `renameat2(2)` with `RENAME_EXCHANGE`. Both must exist;
/// a symlink is exchanged, not followed.
///
/// `ENOSYS` (Linux before 3.15) and `EINVAL` (the file system has no such operation) come back as
/// they are.
// By number: the C libraries that we build for have a wrapper only since glibc 2.28 and musl 1.2.6.
pub fn rename_exchange(a: &Path, b: &Path) -> io::Result<()> {
    let (a, b) = (c_path(a)?, c_path(b)?);
    // SAFETY: both paths are NUL-terminated until the call returns, and the kernel only reads them.
    done(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            a.as_ptr(),
            libc::AT_FDCWD,
            b.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    })
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
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

/// The length of an extended attribute of what is open: `fgetxattr(2)`.
///
/// `ENODATA`: there is no such attribute. `EOPNOTSUPP`: the file system has none.
pub fn attribute_length(fd: impl AsFd, name: &CStr) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open and the name, which ends in a zero byte, lives until the call
    // returns; with a length of zero nothing is written.
    let length = unsafe { libc::fgetxattr(fd, name.as_ptr(), std::ptr::null_mut(), 0) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// Length of what [`xfs_geometry`] returns, in words of 32 bits.
pub const XFS_GEOMETRY_WORDS: usize = 28;

/// `struct xfs_fsop_geom_v1` (`xfs_fs.h`) of the file system of `fd`: `XFS_IOC_FSGEOMETRY_V1`.
///
/// `ENOTTY`: it is not an XFS.
pub fn xfs_geometry(fd: impl AsFd) -> io::Result<[u32; XFS_GEOMETRY_WORDS]> {
    /// `_IOR('X', 100, struct xfs_fsop_geom_v1)` of `ioctl(2)`'s usual encoding, which all machines
    /// that DC/OS runs on have.
    const REQUEST: u64 = 2 << 30 | 112 << 16 | (b'X' as u64) << 8 | 100;
    // The C libraries disagree on the type of the number.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)]
    let request = REQUEST as _;
    let mut geometry = [0u32; XFS_GEOMETRY_WORDS];
    // SAFETY: the descriptor is open until the call returns, and the buffer has the 112 bytes that
    // the request says the kernel writes.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, geometry.as_mut_ptr()) };
    if result == 0 { Ok(geometry) } else { Err(io::Error::last_os_error()) }
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

/// Takes one capability out of the bounding set of this thread, so that no program that it executes
/// can gain it: `PR_CAPBSET_DROP` of `prctl(2)`.
///
/// `EPERM`: it needs `CAP_SETPCAP`. `EINVAL`: the kernel has no capability of this number.
pub fn drop_from_bounding_set(capability: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the call takes numbers and touches no memory of ours.
    done(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into())
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

/// A call that a filter has the kernel ask about, and the answer.
pub use libc::{seccomp_notif as Notice, seccomp_notif_resp as Answer};

/// The same as [`filter_system_calls`]; returns the descriptor at which the kernel asks about the
/// calls for which the filter says so: `SECCOMP_FILTER_FLAG_NEW_LISTENER` of `seccomp(2)`.
///
/// `ENOSYS`, `EINVAL`: Linux before 5.0. `EBUSY`: this thread already is under a filter that asks.
pub fn filter_and_listen(program: &mut [Instruction]) -> io::Result<OwnedFd> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let mut sizes =
        libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    // SAFETY: the kernel fills the struct, which lives until the call returns.
    done(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes)
    })?;
    let known = (size_of::<Notice>(), size_of::<Answer>());
    if known != (usize::from(sizes.seccomp_notif), usize::from(sizes.seccomp_notif_resp)) {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    // SAFETY: as in `filter_system_calls`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let listener = RawFd::try_from(result).map_err(io::Error::other)?;
    if listener < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Takes the next question from a listener; waits for one: `SECCOMP_IOCTL_NOTIF_RECV`.
///
/// `ENOENT`: the process that it was about is gone.
pub fn next_notice(listener: impl AsFd) -> io::Result<Notice> {
    // SAFETY: a C struct of integers, for which all zeroes is a valid value, and the one that the
    // kernel demands.
    let mut notice: Notice = unsafe { std::mem::zeroed() };
    let listener = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel fills the struct, whose size was compared with its own.
    let result = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice) };
    done(result.into()).map(|()| notice)
}

/// Answers a question: `SECCOMP_IOCTL_NOTIF_SEND`.
///
/// `ENOENT`: there is no such question any more. `EINVAL`: the kernel does not know a flag.
pub fn answer_notice(listener: impl AsFd, answer: &Answer) -> io::Result<()> {
    let listener = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel only reads the struct, whose size was compared with its own.
    let result = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, answer) };
    done(result.into())
}

/// Gives the process that a question is about a copy of a descriptor, with these flags (`O_CLOEXEC`
/// or none); returns its number there: `SECCOMP_IOCTL_NOTIF_ADDFD`.
///
/// `ENOENT`: there is no such question any more. `EINVAL`: Linux before 5.9.
pub fn give_descriptor(
    listener: impl AsFd,
    id: u64,
    given: impl AsFd,
    flags: u32,
) -> io::Result<libc::c_int> {
    let order = libc::seccomp_notif_addfd {
        id,
        flags: 0,
        srcfd: given.as_fd().as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: flags,
    };
    let listener = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel only reads the struct, which says which descriptor of ours is copied.
    let result =
        unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const order) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sends a descriptor over a local socket: `SCM_RIGHTS` of `unix(7)`.
pub fn send_descriptor(socket: impl AsFd, sent: impl AsFd) -> io::Result<()> {
    let descriptors = [sent.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let socket = socket.as_fd().as_raw_fd();
    sendmsg::<()>(socket, &[IoSlice::new(b"+")], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives what [`send_descriptor`] sends; none if the socket was closed without.
pub fn receive_descriptor(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let (mut byte, mut space) = ([0], nix::cmsg_space!(RawFd));
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let socket = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(socket, &mut bytes, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut received = message.cmsgs()?.filter_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    // SAFETY: the kernel has just opened it for us alone; there is room for one.
    Ok(received.next().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }))
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

/// The slot, in a section of its own: `strip` takes no section away that is loaded.
#[used]
#[unsafe(link_section = ".dcos_node_stamp")]
static SLOT: [u8; SLOT_BYTES] = EMPTY;

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

/// What a process without memory prints before it ends. That is as safe as a kill: the journal has
/// what was begun.
const WITHOUT_MEMORY: &[u8] = b"error: not enough memory\n  \
    state:  unknown; dcos-node status shows it, and the same command resumes what was begun\n  \
    cure:   free memory, or raise the limit (ulimit -v, MemoryMax=), then run the same command \
    again\n";

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
    if memory.is_null() { exit_without_memory() } else { memory }
}

/// Ends the process at once with a message and exit code 1.
pub fn exit_without_memory() -> ! {
    let text = WITHOUT_MEMORY;
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
