//! The wiring: log and output, one command, its value, the exit code.
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

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use dcos_node::action::site::PATIENCE;
use dcos_node::cli::{self, Command, Invocation, Printing, Refused};
use dcos_node::command::{
    Failure, World, adopt, bundle, explain, fetch, install, preflight, publish, recover, serve,
    status, uninstall, verify, world,
};
use dcos_node::dcos::event::{Event, Events};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::layout;
use dcos_node::output::paint::Paint;
use dcos_node::output::record::Entry;
use dcos_node::output::{self, follow};
use dcos_node::system::append::Growing;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::clock::KernelClock;
use dcos_node::system::journal_socket::{self, JournalSocket};
use dcos_node::system::notify::Notify;
use dcos_node::system::process::place;
use dcos_node::system::root::Root;
use dcos_node::system::{confine, kernel, process, seal, signals, startup};

use tokio::runtime::Runtime;

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
        output::complaint(&output::failure::text(&cannot_start(error), None, Paint::stderr(true)));
        return ExitCode::from(Exit::Failed.code());
    }
    without_passwords();
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(refused) => return ExitCode::from(refuse(&refused).code()),
    };
    output::log::start(invocation.printing.verbose, invocation.printing.json_log);
    let printing = &invocation.printing;
    // Before the seal: the operator asked for this one file.
    let lines = lines(log_as_lines(&invocation).or(printing.events.as_deref()), printing.json);
    if invocation.must_not_write() {
        // Before the runtime: the kernel seals one thread and those that come after it.
        seal::seal(place::keep);
    }
    let notify = Notify::from_environment().map(Arc::new);
    let journal = journal(&invocation);
    let exit = match (lines, startup::runtime()) {
        (Ok(lines), Ok(runtime)) => {
            let wish = follow::Wish {
                // What a unit prints is in the journal: it would be there twice.
                plain: journal
                    .as_ref()
                    .filter(|_| journal_socket::is_standard_error())
                    .map(|_| follow::nowhere()),
                journal: journal.map(|journal| {
                    Box::new(move |entry: &Entry| journal.send(entry)) as follow::Journal
                }),
                lines,
                listener: notify.clone().map(listener),
                verbose: printing.verbose > 0,
                quiet: printing.quiet,
                no_color: printing.no_color,
            };
            let ended = follow::follow(wish)
                .map_err(|error| cannot_start(startup::Error::Thread(error)))
                .and_then(|(events, follower)| follow_run(&invocation, runtime, events, follower));
            conclude(&invocation, ended)
        }
        (Err(error), _) => conclude(
            &invocation,
            Err(Failure::new(Exit::Usage, error)
                .leaving("nothing was changed")
                .cured_by("--events takes a file, fd:N or -")),
        ),
        (_, Err(error)) => conclude(&invocation, Err(cannot_start(error))),
    };
    if let (Some(notify), Exit::Done) = (&notify, exit) {
        notify.ready();
    }
    ExitCode::from(exit.code())
}

/// Begins again where the command line has a password, before anything is logged: journald reads
/// the command line of a process with each entry, and `ps` shows it to everybody. A process cannot
/// change what the kernel shows without CAP_SYS_RESOURCE or unsafe code; exec can, keeps the
/// process id, and leaves the password in the environment, which only root and this user can read.
fn without_passwords() {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(hidden) = cli::hidden(&arguments) {
        output::complaint(&hidden.warning());
        let error = process::begin_again(&hidden.arguments, &hidden.variables);
        output::complaint(&format!("warning: the password stays on the command line: {error}\n"));
    }
}

/// Runs the command, and reports its beginning and its end.
fn follow_run(
    invocation: &Invocation,
    runtime: Runtime,
    events: Events,
    follower: follow::Follower,
) -> Result<Value, Failure> {
    let (began, started) = (Instant::now(), invocation.started());
    started.clone().into_iter().for_each(|event| events.send(event));
    let ended = runtime.block_on(run(invocation, events.clone()));
    // Everything that could still tell news ends before the result is printed.
    runtime.shutdown_timeout(Duration::from_secs(10));
    started.into_iter().for_each(|_| events.send(end(invocation, &ended, began)));
    drop(events);
    follower.finish();
    ended
}

