//! The program is one static file: it needs nothing of the machine that it comes to, not even to
//! find a server by its name.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use support::build::Build;
use support::http_server::Server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");
const NAME: &str = "bootstrap.dcos-node.test";

/// What of an ELF file makes others be loaded (`elf(5)`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Loads {
    /// `PT_INTERP`: the dynamic linker.
    interpreter: bool,
    /// How many `DT_NEEDED`: shared libraries.
    libraries: usize,
}

/// Reads the program headers of a 64-bit little-endian ELF file.
fn loads(elf: &[u8]) -> Loads {
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian ELF file");
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let (first, size, count) = (long(32), half(54), half(56));
    assert!(count > 0, "a program has program headers");
    let mut loads = Loads::default();
    for header in (0..count).map(|index| first + index * size) {
        let (offset, length) = (long(header + 8), long(header + 32));
        match word(header) {
            3 => loads.interpreter = true,
            // PT_DYNAMIC: pairs of a tag and a value, to the tag 0. A static program that can lie
            // anywhere has one too.
            2 => {
                loads.libraries = (offset..offset + length)
                    .step_by(16)
                    .map(long)
                    .take_while(|tag| *tag != 0)
                    .filter(|tag| *tag == 1)
                    .count()
            }
            _ => {}
        }
    }
    loads
}

#[test]
fn program_loads_no_library() {
    assert_eq!(
        loads(&fs::read(PROGRAM).unwrap()),
        Loads::default(),
        "{PROGRAM} is not static: is target-feature=+crt-static still set?"
    );
}

