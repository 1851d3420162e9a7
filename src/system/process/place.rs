//! A private directory for scripts, for a process that soon can write nowhere.
//!
//! Who has made it could not remove it any more. A copy of this program does both: it makes the
//! directory, tells its name over a socket, and removes it when this process is gone, however it
//! ends.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;

use nix::unistd::mkdtemp;

use crate::system::confine;
use crate::system::fault::{self, Effect};

/// The name (`argv[0]`) by which this program keeps a directory.
const NAME: &str = "dcos-node-place";
const TEMPLATE: &str = "/tmp/dcos-node-scripts-XXXXXX";

/// The directory, and the process that removes it when the socket is closed.
struct Kept {
    path: PathBuf,
    _socket: UnixStream,
    _keeper: Child,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// The directory, if there is one.
pub(super) fn path() -> Option<&'static Path> {
    KEPT.get().map(|kept| kept.path.as_path())
}

/// Makes the directory, mode 0700; none if it cannot be made.
pub fn keep() -> Option<PathBuf> {
    if KEPT.get().is_none() {
        let _ = KEPT.set(start().ok()?);
    }
    path().map(Path::to_owned)
}

fn start() -> io::Result<Kept> {
    let program = confine::program()?;
    let (mut ours, its) = UnixStream::pair()?;
    fault::point(Effect::Spawn, &program)?;
    let keeper = Command::new(program)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for us: its end is ours.
        .process_group(0)
        .spawn()?;
    let mut name = Vec::new();
    ours.read_to_end(&mut name)?;
    if name.is_empty() {
        return Err(io::Error::other("the directory was not made"));
    }
    Ok(Kept { path: OsString::from_vec(name).into(), _socket: ours, _keeper: keeper })
}

/// Keeps a directory if this process was started for that; else returns none at once.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != NAME || arguments.next().is_some() {
        return None;
    }
    Some(if serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Anything else than a socket has no peer.
    socket.peer_addr()?;
    fault::point(Effect::Directory, TEMPLATE)?;
    let path = mkdtemp(TEMPLATE)?;
    fault::point(Effect::Write, &path)?;
    let named = socket
        .write_all(path.as_os_str().as_bytes())
        .and_then(|()| socket.shutdown(Shutdown::Write));
    if named.is_ok() {
        let _ = io::copy(&mut socket, &mut io::sink());
    }
    fault::point(Effect::Remove, &path)?;
    std::fs::remove_dir_all(&path)
}
