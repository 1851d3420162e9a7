//! The small init of a script: makes its confinement, starts it, waits for it, and ends with all of
//! its processes when the caller says so or is gone.
//!
//! With process numbers of its own there are two of these: process 1 of the new namespace, whose
//! end kills all others in it, and the one that was executed, which waits outside. Without, the one
//! that was executed adopts every orphan (`PR_SET_CHILD_SUBREAPER`) and kills them one by one.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, chown, mkdtemp, setgroups, setresgid, setresuid, setsid};

use super::filter::Evidence;
use super::limits::{self, Meter};
use super::notices::{self, Filter, Notices};
use super::order::{Confinement, Failure, Limit, Message, Missing, Order, Piece, View};
use super::processes::end_all;
use super::view;
use crate::system::fault::{self, Effect};
use crate::system::process::execute::execute;
use crate::system::{kernel, seal, signals};

/// An order is longer than its script, which has at most 1 MiB.
const MAX_ORDER: u64 = 4 << 20;
/// The ids of `nobody` on every distribution: those that own nothing.
const NOBODY: u32 = 65534;
/// Where a private directory is made that nobody made before.
const TEMPORARY: &str = "/tmp/dcos-node-script-XXXXXX";

/// What a script has of its own.
struct Own {
    mounts: bool,
    pids: bool,
}

/// What an init watches besides the end of its child.
struct Watched<'a> {
    meter: Meter,
    own: &'a Own,
    notices: Option<Notices>,
}

/// A script that is about to be run.
struct Script {
    order: Order,
    socket: UnixStream,
    missing: Vec<Missing>,
}

pub(super) fn run() -> ExitCode {
    close_others();
    let Ok(socket) = socket() else { return ExitCode::FAILURE };
    match supervise(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            fail(&socket, Some(failure.doing), &failure.source);
            ExitCode::FAILURE
        }
    }
}

