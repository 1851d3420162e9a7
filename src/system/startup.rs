//! The beginning of a run: what the process needs of the kernel, checked before anything is done.

use std::hint::black_box;
use std::io;
use std::num::NonZero;
use std::panic::{self, Location};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};

use super::fault::{self, Effect};
use super::kernel;

/// Threads besides those of the runtime: who follows the events, and who waits for files.
const OTHER_THREADS: usize = 4;
/// Memory that must be left when all threads run, in bytes.
const HEADROOM: usize = 16 << 20;
/// More than the first thread needs of its stack, in bytes; 8 MiB is the usual limit.
const MAIN_STACK: usize = 1 << 20;
/// Threads for files never end by themselves: a limit that is reached later stops no run.
const KEEP_ALIVE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
    end_where_a_thread_gets_no_signal_stack();
    grow_stack();
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
    // Ends the process where there is too little.
    drop(black_box(Vec::<u8>::with_capacity(HEADROOM)));
    Ok(runtime)
}

/// The standard library gives each thread a stack for its signals, and panics where the kernel
/// refuses that memory, before any code of ours runs in the thread. This is the one panic of that
/// file: the process ends as it does wherever else memory is refused.
fn end_where_a_thread_gets_no_signal_stack() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let of_signal_stack = |place: &Location<'_>| place.file().ends_with("stack_overflow.rs");
        if panic.location().is_some_and(of_signal_stack) {
            kernel::exit_without_memory();
        }
        usual(panic);
    }));
}

/// Has the kernel grow the stack of this thread now: the one of the first thread is not set aside
/// as those of others are, and growing it where memory has a limit ends in a fault of memory. What
/// is too little for that ends the process here.
fn grow_stack() {
    drop(black_box(Vec::<u8>::with_capacity(2 * MAIN_STACK)));
    black_box(&[0_u8; MAIN_STACK]);
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
