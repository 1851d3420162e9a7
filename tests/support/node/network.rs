//! Network namespaces, and the cables between a node's and its server's.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use super::outcome::{attempt, must};

/// The server's address in the network that it makes.
pub(super) const SERVER: &str = "10.77.0.1";

/// A network namespace of our own; gone when dropped.
pub(super) struct Namespace {
    id: String,
    /// How many nodes were plugged into the bridge, if this is a server's.
    plugged: AtomicU8,
}

impl Namespace {
    pub(super) fn new(id: &str) -> Namespace {
        must(Command::new("ip").args(["netns", "add", id]));
        Namespace { id: id.to_owned(), plugged: AtomicU8::new(0) }
    }

    pub(super) fn path(&self) -> String {
        format!("/run/netns/{}", self.id)
    }

    /// A program that will run in this namespace.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.id]).arg(program);
        command
    }

    /// Makes this namespace a bridge with the server's address on it. Whoever asks it for the world
    /// beyond is refused at once; without that, every lookup of a name would wait for an answer
    /// that never comes.
    pub(super) fn become_bridge(&self) {
        for line in [
            "link set lo up".to_owned(),
            "link add bridge type bridge".to_owned(),
            format!("address add {SERVER}/24 dev bridge"),
            "link set bridge up".to_owned(),
            "route add unreachable default".to_owned(),
        ] {
            self.ip(&line);
        }
        must(self.command("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]));
    }

    /// A cable from this bridge to `eth0` of a node, with an address (the next one, if it is to
    /// have no other) and a route.
    pub(super) fn plug_in(&self, node: &Namespace, address: Option<&str>) {
        let number = self.plugged.fetch_add(1, Ordering::Relaxed) + 1;
        let address = address.map_or_else(|| format!("10.77.0.{}", number + 1), str::to_owned);
        let here = format!("node{number}");
        // The hardware's address follows from the other: a node that takes the place of another is
        // found at once by those who knew that one.
        let hardware = address.split('.').fold("02:00".to_owned(), |text, part| {
            format!("{text}:{:02x}", part.parse::<u8>().unwrap_or(0))
        });
        self.ip(&format!(
            "link add {here} type veth peer name eth0 address {hardware} netns {}",
            node.id
        ));
        self.ip(&format!("link set {here} master bridge up"));
        node.ip(&format!("address add {address}/24 dev eth0"));
        node.ip("link set lo up");
        node.ip("link set eth0 up");
        node.ip(&format!("route add default via {SERVER}"));
        // The kernel tells some time later that both ends are there; before that nothing gets
        // through.
        node.shows("eth0", "state UP");
        self.shows(&here, "state forwarding");
    }

    /// Waits until the kernel says so of an interface.
    fn shows(&self, interface: &str, words: &str) {
        super::eventually(|| {
            let told = must(
                Command::new("ip")
                    .args(["-n", &self.id, "-o", "-d", "link", "show", "dev", interface]),
            );
            if told.stdout().contains(words) { Ok(()) } else { Err(told.to_string()) }
        });
    }

    fn ip(&self, line: &str) {
        must(Command::new("ip").args(["-n", &self.id]).args(line.split(' ')));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        attempt(Command::new("ip").args(["netns", "delete", &self.id]));
    }
}

/// The processes in the namespace of that name; none if there is no such namespace.
pub(super) fn processes(id: &str) -> Vec<i32> {
    if !Path::new("/run/netns").join(id).exists() {
        return Vec::new();
    }
    let list = attempt(Command::new("ip").args(["netns", "pids", id]));
    list.stdout().split_whitespace().filter_map(|number| number.parse().ok()).collect()
}
