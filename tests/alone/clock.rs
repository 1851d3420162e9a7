//! The kernel's clock, not synchronised and then synchronised by a real chronyd on a real node, as
//! `dcos-node preflight` sees it there.
//!
//! The clock is the whole machine's, nodes included. It is not stepped: chronyd, a unit of the
//! node, follows a server on the same node, which has the same clock, and is only to set the
//! kernel's flags. What it changed is put back. Where a time daemon keeps the machine's clock,
//! nothing is touched and nothing tested.
#![allow(unsafe_code, reason = "adjtimex(2), to put the clock's state back")]

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use support::node::{self, Node};

/// The node has no other clock, so that the server's is right. It serves on a port of its own.
const SERVER: &str = "port 1123\n\
                      bindaddress 127.0.0.1\n\
                      allow 127.0.0.1\n\
                      local stratum 3\n\
                      cmdport 0\n\
                      bindcmdaddress /\n\
                      pidfile /run/server.pid\n";
/// Without `rtcsync` chronyd never tells the kernel that its clock is synchronised.
const CLIENT: &str = "server 127.0.0.1 port 1123 iburst minpoll 0 maxpoll 0\n\
                      port 0\n\
                      maxslewrate 10\n\
                      rtcsync\n\
                      cmdport 0\n";

/// Whether this process may set the clock.
fn may_set_the_clock() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    u64::from_str_radix(effective.trim(), 16).is_ok_and(|bits| bits & (1 << 25) != 0)
}

fn adjtimex(timex: &mut libc::timex) -> i32 {
    // SAFETY: the pointer is to a live, exclusively borrowed timex, which the kernel does not keep.
    unsafe { libc::adjtimex(timex) }
}

fn read() -> libc::timex {
    // SAFETY: timex is a C struct of integers, for which all zeroes is a valid value; its `modes`
    // of zero means "only read".
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    assert!(adjtimex(&mut timex) >= 0);
    timex
}

/// What is put back at the end, also of a test that fails.
struct State(libc::timex);

impl State {
    /// Everything that is put back but the maximum error, which grows by itself.
    fn figures(timex: &libc::timex) -> [i64; 5] {
        let [freq, esterror, constant, tick] =
            [timex.freq, timex.esterror, timex.constant, timex.tick].map(i64::from);
        [i64::from(timex.status), freq, esterror, constant, tick]
    }

    fn put_back(&self) {
        let mut timex = self.0;
        let unit =
            if timex.status & libc::STA_NANO == 0 { libc::ADJ_MICRO } else { libc::ADJ_NANO };
        timex.modes = unit
            | libc::ADJ_STATUS
            | libc::ADJ_FREQUENCY
            | libc::ADJ_MAXERROR
            | libc::ADJ_ESTERROR
            | libc::ADJ_TICK;
        adjtimex(&mut timex);
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// How a check came out, and what was found.
fn found(report: &serde_json::Value, id: &str) -> (String, String) {
    let check = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["id"] == id)
        .expect("the check");
    let text = |field: &str| check[field].as_str().expect("a text").to_owned();
    (text("verdict"), text("found"))
}

fn preflight(node: &Node) -> serde_json::Value {
    node.run(&["dcos-node", "preflight", "--json"]).json()
}

#[test]
fn clock_synchronised_by_chronyd_is_awaited_and_passes() {
    if !node::available() {
        return;
    }
    let not_run =
        |why: &str| drop(writeln!(std::io::stderr(), "NOT RUN: the test of a real chronyd: {why}"));
    if !may_set_the_clock() {
        return not_run("the clock cannot be set here");
    }
    // One such test at a time on this machine.
    fs::create_dir_all(node::cache()).unwrap();
    let lock = fs::File::options()
        .create(true)
        .append(true)
        .open(node::cache().join("clock.lock"))
        .unwrap();
    lock.lock().unwrap();
    let before = read();
    if before.status & libc::STA_UNSYNC == 0 {
        return not_run("a time daemon keeps this machine's clock");
    }
    let state = State(before);
    let node = Node::equipped("clock").booted();
    node.install_binary();
    let (verdict, clock) = found(&preflight(&node), "time.sync");
    assert!(verdict == "fail" && clock.contains("TIME_ERROR"), "{verdict}: {clock}");
    let (verdict, daemon) = found(&preflight(&node), "time.daemon");
    assert!(verdict == "warn" && daemon.starts_with("none"), "{verdict}: {daemon}");

    node.write("/etc/chrony/server.conf", SERVER);
    node.write("/etc/chrony/chrony.conf", CLIENT);
    let server =
        node.start(&["chronyd", "-x", "-d", "-u", "root", "-f", "/etc/chrony/server.conf"]);
    let waiting = node.start(&[
        "dcos-node",
        "preflight",
        "--json",
        "--wait-time-sync",
        "30m",
        "--events",
        "/root/events",
    ]);
    let began = Instant::now();
    while !(node.has("/root/events") && node.read("/root/events").contains("\"waiting\"")) {
        assert!(began.elapsed() < Duration::from_secs(300), "nothing tells that it is waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
    node.run(&["systemctl", "start", "chrony.service"]).succeeds();
    let report = waiting.finish_within(Duration::from_secs(1900)).json();
    let (verdict, clock) = found(&report, "time.sync");
    let said = node.run(&["journalctl", "--no-pager", "-u", "chrony.service"]);
    assert!(
        verdict == "pass" && clock.starts_with("synchronised"),
        "{verdict}: {clock}; chronyd says: {said}"
    );
    assert_eq!(found(&report, "time.daemon"), ("pass".to_owned(), "chrony.service".to_owned()));

    node.run(&["systemctl", "stop", "chrony.service"]).succeeds();
    // The kernel takes the clock for synchronised for some hours yet.
    let (verdict, daemon) = found(&preflight(&node), "time.daemon");
    assert!(
        verdict == "warn" && daemon.contains("counts as synchronised for another"),
        "{verdict}: {daemon}"
    );
    drop(server);
    state.put_back();
    let after = read();
    assert_eq!(
        State::figures(&after),
        State::figures(&before),
        "the clock's state is not as it was"
    );
    assert!(after.maxerror >= before.maxerror, "the clock's state is not as it was");
    assert_eq!(found(&preflight(&node), "time.sync").0, "fail");
}
