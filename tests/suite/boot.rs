//! `recover` as a boot runs it: what it does when the server stays away, and that it waits for
//! nothing that it starts. On a directory, with a systemd in memory and without the pauses.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use dcos_node::command::recover::{self, Outcome};
use dcos_node::command::{Failure, World};
use dcos_node::dcos::event::{Event, Events};
use dcos_node::dcos::exit::Exit;
use dcos_node::dcos::journal::Story;
use dcos_node::system::systemd::{Behaviour, Fake};
use support::build::Build;
use support::image::{Image, Serve};

/// A node whose install was killed, and the world of the next boot.
struct Bench {
    image: Image,
    serve: Serve,
    systemd: Arc<Fake>,
    world: World,
    events: Receiver<Event>,
}

impl Bench {
    /// Killed at this point, in which `{root}` stands for the directory.
    fn killed_at(point: &str) -> Bench {
        let image = Image::new();
        fs::create_dir_all(image.at("run")).expect("make /run");
        fs::write(
            image.at("etc/systemd/system/systemd-journald.service"),
            "[Service]\nExecStart=/bin/true\n",
        )
        .expect("write");
        let kill = format!("kill {point}").replace("{root}", &image.path().display().to_string());
        let image = image
            .with("DCOS_NODE_FAULT", kill)
            .with("DCOS_NODE_FAULT_SYSTEMD", "1")
            .with("DCOS_NODE_FAULT_WORKERS", "1");
        let build = Build::tiny().with_node_file(
            "/etc/systemd/journald.conf.d/dcos.conf",
            0o644,
            "[Journal]\nRateLimitInterval=0\n",
        );
        let serve = Serve::of(&build);
        let killed = image.install(serve.url(), &["--disable-preflight"]);
        assert_eq!(killed.code(), None, "it was not killed");
        let systemd = Arc::new(Fake::new(image.path()));
        let (sender, events) = channel();
        let world = World { events: Events::to(sender), ..image.world(Some(Ok(systemd.clone()))) };
        Bench { image, serve, systemd, world, events }
    }

    /// Boots, without the pauses between two tries.
    async fn boot(&self) -> Result<Outcome, Failure> {
        recover::run(&recover::Request { at_boot: true, pause: Duration::ZERO }, &self.world).await
    }

    fn told(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    fn is_half_installed(&self) -> bool {
        let journal =
            fs::read(self.image.at("var/lib/dcos-node/journal")).expect("there is a journal");
        Story::read(&journal).expect("it can be read").intent.is_some()
    }
}

#[tokio::test]
async fn boot_stops_after_twenty_tries_and_the_next_boot_resumes() {
    if !support::is_root() {
        return;
    }
    let bench = Bench::killed_at("Directory 1 {root}/var/lib/dcos-node/packages");
    let away = bench.serve.path().with_extension("away");
    fs::rename(bench.serve.path(), &away).expect("take the server away");
    let failure = bench.boot().await.expect_err("there is nothing to install from");
    fs::rename(&away, bench.serve.path()).expect("bring it back");
    let again = bench
        .told()
        .iter()
        .filter(|event| matches!(event, Event::Warning { text } if text.contains("trying again")))
        .count();
    assert_eq!(again, 19, "tries after the first one");
    // The unit writes it into the journal of systemd, and ends well (`main.rs`;
    // tests/nodes/interrupted.rs looks at both).
    assert_eq!(
        (failure.exit, failure.state.as_deref()),
        (Exit::Failed, Some("the install is half done and goes on at the next boot"))
    );
    assert!(failure.cure.contains("dcos-node install master goes on now"), "{failure:?}");
    assert!(bench.is_half_installed());
    assert!(matches!(bench.boot().await.expect("the server is back"), Outcome::Installed(_)));
    assert!(!bench.is_half_installed() && bench.image.has("var/lib/dcos-node/receipt.json"));
}

#[tokio::test]
async fn boot_does_not_wait_for_its_own_jobs() {
    if !support::is_root() {
        return;
    }
    let bench =
        Bench::killed_at("Rename 1 {root}/opt/mesosphere/etc.new -> {root}/opt/mesosphere/etc");
    for unit in ["dcos.target", "dcos-tiny.service", "systemd-journald.service"] {
        bench.systemd.behave(unit, Behaviour::NeverAnswers);
    }
    assert!(matches!(bench.boot().await.expect("its jobs do not matter"), Outcome::Installed(_)));
    let calls = bench.systemd.calls();
    for (member, unit) in
        [("StartUnit", "dcos.target"), ("RestartUnit", "systemd-journald.service")]
    {
        assert!(
            calls.iter().any(|call| call.member == member && call.object == unit),
            "{member} {unit} was not asked for: {calls:?}"
        );
    }
    // Whoever waits says so, and warns when it took too long.
    let waited: Vec<Event> = bench
        .told()
        .into_iter()
        .filter(|event| matches!(event, Event::Waiting { .. } | Event::Warning { .. }))
        .collect();
    assert!(waited.is_empty(), "{waited:?}");
}
