//! Every release on every system in every role: preflight, install, install again, status, verify,
//! power cut, boot, verify, uninstall, and the whole node as it was.
//!
//! `make test` takes one case for each system, others at each commit; `make matrix` takes all, and
//! `make matrix MATRIX=2.1` those with that in their names. `docs/matrix.md` has the last run.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use support::faults::{seed, spread};
use support::node::{self, Node, Server, System};
use support::shape::Shape;
use support::step;
use support::tree::Whole;

const ROLES: [&str; 3] = ["master", "slave", "slave_public"];

#[derive(Clone, Copy)]
struct Case {
    system: System,
    shape: Shape,
    role: &'static str,
}

/// All cases of one system after another.
fn cases() -> Vec<Case> {
    let of_shape = |system, shape| ROLES.map(|role| Case { system, shape, role });
    let of_system = |system| Shape::ALL.into_iter().flat_map(move |shape| of_shape(system, shape));
    System::ALL.into_iter().flat_map(of_system).collect()
}

#[test]
fn node_of_each_release_system_and_role_lives_and_leaves() {
    if !node::available() {
        return;
    }
    let all = cases();
    let chosen = match std::env::var("MATRIX") {
        Ok(part) if part == "all" => all,
        Ok(part) => all.into_iter().filter(|case| name(case).contains(&part)).collect(),
        Err(_) => spread(&all, System::ALL.len(), seed()),
    };
    assert!(!chosen.is_empty(), "MATRIX names no case");
    let failed: Vec<String> = chosen.iter().filter(|case| !passes(case)).map(name).collect();
    assert!(failed.is_empty(), "failed: {}", failed.join("; "));
}

fn name(case: &Case) -> String {
    let Case { system, shape, role } = case;
    format!("{system:?}, {}, {role}", shape.release())
}

/// Runs a case and prints its row, past the test runner, which swallows what a passing test prints.
fn passes(case: &Case) -> bool {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| lives_and_leaves(case)));
    let word = if result.is_ok() { "passed" } else { "FAILED" };
    let seconds = began.elapsed().as_secs();
    let _ = writeln!(std::io::stderr(), "matrix: {}: {word} after {seconds} s", name(case));
    result.is_ok()
}

fn lives_and_leaves(Case { system, shape, role }: &Case) {
    let directory = tempfile::tempdir().expect("a directory for the build");
    shape.build().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::running(*system, "matrix").knowing(&server).booted();
    node.install_binary();
    // What only a first boot does is behind it, as on a node that is installed.
    node.reboot();
    let before = Whole::of(&node);
    let run = |words: &[&str]| node.run(&[&["dcos-node"], words].concat());
    let install = [&["install", role, "--json", "--bootstrap-url", server.url()], node::LACKS];
    let preflight = [&["preflight", role, "--bootstrap-url", server.url()], node::LACKS];
    step("preflight", || {
        run(&preflight.concat()).succeeds();
    });
    let changes = || run(&install.concat()).succeeds().json()["changed"].clone();
    step("install", || assert_eq!(changes(), true));
    step("install again", || assert_eq!(changes(), false));
    let is_sound = || {
        run(&["status", "--wait=started"]).succeeds();
        run(&["verify"]).succeeds();
    };
    step("status and verify", is_sound);
    step("power cut", || {
        node.cut_power();
        node.power_on();
        node.wait_until_booted();
        is_sound();
    });
    step("uninstall", || {
        run(&["uninstall", "--purge-data", "--yes"]).succeeds();
        node.stop_forwarding();
        let changed = Whole::of(&node).changes_since(&before);
        assert!(changed.is_empty(), "the node is not as it was:\n{}", changed.join("\n"));
    });
}
