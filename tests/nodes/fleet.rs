//! A fleet: Ansible drives real nodes over ssh with the role and the playbooks of
//! `examples/ansible`, as an operator would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::ansible::{self, examples, sha256_hex};
use support::build::{Build, Compression};
use support::node::{self, Node, Outcome, Server};
use support::step;
use support::tree::Snapshot;
use tempfile::TempDir;

/// One playbook over the whole fleet, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(900);

/// The nodes by their addresses, which are those of the example's inventory in another network.
const NODES: [(&str, &str); 5] = [
    ("10.77.0.11", "first"),
    ("10.77.0.12", "second"),
    ("10.77.0.13", "third"),
    ("10.77.0.21", "agent"),
    ("10.77.0.31", "public"),
];

/// The copies that the programs for accounts keep of what was before their last change.
const COPIES: [&str; 4] = ["/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-"];

const MASTERS: [&str; 3] = ["10.77.0.11", "10.77.0.12", "10.77.0.13"];

/// Nodes, a server with a published build, and what Ansible has to know of them.
struct Fleet {
    nodes: BTreeMap<&'static str, Node>,
    server: Server,
    /// The served build.
    _build: TempDir,
    /// Key, inventory and variables; also what Ansible keeps.
    desk: TempDir,
}

/// What a playbook came to on one host.
#[derive(Debug, PartialEq, Eq)]
struct Recap {
    changed: u32,
    failed: u32,
}

/// The units that run on a node, each with its process.
type Processes = BTreeMap<String, String>;

/// Writes the example's inventory for these nodes, and the variables of the play.
fn write_inventory(desk: &Path, url: &str, digest: &str) {
    let example =
        fs::read_to_string(examples().join("inventory.yml")).expect("the example's inventory");
    let inventory =
        example.replace("192.0.2.", "10.77.0.").replace("http://bootstrap.example.com", url);
    fs::write(desk.join("inventory.yml"), inventory).expect("write the inventory");
    let skips: BTreeMap<&str, &str> =
        node::LACKS.iter().filter_map(|word| word.split_once('=')).collect();
    let variables = json!({
        "dcos_node_sha256": digest,
        "dcos_node_skips": skips,
        "dcos_node_wait_timeout": "10m",
        "dcos_node_ca_file": "/etc/ssl/certs/ca-certificates.crt",
        "ansible_user": "root",
        "ansible_become": false,
        "ansible_ssh_private_key_file": desk.join("key"),
        "ansible_ssh_timeout": 120,
        "ansible_ssh_common_args": "-F none -o UserKnownHostsFile=/dev/null -o \
                                    StrictHostKeyChecking=no -o LogLevel=ERROR",
    });
    fs::write(desk.join("variables.json"), variables.to_string()).expect("write the variables");
}

impl Fleet {
    fn new() -> Fleet {
        let (build, desk) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        Build::fixture().with_masters(&MASTERS).compressed(Compression::Plain).pack(build.path());
        // A small copy, for a debug build has a hundred megabytes of symbols.
        let program = desk.path().join("program");
        must(Command::new("strip").arg("-o").arg(&program).arg(node::binary()));
        must(Command::new(&program).arg("publish").arg(build.path()));
        let digest =
            sha256_hex(&fs::read(build.path().join("dcos-node")).expect("the stamped program"));
        must(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(desk.path().join("key")),
        );

        let server = Server::serving(build.path());
        write_inventory(desk.path(), server.url(), &digest);
        let mut fleet = Fleet { nodes: BTreeMap::new(), server, _build: build, desk };
        for (address, name) in NODES {
            fleet.add(address, name);
        }
        fleet.nodes.values().for_each(Node::wait_until_booted);
        fleet
    }

    /// A fresh node that lets Ansible in, and greets it in front of whatever it is asked. It is
    /// switched on, and not waited for.
    fn add(&mut self, address: &'static str, name: &str) {
        let node = Node::switched_off(name).knowing_as(&self.server, address);
        let key = fs::read_to_string(self.desk.path().join("key.pub")).expect("the public key");
        node.write("/root/.ssh/authorized_keys", &key);
        node.write("/root/.bashrc", "echo 'Welcome. {This machine is watched.}'\n");
        node.power_on();
        node.run(&["systemctl", "start", "ssh.service"]).succeeds();
        self.nodes.insert(address, node);
    }

