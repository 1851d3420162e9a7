//! What a script is refused, as its init hears it: the kernel asks about each such call
//! (`SECCOMP_RET_USER_NOTIF`), and the init answers with the error and remembers who was refused
//! what.
//!
//! Most programs try local sockets that do not exist, and go on without: the C library asks for a
//! cache of names in each look-up, and for a local socket to ask the kernel about interfaces. Such
//! an attempt explains no failure. So where the kernel can give a process descriptors (Linux 5.9),
//! a local socket is replaced by one of the network, which leads to no local service whatever is
//! done with it, and the program is refused when it names a path. A path that does not exist is
//! reported as such, as without confinement.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::exit;

use libc::{AF_INET, AF_INET6, AF_UNIX, c_int, c_long};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::filter::{self, ARCHITECTURE, Evidence, SOCKET_TYPE};
use super::order::{Piece, Refusal, Refused};
use crate::system::fault::{self, Effect};
use crate::system::kernel::{self, Answer, Notice};

/// More is not remembered of one script.
const MAX_REFUSED: usize = 16;
/// Where the C library looks for the cache of names; without it, it looks names up by itself.
const NAME_CACHES: [&str; 3] =
    ["/var/run/nscd/socket", "/run/nscd/socket", "/var/run/.nscd_socket"];
/// The longest address of a local socket: `struct sockaddr_un`.
const MAX_ADDRESS: u64 = 110;
/// The family in front of every address.
const FAMILY: usize = 2;
/// An answer that lets the call happen.
const CONTINUE: u32 = 1; // SECCOMP_USER_NOTIF_FLAG_CONTINUE, which libc has as a long

/// Where the kernel asks about the calls of a script.
pub(super) struct Notices {
    listener: OwnedFd,
    /// What was refused so far.
    refused: BTreeSet<Refused>,
    /// Whether the kernel names processes by the numbers of `/proc`.
    has_numbers_of_proc: bool,
}

/// How the script's process puts itself under the filter, and its init hears what that refuses.
pub(super) struct Filter {
    pub evidence: Evidence,
    pub to_init: UnixStream,
}

impl Filter {
    pub fn put_in_force(self, shares_ipc: bool) -> io::Result<()> {
        fault::point(Effect::Confine, Piece::SystemCallFilter.as_str())?;
        let mut program = filter::program(shares_ipc, self.evidence)
            .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
        if self.evidence == Evidence::None {
            return kernel::filter_system_calls(&mut program);
        }
        let listener = kernel::filter_and_listen(&mut program)?;
        // If the init does not hear of the calls, they fail all the same.
        kernel::send_descriptor(&self.to_init, &listener)
    }
}

/// A call that the kernel asks about.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// A call of another ABI.
    Foreign,
    /// A local socket of this type, with these flags.
    LocalSocket(SockType, c_int),
    /// A socket gets the address at this place in memory, of this length.
    Address { place: u64, length: u64, is_of_peer: bool },
    /// Another one, which is refused with this error number.
    Refused(Refusal, c_int),
}

