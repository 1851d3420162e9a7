//! `serve` is a file server that gives away what is in its directory, in whole or in part, and
//! nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::build::Build;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcos-node");
/// For what should take a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is running; it is killed with the value.
struct Serving {
    child: Child,
    address: String,
    lines: Receiver<Value>,
}

impl Serving {
    fn start(directory: &Path) -> Serving {
        Serving::start_with(Command::new(PROGRAM), directory)
    }

    /// The command is the program, or what runs it.
    fn start_with(mut command: Command, directory: &Path) -> Serving {
        command.args(["serve", "--json", "--quiet", "--listen", "127.0.0.1:0"]).arg(directory);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(serde_json::from_str(&line).unwrap())))
        });
        let mut serving = Serving { child, address: String::new(), lines };
        let note = serving
            .event(|event| event["text"].as_str().is_some_and(|text| text.starts_with("serving ")));
        let (_, url) = note["text"].as_str().unwrap().split_once("http://").unwrap();
        serving.address = url.trim_end_matches('/').to_owned();
        serving
    }

    /// The next event of that kind.
    fn event(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.lines.recv_timeout(PATIENCE).expect("an event");
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Sends a request word for word and reads the answer to its end.
    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("{method} {path}: {bytes:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: bytes.split_off(end + 4) }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn ended(&mut self) -> i32 {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A directory with a file of all bytes, and a secret beside it.
fn directory() -> TempDir {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("serve");
    fs::create_dir_all(inner.join("sub/.hidden")).unwrap();
    let write = |path: &str, content: &[u8]| fs::write(outer.path().join(path), content).unwrap();
    write("secret", b"secret");
    // Without it the directory is not one of a build.
    write("serve/bootstrap.latest", b"0123456789abcdef");
    write("serve/file", &(0..=255).collect::<Vec<u8>>());
    write("serve/empty", b"");
    write("serve/sub/a+b c.json", b"{}");
    write("serve/.dotfile", b"secret");
    write("serve/sub/.hidden/file", b"secret");
    let link =
        |target: &str, path: &str| std::os::unix::fs::symlink(target, inner.join(path)).unwrap();
    link("file", "inside");
    link("../secret", "outside");
    link("/etc/passwd", "absolute");
    link("..", "parent");
    link(".dotfile", "masked");
    link("sub/.hidden", "masked-directory");
    nix::unistd::mkfifo(&inner.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    outer
}

#[test]
fn files_are_served_whole_and_in_part() {
    let directory = directory();
    let serving = Serving::start(&directory.path().join("serve"));
    let all: Vec<u8> = (0..=255).collect();
    let whole = serving.ask("GET", "/file", "");
    assert_eq!(
        (whole.status, &whole.body, whole.header("content-length"), whole.header("accept-ranges")),
        (200, &all, Some("256"), Some("bytes"))
    );
    let tag = whole.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let logged = serving.event(|event| event["event"] == "answered");
    assert_eq!(
        (&logged["path"], &logged["status"], &logged["bytes"], &logged["client"]),
        (&"/file".into(), &200.into(), &256.into(), &"127.0.0.1".into())
    );

    let head = serving.ask("HEAD", "/file", "");
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length"), head.header("etag")),
        (200, 0, Some("256"), Some(tag.as_str()))
    );
    for (range, status, body, about) in [
        ("bytes=0-0", 206, &all[..1], Some("bytes 0-0/256")),
        ("bytes=250-", 206, &all[250..], Some("bytes 250-255/256")),
        ("bytes=-6", 206, &all[250..], Some("bytes 250-255/256")),
        ("bytes=10-999", 206, &all[10..], Some("bytes 10-255/256")),
        ("bytes=0-1,5-6", 200, &all[..], None),
        ("nonsense", 200, &all[..], None),
    ] {
        let part = serving.ask("GET", "/file", &format!("Range: {range}\r\n"));
        assert_eq!(
            (part.status, part.body.as_slice(), part.header("content-range")),
            (status, body, about),
            "{range}"
        );
    }
    let outside = serving.ask("GET", "/file", "Range: bytes=256-\r\n");
    assert_eq!((outside.status, outside.header("content-range")), (416, Some("bytes */256")));
    assert_eq!(
        serving.ask("GET", "/file", &format!("Range: bytes=250-\r\nIf-Range: {tag}\r\n")).status,
        206
    );
    assert_eq!(serving.ask("GET", "/file", &format!("If-None-Match: {tag}\r\n")).status, 304);
    fs::write(directory.path().join("serve/file"), "another").unwrap();
    let changed = serving.ask("GET", "/file", &format!("Range: bytes=3-\r\nIf-Range: {tag}\r\n"));
    assert_eq!((changed.status, changed.body.as_slice()), (200, &b"another"[..]));
    assert_ne!(changed.header("etag"), Some(tag.as_str()));

    let encoded = serving.ask("GET", "/sub/a%2Bb%20c.json?x=1", "");
    assert_eq!(
        (encoded.status, encoded.body.as_slice(), encoded.header("content-type")),
        (200, &b"{}"[..], Some("application/json"))
    );
    assert_eq!(
        (serving.ask("GET", "/empty", "").status, serving.ask("GET", "/inside", "").body),
        (200, b"another".to_vec())
    );
    let post = serving.ask("POST", "/file", "Content-Length: 0\r\n");
    assert_eq!((post.status, post.header("allow")), (405, Some("get, head")));
}

#[test]
fn hidden_files_and_files_outside_are_not_served() {
    let directory = directory();
    let serving = Serving::start(&directory.path().join("serve"));
    for path in [
        "/",
        "/sub",
        "/sub/",
        "/none",
        "/file/",
        "/file/x",
        "/.dotfile",
        "/%2edotfile",
        "/sub/.hidden/file",
        "/masked",
        "/masked-directory/file",
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/../../secret",
        "/sub/%2e%2e/%2e%2e/secret",
        "/outside",
        "/absolute",
        "/parent/secret",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/file%00",
        "/%",
        "/pipe",
    ] {
        let answer = serving.ask("GET", path, "");
        assert_eq!(answer.status, 404, "{path}: {:?}", String::from_utf8_lossy(&answer.body));
        assert!(!answer.body.windows(6).any(|bytes| bytes == b"secret"), "{path}");
    }
    let logged = serving.event(|event| event["path"] == "/%2e%2e/secret");
    assert_eq!(logged["status"], 404);
}

#[test]
fn serve_and_publish_refuse_the_parent_of_a_serve_directory() {
    let genconf = tempfile::tempdir().unwrap();
    let serve = genconf.path().join("serve");
    fs::create_dir(&serve).unwrap();
    fs::write(genconf.path().join("ssh_key"), "secret").unwrap();
    for command in ["serve", "publish"] {
        let refused = |words: &str| {
            let output = Command::new(PROGRAM).arg(command).arg(genconf.path()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(2) && told.contains(words), "{told}");
        };
        let _ = fs::remove_file(serve.join("bootstrap.latest"));
        refused("genconf/serve");
        fs::write(serve.join("bootstrap.latest"), "0123456789abcdef").unwrap();
        refused(&format!("dcos-node {command} {}", serve.display()));
    }
}

#[test]
fn readers_that_never_read_keep_out_no_honest_client() {
    let directory = directory();
    let large = fs::File::create(directory.path().join("serve/large")).unwrap();
    large.set_len(1 << 30).unwrap();
    // Places for 32 connections.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 128; exec \"$@\"", "sh", PROGRAM]);
    let serving = Serving::start_with(limited, &directory.path().join("serve"));
    let readers: Vec<TcpStream> = (0..100)
        .map_while(|_| {
            let mut reader = TcpStream::connect(&serving.address).ok()?;
            let _ = reader.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
            Some(reader)
        })
        .collect();
    let silent: Vec<TcpStream> =
        (0..100).map_while(|_| TcpStream::connect(&serving.address).ok()).collect();
    let answered = || {
        let mut stream = TcpStream::connect(&serving.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        answer.starts_with(b"HTTP/1.1 200").then_some(())
    };
    let began = Instant::now();
    while answered().is_none() {
        assert!(began.elapsed() < PATIENCE, "no answer beside {} readers", readers.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    drop((readers, silent));
}

#[test]
fn serve_finishes_open_transfers_and_stops() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let directory = directory();
        let large = vec![7; 64 << 20];
        fs::write(directory.path().join("serve/large"), &large).unwrap();
        let mut serving = Serving::start(&directory.path().join("serve"));
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut first = [0; 1024];
        stream.read_exact(&mut first).unwrap();
        serving.signal(signal);
        serving
            .event(|event| event["text"].as_str().is_some_and(|text| text.starts_with("stopping")));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(first.len() + rest.len() > large.len(), "the answer was cut");
        assert_eq!(serving.ended(), 0);
    }
}

#[test]
fn serve_listens_at_the_expected_address_or_says_why_not() {
    let directory = tempfile::tempdir().unwrap();
    Build::tiny().pack(directory.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(PROGRAM)
        .args(["serve", "--listen", &address])
        .arg(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && told.contains(&address) && told.contains("ss -ltnp"),
        "{told}"
    );
    let output = Command::new(PROGRAM).args(["serve", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));

    // tiny was made for port 8080; whoever has it already is named with it.
    let said = tempfile::NamedTempFile::new().unwrap();
    let append = || fs::OpenOptions::new().append(true).open(said.path()).unwrap();
    let mut command = Command::new(PROGRAM);
    let mut child = command
        .args(["serve", "--json"])
        .arg(directory.path())
        .stdout(append())
        .stderr(append())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let told = || fs::read_to_string(said.path()).unwrap();
    while !told().contains("0.0.0.0:8080")
        && child.try_wait().unwrap().is_none()
        && began.elapsed() < PATIENCE
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(told().contains("0.0.0.0:8080"), "{}", told());
}