    /// Runs a playbook of the example as its README says, on the bootstrap server's network.
    #[track_caller]
    fn play(&self, playbook: &str, more: &[&str]) -> (BTreeMap<String, Recap>, Outcome) {
        let desk = self.desk.path().display();
        let (directory, program) =
            (examples().display().to_string(), ansible::playbook_program().display().to_string());
        let (home, controls) = (
            format!("ANSIBLE_HOME={desk}/ansible"),
            format!("ANSIBLE_SSH_CONTROL_PATH_DIR={desk}/cp"),
        );
        let (inventory, variables) =
            (format!("{desk}/inventory.yml"), format!("@{desk}/variables.json"));
        let inventory = if more.contains(&"-i") { Vec::new() } else { vec!["-i", &inventory] };
        let mut command = vec![
            "env",
            "-C",
            &directory,
            &home,
            &controls,
            "ANSIBLE_NOCOLOR=1",
            "ANSIBLE_CONFIG=ansible.cfg",
        ];
        command.extend([program.as_str(), playbook, "-e", &variables]);
        command.extend(inventory);
        command.extend(more);
        let outcome = self.server.run_within(PATIENCE, &command);
        (recap(outcome.stdout()), outcome)
    }

    /// Runs a playbook that must do everything that it should.
    #[track_caller]
    fn plays(&self, playbook: &str, more: &[&str]) -> BTreeMap<String, Recap> {
        let (recap, outcome) = self.play(playbook, more);
        outcome.succeeds();
        assert_eq!(recap.len(), NODES.len(), "{outcome}");
        recap
    }

    /// Writes an inventory of a node that nobody answers for, besides those of the fleet.
    fn with_one_that_is_away(&self) -> String {
        let inventory =
            fs::read_to_string(self.desk.path().join("inventory.yml")).expect("the inventory");
        let path = self.desk.path().join("away.yml");
        fs::write(
            &path,
            inventory
                .replace("        10.77.0.21:\n", "        10.77.0.21:\n        10.77.0.99:\n"),
        )
        .expect("write the inventory");
        path.display().to_string()
    }

    /// What runs on each node and stays.
    fn processes(&self) -> BTreeMap<&'static str, Processes> {
        self.nodes
            .iter()
            .map(|(address, node)| (*address, processes(node, &steady(node))))
            .collect()
    }

    /// Waits until every master calls all three masters serving: one that is busy may not answer in
    /// the three seconds that it is given.
    #[track_caller]
    fn has_three_masters(&self) {
        for address in MASTERS {
            let began = Instant::now();
            loop {
                let status = self.nodes[address].run(&["dcos-node", "status", "--json"]).json();
                let masters = status["readiness"]["masters"].as_array().expect("masters");
                if masters.len() == 3 && masters.iter().all(|master| master["serving"] == "serving")
                {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(120), "{address}: {masters:#?}");
            }
        }
    }

    /// What stands on each node.
    fn stand(&self) -> Vec<Snapshot> {
        std::thread::scope(|scope| {
            let looks: Vec<_> =
                self.nodes.values().map(|node| scope.spawn(|| stands_on(node))).collect();
            looks.into_iter().map(|look| look.join().expect("a look at a node")).collect()
        })
    }
}

/// What an install makes; not what DC/OS and systemd go on writing while they run.
fn stands_on(node: &Node) -> Snapshot {
    Snapshot::of_areas(&node.root(), &["/etc", "/opt", "/usr/local", "/var/lib/dcos-node"])
}

/// The services that are well and stay up.
fn steady(node: &Node) -> Vec<String> {
    let status = node.run(&["dcos-node", "status", "--json"]).json();
    let well = status["units"]
        .as_array()
        .expect("units")
        .iter()
        .filter(|unit| unit["steady"] == true && unit["sub"] == "running");
    well.map(|unit| unit["name"].as_str().expect("a name").to_owned()).collect()
}

/// These services, each with its process.
fn processes(node: &Node, names: &[String]) -> Processes {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = node.run(&[&["systemctl", "show", "--property=Id,MainPID"][..], &names].concat());
    let blocks = shown.succeeds().stdout().split("\n\n");
    let of = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    blocks
        .map(|block| (of(block, "Id="), of(block, "MainPID=")))
        .filter(|(_, process)| !process.is_empty() && process != "0")
        .collect()
}

