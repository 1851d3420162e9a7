//! Ctrl-C ends every wait by itself, with exit code 10 and nothing half done. The waits of these
//! tests would take minutes or hours; where a wait is not ended by the signal, the limit ends the
//! test.

use std::fs;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use dcos_node::action::{self, Action, journal::Journal};
use dcos_node::command::recover::Request;
use dcos_node::dcos::event::{Event, Events};
use dcos_node::system::systemd::{Behaviour, Fake};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::build::Build;
use support::http_server::Server;
use support::image::{Image, Said, Serve};

/// Far more than the signal takes, and far less than the wait.
const LIMIT: Duration = Duration::from_secs(100);

/// Sends one signal, and demands that it ends the command.
async fn ends_by(signal: Signal, child: Child) -> Said {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    kill(pid, signal).expect("a signal");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("its end"));
    let Ok(ended) = tokio::time::timeout(LIMIT, ended).await else {
        // Otherwise the runtime would wait for it, too.
        let _ = kill(pid, Signal::SIGKILL);
        panic!("one {signal} does not end it");
    };
    let said = Said::of(ended.expect("wait"));
    said.ends(10, &[&["interrupted"]]);
    said
}

/// A tiny build at a server that can misbehave, and the path of one archive there.
async fn served() -> (Serve, Server, String) {
    let serve = Serve::of(&Build::tiny());
    let server = Server::start(serve.path()).await;
    let archive = serve.packed.archive("units");
    let path = archive.strip_prefix(serve.path()).expect("it is served").display();
    let path = format!("/{path}");
    (serve, server, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_ends_a_stalled_download_and_fetch_resumes() {
    if !support::is_root() {
        return;
    }
    let ((serve, server, path), image) = (served().await, Image::new());
    server.stall_after(&path, 20, 1000);
    let child = image.start(&["fetch", "--bootstrap-url", server.url()]);
    server.is_asked(&format!("GET {path} ")).await;
    ends_by(Signal::SIGINT, child).await;
    image.run(&["fetch", "--bootstrap-url", serve.url()]).ends(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_ends_the_pause_before_another_attempt() {
    if !support::is_root() {
        return;
    }
    let ((_serve, server, path), image) = (served().await, Image::new());
    server.answer_with(&path, 503, 100, "Retry-After: 3600\r\n");
    let child = image.start(&["install", "master", "-d", "--bootstrap-url", server.url()]);
    server.is_asked(&format!("GET {path} ")).await;
    ends_by(Signal::SIGTERM, child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_ends_the_splay_with_nothing_changed() {
    if !support::is_root() {
        return;
    }
    let ((_serve, server, _), image) = (served().await, Image::new());
    let before = image.tree();
    let mut child =
        image.start(&["fetch", "--splay", "24h", "--bootstrap-url", server.url(), "--events", "-"]);
    let events = child.stdout.take().expect("its events");
    let waits = tokio::task::spawn_blocking(move || {
        let lines = std::io::BufRead::lines(std::io::BufReader::new(events));
        lines.map_while(Result::ok).any(|line| line.contains("before the first request"))
    });
    assert!(waits.await.expect("read"), "it did not wait");
    ends_by(Signal::SIGINT, child).await.ends(10, &[&["nothing was changed"]]);
    image.is_as(&before);
}

#[tokio::test]
async fn cancellation_ends_the_wait_for_a_job() {
    for restarts in [false, true] {
        let image = Image::new();
        fs::write(
            image.at("etc/systemd/system/slow.service"),
            "[Service]\nExecStart=/bin/sleep 3600\n",
        )
        .expect("write a unit");
        let systemd = Arc::new(Fake::new(image.path()));
        systemd.behave("slow.service", Behaviour::NeverAnswers);
        let world = image.world(Some(Ok(systemd.clone())));
        let site = action::Site {
            root: world.root.clone(),
            systemd: Some(systemd.clone()),
            patience: Duration::from_secs(3600),
            source: None,
            capacity: action::capacity::Capacity::new(&Default::default()),
            privileged: false,
            events: world.events.clone(),
            cancellation: world.cancellation.clone(),
        };
        let journal = Journal::open(&site.root).expect("a journal");
        let unit = "slow.service".to_owned();
        let action = match restarts {
            true => Action::Restart { unit, wait: true },
            false => Action::Start { unit, wait: true },
        };
        let key = action.key();
        let batches = [vec![action]];
        let run = tokio::time::timeout(LIMIT, action::run::run(&batches, &site, &journal, 1));
        let cancel = async {
            let member = if restarts { "RestartUnit" } else { "StartUnit" };
            while !systemd.calls().iter().any(|call| call.member == member) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            site.cancellation.request();
        };
        let (ended, ()) = tokio::join!(run, cancel);
        let ended = ended.expect("it waits on");
        assert!(matches!(ended, Err(action::Error::Interrupted)), "{ended:?}");
        assert!(!journal.story().done.contains(&key), "the next run waits again");
    }
}

#[tokio::test]
async fn cancellation_ends_the_pause_of_a_boot() {
    if !support::is_root() {
        return;
    }
    let (serve, image) = (Serve::of(&Build::tiny()), Image::new());
    let root = image.path().display().to_string();
    let image = image
        .with("DCOS_NODE_FAULT", format!("kill Directory 1 {root}/var/lib/dcos-node/packages"))
        .with("DCOS_NODE_FAULT_WORKERS", "1");
    assert_eq!(image.install(serve.url(), &["-d"]).code(), None, "it was not killed");
    fs::rename(serve.path(), serve.path().with_extension("away")).expect("take the server away");
    let (sender, events) = channel();
    let world = dcos_node::command::World { events: Events::to(sender), ..image.world(None) };
    let request = Request { at_boot: true, pause: Duration::from_secs(3600) };
    let boot = dcos_node::command::recover::run(&request, &world);
    let boot = tokio::time::timeout(LIMIT, boot);
    let cancel = async {
        let pauses =
            |event| matches!(event, Event::Warning { text } if text.contains("trying again"));
        while !events.try_iter().any(pauses) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.cancellation.request();
    };
    let (ended, ()) = tokio::join!(boot, cancel);
    let failure = ended.expect("it waits on").expect_err("there is nothing to install from");
    assert_eq!(failure.exit, dcos_node::dcos::exit::Exit::Interrupted, "{failure:?}");
}