/// Finds out, in a process of its own, what this kernel can be asked to say.
pub(super) fn available() -> io::Result<Evidence> {
    const REFUSALS: c_int = 254;
    const PATHS: c_int = 255;
    fault::point(Effect::Confine, Piece::RefusalEvidence.as_str())?;
    let Some(child) = kernel::fork()? else {
        exit(match kernel::filter_and_listen(&mut filter::open()) {
            Ok(listener) if has_numbers_of_proc() && can_name_paths(&listener) => PATHS,
            Ok(_) => REFUSALS,
            Err(error) => error.raw_os_error().unwrap_or(libc::ENOSYS),
        });
    };
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Exited(_, PATHS)) => return Ok(Evidence::Paths),
            Ok(WaitStatus::Exited(_, REFUSALS)) => return Ok(Evidence::Refusals),
            Ok(WaitStatus::Exited(_, errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Ok(_) => return Err(Errno::ENOSYS.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_numbers_of_proc() -> bool {
    let own = std::fs::read_link("/proc/self").ok();
    own.and_then(|own| own.to_str()?.parse().ok()) == Some(Pid::this().as_raw())
}

/// Whether calls can be let through after a look, and descriptors be given: a kernel that can fails
/// only because there is no such question.
fn can_name_paths(listener: &OwnedFd) -> bool {
    let is_known = |result: io::Result<()>| {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
    };
    let answer = Answer { id: 0, val: 0, error: 0, flags: CONTINUE };
    fault::point(Effect::Confine, "refusal-paths").is_ok()
        && is_known(kernel::answer_notice(listener, &answer))
        && is_known(kernel::give_descriptor(listener, 0, listener, 0).map(drop))
}

impl Notices {
    /// Receives the listener from the script's process, which has sent it or will execute the
    /// script without.
    pub fn receive(from: &UnixStream) -> Option<Notices> {
        let listener = kernel::receive_descriptor(from).ok()??;
        let has_numbers_of_proc = has_numbers_of_proc();
        Some(Notices { listener, refused: BTreeSet::new(), has_numbers_of_proc })
    }

    /// Answers one question, and calls `remember` before that with what is refused for the first
    /// time.
    pub fn answer(&mut self, remember: impl FnOnce(Refused)) -> io::Result<()> {
        let notice = match kernel::next_notice(&self.listener) {
            Ok(notice) => notice,
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let (answer, refused) = self.judge(&notice);
        if let Some(what) = refused {
            let refused = Refused { what, program: self.program(&notice) };
            if self.refused.len() < MAX_REFUSED && self.refused.insert(refused.clone()) {
                remember(refused);
            }
        }
        if asked(&notice) == Asked::Foreign
            && let Some(process) = process(&notice)
        {
            let _ = kill(process, Signal::SIGKILL);
        }
        match kernel::answer_notice(&self.listener, &answer) {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The answer to a question, and what it refuses.
    fn judge(&self, notice: &Notice) -> (Answer, Option<Refusal>) {
        let allowed = Answer { id: notice.id, val: 0, error: 0, flags: CONTINUE };
        let error = |error: c_int| Answer { id: notice.id, val: 0, error: -error, flags: 0 };
        match asked(notice) {
            Asked::Foreign => (error(libc::EPERM), Some(Refusal::ForeignProgram)),
            Asked::LocalSocket(kind, flags) => match self.give_harmless(notice, kind, flags) {
                Ok(number) => (Answer { val: number.into(), flags: 0, ..allowed }, None),
                Err(_) => (error(libc::EAFNOSUPPORT), Some(Refusal::LocalSocket { path: None })),
            },
            Asked::Address { place, length, is_of_peer } => {
                match self.local_path(notice, place, length) {
                    None => (allowed, None),
                    Some(path) if is_of_peer && !exists(&path, notice) => {
                        (error(libc::ENOENT), None)
                    }
                    Some(path) => {
                        let path = String::from_utf8_lossy(&path).replace('\0', "@");
                        (error(libc::EACCES), Some(Refusal::LocalSocket { path: Some(path) }))
                    }
                }
            }
            Asked::Refused(what, errno) => (error(errno), Some(what)),
        }
    }

    /// Gives the process a socket of the network in place of a local one.
    fn give_harmless(&self, notice: &Notice, kind: SockType, flags: c_int) -> io::Result<c_int> {
        let flags = SockFlag::from_bits_truncate(flags);
        let given = socket(AddressFamily::Inet, kind, flags | SockFlag::SOCK_CLOEXEC, None)?;
        let closes = flags.contains(SockFlag::SOCK_CLOEXEC);
        let flags = if closes { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
        kernel::give_descriptor(&self.listener, notice.id, &given, flags)
    }

    /// The path of a local socket's address in the memory of the process; none if it is an address
    /// of another family, or cannot be read. What the process makes of it meanwhile is harmless: no
    /// socket of its can be connected to a local one.
    fn local_path(&self, notice: &Notice, place: u64, length: u64) -> Option<Vec<u8>> {
        let process = self.directory(notice)?;
        let mut address = vec![0; usize::try_from(length.min(MAX_ADDRESS)).ok()?];
        let memory = File::open(process.join("mem")).ok()?;
        let length = memory.read_at(&mut address, place).ok()?;
        address.truncate(length);
        let (family, path) = address.split_at_checked(FAMILY)?;
        if c_int::from(u16::from_ne_bytes(family.try_into().ok()?)) != AF_UNIX {
            return None;
        }
        let is_abstract = path.first() == Some(&0);
        let end = path.iter().position(|byte| *byte == 0).filter(|_| !is_abstract);
        Some(path.get(..end.unwrap_or(path.len()))?.to_vec())
    }

    /// The name of the program's file, or what the process calls itself.
    fn program(&self, notice: &Notice) -> Option<String> {
        let process = self.directory(notice)?;
        let name = match std::fs::read_link(process.join("exe")) {
            Ok(file) => file.file_name()?.as_bytes().to_vec(),
            Err(_) => std::fs::read(process.join("comm")).ok()?,
        };
        Some(String::from_utf8_lossy(name.trim_ascii()).into_owned())
    }

    fn directory(&self, notice: &Notice) -> Option<PathBuf> {
        self.has_numbers_of_proc.then(|| directory(notice))
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn directory(notice: &Notice) -> PathBuf {
    Path::new("/proc").join(notice.pid.to_string())
}

/// The process, or the thread, that a question is about, if this process sees it.
fn process(notice: &Notice) -> Option<Pid> {
    i32::try_from(notice.pid).ok().filter(|number| *number > 0).map(Pid::from_raw)
}

/// The process did not wait for the answer.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

/// Whether a service may listen there that a program needs. A relative path counts as one, as well
/// as an abstract name.
fn exists(path: &[u8], notice: &Notice) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    if NAME_CACHES.iter().any(|cache| path == Path::new(cache)) {
        return false;
    }
    if path.as_os_str().as_bytes().first() == Some(&0) {
        return true;
    }
    std::fs::metadata(directory(notice).join("cwd").join(path))
        .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
}

fn asked(notice: &Notice) -> Asked {
    let data = &notice.data;
    if Some(data.arch) != ARCHITECTURE {
        return Asked::Foreign;
    }
    let call = c_long::from(data.nr);
    let [_, address, ..] = data.args;
    let [first, second, third, ..] = data.args.map(low);
    let kind = second & SOCKET_TYPE.cast_signed();
    match call {
        libc::SYS_connect | libc::SYS_bind => Asked::Address {
            place: address,
            length: u64::try_from(third).unwrap_or(0),
            is_of_peer: call == libc::SYS_connect,
        },
        libc::SYS_socket if first == AF_UNIX && kind == libc::SOCK_STREAM => {
            Asked::LocalSocket(SockType::Stream, second & !SOCKET_TYPE.cast_signed())
        }
        libc::SYS_socket if first == AF_UNIX && kind == libc::SOCK_DGRAM => {
            Asked::LocalSocket(SockType::Datagram, second & !SOCKET_TYPE.cast_signed())
        }
        libc::SYS_socket | libc::SYS_socketpair if first == AF_UNIX => {
            Asked::Refused(Refusal::LocalSocket { path: None }, libc::EAFNOSUPPORT)
        }
        libc::SYS_socket if [AF_INET, AF_INET6].contains(&first) => {
            Asked::Refused(Refusal::RawSocket, libc::EPERM)
        }
        libc::SYS_socket | libc::SYS_socketpair => {
            Asked::Refused(Refusal::OtherSocket, libc::EAFNOSUPPORT)
        }
        libc::SYS_clone => Asked::Refused(Refusal::Namespace, libc::EPERM),
        libc::SYS_ioctl => Asked::Refused(Refusal::Terminal, libc::EPERM),
        _ => Asked::Refused(filter::refusal_of(call).unwrap_or(Refusal::Kernel), libc::EPERM),
    }
}

/// An argument that is an int.
fn low(argument: u64) -> c_int {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default().cast_signed()
}