/// The lines under `PLAY RECAP`: `10.77.0.11 : ok=5 changed=0 unreachable=0 failed=0 ...`.
fn recap(output: &str) -> BTreeMap<String, Recap> {
    let lines = output.lines().skip_while(|line| !line.starts_with("PLAY RECAP")).skip(1);
    let count = |line: &str, word: &str| {
        line.split_whitespace()
            .find_map(|field| field.strip_prefix(word)?.strip_prefix('=')?.parse().ok())
            .unwrap_or(u32::MAX)
    };
    let hosts = lines.filter_map(|line| line.split_once(" : "));
    hosts
        .map(|(host, line)| {
            (
                host.trim().to_owned(),
                Recap { changed: count(line, "changed"), failed: count(line, "failed") },
            )
        })
        .collect()
}

#[track_caller]
fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Asserts that nothing differs, node by node.
#[track_caller]
fn same(now: &[Snapshot], before: &[Snapshot], but: &[&str]) {
    for (now, before) in now.iter().zip(before) {
        let changes = now
            .changes_since(before)
            .into_iter()
            .filter(|change| !but.iter().any(|path| change.contains(path)));
        let changes: Vec<String> = changes.collect();
        assert!(changes.is_empty(), "a node is not as it was:\n{}", changes.join("\n"));
    }
}

/// True if there are nodes, and Ansible to drive them.
fn available() -> bool {
    node::available() && ansible::available()
}

#[test]
fn ansible_installs_repairs_and_uninstalls_a_fleet() {
    if !available() {
        return;
    }
    let mut fleet = Fleet::new();
    let mut fresh = fleet.stand();
    step("no node is changed while one is not fit", || unfit_node_stops_the_play(&fleet));
    step("no node is changed while one is away", || unreachable_node_stops_the_play(&fleet));
    same(&fleet.stand(), &fresh, &[]);
    step("install", || {
        // The program and the install.
        let recap = fleet.plays("install.yml", &[]);
        assert!(recap.values().all(|host| host.changed == 2), "{recap:?}");
        fleet.has_three_masters();
    });
    step("second install", || second_play_changes_nothing(&fleet));
    step("a new machine in place of the leading master", || {
        fresh[0] = replace_the_first_master(&mut fleet);
        only_the_first_master_is_installed(&fleet);
    });
    step("uninstall --check", || check_of_an_uninstall_changes_nothing(&fleet));
    step("uninstall with a mount", || agent_with_a_mount_stops_the_masters(&fleet));
    step("uninstall", || {
        uninstall_uses_the_program_in_place(&fleet);
        same(&fleet.stand(), &fresh, &COPIES);
        nothing_of_dcos_is_left(&fleet);
    });
    step("second uninstall", || {
        // Nothing is left to do, and the bootstrap server is not missed.
        fleet.server.stop();
        let recap = fleet.plays("uninstall.yml", &PURGE);
        assert!(recap.values().all(|host| host.changed == 0), "{recap:?}");
    });
}

const PURGE: [&str; 2] = ["-e", "dcos_node_purge_data=true"];

