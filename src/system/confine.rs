//! Confinement of scripts that others wrote: what they can reach of this machine, and what becomes
//! of what they change.
//!
//! A confined script has no capability, and mounts, process numbers and IPC of its own. It works on
//! a copy-on-write view of the machine that is thrown away (`confine/view.rs`), under a filter of
//! system calls (`confine/filter.rs`), as the child of a small init (`confine/supervise.rs`). All
//! its processes end with it, or when they exceed a limit (`confine/limits.rs`). The network is the
//! machine's own.
//!
//! That init is this very program, executed again under another name: [`entry`] is the first thing
//! that `main` calls. What it shall do is an `Order` on a socket at descriptor 0, over which it
//! answers with `Message`s; the script never has that socket. Whoever calls it by hand gets a
//! program run with fewer rights than he has.
//!
//! A kernel or container may lack a piece: then the script runs without that piece, and
//! [`Confinement::missing`] names it.

mod filter;
mod limits;
mod notices;
mod order;
mod processes;
mod supervise;
mod view;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

pub use order::{Confinement, Limit, Limits, Missing, Piece, Refusal, Refused, View};
pub(super) use order::{Message, Order};

/// The name (`argv[0]`) by which this program is the init of a script.
pub(super) const NAME: &str = "dcos-node-script";

/// This program's file, once it is known to be one that calls [`entry`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Runs as the init of a script if this process was started as one; else returns none at once. No
/// thread may run, and nothing be open, before it.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) && arguments.next().is_none() {
        return Some(supervise::run());
    }
    use_program("/proc/self/exe");
    None
}

/// Names the program that is executed as the init of scripts: one whose `main` calls [`entry`].
/// Only the first call counts.
pub fn use_program(program: impl Into<PathBuf>) {
    let _ = PROGRAM.set(program.into());
}

/// The program that is executed as the init of scripts.
pub(super) fn program() -> io::Result<PathBuf> {
    let unknown = || io::Error::other("this program has no entry for it");
    PROGRAM.get().cloned().ok_or_else(unknown)
}
