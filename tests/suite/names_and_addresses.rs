//! What `preflight` finds of name servers and of the scripts that detect a node's address: each
//! promise on a real script, server or node.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dcos_node::command::{World, preflight};
use dcos_node::dcos::event::Events;
use dcos_node::dcos::role::Role;
use dcos_node::preflight::report::{Check, Report, Verdict};
use dcos_node::system::cancellation::Cancellation;
use dcos_node::system::root::Root;
use dcos_node::system::systemd::Fake;
use support::build::Build;
use tempfile::TempDir;

use crate::good_clock::GoodClock;

/// A directory that stands for a node with a systemd, so that scripts are run and servers are
/// asked.
struct Bench {
    directory: TempDir,
    world: World,
}

impl Bench {
    fn new() -> Bench {
        dcos_node::system::confine::use_program(support::node::binary());
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("etc")).unwrap();
        fs::write(directory.path().join("etc/resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
        let world = World {
            root: Root::new(directory.path()),
            systemd: Some(Ok(Arc::new(Fake::new(directory.path())))),
            patience: Duration::from_secs(1),
            clock: Arc::new(GoodClock),
            events: Events::unheard(),
            cancellation: Cancellation::default(),
            command_line: "a test".to_owned(),
            authorities: None,
            stamp: None,
        };
        Bench { directory, world }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    async fn report(&self, request: preflight::Request) -> Report {
        preflight::run(&request, &self.world).await.unwrap_or_else(|failure| panic!("{failure:#?}"))
    }

    /// With this ip-detect, and no build.
    async fn with_script(&self, script: &[u8]) -> Report {
        self.report(preflight::Request {
            ip_detect: Some(script.to_vec()),
            role: Some(Role::Master),
            ..preflight::Request::default()
        })
        .await
    }

    /// With what a build has.
    async fn with_build(&self, build: &Build) -> Report {
        let served = tempfile::tempdir().unwrap();
        build.pack(served.path());
        let bootstrap_url = Some(served.path().display().to_string());
        self.report(preflight::Request {
            bootstrap_url,
            role: Some(Role::Master),
            ..preflight::Request::default()
        })
        .await
    }
}

fn check<'a>(report: &'a Report, id: &str) -> &'a Check {
    report
        .checks
        .iter()
        .find(|check| check.id == id)
        .unwrap_or_else(|| panic!("there is no check {id}"))
}

#[track_caller]
fn is(report: &Report, id: &str, verdict: Verdict, words: &str) {
    let check = check(report, id);
    assert!(
        check.verdict == verdict && check.found.contains(words),
        "{id} should be {verdict:?} with {words:?}: {check:#?}"
    );
}

/// Passes with this answer; of a script that had to wait for a busy machine it is told how long it
/// took, and that only warns.
#[track_caller]
fn is_right(report: &Report, id: &str, answer: &str) {
    let check = check(report, id);
    let is_late =
        check.verdict == Verdict::Warn && check.found.starts_with(&format!("{answer}, after "));
    assert!(
        check.verdict == Verdict::Pass && check.found == answer || is_late,
        "{id} should be {answer}: {check:#?}"
    );
}

#[tokio::test]
async fn ip_detect_without_exactly_one_address_fails_by_name() {
    let bench = Bench::new();
    for (script, words) in [
        (&b"#!/bin/sh\nprintf '192.0.2.7\\r\\n'\n"[..], "CRLF"),
        (b"#!/bin/sh\r\necho 192.0.2.7\n", "carriage return"),
        (b"echo 192.0.2.7\n", "#!"),
        (b"#!/no/such/interpreter\n", "No such file"),
        (b"#!/bin/sh\necho 192.0.2.7; echo 192.0.2.8\n", "2 lines"),
        (b"#!/bin/sh\necho '192.0.2.7 192.0.2.8'\n", "not exactly one"),
        (b"#!/bin/sh\necho '192.0.2.7 '\n", "white space after"),
        (b"#!/bin/sh\necho 192.0.2.7; echo careful >&2\n", "stderr: careful"),
        (b"#!/bin/sh\n", "nothing"),
        (b"#!/bin/sh\necho 0\n", "\"0\""),
        (b"#!/bin/sh\necho 192.0.2.7; exit 3\n", "status 3"),
        (b"#!/bin/sh\nkill -9 $$\n", "signal 9"),
        (b"#!/bin/sh\nprintf '\\377\\n'\n", "UTF-8"),
        (b"#!/bin/sh\nno-such-program\n", "no-such-program"),
        (b"#!/bin/sh\nhead -c 200000 /dev/zero\n", "more than 65 kB"),
    ] {
        let report = bench.with_script(script).await;
        is(&report, "ip-detect.output", Verdict::Fail, words);
    }
}