/// The process lacks what every run needs.
fn cannot_start(error: startup::Error) -> Failure {
    let fix = error.fix();
    Failure::new(Exit::Failed, error).leaving("nothing was changed").cured_by(fix)
}

/// Help and version are a result; what is wrong is told to people and, if they asked for it, to
/// programs.
fn refuse(refused: &Refused) -> Exit {
    if !refused.is_error {
        return told(output::text(&refused.text), Exit::Done, false);
    }
    let document =
        if refused.json { output::json(&refused.failure().report(None)) } else { Ok(()) };
    output::complaint(&refused.text);
    told(document, Exit::Usage, false)
}

/// What a server tells with `--json` has no end, so it is lines.
fn log_as_lines(invocation: &Invocation) -> Option<&'static str> {
    let Printing { json, events, .. } = &invocation.printing;
    (matches!(invocation.command, Command::Serve(_)) && *json && events.is_none()).then_some("-")
}

/// The service manager is told the same news, if it asked for them.
fn listener(notify: Arc<Notify>) -> follow::Listener {
    Box::new(move |text| notify.status(text))
}

/// The node's journal, for what changes this machine.
fn journal(invocation: &Invocation) -> Option<JournalSocket> {
    let root = Root::new(&invocation.root);
    let told = root.is_live() && invocation.is_for_the_journal();
    told.then(|| JournalSocket::at(&root.at(layout::JOURNAL_SOCKET)))?
}

/// Where events go as lines of JSON: standard output, a descriptor that the caller opened, or a
/// file. They are not mixed with the one document that `--json` prints, by whatever name standard
/// output was given.
fn lines(place: Option<&str>, json: bool) -> anyhow::Result<Option<follow::Lines>> {
    let Some(place) = place else { return Ok(None) };
    if place == "-" {
        return Ok(Some(follow::stdout()));
    }
    let file = Growing::named(place)?;
    if json && file.is_standard_output() {
        bail!("--json and --events {place} both want standard output");
    }
    Ok(Some(Box::new(file)))
}

/// What a command came to.
enum Value {
    Install(install::Outcome),
    Fetch(fetch::Outcome),
    Preflight(dcos_node::preflight::report::Report, bool),
    Uninstall(uninstall::Outcome),
    Adopt(adopt::Outcome),
    Status(Box<status::Outcome>),
    Verify(verify::Outcome),
    Bundle(bundle::Outcome),
    Recover(recover::Outcome),
    Publish(publish::Outcome),
    Serve(serve::Outcome),
    Explain(explain::Outcome),
    List(explain::List),
    Text(String),
}

async fn run(invocation: &Invocation, events: Events) -> Result<Value, Failure> {
    let world = || world(invocation, events);
    match &invocation.command {
        Command::Install(request, wish) => {
            let world = world().await;
            install::check_wish(request.start, *wish, &world)?;
            let outcome = install::run(request, &world).await?;
            install::and_wait(outcome, *wish, &world).await.map(Value::Install)
        }
        Command::Fetch(request) => fetch::run(request, &world().await).await.map(Value::Fetch),
        Command::Preflight { request, strict } => preflight::run(request, &world().await)
            .await
            .map(|report| Value::Preflight(report, *strict)),
        Command::Uninstall(request) => {
            let world = world().await;
            uninstall::run(&confirmed(*request, &world).await?, &world).await.map(Value::Uninstall)
        }
        Command::Adopt => adopt::run(&world().await).await.map(Value::Adopt),
        Command::Status(request) => status::run(*request, &world().await)
            .await
            .map(|status| Value::Status(Box::new(status))),
        Command::Verify(request) => verify::run(request, &world().await).await.map(Value::Verify),
        Command::Bundle(request) => bundle::run(request, &world().await).await.map(Value::Bundle),
        Command::Recover(request) => {
            recover::run(request, &world().await).await.map(Value::Recover)
        }
        Command::Publish(request) => {
            publish::run(request, &world().await).await.map(Value::Publish)
        }
        Command::Serve(request) => serve::run(request, &world().await).await.map(Value::Serve),
        Command::Explain(check) => explain::run(check).map(Value::Explain),
        Command::List(role) => Ok(Value::List(explain::list(*role))),
        Command::Print(text) => Ok(Value::Text(text.clone())),
    }
}