#[test]
fn dynamically_linked_program_is_recognised() {
    let mut elf = fs::read(PROGRAM).unwrap();
    let header = usize::try_from(u64::from_le_bytes(elf[32..40].try_into().unwrap())).unwrap();
    elf[header..header + 4].copy_from_slice(&3_u32.to_le_bytes());
    assert!(loads(&elf).interpreter);

    let end = elf.len() as u64;
    let dynamic: Vec<u8> =
        [1_u64, 10, 1, 20, 0, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    elf[header..header + 4].copy_from_slice(&2_u32.to_le_bytes());
    elf[header + 8..header + 16].copy_from_slice(&end.to_le_bytes());
    elf[header + 32..header + 40].copy_from_slice(&(dynamic.len() as u64).to_le_bytes());
    // The true one, if the program has one, comes later.
    elf[54 + 2..54 + 4].copy_from_slice(&1_u16.to_le_bytes());
    elf.extend(dynamic);
    assert_eq!(loads(&elf), Loads { interpreter: false, libraries: 2 });
}

/// Whether a root directory of its own can be had here. If not, says so past the test runner, and
/// fails where `CI` is set.
fn available() -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "it takes root"
    } else if !Command::new("unshare")
        .args(["-m", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        "no mount namespace can be had"
    } else {
        return true;
    };
    if std::env::var("CI").is_ok_and(|value| value == "true" || value == "1") {
        panic!("this test needs a root directory of its own, and CI must have it: {reason}");
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ =
        writeln!(std::io::stderr(), "NOT RUN: {test} needs a root directory of its own: {reason}");
    false
}

/// A root directory that holds the program, `/proc`, `/etc` as given, and the two devices that the
/// C library takes random numbers from.
struct Bare(tempfile::TempDir);

impl Bare {
    fn with(etc: &[(&str, String)]) -> Bare {
        let directory = tempfile::tempdir().unwrap();
        for name in ["proc", "dev", "etc"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        for device in ["dev/random", "dev/urandom"] {
            fs::write(directory.path().join(device), "").unwrap();
        }
        for (name, text) in etc {
            fs::write(directory.path().join("etc").join(name), text).unwrap();
        }
        // By another process: what this one had open for writing, a child that another test has
        // just started could still hold open.
        assert!(
            Command::new("cp")
                .arg(PROGRAM)
                .arg(directory.path().join("dcos-node"))
                .status()
                .unwrap()
                .success()
        );
        Bare(directory)
    }

    /// Runs the program in it, in a mount namespace that ends with it.
    fn run(&self, arguments: &[&str]) -> Output {
        const MOUNT: &str = "mount -t proc proc \"$0/proc\" && mount --bind /dev/random \
                             \"$0/dev/random\" && mount --bind /dev/urandom \"$0/dev/urandom\" && \
                             exec chroot \"$0\" /dcos-node \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", MOUNT]).arg(self.0.path()).args(arguments);
        // Nothing of the environment of the test: a proxy, or settings of ours.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
    }

    /// What `preflight` finds of one layer of the server.
    fn server_check(&self, id: &str, url: &str) -> (String, String) {
        let output = self.run(&["preflight", "master", "--json", "--bootstrap-url", url]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        // There is no systemd in a bare root, so the node is not ready; but everything was checked.
        assert_eq!(output.status.code(), Some(3), "{told}");
        let check =
            report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap();
        (check["verdict"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned())
    }
}

/// A build on a server; both end with the value.
async fn serve() -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    Build::tiny().pack(directory.path());
    (Server::start(directory.path()).await, directory)
}

fn named(server: &Server) -> String {
    server.url().replace("127.0.0.1", NAME)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_root_resolves_the_server_by_the_hosts_file() {
    if !available() {
        return;
    }
    let (server, _build) = serve().await;
    let bare =
        Bare::with(&[("hosts", format!("127.0.0.1 {NAME}\n")), ("resolv.conf", String::new())]);
    let (verdict, found) = bare.server_check("bootstrap.build", &named(&server));
    assert_eq!(verdict, "pass", "{found}");
    assert!(found.contains("3 packages"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_root_resolves_the_server_by_the_name_server() {
    if !available() {
        return;
    }
    let (server, _build) = serve().await;
    let names = NameServer::start();
    let bare = Bare::with(&[("resolv.conf", format!("nameserver {}\n", names.address))]);
    let (verdict, found) = bare.server_check("bootstrap.build", &named(&server));
    assert_eq!(verdict, "pass", "{found}");
    assert!(
        names.asked.lock().unwrap().iter().any(|name| name == NAME),
        "the name server was not asked"
    );

    let (verdict, found) =
        bare.server_check("bootstrap.name", "http://no-such-host.dcos-node.test:1");
    assert_eq!(verdict, "fail");
    assert!(found.contains("there is no such name"), "{found}");
}

#[test]
fn bare_root_is_removed_completely() {
    if !available() {
        return;
    }
    let bare = Bare::with(&[]);
    assert!(bare.run(&["--version"]).status.success());
    let path: PathBuf = bare.0.path().to_owned();
    drop(bare);
    assert!(!path.exists(), "a mount kept the directory from being removed");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&path.display().to_string()), "{mounts}");
}

/// A name server that knows [`NAME`] and nothing else.
struct NameServer {
    address: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    fn start() -> NameServer {
        // Port 53 cannot be chosen, so it is an address of loopback that nobody else has.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low.max(1));
        let socket = UdpSocket::bind((address, 53)).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        // It ends with the test program.
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let (name, answer) = answer(&query[..length]);
                heard.lock().unwrap().push(name);
                let _ = socket.send_to(&answer, from);
            }
        });
        NameServer { address, asked }
    }
}

/// The name in a query, and the answer to it (RFC 1035, 4.1).
fn answer(query: &[u8]) -> (String, Vec<u8>) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let name = labels.join(".");
    let question = &query[12..at + 5];
    let is_known = name == NAME;
    let has_address = is_known && question.ends_with(&[0, 1, 0, 1]);
    let mut answer = query[..2].to_vec();
    answer.extend([
        0x81,
        if is_known { 0x80 } else { 0x83 },
        0,
        1,
        0,
        u8::from(has_address),
        0,
        0,
        0,
        0,
    ]);
    answer.extend(question);
    if has_address {
        // The name of the question, A, IN, 60 seconds, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    (name, answer)
}
