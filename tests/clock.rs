//! The kernel's clock, not synchronised and then synchronised by a real chronyd, as `dcos-node preflight` sees it.
//!
//! The clock is the whole machine's. It is not stepped: chronyd follows a server on this machine, which has the same clock, and is only to set the
//! kernel's flags. What it changed is put back. Where a time daemon keeps the machine's clock, nothing is touched and nothing tested.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rules for files and programs are those of src/; tests look from outside"
)]
#![allow(unsafe_code, reason = "adjtimex(2), to put the clock's state back")]

mod support;

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::node;

/// The package that chronyd comes in is unpacked, not installed: its scripts would start it and hand it the machine's clock.
fn chronyd() -> Result<PathBuf, String> {
    let unpacked = node::cache().join("chrony");
    let program = unpacked.join("usr/sbin/chronyd");
    if !program.exists() {
        let directory = tempfile::tempdir_in(node::cache()).map_err(|e| e.to_string())?;
        let line = "apt-get download chrony >&2 && dpkg-deb -x chrony_*.deb unpacked && mv -T unpacked \"$0\"";
        let made =
            Command::new("sh").args(["-c", line]).arg(&unpacked).current_dir(directory.path()).output().map_err(|e| e.to_string())?;
        if !made.status.success() {
            return Err(format!("the package chrony cannot be had: {}", String::from_utf8_lossy(&made.stderr)));
        }
    }
    let runs = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    if runs { Ok(program) } else { Err("chronyd does not run here".to_owned()) }
}

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
    // SAFETY: timex is a C struct of integers, for which all zeroes is a valid value; its `modes` of zero means "only read".
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    assert!(adjtimex(&mut timex) >= 0);
    timex
}

/// What is put back at the end, also of a test that fails.
struct State(libc::timex);

impl State {
    /// Everything that is put back but the maximum error, which grows by itself.
    fn figures(timex: &libc::timex) -> [i64; 5] {
        let [freq, esterror, constant, tick] = [timex.freq, timex.esterror, timex.constant, timex.tick].map(i64::from);
        [i64::from(timex.status), freq, esterror, constant, tick]
    }

    fn put_back(&self) {
        let mut timex = self.0;
        let unit = if timex.status & libc::STA_NANO == 0 { libc::ADJ_MICRO } else { libc::ADJ_NANO };
        timex.modes = unit | libc::ADJ_STATUS | libc::ADJ_FREQUENCY | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR | libc::ADJ_TICK;
        adjtimex(&mut timex);
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// A daemon that is killed at the end.
struct Daemon(Child);

impl Daemon {
    fn start(program: &Path, directory: &Path, name: &str, flags: &[&str], settings: &str) -> Daemon {
        let file = directory.join(format!("{name}.conf"));
        let pid = directory.join(format!("{name}.pid"));
        fs::write(&file, format!("{settings}\nuser root\ncmdport 0\nbindcmdaddress /\npidfile {}\n", pid.display())).unwrap();
        let log = fs::File::create(directory.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(program);
        command.args(flags).arg("-d").arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Daemon(command.spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn preflight(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcos-node"));
    command.args(["preflight", "--json"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How `time.sync` came out, and what was found.
fn time_sync(output: &std::process::Output) -> (String, String) {
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "time.sync").unwrap();
    (check["verdict"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned())
}

#[test]
fn a_clock_that_chronyd_synchronises_is_waited_for_and_then_in_order() {
    if !node::available() {
        return;
    }
    let not_run = |why: &str| drop(writeln!(std::io::stderr(), "NOT RUN: the test of a real chronyd: {why}"));
    if !may_set_the_clock() {
        return not_run("the clock cannot be set here");
    }
    // One such test at a time on this machine.
    fs::create_dir_all(node::cache()).unwrap();
    let lock = fs::File::options().create(true).append(true).open(node::cache().join("clock.lock")).unwrap();
    lock.lock().unwrap();
    let before = read();
    if before.status & libc::STA_UNSYNC == 0 {
        return not_run("a time daemon keeps this machine's clock");
    }
    let program = match chronyd() {
        Ok(program) => program,
        Err(why) => return not_run(&why),
    };
    let state = State(before);
    let directory = tempfile::tempdir().unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let (verdict, found) = time_sync(&preflight(&[]).output().unwrap());
    assert!(verdict == "fail" && found.contains("TIME_ERROR"), "{verdict}: {found}");

    let server = format!("port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 3");
    let server = Daemon::start(&program, directory.path(), "server", &["-x"], &server);
    let events = directory.path().join("events");
    let waiting = preflight(&["--wait-time-sync", "5m", "--events", events.to_str().unwrap()]).spawn().unwrap();
    let began = Instant::now();
    while !fs::read_to_string(&events).unwrap_or_default().contains("\"waiting\"") {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing tells that it is waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
    let client = format!("server 127.0.0.1 port {port} iburst minpoll 0 maxpoll 0\nport 0\nmaxslewrate 10\nrtcsync");
    let client = Daemon::start(&program, directory.path(), "client", &[], &client);
    let ended = waiting.wait_with_output().unwrap();
    let (verdict, found) = time_sync(&ended);
    let said = fs::read_to_string(directory.path().join("client.log")).unwrap_or_default();
    assert!(verdict == "pass" && found.starts_with("synchronised"), "{verdict}: {found}; chronyd says:\n{said}");

    drop((client, server));
    state.put_back();
    let after = read();
    assert_eq!(State::figures(&after), State::figures(&before), "the clock's state is not as it was");
    assert!(after.maxerror >= before.maxerror, "the clock's state is not as it was");
    assert_eq!(time_sync(&preflight(&[]).output().unwrap()).0, "fail");
}