/// What commands that look at a node work with.
async fn world(invocation: &Invocation, events: Events) -> World {
    let root = Root::new(&invocation.root);
    let cancellation = Cancellation::default();
    let news = events.clone();
    signals::cancel(cancellation.clone(), move || {
        news.note("stopping at the next safe point; once more stops at once");
    });
    let systemd = world::connect(&root, &cancellation);
    World {
        systemd: if invocation.is_for_server() { None } else { systemd.await },
        patience: PATIENCE,
        root: root.clone(),
        clock: Arc::new(KernelClock),
        events,
        cancellation: cancellation.clone(),
        command_line: invocation.words(),
        ca_file: invocation.ca_file.clone(),
        stamp: world::own_stamp(),
    }
}

/// Purging data is asked for once more where a person can answer.
async fn confirmed(
    request: uninstall::Request,
    world: &World,
) -> Result<uninstall::Request, Failure> {
    if !request.purge_data || request.yes || request.dry_run || !output::ask::can() {
        return Ok(request);
    }
    let data = uninstall::data(world).await?;
    // Where a purge would remove none there is nothing to ask.
    if data.iter().all(|data| data.behind_link.is_some()) || output::ask::purge(&data) {
        return Ok(uninstall::Request { yes: true, ..request });
    }
    Err(Failure::new(Exit::Usage, anyhow::anyhow!("the answer was not yes"))
        .leaving("nothing was changed")
        .cured_by("the same command asks again; without --purge-data the data is kept"))
}

/// Prints what came of it and says how to exit.
fn conclude(invocation: &Invocation, ended: Result<Value, Failure>) -> Exit {
    let printing = &invocation.printing;
    let help = help(invocation, &ended);
    match ended {
        Ok(value) => {
            let shown = show(&value, printing.json, Paint::stdout(printing.no_color));
            help.into_iter()
                .for_each(|command| output::complaint(&output::failure::help(&command)));
            let exit = told(shown, value.exit(), printing.no_color);
            if is_at_boot(invocation) { Exit::Done } else { exit }
        }
        Err(failure) => {
            let shown =
                if printing.json { output::json(&failure.report(help.as_deref())) } else { Ok(()) };
            output::complaint(&output::failure::text(
                &failure,
                help.as_deref(),
                Paint::stderr(printing.no_color),
            ));
            let exit = told(shown, failure.exit, printing.no_color);
            if is_at_boot(invocation) { Exit::Done } else { exit }
        }
    }
}

/// How to exit if the result was told, or could not be: who waits for it must not take an empty
/// file for one. What was done stays done, and is said here.
fn told(shown: io::Result<()>, exit: Exit, no_color: bool) -> Exit {
    let Err(error) = shown else { return exit };
    let state = match exit {
        Exit::Done => "what was asked is done, and nothing else failed".to_owned(),
        exit => format!(
            "the command itself ended with exit code {} ({}), which stays",
            exit.code(),
            exit.word()
        ),
    };
    let failure = Failure::new(
        Exit::Failed,
        anyhow::Error::new(error).context("cannot write the result to standard output"),
    );
    let failure = failure
        .leaving(state)
        .cured_by("see to where standard output goes; the same command tells how it stands now");
    output::complaint(&output::failure::text(&failure, None, Paint::stderr(no_color)));
    if exit == Exit::Done { Exit::Failed } else { exit }
}

/// A boot must not fail over what the next boot, or an operator, can finish.
fn is_at_boot(invocation: &Invocation) -> bool {
    matches!(invocation.command, Command::Recover(recover::Request { at_boot: true, .. }))
}

impl Value {
    /// How to exit with it.
    fn exit(&self) -> Exit {
        match self {
            Value::Preflight(report, strict) => report.exit(*strict),
            Value::Status(status) => status.exit(),
            Value::Verify(outcome) => outcome.exit(),
            Value::Uninstall(outcome) => outcome.exit(),
            _ => Exit::Done,
        }
    }

