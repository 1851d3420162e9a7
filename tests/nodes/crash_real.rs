//! On real nodes: killed, switched off hard, or without power and without what no disk had yet, a
//! node goes on or is clean.
//!
//! The points come from an undisturbed run of the same command on the same node
//! (`system/fault.rs`), so that a case can be repeated. `make test` takes a few of each kind,
//! others at each commit; `make crash-real` (`CRASH_REAL=all`) takes many. `docs/crash-real.md` has
//! the last full run.

mod tally;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::build::Build;
use support::faults::{Point, lasting_points, seed, spread};
use support::node::{self, Node, Outcome, Server};
use support::tree::Snapshot;
use tally::Tally;
use tempfile::TempDir;

/// Where an install leaves traces that outlive a boot.
const AREAS: [&str; 4] = ["/etc", "/opt", "/usr/local", "/var/lib"];
/// What a running node goes on writing by itself, and the accounts, whose numbers may differ.
const OF_THE_NODE: [&str; 14] = [
    "/etc/.pwd.lock",
    "/etc/group",
    "/etc/gshadow",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/subgid",
    "/etc/subuid",
    // Made by a unit while it runs, each time anew.
    "/etc/systemd/network/dcos.network",
    "/var/lib/dcos/",
    "/var/lib/mesos",
    "/var/lib/private",
    "/var/lib/systemd",
    "/var/lib/dbus",
];
/// How long a boot may take to go on with what was interrupted.
const PATIENCE: Duration = Duration::from_secs(600);

/// A node, and how it is without DC/OS and with it.
struct Bench {
    node: Node,
    server: Server,
    clean: Snapshot,
    installed: Snapshot,
    installing: Vec<Point>,
    uninstalling: Vec<Point>,
    _build: TempDir,
}

/// What is done to the command that a case is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Install,
    Uninstall,
    Recover,
}

use Command::{Install, Recover, Uninstall};

impl Bench {
    fn new(name: &str, loses_writes: bool) -> Bench {
        let directory = tempfile::tempdir().expect("a directory for the build");
        Build::fixture().pack(directory.path());
        let server = Server::serving(directory.path());
        let node = Node::switched_off(name).knowing(&server);
        let node = if loses_writes { node.with_disks() } else { node }.booted();
        install_small_binary(&node);
        let mut bench = Bench {
            node,
            server,
            clean: nothing(),
            installed: nothing(),
            installing: vec![],
            uninstalling: vec![],
            _build: directory,
        };
        bench.clean = bench.seen();
        bench.installing = bench.recorded(Install);
        bench.installed = bench.seen();
        bench.uninstalling = bench.recorded(Uninstall);
        assert!(
            bench.lacks(&bench.clean).is_empty(),
            "an undisturbed uninstall does not give back what was: {:?}",
            bench.lacks(&bench.clean)
        );
        bench
    }

    fn words(&self, command: Command) -> Vec<&str> {
        match command {
            Install => {
                [&["install", "master", "--bootstrap-url", self.server.url()], node::LACKS].concat()
            }
            Uninstall => vec!["uninstall", "--purge-data", "--yes"],
            Recover => vec!["recover"],
        }
    }

    /// Runs a command on the node, one archive at a time, so that its effects come in the recorded
    /// order.
    fn run(&self, command: Command, environment: &[String]) -> Outcome {
        let mut words = vec!["env", "DCOS_NODE_FAULT_WORKERS=1"];
        words.extend(environment.iter().map(String::as_str));
        words.push("dcos-node");
        words.extend(self.words(command));
        self.node.run_within(PATIENCE, &words)
    }

    fn recorded(&self, command: Command) -> Vec<Point> {
        self.run(command, &["DCOS_NODE_FAULTS_RECORD=/run/effects".to_owned()]).succeeds();
        let record = self.node.read("/run/effects");
        self.node.run(&["rm", "/run/effects"]).succeeds();
        lasting_points(&record)
    }

    /// Kills the command at a point of it. A few points come only sometimes: then the command has
    /// ended well.
    fn kill(&self, command: Command, point: &Point) -> bool {
        let outcome = self.run(command, &[format!("DCOS_NODE_FAULT={}", point.kill())]);
        if !outcome.was_killed() {
            outcome.succeeds();
        }
        outcome.was_killed()
    }

    fn seen(&self) -> Snapshot {
        let mut snapshot = Snapshot::of_areas(&self.node.root(), &AREAS);
        let manifests = "/var/lib/dcos-node/manifests";
        snapshot.paths.retain(|path, _| {
            // Journal and receipt have times in them.
            let ours_by_schema =
                path.starts_with("/var/lib/dcos-node/") && !path.starts_with(manifests);
            // Admin Router keeps its process number in its package, once it runs.
            let of_a_unit = path.ends_with("/nginx/logs/nginx.pid");
            !ours_by_schema && !of_a_unit && !OF_THE_NODE.iter().any(|own| path.starts_with(own))
        });
        for file in ["/etc/passwd", "/etc/group"] {
            for account in self
                .node
                .read(file)
                .lines()
                .filter_map(|line| line.split(':').next())
                .filter(|name| name.starts_with("dcos_"))
            {
                snapshot.paths.insert(format!("{file}:{account}"), support::tree::Entry::new());
            }
        }
        snapshot
    }

