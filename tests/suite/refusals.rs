//! What the confinement of a script refuses is heard from the kernel, and excuses the script;
//! nothing else does.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dcos_node::dcos::settings::Settings;
use dcos_node::observe::excuse::Excuse;
use dcos_node::observe::ip_detect::{Identity, Run};
use dcos_node::system::confine::{self, Limits, Refusal, Refused};
use dcos_node::system::process::{Confined, Script, run_script};
use dcos_node::system::root::Root;

async fn run(text: &str) -> Confined {
    confine::use_program(support::node::binary());
    let env = [("PATH".into(), "/usr/bin:/bin".into())];
    let path = Path::new("/opt/mesosphere/bin/detect_ip");
    let limits = Limits::default();
    let script = Script { text: text.as_bytes(), path, env: &env, as_nobody: false, limits };
    run_script(script, Duration::from_secs(120)).await.expect("the script is run")
}

/// The first run of a script as the build's ip-detect.
async fn detect(text: &str) -> Run {
    confine::use_program(support::node::binary());
    let settings = Settings { detect_ip: Some(text.into()), ..Settings::default() };
    let root = tempfile::tempdir().unwrap();
    let ip = Identity::look(&Root::new(root.path()), &settings, None).await.ip.unwrap();
    ip.runs.into_iter().next().unwrap()
}

fn stdout(confined: &Confined) -> &str {
    std::str::from_utf8(&confined.output.stdout.bytes).unwrap()
}

#[track_caller]
fn has(confined: &Confined, what: Refusal, program: &str) {
    let refused = Refused { what, program: Some(program.to_owned()) };
    assert!(confined.refused.contains(&refused), "no {refused:?} in {confined:?}");
}

/// A script that lets perl connect to a local socket, and prints the error.
fn connects_to(path: &Path) -> String {
    format!(
        "#!/bin/sh\nperl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) or die; \
         connect(S, sockaddr_un(\"{}\")); print $!'\nexit 1\n",
        path.display()
    )
}

#[tokio::test]
async fn refused_local_socket_has_program_and_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service.sock");
    let _service = UnixListener::bind(&path).unwrap();
    let confined = run(&connects_to(&path)).await;
    assert_eq!(stdout(&confined), "Permission denied");
    let path = path.to_str().unwrap().to_owned();
    has(&confined, Refusal::LocalSocket { path: Some(path) }, "perl");
    assert_eq!(confined.refused.len(), 1, "{confined:?}");
    let run = detect(&connects_to(&directory.path().join("service.sock"))).await;
    assert_eq!(run.excuse, Some(Excuse::Refused(confined.refused)));
}

#[tokio::test]
async fn local_socket_that_does_not_exist_is_no_evidence() {
    let confined = run(&connects_to(Path::new("/run/no-such-service.sock"))).await;
    assert_eq!(stdout(&confined), "No such file or directory");
    assert_eq!(confined.refused, []);
    // What the C library does: it looks for a cache of names, whether or not there is one, and
    // asks about interfaces over a local datagram socket.
    let library = "#!/bin/sh\ngetent passwd no-such-user\ngetent hosts localhost || exit 1\n\
                   perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0) or exit 2; \
                   ioctl(S, 0x8933, $request = pack(\"a40\", \"lo\")) or exit 3'\n";
    let confined = run(library).await;
    assert!(confined.output.success(), "{confined:?}");
    assert_eq!(confined.refused, []);
}

#[tokio::test]
async fn each_kind_of_refusal_is_recorded() {
    let script = "#!/bin/sh\n\
                  perl -MSocket -e 'socket(S, AF_UNIX, SOCK_SEQPACKET, 0)'\n\
                  perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 1)'\n\
                  perl -MSocket -e 'socket(S, 17, SOCK_RAW, 0)'\n\
                  /usr/sbin/chroot / true\n\
                  unshare -U true\n\
                  exit 1\n";
    let confined = run(script).await;
    has(&confined, Refusal::LocalSocket { path: None }, "perl");
    has(&confined, Refusal::RawSocket, "perl");
    has(&confined, Refusal::OtherSocket, "perl");
    has(&confined, Refusal::Mount, "chroot");
    has(&confined, Refusal::Namespace, "unshare");
}

#[tokio::test]
async fn connections_of_the_network_are_let_through() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let script = format!("#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{port} && echo connected\n");
    let confined = run(&script).await;
    assert_eq!(stdout(&confined), "connected\n", "{confined:?}");
    assert_eq!(confined.refused, []);
}

#[tokio::test]
async fn words_of_a_refusal_alone_are_no_excuse_for_root() {
    let run = detect("#!/bin/sh\necho docker: Operation not permitted >&2\nexit 1\n").await;
    assert_eq!(run.failure.as_deref(), Some("exited with status 1"));
    // An unprivileged user's script cannot write everywhere, and no kernel says where it tried.
    let guess = Excuse::Complaint("Operation not permitted".to_owned());
    assert_eq!(run.excuse, (!support::is_root()).then_some(guess));
}

/// Ends with status 0 at once: `exit(0)` by the calls of i386.
fn program_for_i386() -> Vec<u8> {
    let code = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];
    let (headers, start): (u32, u32) = (52 + 32, 0x0804_8000);
    let length = headers + u32::try_from(code.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // Executable, for i386, version 1.
    file.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    // Entry, program headers, no sections, flags.
    for word in [start + headers, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // One segment: all of the file, to be read and executed.
    for word in [1, 0, start, start, length, length, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

#[tokio::test]
async fn program_of_32_bits_is_killed_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("i386");
    std::fs::write(&path, program_for_i386()).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let unconfined = Command::new(&path).status();
    let script = format!("#!/bin/bash\n{} && echo 192.0.2.7\n", path.display());
    let run = detect(&script).await;
    assert_eq!(String::from_utf8_lossy(&run.stdout), "");
    match unconfined {
        Ok(status) => {
            assert!(status.success(), "{status}");
            let what = Refusal::ForeignProgram;
            let refused = Refused { what, program: Some("i386".to_owned()) };
            assert_eq!(run.excuse, Some(Excuse::Refused(vec![refused])), "{run:?}");
            assert!(run.stderr.contains("Killed"), "{run:?}");
        }
        // This kernel has no calls of i386, as DC/OS would find out too.
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(nix::libc::ENOEXEC));
            assert!(run.stderr.contains("Exec format error"), "{run:?}");
        }
    }
}
