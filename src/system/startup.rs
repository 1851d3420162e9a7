//! The beginning of a run: what the process needs of the kernel, checked before anything is done.

use std::hint::black_box;
use std::io;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};

use super::fault::{self, Effect};

/// Threads besides those of the runtime: who follows the events, and who waits for files.
const OTHER_THREADS: usize = 4;
/// Memory that must be left when all threads run, in bytes.
const HEADROOM: usize = 16 << 20;
/// Threads for files never end by themselves: a limit that is reached later stops no run.
const KEEP_ALIVE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// What a process without memory prints before it ends. That is as safe as a kill: the journal has
/// what was begun.
pub(super) const WITHOUT_MEMORY: &[u8] = b"error: not enough memory\n  \
    state:  unknown; dcos-node status shows it, and the same command resumes what was begun\n  \
    cure:   free memory, or raise the limit (ulimit -v, MemoryMax=), then run the same command \
    again\n";

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A thread was refused.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// There are no random numbers, which TLS and hash tables need.
    #[error("the kernel gives no random numbers (getrandom, /dev/urandom)")]
    Random,
}

impl Error {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Error::Thread(_) => {
                "raise the limits of processes and memory (ulimit -u, ulimit -v, TasksMax=), or \
                 allow clone and clone3 in the filter of system calls, then run the same command \
                 again"
            }
            Error::Random => {
                "allow getrandom in the filter of system calls, or provide /dev/urandom, then run \
                 the same command again"
            }
        }
    }
}

/// Starts the runtime of a process that has all threads that it needs.
///
/// # Errors
/// A thread is refused.
pub fn runtime() -> Result<Runtime, Error> {
    check_threads().map_err(Error::Thread)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(KEEP_ALIVE)
        .build()
        .map_err(Error::Thread)?;
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..OTHER_THREADS {
        let gate = gate.clone();
        drop(runtime.spawn_blocking(move || pass(&gate)));
    }
    drop(closed);
    // Ends the process where there is too little: a stack that cannot grow is a fault of memory.
    drop(black_box(Vec::<u8>::with_capacity(HEADROOM)));
    Ok(runtime)
}

/// Starts as many threads as a run needs at least, all at once, and ends them.
fn check_threads() -> io::Result<()> {
    fault::point(Effect::Spawn, "thread")?;
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut started = Vec::new();
    let mut refused = Ok(());
    for _ in 0..workers + OTHER_THREADS {
        let gate = gate.clone();
        match thread::Builder::new().spawn(move || pass(&gate)) {
            Ok(thread) => started.push(thread),
            Err(error) => {
                refused = Err(error);
                break;
            }
        }
    }
    drop(closed);
    for thread in started {
        let _ = thread.join();
    }
    refused
}

fn pass(gate: &Mutex<()>) {
    drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Checks that there are random numbers, before anything asks for them: hash tables could only
/// panic.
///
/// # Errors
/// The kernel gives none.
pub fn check_random() -> Result<(), Error> {
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut [0; 32]).map_err(|_| Error::Random)
}