#[tokio::test]
async fn changing_address_fails_and_stable_one_is_judged_by_kind() {
    let bench = Bench::new();
    let script = "#!/bin/sh\nset $(od -An -N3 -tu1 /dev/urandom)\necho 10.$1.$2.$3\n";
    is(
        &bench.with_script(script.as_bytes()).await,
        "ip-detect.output",
        Verdict::Fail,
        "it changes from run to run: 10.",
    );

    let report = bench.with_script(b"#!/bin/sh\necho 192.0.2.7\n").await;
    is_right(&report, "ip-detect.output", "192.0.2.7");
    is(&report, "ip-detect.address", Verdict::Fail, "on no interface");
    for (address, words) in [
        ("127.0.0.1", "loopback"),
        ("169.254.3.4", "link-local"),
        ("0.0.0.0", "no address"),
        ("198.51.100.2", "DC/OS"),
    ] {
        let report = bench.with_script(format!("#!/bin/sh\necho {address}\n").as_bytes()).await;
        is(&report, "ip-detect.address", Verdict::Fail, words);
    }
}

#[tokio::test]
async fn slow_ip_detect_warns_with_its_address_and_time() {
    let report = Bench::new().with_script(b"#!/bin/sh\nsleep 1.2\necho 192.0.2.7\n").await;
    is(&report, "ip-detect.output", Verdict::Warn, "192.0.2.7, after ");
    assert!(check(&report, "ip-detect.output").expected.contains("under 1 s"));
    is(&report, "ip-detect.address", Verdict::Fail, "192.0.2.7 is on no interface");
}

#[tokio::test]
async fn detected_address_must_match_that_of_an_earlier_install() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("var/lib/dcos/navstar")).unwrap();
    fs::write(bench.path("var/lib/dcos/navstar/ip"), "192.0.2.7\n").unwrap();
    is(
        &bench.with_script(b"#!/bin/sh\necho 192.0.2.7\n").await,
        "ip-detect.kept",
        Verdict::Pass,
        "192.0.2.7",
    );
    let report = bench.with_script(b"#!/bin/sh\necho 192.0.2.8\n").await;
    is(&report, "ip-detect.kept", Verdict::Fail, "now it is 192.0.2.8");
    assert!(
        check(&report, "ip-detect.kept")
            .cure
            .as_deref()
            .unwrap()
            .contains("dcos-node install master --reset-identity")
    );

    // This machine has it still: the script is wrong, the node did not move.
    fs::write(bench.path("var/lib/dcos/navstar/ip"), "127.0.0.1\n").unwrap();
    let report = bench.with_script(b"#!/bin/sh\necho 192.0.2.8\n").await;
    is(&report, "ip-detect.kept", Verdict::Fail, "127.0.0.1, which is still on lo");
    let cure = check(&report, "ip-detect.kept").cure.as_deref().unwrap();
    assert!(cure.contains("correct genconf/ip-detect") && !cure.contains("reset"), "{cure}");
}

/// A metadata service that fails now and then, beside proxy settings of the build: whichever run
/// fails, the proxy is not the cause.
#[tokio::test]
async fn failure_now_and_then_is_not_blamed_on_the_proxy() {
    for (busy, which) in [(0, "run 1 of 3"), (1, "run 2 of 3")] {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = service.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for (count, stream) in service.incoming().enumerate() {
                let answer = if count == busy { "busy" } else { "192.0.2.7" };
                let _ = writeln!(stream.unwrap(), "{answer}");
            }
        });
        let script = format!(
            "#!/bin/bash\nread answer </dev/tcp/127.0.0.1/{port}\n\
             [ \"$answer\" != busy ] || exit 22\necho $answer\n"
        );
        let build = Build::fixture()
            .with_file("dcos-config", "bin/detect_ip", 0o755, script)
            .with_proxy("http://192.0.2.99:3128", "");
        let report = Bench::new().with_build(&build).await;
        is(&report, "ip-detect.output", Verdict::Fail, which);
        is(&report, "ip-detect.output", Verdict::Fail, "status 22");
        is_right(&report, "ip-detect.proxy", "it works with them");
    }
}

