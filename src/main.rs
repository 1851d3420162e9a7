//! The wiring: the process is sealed, log and output start, one command runs, its end is printed.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

#[path = "main/run.rs"]
mod run;
#[path = "main/start.rs"]
mod start;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dcos_node::cli::{self, Invocation};
use dcos_node::command::inputs;
use dcos_node::dcos::exit::Exit;
use dcos_node::output::ending::{self, Ended};
use dcos_node::output::record::Entry;
use dcos_node::output::{self, follow};
use dcos_node::system::journal_socket;
use dcos_node::system::notify::Notify;
use dcos_node::system::process::place;
use dcos_node::system::root::Root;
use dcos_node::system::{confine, kernel, seal, signals, startup};
use start::{cannot_start, journal, lines, without_passwords};

/// Out of memory is an error with an exit code.
#[global_allocator]
static ALLOCATOR: kernel::ExitingAllocator = kernel::ExitingAllocator;

fn main() -> ExitCode {
    // Before anything else: this may be a copy that another process of ours started.
    if let Some(code) = confine::entry().or_else(place::entry) {
        return code;
    }
    signals::reset();
    if let Err(error) = startup::check_random() {
        return exit_with(ending::conclude(&Err(cannot_start(error)), None, false, true));
    }
    without_passwords();
    exit_with(match cli::parse(std::env::args_os()) {
        Ok(invocation) => execute(&invocation),
        Err(refused) => {
            let failure = refused.is_error.then(|| refused.failure());
            ending::refuse(&refused.text, failure.as_ref(), refused.json)
        }
    })
}

/// Seals the process where it must not write, runs the command, and prints its end.
fn execute(invocation: &Invocation) -> Exit {
    let printing = &invocation.printing;
    output::log::start(printing.verbose, printing.json_log);
    // Before the seal: the operator asked for this one file. Before signals are listened to, a
    // Ctrl-C ends a read of a pipe that nobody writes.
    let begun = inputs::read(&invocation.inputs())
        .and_then(|inputs| Ok((inputs, lines(invocation.events(), printing.json)?)));
    if invocation.must_not_write() {
        // Before the runtime: the kernel seals one thread and those that come after it.
        seal::seal(place::keep);
    }
    let notify = Notify::from_environment().map(Arc::new);
    let ended =
        begun.and_then(|(inputs, lines)| follow_run(invocation, inputs, lines, notify.clone()));
    let help = offered(invocation, &ended);
    let exit = ending::conclude(&ended, help.as_deref(), printing.json, printing.no_color);
    let exit = if invocation.is_at_boot() { Exit::Done } else { exit };
    if let (Some(notify), Exit::Done) = (&notify, exit) {
        notify.ready();
    }
    exit
}

/// Runs the command, and reports its beginning and its end to everybody who follows.
fn follow_run(
    invocation: &Invocation,
    inputs: inputs::Contents,
    lines: Option<follow::Lines>,
    notify: Option<Arc<Notify>>,
) -> Ended {
    let runtime = startup::runtime().map_err(cannot_start)?;
    let journal = journal(invocation);
    // What a unit prints is in the journal: it would be there twice.
    let is_twice = journal.is_some() && journal_socket::is_standard_error();
    let (events, follower) = follow::follow(follow::Wish {
        plain: is_twice.then(follow::nowhere),
        journal: journal
            .map(|journal| Box::new(move |entry: &Entry| journal.send(entry)) as follow::Journal),
        lines,
        listener: notify
            .map(|notify| Box::new(move |text: &str| notify.status(text)) as follow::Listener),
        verbose: invocation.printing.verbose > 0,
        quiet: invocation.printing.quiet,
        no_color: invocation.printing.no_color,
    })
    .map_err(|error| cannot_start(startup::Error::Thread(error)))?;
    let (began, started) = (Instant::now(), invocation.started());
    let has_started = started.is_some();
    started.into_iter().for_each(|event| events.send(event));
    let ended = runtime.block_on(run::run(invocation, inputs, events.clone()));
    // Everything that could still tell news ends before the result is printed.
    runtime.shutdown_timeout(Duration::from_secs(10));
    if has_started {
        let help = offered(invocation, &ended);
        events.send(ending::event(&ended, help, began.elapsed().as_secs()));
    }
    drop(events);
    follower.finish();
    ended
}

fn offered(invocation: &Invocation, ended: &Ended) -> Option<String> {
    let is_live = Root::new(&invocation.root).is_live();
    ending::offered(ended, invocation.bundle_command(is_live))
}

fn exit_with(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}