    /// In what the node differs; nothing if it is as it should be.
    fn lacks(&self, wanted: &Snapshot) -> Vec<String> {
        self.seen().changes_since(wanted)
    }

    fn has_receipt(&self) -> bool {
        self.node.has("/var/lib/dcos-node/receipt.json")
    }

    /// Which of these the node is, or how it differs from the nearest.
    fn is_one_of(&self, states: &[State]) -> Result<State, String> {
        let mut least: Option<Vec<String>> = None;
        for state in states {
            let wanted = if *state == State::Installed { &self.installed } else { &self.clean };
            let wrong = self.lacks(wanted);
            let at_rest = self.has_receipt() == (*state == State::Installed);
            if wrong.is_empty() && at_rest {
                return Ok(*state);
            }
            if least.as_ref().is_none_or(|least| wrong.len() < least.len()) {
                least = Some(wrong);
            }
        }
        let least = least.unwrap_or_default();
        Err(format!(
            "is none of {states:?}; {} differences: {}",
            least.len(),
            least.into_iter().take(8).collect::<Vec<_>>().join(", ")
        ))
    }

    /// Waits until the role is started: a boot enqueues its jobs, and they wait for each other.
    fn wait_for_role(&self) -> Result<(), String> {
        let began = Instant::now();
        while self.node.run(&["systemctl", "is-active", "dcos.target"]).code() != Some(0) {
            if began.elapsed() > PATIENCE {
                return Err(format!(
                    "the role was not started; systemd waits for\n{}",
                    self.node.run(&["systemctl", "list-jobs"]).stdout()
                ));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Makes the node clean for the next case, which is a promise too.
    fn clear(&self) -> Result<(), String> {
        let outcome = self.run(Uninstall, &[]);
        if outcome.code() != Some(0) {
            return Err(format!("uninstall: {outcome}"));
        }
        self.is_one_of(&[State::Clean]).map(|_| ())
    }
}

/// How a node stands at the end of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Installed,
    Clean,
}

fn is_full() -> bool {
    std::env::var("CRASH_REAL").is_ok_and(|value| value == "all")
}

/// How many cases of a kind are run.
fn cases(all: usize, sample: usize) -> usize {
    if is_full() { all } else { sample }
}

fn nothing() -> Snapshot {
    Snapshot { paths: BTreeMap::new() }
}

/// The program under test without its debug information, so that the node's disks need not hold it.
fn install_small_binary(node: &Node) {
    let directory = tempfile::tempdir().expect("a directory");
    let small = directory.path().join("dcos-node");
    let status = std::process::Command::new("strip")
        .arg("--strip-all")
        .arg("-o")
        .arg(&small)
        .arg(node::binary())
        .status();
    assert!(status.expect("run strip").success());
    node.copy_in(&small, "/usr/local/bin/dcos-node");
}

#[test]
fn killed_or_switched_off_command_is_resumed_or_rolled_back() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("crash-kill", false);
    let wrong = [kills(&bench), hard_stops(&bench)].concat();
    assert!(wrong.is_empty(), "did not converge:\n{}", wrong.join("\n"));
}

/// SIGKILL at points of a command, then in turn the same command, `recover`, and the opposite
/// command.
fn kills(bench: &Bench) -> Vec<String> {
    let mut wrong = Vec::new();
    for (killed, all) in [(Install, &bench.installing), (Uninstall, &bench.uninstalling)] {
        let opposite = if killed == Install { Uninstall } else { Install };
        let mut tally = Tally::default();
        for (index, point) in
            spread(all, cases(40, if killed == Install { 2 } else { 1 }), seed()).iter().enumerate()
        {
            let follow_up = [killed, Recover, opposite][(index + seed()) % 3];
            let result = killed_case(bench, killed, point, follow_up);
            tally.add(&format!("{killed:?} killed at {point:?}, then {follow_up:?}"), result);
        }
        wrong.extend(tally.row(
            &format!("SIGKILL in {}", if killed == Install { "install" } else { "uninstall" }),
            all.len(),
        ));
    }
    wrong
}

/// The whole node goes off at points of a command, and is switched on again. What was written stays
/// written.
fn hard_stops(bench: &Bench) -> Vec<String> {
    let mut wrong = Vec::new();
    for (command, all, name) in
        [(Install, &bench.installing, "install"), (Uninstall, &bench.uninstalling, "uninstall")]
    {
        let mut tally = Tally::default();
        for point in spread(all, cases(if command == Install { 14 } else { 6 }, 1), seed()) {
            let result = switched_off_case(bench, command, &point, Node::cut_power);
            tally.add(&format!("off in {name} at {point:?}"), result);
        }
        wrong.extend(tally.row(&format!("hard stop in {name}, then boot"), all.len()));
    }
    wrong
}

/// Kills a command, runs another one, and says how the node stands then.
fn killed_case(
    bench: &Bench,
    killed: Command,
    point: &Point,
    follow_up: Command,
) -> Result<String, String> {
    if killed == Uninstall {
        bench.run(Install, &[]).succeeds();
    }
    bench.kill(killed, point);
    let outcome = bench.run(follow_up, &[]);
    if outcome.code() != Some(0) {
        return Err(format!("{outcome}"));
    }
    let state = match follow_up {
        Install => bench.is_one_of(&[State::Installed])?,
        Uninstall => bench.is_one_of(&[State::Clean])?,
        Recover => match bench.is_one_of(&[State::Installed, State::Clean]) {
            // Killed before it had said what it wants: there is nothing to go on with.
            Err(_) if outcome.stdout().contains("nothing was interrupted") && killed == Install => {
                State::Clean
            }
            state => state?,
        },
    };
    bench.clear()?;
    Ok(format!(
        "{state:?} by {}",
        if follow_up == killed {
            "the same command"
        } else if follow_up == Recover {
            "recover"
        } else {
            "the opposite command"
        }
    )
    .to_lowercase())
}

#[test]
fn node_that_loses_unwritten_data_resumes_at_its_next_boot() {
    if !node::available() {
        return;
    }
    let bench = Bench::new("crash-cut", true);
    let all = &bench.installing;
    let mut tally = Tally::default();
    for point in spread(all, cases(20, 1), seed()) {
        let result = switched_off_case(&bench, Install, &point, Node::lose_power);
        tally.add(&format!("power lost in install at {point:?}"), result);
    }
    let mut wrong = tally.row("power cut in install, then boot", all.len());
    let mut tally = Tally::default();
    for seconds in if is_full() { vec![0, 2, 6, 20] } else { vec![0] } {
        let result = cut_after_success(&bench, Duration::from_secs(seconds));
        tally.add(&format!("power lost {seconds} s after exit 0 of install"), result);
    }
    wrong.extend(tally.row("power cut after exit 0 of install, then boot", all.len()));
    if is_full() {
        let mut tally = Tally::default();
        tally.add("power lost after exit 0 of uninstall", cut_after_removal(&bench));
        wrong.extend(
            tally.row("power cut after exit 0 of uninstall, then boot", bench.uninstalling.len()),
        );
    }
    assert!(wrong.is_empty(), "did not converge:\n{}", wrong.join("\n"));
}

/// Stops the whole node at a point, boots it, and says what the boot made of it.
fn switched_off_case(
    bench: &Bench,
    command: Command,
    point: &Point,
    off: fn(&Node),
) -> Result<String, String> {
    if command == Uninstall {
        bench.run(Install, &[]).succeeds();
    }
    bench.kill(command, point);
    off(&bench.node);
    bench.node.power_on();
    bench.node.wait_until_booted();
    bench.node.wait_for_setup();
    let by_the_boot = bench.is_one_of(&[State::Installed, State::Clean]);
    let outcome = match by_the_boot {
        Ok(state) => {
            if state == State::Installed {
                bench.wait_for_role()?;
            }
            format!("{state:?} by the boot").to_lowercase()
        }
        // Before its unit and link were durable nothing of it starts at a boot, and nothing of
        // DC/OS stands yet or any more.
        Err(_)
            if !bench.node.has("/opt/mesosphere")
                && !bench.node.has("/etc/systemd/system/dcos.target") =>
        {
            let again = bench.run(command, &[]);
            if again.code() != Some(0) {
                return Err(format!("the same command after the boot: {again}"));
            }
            bench.is_one_of(&[if command == Install { State::Installed } else { State::Clean }])?;
            format!(
                "{} by the same command (nothing of DC/OS stood)",
                if command == Install { "installed" } else { "clean" }
            )
        }
        Err(why) => {
            let journal = bench.node.run(&["journalctl", "--no-pager", "-u", "dcos-setup.service"]);
            return Err(format!("{why}\n{}", journal.stdout()));
        }
    };
    bench.clear()?;
    Ok(outcome)
}

/// Exit 0 means durable: nothing is missing or empty, however soon the power goes.
fn cut_after_success(bench: &Bench, pause: Duration) -> Result<String, String> {
    bench.run(Install, &[]).succeeds();
    std::thread::sleep(pause);
    bench.node.lose_power();
    let survived = bench.is_one_of(&[State::Installed])?;
    bench.node.power_on();
    bench.node.wait_until_booted();
    bench.node.wait_for_setup();
    bench.is_one_of(&[State::Installed])?;
    bench.wait_for_role()?;
    if bench.run(Install, &[]).stdout().contains("stands here already") {
        bench.clear()?;
        return Ok(format!("{survived:?}, nothing missing or empty").to_lowercase());
    }
    Err("the install had something left to do".to_owned())
}

/// The same for an uninstall: what was removed does not come back.
fn cut_after_removal(bench: &Bench) -> Result<String, String> {
    bench.run(Install, &[]).succeeds();
    bench.run(Uninstall, &[]).succeeds();
    bench.node.lose_power();
    bench.node.power_on();
    bench.node.wait_until_booted();
    bench.is_one_of(&[State::Clean])?;
    Ok("clean, nothing came back".to_owned())
}