    /// Whether support could be asked about it: also where units failed although all was done.
    fn is_for_support(&self) -> bool {
        match self {
            Value::Install(outcome) => outcome.degraded,
            Value::Recover(recover::Outcome::Installed(outcome)) => outcome.degraded,
            Value::Status(status) => status.is_for_support(),
            _ => self.exit().is_for_support(),
        }
    }
}

/// The last event of a run.
fn end(invocation: &Invocation, ended: &Result<Value, Failure>, began: Instant) -> Event {
    let (seconds, help) = (began.elapsed().as_secs(), help(invocation, ended));
    match ended {
        Ok(value) => {
            let exit = value.exit();
            Event::Ended {
                exit,
                code: exit.code(),
                error: None,
                state: None,
                cure: None,
                help,
                seconds,
            }
        }
        Err(failure) => Event::Ended {
            exit: failure.exit,
            code: failure.exit.code(),
            error: Some(format!("{:#}", failure.error)),
            state: failure.state.clone(),
            cure: Some(failure.cure.clone()),
            help,
            seconds,
        },
    }
}

/// The command that collects what support needs, offered wherever a command on a node ended
/// otherwise than hoped for, by a failure or with a result. The bootstrap server has nothing to
/// collect, and what keeps a bundle from being written keeps the next one too.
fn help(invocation: &Invocation, ended: &Result<Value, Failure>) -> Option<String> {
    let is_on_a_node = !matches!(
        invocation.command,
        Command::Publish(_)
            | Command::Serve(_)
            | Command::Bundle(_)
            | Command::Explain(_)
            | Command::List(_)
            | Command::Print(_)
    );
    let is_for_support = match ended {
        Ok(value) => value.is_for_support(),
        Err(failure) => failure.exit.is_for_support(),
    };
    let root = if Root::new(&invocation.root).is_live() {
        String::new()
    } else {
        format!(" --root {}", invocation.root.display())
    };
    (is_on_a_node && is_for_support).then(|| format!("dcos-node bundle{root}"))
}

fn show(value: &Value, json: bool, paint: Paint) -> io::Result<()> {
    match (value, json) {
        (Value::Text(text), _) => output::text(text),
        (Value::Install(outcome), true) => output::json(outcome),
        (Value::Install(outcome), false) => output::text(&output::outcome::install(outcome, paint)),
        (Value::Fetch(outcome), true) => output::json(outcome),
        (Value::Fetch(outcome), false) => output::text(&output::outcome::fetch(outcome, paint)),
        (Value::Preflight(report, _), true) => output::json(report),
        (Value::Preflight(report, _), false) => {
            output::text(&output::preflight::text(report, paint))
        }
        (Value::Uninstall(outcome), true) => output::json(outcome),
        (Value::Uninstall(outcome), false) => {
            output::text(&output::outcome::uninstall(outcome, paint))
        }
        (Value::Adopt(outcome), true) => output::json(outcome),
        (Value::Adopt(outcome), false) => output::text(&output::outcome::adopt(outcome, paint)),
        (Value::Status(status), true) => output::json(status),
        (Value::Status(status), false) => output::text(&output::status::text(status, paint)),
        (Value::Verify(outcome), true) => output::json(outcome),
        (Value::Verify(outcome), false) => output::text(&output::verify::text(outcome, paint)),
        (Value::Bundle(outcome), true) => output::json(outcome),
        (Value::Bundle(outcome), false) => output::text(&output::bundle::text(outcome, paint)),
        (Value::Publish(outcome), true) => output::json(outcome),
        (Value::Publish(outcome), false) => output::text(&output::publish::text(outcome, paint)),
        // Its lines were the document.
        (Value::Serve(_), true) => Ok(()),
        (Value::Serve(outcome), false) => output::text(&output::publish::served(outcome)),
        (Value::Explain(outcome), true) => output::json(outcome),
        (Value::Explain(outcome), false) => output::text(&output::explain::text(outcome, paint)),
        (Value::List(list), true) => output::json(list),
        (Value::List(list), false) => output::text(&output::explain::list(list, paint)),
        (Value::Recover(outcome), true) => output::json(outcome),
        (Value::Recover(outcome), false) => output::text(&output::outcome::recover(outcome, paint)),
    }
}
