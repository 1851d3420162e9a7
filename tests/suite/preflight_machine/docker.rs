//! Docker: answers in the shape that these versions give them, told by a stand-in on a socket, and
//! what the checks say.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use dcos_node::observe::docker::{Engine, ask};
use dcos_node::preflight::report::Verdict::{self, Fail, Pass, Skipped, Warn};

use super::recorded::Recorded;

/// Asks a stand-in that gives these answers to `/version` and `/info`.
fn asked(version: &str, info: &str) -> Result<Engine, String> {
    let directory = tempfile::tempdir().expect("a directory for the socket");
    let socket = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("listen");
    let answers = [("/version", version.to_owned()), ("/info", info.to_owned())];
    // Ends with the test: nothing is waited for once both questions are answered.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle"))
                .lines()
                .map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let body = answers
                .iter()
                .find(|(path, _)| request.starts_with(&format!("GET {path} ")))
                .map_or("{}", |(_, body)| body);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(ask(&socket))
}

/// A daemon that answers so: a line for `/version`, a line for `/info`.
fn recorded(text: &str) -> Recorded {
    let (version, info) = text.split_once('\n').expect("two lines");
    let mut recorded = Recorded::nothing().of("master", "1.12.0");
    recorded.host.docker = Some(asked(version, info));
    recorded
}

#[test]
fn daemons_of_several_versions_are_judged() {
    let daemon_1_5 = include_str!("../../../fixtures/docker/1.5.0.jsonl");
    let daemon_1_13 = include_str!("../../../fixtures/docker/1.13.1-loopback.jsonl");
    let daemon_17 = include_str!("../../../fixtures/docker/17.06.2.jsonl");
    let daemon_18 = include_str!("../../../fixtures/docker/18.09.9-containerd-1.2.10.jsonl");
    let daemon_19 = include_str!("../../../fixtures/docker/19.03.5.jsonl");
    let daemon_20 = include_str!("../../../fixtures/docker/20.10.24-debian.jsonl");
    let daemon_20_vfs = include_str!("../../../fixtures/docker/20.10.24-debian-vfs.jsonl");
    let daemon_26 = include_str!("../../../fixtures/docker/26.1.5-debian.jsonl");
    let rows: &[(&str, &str, Verdict, &str)] = &[
        (daemon_1_5, "docker.reachable", Pass, "docker 1.5.0"),
        (daemon_1_5, "docker.version", Fail, "1.5.0"),
        (daemon_1_5, "docker.storage-driver", Warn, "aufs"),
        (daemon_1_5, "docker.live-restore", Pass, "off"),
        (daemon_1_13, "docker.version", Pass, "1.13.1"),
        (
            daemon_1_13,
            "docker.storage-driver",
            Fail,
            "devicemapper on the loop device of /var/lib/docker/devicemapper/devicemapper/data",
        ),
        (daemon_17, "docker.version", Warn, "17.06.2-ce"),
        (daemon_17, "docker.live-restore", Warn, "on"),
        (daemon_18, "docker.version", Warn, "containerd 1.2.10"),
        (daemon_19, "docker.reachable", Pass, "docker 19.03.5"),
        (daemon_19, "docker.version", Pass, "19.03.5"),
        (daemon_19, "docker.storage-driver", Pass, "overlay2"),
        (daemon_19, "docker.live-restore", Pass, "off"),
        (daemon_20, "docker.version", Pass, "20.10.24+dfsg1"),
        (daemon_20, "docker.storage-driver", Pass, "overlay2"),
        (daemon_20, "docker.live-restore", Pass, "off"),
        (daemon_20_vfs, "docker.storage-driver", Warn, "vfs"),
        (daemon_20_vfs, "docker.live-restore", Warn, "on"),
        (daemon_26, "docker.version", Pass, "26.1.5"),
        (daemon_26, "docker.storage-driver", Pass, "overlay2"),
        (daemon_26, "docker.live-restore", Pass, "off"),
    ];
    for (daemon, id, verdict, words) in rows {
        recorded(daemon).says(id, *verdict, words);
    }
    for (daemon, root) in [
        (daemon_17, "/var/lib/docker"),
        (daemon_19, "/data/docker"),
        (daemon_20_vfs, "/data/docker"),
    ] {
        assert_eq!(recorded(daemon).host.docker.expect("asked").expect("an answer").root, root);
    }
}

#[test]
fn missing_or_foreign_docker_daemon_fails_once() {
    let mut nothing = Recorded::nothing().of("master", "1.12.0");
    nothing.says("docker.reachable", Skipped, "directory");
    nothing.host.docker = Some(Err("there is no /var/run/docker.sock".into()));
    nothing.says("docker.reachable", Fail, "there is no /var/run/docker.sock");
    for id in ["docker.version", "docker.storage-driver", "docker.root-dir", "docker.live-restore"]
    {
        nothing.says(id, Skipped, "does not answer");
    }
    let other = asked("<html>", "{}").expect_err("it is no docker");
    assert!(other.contains("not docker"), "{other}");
    let missing = tempfile::tempdir().expect("a directory");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert!(
        runtime
            .block_on(ask(&missing.path().join("docker.sock")))
            .expect_err("nothing listens")
            .contains("there is no")
    );
}