/// Answers as `reply` says, with the question in it; never if it is none.
fn name_server(reply: fn(&mut Vec<u8>) -> bool) -> SocketAddr {
    // UDP and TCP on one port, as a real one has them.
    let (udp, tcp) = (0..50)
        .find_map(|_| {
            let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
            let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        })
        .expect("a port that is free for both");
    let address = udp.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let mut message = buffer[..length].to_vec();
            if reply(&mut message) {
                let _ = udp.send_to(&message, from);
            }
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut message).is_ok() && reply(&mut message) {
                let _ = stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes());
                let _ = stream.write_all(&message);
            }
        }
    });
    address
}

/// Turns a question into an answer with this code (RFC 1035, 4.1.1).
fn code(message: &mut [u8], code: u8) -> bool {
    message[2] |= 0x80;
    message[3] = 0x80 | code;
    true
}

#[tokio::test]
async fn each_resolver_of_the_build_is_judged_by_its_answer() {
    let bench = Bench::new();
    let works = name_server(|m| code(m, 0));
    let fails = name_server(|m| code(m, 2));
    let refuses = name_server(|m| code(m, 5));
    let silent = name_server(|_| false);
    let garbage = name_server(|m| {
        *m = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
        true
    });
    let slow = name_server(|m| {
        std::thread::sleep(Duration::from_millis(1300));
        code(m, 0)
    });
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let of = |servers: &[SocketAddr]| {
        servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };

    let build = Build::fixture().with_config("resolvers", &of(&[works]));
    let report = bench.with_build(&build).await;
    let found = &check(&report, "dns.resolvers").found;
    assert!(found.contains(&works.to_string()), "{found}");
    is(&report, "dns.resolver-addresses", Verdict::Pass, "127.0.0.1");

    let build = Build::fixture()
        .with_config("resolvers", &of(&[works, fails, refuses, silent, garbage, slow, closed]));
    let answers = [
        format!("{fails} answers SERVFAIL"),
        format!("{refuses} answers REFUSED"),
        format!("{silent} does not answer"),
        format!("{garbage} answers garbage"),
        format!("{slow} answers, but only after"),
        format!("{closed} cannot be reached"),
    ];
    // A server has two seconds for an answer. On a machine that stands still for a moment all are
    // late, and are asked again.
    let mut report = bench.with_build(&build).await;
    for _ in 0..20 {
        if answers.iter().all(|words| check(&report, "dns.resolvers").found.contains(words)) {
            break;
        }
        report = bench.with_build(&build).await;
    }
    is(&report, "dns.resolvers", Verdict::Warn, "not all of them work");
    for words in answers {
        is(&report, "dns.resolvers", Verdict::Warn, &words);
    }
    let build = Build::fixture().with_config("resolvers", "198.51.100.2,nonsense");
    let report = bench.with_build(&build).await;
    is(&report, "dns.resolver-addresses", Verdict::Fail, "198.51.100.2");
    is(&report, "dns.resolvers", Verdict::Warn, "nonsense is no address");
}

