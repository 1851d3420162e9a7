//! Runs the command that was typed, on the node that was named.

use std::sync::Arc;

use dcos_node::action::site::PATIENCE;
use dcos_node::cli::{Command, Invocation};
use dcos_node::command::inputs::Contents;
use dcos_node::command::{
    Failure, World, adopt, bundle, explain, fetch, install, preflight, publish, recover, serve,
    status, uninstall, verify, world,
};
use dcos_node::dcos::event::Events;
use dcos_node::dcos::exit::Exit;
use dcos_node::output;
use dcos_node::output::ending::Ended;
use dcos_node::output::show::Show;
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::clock::KernelClock;
use dcos_node::system::http::Authorities;
use dcos_node::system::root::Root;
use dcos_node::system::signals;

/// Runs the command.
pub(super) async fn run(invocation: &Invocation, inputs: Contents, events: Events) -> Ended {
    let Contents { authorities, ip_detect } = inputs;
    let world = || world(invocation, authorities, events);
    match &invocation.command {
        Command::Install(request, wish) => {
            let world = world().await;
            install::check_wish(request.start, *wish, &world)?;
            let outcome = install::run(request, &world).await?;
            shown(install::and_wait(outcome, *wish, &world).await)
        }
        Command::Fetch(request) => shown(fetch::run(request, &world().await).await),
        Command::Preflight { request, strict, .. } => {
            let request = preflight::Request { ip_detect, ..request.clone() };
            let report = preflight::run(&request, &world().await).await;
            shown(report.map(|report| preflight::Outcome { report, strict: *strict }))
        }
        Command::Uninstall(request) => {
            let world = world().await;
            shown(uninstall::run(&confirmed(*request, &world).await?, &world).await)
        }
        Command::Adopt => shown(adopt::run(&world().await).await),
        Command::Status(request) => shown(status::run(*request, &world().await).await),
        Command::Verify(request) => shown(verify::run(request, &world().await).await),
        Command::Bundle(request) => shown(bundle::run(request, &world().await).await),
        Command::Recover(request) => shown(recover::run(request, &world().await).await),
        Command::Publish(request) => shown(publish::run(request, &world().await).await),
        Command::Serve(request) => shown(serve::run(request, &world().await).await),
        Command::Explain(check) => shown(explain::run(check)),
        Command::List(role) => shown(Ok(explain::list(*role))),
        Command::Print(text) => shown(Ok(text.clone())),
    }
}

fn shown<O: Show + 'static>(ended: Result<O, Failure>) -> Ended {
    ended.map(|outcome| Box::new(outcome) as Box<dyn Show>)
}

/// What commands that look at a node work with.
async fn world(invocation: &Invocation, authorities: Option<Authorities>, events: Events) -> World {
    let root = Root::new(&invocation.root);
    let cancellation = Cancellation::default();
    let news = events.clone();
    signals::cancel(cancellation.clone(), move || {
        news.note("stopping at the next safe point; once more stops at once");
    });
    let systemd =
        if invocation.is_for_server() { None } else { world::connect(&root, &cancellation).await };
    World {
        systemd,
        patience: PATIENCE,
        root,
        clock: Arc::new(KernelClock),
        events,
        cancellation,
        command_line: invocation.words(),
        authorities,
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