/// Takes every capability out of the bounding set, so that no program of the script gains one.
fn drop_bounding_set() -> io::Result<()> {
    const MAX_CAPABILITIES: libc::c_ulong = 64;
    fault::point(Effect::Confine, Piece::BoundingSet.as_str())?;
    for capability in 0..MAX_CAPABILITIES {
        match kernel::drop_from_bounding_set(capability) {
            // Past the last one that this kernel has.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

/// Whoever started the caller may have left descriptors open for every program.
fn close_others() {
    if kernel::close_from(3).is_ok() {
        return;
    }
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    // Collected first: closing what is being listed would end the list.
    let numbers: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in numbers {
        let _ = nix::unistd::close(number);
    }
}

/// The socket at descriptor 0, under a number that no program inherits.
fn socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Anything else than a socket has no peer.
    socket.peer_addr()?;
    Ok(socket)
}

fn supervise(socket: &UnixStream) -> Result<(), Failure> {
    let (order, text) = read_order(socket).map_err(Failure::of("read the order"))?;
    prctl::set_no_new_privs().map_err(Failure::of("set no_new_privs"))?;
    limits::be_first_to_die();
    let mut missing = Vec::new();
    let own = namespaces(&mut missing);
    let mut waited = SigSet::empty();
    waited.add(Signal::SIGCHLD);
    waited.thread_block().map_err(Failure::of("block SIGCHLD"))?;
    let script = Script {
        order,
        missing,
        socket: socket.try_clone().map_err(Failure::of("copy the socket"))?,
    };
    if !own.pids {
        prctl::set_child_subreaper(true).map_err(Failure::of("adopt orphans"))?;
        let result = script.attend(&text, &own);
        end_all(own.pids, |_| ());
        return result;
    }
    match kernel::fork().map_err(Failure::of("start the init"))? {
        Some(init) => {
            watch(init, socket, None, |_, _| ()).map_err(Failure::of("wait for the init"))?;
            // With it die all the others; they are gone when it is.
            let _ = kill(init, Signal::SIGKILL);
            let _ = waitpid(init, None);
            Ok(())
        }
        None => {
            prctl::set_pdeathsig(Signal::SIGKILL).map_err(Failure::of("tie the init to us"))?;
            script.attend(&text, &own)
        }
    }
}

/// An order is a line of JSON and the script's text.
fn read_order(mut socket: &UnixStream) -> io::Result<(Order, Vec<u8>)> {
    let mut bytes = Vec::new();
    (&mut socket).take(MAX_ORDER).read_to_end(&mut bytes)?;
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let order = serde_json::from_slice(parts.next().unwrap_or_default())?;
    Ok((order, parts.next().unwrap_or_default().to_vec()))
}

fn namespaces(missing: &mut Vec<Missing>) -> Own {
    let mut own = |piece: Piece, flag| {
        let made = if Uid::effective().is_root() {
            fault::point(Effect::Confine, piece.as_str()).and_then(|()| Ok(unshare(flag)?))
        } else {
            Err(Errno::EPERM.into())
        };
        made.map_err(|error| missing.push(piece.missing(error))).is_ok()
    };
    let mounts = own(Piece::MountNamespace, CloneFlags::CLONE_NEWNS);
    let pids = own(Piece::PidNamespace, CloneFlags::CLONE_NEWPID);
    own(Piece::IpcNamespace, CloneFlags::CLONE_NEWIPC);
    Own { mounts, pids }
}

impl Script {
    /// Runs the script, and returns when the caller says so or is gone.
    fn attend(mut self, text: &[u8], own: &Own) -> Result<(), Failure> {
        prctl::set_dumpable(false).map_err(Failure::of("become unreadable"))?;
        let view = self.view(own);
        let place = match (view, &self.order.place) {
            (View::PrivateDirectory, Some(place)) => Some((PathBuf::from(place), false)),
            (View::PrivateDirectory, None) => Some((self.make_place()?, true)),
            _ => None,
        };
        let place = place.as_ref().map(|(path, is_own)| (path.as_path(), *is_own));
        let file = self.put(text, place.map(|(path, _)| path))?;
        let evidence = notices::available().unwrap_or_else(|error| {
            self.missing.push(Piece::RefusalEvidence.missing(error));
            Evidence::None
        });
        let (from_script, to_init) = UnixStream::pair().map_err(Failure::of("make a socket"))?;
        let confinement = Confinement { view, missing: std::mem::take(&mut self.missing) };
        let result = match kernel::fork() {
            Ok(Some(child)) => {
                drop(to_init);
                let notices = Notices::receive(&from_script);
                let script = Watched { meter: Meter::start(self.order.limits), own, notices };
                watch(child, &self.socket, Some(script), |status, limit| {
                    self.tell_end(status, limit);
                })
                .map_err(Failure::of("wait for the script"))
            }
            Ok(None) => {
                let filter = Filter { evidence, to_init };
                let Err((doing, source)) =
                    self.become_script(&file, place, confinement, own, filter);
                fail(&self.socket, doing, &source);
                // Not by returning: the caller's part of this process is not for the copy.
                std::process::exit(127);
            }
            Err(error) => Err(Failure::of("start the script")(error)),
        };
        if let Some((own_place, true)) = place {
            end_all(own.pids, |_| ());
            if fault::point(Effect::Remove, own_place).is_ok() {
                let _ = std::fs::remove_dir_all(own_place);
            }
        }
        result
    }

    fn view(&mut self, own: &Own) -> View {
        if !own.mounts {
            return View::PrivateDirectory;
        }
        view::enter(&self.order.read_only, &mut self.missing).unwrap_or_else(|failure| {
            self.missing.push(Piece::CopyOnWrite.missing(failure));
            View::PrivateDirectory
        })
    }

    fn make_place(&self) -> Result<PathBuf, Failure> {
        let doing = || "make a private directory".to_owned();
        fault::point(Effect::Directory, TEMPORARY).map_err(Failure::of(doing()))?;
        let place = mkdtemp(TEMPORARY).map_err(Failure::of(doing()))?;
        if self.order.as_nobody {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            fault::point(Effect::Attributes, &place).map_err(Failure::of(doing()))?;
            chown(&place, Some(user), Some(group)).map_err(Failure::of(doing()))?;
        }
        Ok(place)
    }

    /// Puts the script's text into a file: at the path that DC/OS has it at, as far as the view can
    /// be written to.
    fn put(&self, text: &[u8], place: Option<&Path>) -> Result<PathBuf, Failure> {
        let wanted = Path::new(&self.order.path);
        let name = wanted.file_name().unwrap_or(wanted.as_os_str());
        let mut result = Err(Failure::of("place the script")(io::Error::from(Errno::EROFS)));
        let places = match place {
            Some(place) => vec![place.join(name)],
            None => vec![wanted.to_owned(), Path::new("/tmp").join(name)],
        };
        for path in places {
            result =
                write_script(&path, text).map(|()| path).map_err(Failure::of("place the script"));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Gives up all rights, and executes the script.
    fn become_script(
        &self,
        file: &Path,
        place: Option<(&Path, bool)>,
        mut confinement: Confinement,
        own: &Own,
        filter: Filter,
    ) -> Result<std::convert::Infallible, (Option<String>, io::Error)> {
        let place = place.map(|(path, _)| path);
        let step = |doing: &str| {
            let doing = doing.to_owned();
            move |error: Errno| (Some(doing), io::Error::from(error))
        };
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie the script to its init"))?;
        // No terminal, and no group of processes but its own.
        setsid().map_err(step("start a session"))?;
        let user = if self.order.as_nobody { Uid::from_raw(NOBODY) } else { Uid::current() };
        // In numbers of its own its processes are killed at once, all of them.
        let processes = if own.pids { None } else { limits::processes_of(user, self.order.limits) };
        limits::set(self.order.limits, processes).map_err(step("set limits"))?;
        if place.is_some() && !self.order.is_restricted {
            let restricted = fault::point(Effect::Confine, Piece::Landlock.as_str())
                .map_err(|error| error.to_string())
                .and_then(|()| seal::restrict_writes(place));
            if let Err(why) = restricted {
                confinement.missing.push(Piece::Landlock.missing(why));
            }
        }
        if Uid::effective().is_root()
            && let Err(error) = drop_bounding_set()
        {
            confinement.missing.push(Piece::BoundingSet.missing(error));
        }
        if self.order.as_nobody {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            setgroups(&[]).map_err(step("leave all groups"))?;
            setresgid(group, group, group).map_err(step("become nobody"))?;
            setresuid(user, user, user).map_err(step("become nobody"))?;
        }
        kernel::drop_capabilities()
            .map_err(|error| (Some("drop all capabilities".to_owned()), error))?;
        let shares_ipc =
            confinement.missing.iter().any(|missing| missing.piece == Piece::IpcNamespace);
        if let Err(error) = filter.put_in_force(shares_ipc) {
            confinement.missing.push(Piece::SystemCallFilter.missing(error));
        }
        let mut arguments: Vec<OsString> = self.order.argument.iter().cloned().collect();
        arguments.push(file.into());
        let mut env = self.order.env.clone();
        if let Some(place) = place {
            env.push(("TMPDIR".into(), place.into()));
        }
        signals::restore();
        send(&self.socket, &Message::Started(confinement));
        Err((None, execute(Path::new(&self.order.interpreter), &arguments, &env)))
    }

    fn tell_end(&self, status: WaitStatus, limit: Option<Limit>) {
        let (status, signal) = match status {
            WaitStatus::Exited(_, status) => (Some(status), None),
            WaitStatus::Signaled(_, signal, _) => (None, Some(signal as i32)),
            _ => return,
        };
        let limit = limit.or_else(|| limits::limit_of_end(self.order.limits, status, signal));
        send(&self.socket, &Message::Ended { status, signal, limit });
    }
}

fn write_script(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fault::point(Effect::Directory, directory)?;
        std::fs::create_dir_all(directory)?;
    }
    // A link there would lead elsewhere.
    fault::point(Effect::Remove, path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fault::point(Effect::Write, path)?;
    std::fs::write(path, text)?;
    fault::point(Effect::Attributes, path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))
}

/// Waits for children until the caller closes the socket or is gone. A script's processes are
/// counted, and killed when they exceed a limit, and the kernel's questions about them are
/// answered; for an init its end is enough.
fn watch(
    child: Pid,
    socket: &UnixStream,
    mut script: Option<Watched<'_>>,
    ended: impl Fn(WaitStatus, Option<Limit>),
) -> nix::Result<()> {
    let mut waited = SigSet::empty();
    waited.add(Signal::SIGCHLD);
    let signals = SignalFd::with_flags(&waited, SfdFlags::SFD_CLOEXEC)?;
    let child_ended = |status: WaitStatus, limit| {
        let is_child = status.pid() == Some(child);
        if is_child {
            ended(status, limit);
        }
        is_child
    };
    loop {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(status) if child_ended(status, None) && script.is_none() => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        let mut timeout = PollTimeout::NONE;
        if let Some(Watched { meter, own, .. }) = &mut script {
            if let Some(limit) = meter.exceeded() {
                end_all(own.pids, |status| _ = child_ended(status, Some(limit)));
            }
            timeout = PollTimeout::try_from(meter.pause()).unwrap_or(PollTimeout::MAX);
        }
        let notices = script.as_ref().and_then(|script| script.notices.as_ref());
        // What is not there is not asked for either.
        let asked = if notices.is_some() { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut polled = [
            PollFd::new(socket.as_fd(), PollFlags::empty()),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(notices.map_or(signals.as_fd(), AsFd::as_fd), asked),
        ];
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let is_question = polled[2].revents().is_some_and(|it| it.contains(PollFlags::POLLIN));
        let [caller, signal, listener] = polled.map(|polled| polled.any().unwrap_or(true));
        if caller {
            return Ok(());
        }
        if signal {
            signals.read_signal()?;
        }
        if let Some(Watched { notices, .. }) = &mut script
            && let Some(known) = notices.as_mut().filter(|_| listener)
        {
            let answered = is_question
                && known.answer(|refused| send(socket, &Message::Refused(refused))).is_ok();
            // No process has the filter any more, or the kernel asks in a way that is not known:
            // then what it would ask about fails.
            if !answered {
                *notices = None;
            }
        }
    }
}

fn fail(socket: &UnixStream, doing: Option<String>, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    send(socket, &Message::Failed { doing, errno });
}

/// A caller who is gone needs no answer.
fn send(mut socket: &UnixStream, message: &Message) {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    if socket.write_all(&line).is_err() {
        let _ = socket.shutdown(Shutdown::Both);
    }
}