fn unfit_node_stops_the_play(fleet: &Fleet) {
    let (recap, refused) =
        fleet.play("install.yml", &["--check", "-e", r#"{"dcos_node_skips": {}}"#]);
    refused
        .exits_with(2)
        .stdout_has("docker.reachable")
        .stdout_has("cure:")
        .stdout_has("install docker");
    assert!(recap.values().all(|host| *host == Recap { changed: 0, failed: 1 }), "{recap:?}");
    let recap = fleet.plays("install.yml", &["--check"]);
    assert!(recap.values().all(|host| host.changed == 1), "{recap:?}");
}

/// None of the other nodes gets as much as the program.
fn unreachable_node_stops_the_play(fleet: &Fleet) {
    let (recap, away) = fleet.play("install.yml", &["-i", &fleet.with_one_that_is_away()]);
    away.exits_with(4).stdout_has("10.77.0.99");
    assert!(
        recap.len() == NODES.len() + 1 && recap.values().all(|host| host.changed == 0),
        "{recap:?}"
    );
}

fn second_play_changes_nothing(fleet: &Fleet) {
    let (installed, running) = (fleet.stand(), fleet.processes());
    assert!(running.values().all(|processes| processes.len() > 3), "{running:#?}");
    // The second time the agents come one after another.
    for more in
        [&["--check"][..], &["-e", "dcos_node_serial=1", "-e", "dcos_node_max_fail_percentage=10"]]
    {
        let recap = fleet.plays("install.yml", more);
        assert!(recap.values().all(|host| host.changed == 0), "{more:?}: {recap:?}");
    }
    same(&fleet.stand(), &installed, &["/etc/resolv.conf"]);
    for (address, before) in &running {
        let names: Vec<String> = before.keys().cloned().collect();
        assert_eq!(processes(&fleet.nodes[address], &names), *before, "{address}");
    }
}

/// Destroys the master that leads; another machine gets its address.
fn replace_the_first_master(fleet: &mut Fleet) -> Snapshot {
    drop(fleet.nodes.remove(MASTERS[0]));
    fleet.add(MASTERS[0], "again");
    fleet.nodes[MASTERS[0]].wait_until_booted();
    stands_on(&fleet.nodes[MASTERS[0]])
}

fn only_the_first_master_is_installed(fleet: &Fleet) {
    let recap = fleet.plays("install.yml", &[]);
    let changed: Vec<(&str, u32)> = recap
        .iter()
        .filter(|(_, host)| host.changed > 0)
        .map(|(name, host)| (name.as_str(), host.changed))
        .collect();
    assert_eq!(changed, [(MASTERS[0], 2)], "only the new one is changed");
    fleet.has_three_masters();
}

fn check_of_an_uninstall_changes_nothing(fleet: &Fleet) {
    let installed = fleet.stand();
    let recap = fleet.plays("uninstall.yml", &[&["--check"][..], &PURGE].concat());
    assert!(recap.values().all(|host| host.changed >= 1), "{recap:?}");
    same(&fleet.stand(), &installed, &["/etc/resolv.conf"]);
}

/// The agent and the public agent.
const AGENTS: [&str; 2] = [NODES[3].0, NODES[4].0];

fn agent_with_a_mount_stops_the_masters(fleet: &Fleet) {
    let [agent, _] = AGENTS;
    let mount = "mkdir /var/lib/mesos/ours && mount -t tmpfs tmpfs /var/lib/mesos/ours";
    fleet.nodes[agent].shell(mount).succeeds();
    let (recap, held) = fleet.play("uninstall.yml", &PURGE);
    held.exits_with(2)
        .stdout_has("a file system is mounted at /var/lib/mesos/ours")
        .stdout_has("umount");
    let untouched = Recap { changed: 0, failed: 0 };
    assert!(
        MASTERS.iter().all(|address| recap.get(*address).is_none_or(|host| *host == untouched)),
        "{recap:?}"
    );
    assert!(
        MASTERS.iter().all(|address| fleet.nodes[*address].has("/opt/mesosphere/bin"))
            && recap[agent].failed == 1,
        "{recap:?}"
    );
    fleet.nodes[agent].shell("umount /var/lib/mesos/ours && rmdir /var/lib/mesos/ours").succeeds();
}

/// The program in place does it, whatever is published now. DC/OS was removed from the public agent
/// before, but for the program.
fn uninstall_uses_the_program_in_place(fleet: &Fleet) {
    let [_, public] = AGENTS;
    let more = ["-e", "dcos_node_sha256=0000", "-e", "dcos_node_drain=10m"];
    let recap = fleet.plays("uninstall.yml", &[&PURGE[..], &more].concat());
    assert!(
        recap.iter().all(|(address, host)| host.changed == if address == public { 1 } else { 2 }),
        "{recap:?}"
    );
}

fn nothing_of_dcos_is_left(fleet: &Fleet) {
    for (address, node) in &fleet.nodes {
        for path in [
            "/opt/mesosphere",
            "/etc/mesosphere",
            "/var/lib/dcos",
            "/var/lib/mesos",
            "/var/lib/dcos-node",
            "/opt/dcos-node",
        ] {
            assert!(!node.has(path), "{address}: {path}");
        }
    }
}