#[tokio::test]
async fn the_other_scripts_of_a_build_are_judged_with_their_fields() {
    let bench = Bench::new();
    let works = name_server(|m| code(m, 0)).to_string();
    let script = |text: &str| format!("#!/bin/sh\n{text}\n");
    let build = Build::fixture()
        .with_config("resolvers", &works)
        .with_file(
            "dcos-config",
            "bin/detect_ip",
            0o755,
            script("[ -z \"$http_proxy\" ] || { echo 'no way' >&2; exit 7; }; echo 192.0.2.7"),
        )
        .with_proxy("http://192.0.2.99:3128", "")
        .with_masters(&["192.0.2.8"])
        .with_file("dcos-config", "bin/detect_ip6", 0o755, script("echo 192.0.2.7"))
        .with_file("dcos-config", "bin/detect_ip_public", 0o755, script("echo '<html>'"))
        .with_file(
            "dcos-config",
            "bin/detect_fault_domain",
            0o755,
            script(r#"echo '{"fault_domain":{"region":{"name":"r"}}}'"#),
        );
    let report = bench.with_build(&build).await;
    is(&report, "ip-detect.output", Verdict::Fail, "without the build's proxy settings it works");
    is(&report, "ip-detect.proxy", Verdict::Fail, "only without");
    is(&report, "ip6-detect.output", Verdict::Warn, "IPv6");
    is(&report, "ip-detect-public.output", Verdict::Warn, "neither");
    is(&report, "fault-domain.output", Verdict::Fail, "fault_domain.zone");

    let build = Build::fixture()
        .with_config("resolvers", &works)
        .with_file("dcos-config", "bin/detect_ip", 0o755, script("echo 192.0.2.7"))
        .with_masters(&["192.0.2.8"])
        .with_file("dcos-config", "bin/detect_ip6", 0o755, "")
        .with_file(
            "dcos-config",
            "bin/detect_fault_domain",
            0o755,
            script(r#"echo '{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}}'"#),
        );
    let report = bench.with_build(&build).await;
    is_right(&report, "ip-detect.output", "192.0.2.7");
    is(&report, "ip-detect.proxy", Verdict::Skipped, "no proxy");
    is(&report, "ip-detect.master-list", Verdict::Fail, "192.0.2.7 is not among 192.0.2.8");
    is(&report, "ip6-detect.output", Verdict::Skipped, "no ip6-detect");
    is_right(&report, "fault-domain.output", "region r, zone z");

    let later = script("exec /opt/mesosphere/bin/no-such-program");
    let build = Build::fixture()
        .with_config("resolvers", &works)
        .with_file("dcos-config", "bin/detect_ip", 0o755, &later)
        .with_file("dcos-config", "bin/detect_fault_domain", 0o755, &later);
    let report = bench.with_build(&build).await;
    let reason = "(it names /opt/mesosphere/bin/no-such-program, which is on the node only after";
    is(&report, "ip-detect.output", Verdict::Unknown, reason);
    is(&report, "fault-domain.output", Verdict::Unknown, reason);
}

#[tokio::test]
async fn resolv_conf_is_judged_by_its_use_in_dcos() {
    let bench = Bench::new();
    let works = name_server(|m| code(m, 0)).to_string();
    let resolv_conf = bench.path("etc/resolv.conf");
    let build = Build::fixture()
        .with_config("resolvers", &works)
        .with_config("dns_search", "known.example");
    fs::write(&resolv_conf, "nameserver 192.0.2.53\nsearch known.example other.example\n").unwrap();
    let report = bench.with_build(&build).await;
    is(&report, "dns.resolv-conf", Verdict::Pass, "192.0.2.53");
    is(&report, "dns.search", Verdict::Warn, "other.example");
    is(&report, "dns.writers", Verdict::Pass, "nobody");

    fs::create_dir_all(bench.path("run/systemd/resolve")).unwrap();
    fs::create_dir_all(bench.path("etc/resolvconf/update.d")).unwrap();
    fs::write(bench.path("run/dhclient.eth0.pid"), "1\n").unwrap();
    fs::write(
        bench.path("run/systemd/resolve/stub-resolv.conf"),
        "nameserver 127.0.0.53\nsearch .\n",
    )
    .unwrap();
    fs::remove_file(&resolv_conf).unwrap();
    std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", &resolv_conf).unwrap();
    let report = bench.with_build(&build).await;
    is(
        &report,
        "dns.resolv-conf",
        Verdict::Pass,
        "kept by systemd-resolved, a link to ../run/systemd/resolve/stub-resolv.conf",
    );
    is(&report, "dns.search", Verdict::Pass, "");
    is(&report, "dns.writers", Verdict::Warn, "resolvconf");
    is(&report, "dns.writers", Verdict::Warn, "dhclient");

    fs::remove_file(bench.path("run/systemd/resolve/stub-resolv.conf")).unwrap();
    is(&bench.with_build(&build).await, "dns.resolv-conf", Verdict::Fail, "nothing is there");
}
