//! When systemd fails on a real node: it is not the first process, it starts itself anew, or units
//! of the build cannot work.

use std::process::Command;
use std::time::Duration;

use support::build::Build;
use support::image::{Said, Serve};
use support::node::{self, Node, Server};

#[test]
fn install_without_systemd_is_refused_but_an_image_works() {
    if !node::available() {
        return;
    }
    let serve = Serve::of(&Build::tiny());
    let machine = Node::switched_off("nosystemd");
    machine.install_binary();
    machine.copy_in(serve.path(), "/srv/build");
    let inside = |command: &[&str]| {
        let chroot = ["--mount", "--pid", "--fork", "--mount-proc", "--root"];
        Said::of(
            Command::new("unshare")
                .args(chroot)
                .arg(machine.root())
                .args(command)
                .output()
                .expect("unshare"),
        )
    };
    let refused =
        inside(&["/usr/local/bin/dcos-node", "install", "master", "--bootstrap-url", "/srv/build"]);
    refused.ends(
        3,
        &[&["error:", "systemd.running"], &["cure:", "--root"], &["state:", "nothing was changed"]],
    );
    assert!(
        !machine.has("/opt/mesosphere")
            && !machine.has("/opt/dcos-node")
            && !machine.has("/var/lib/dcos-node")
    );
    inside(&["/usr/local/bin/dcos-node", "uninstall"]).ends(0, &[&["not installed"]]);
    let image = inside(&[
        "sh",
        "-c",
        "mkdir -p /image/etc && echo systemd-journal:x:101: >/image/etc/group && touch \
         /image/etc/passwd && /usr/local/bin/dcos-node install master --root /image \
         --bootstrap-url /srv/build",
    ]);
    image.ends(0, &[&["done:"]]);
}

/// Units that cannot work: one does not parse, one ends at once again and again until it is given
/// up, one takes its time, and waits for that.
fn with_bad_units() -> Build {
    let unit = |build: Build, name: &str, service: &str| {
        let text = format!("[Unit]\nDescription=tiny: {name}\n\n[Service]\n{service}\n");
        build.with_file(
            "units",
            &format!("dcos.target.wants/dcos-tiny-{name}.service"),
            0o644,
            text,
        )
    };
    let build = unit(Build::tiny(), "relative", "ExecStart=bin/nothing here");
    // At its third try it ends as one that is not tried again: how it stands then does not depend
    // on when it is looked at.
    let third =
        "echo no good >&2; echo >>/run/tries; [ $$(wc -l </run/tries) = 3 ] && exit 1; exit 2";
    let ending = format!(
        "Restart=always\nRestartSec=1\nRestartPreventExitStatus=1\nExecStart=/bin/sh -c '{third}'"
    );
    let build = unit(build, "ending", &ending);
    let given_up =
        "until systemctl is-failed -q dcos-tiny-ending.service; do sleep 0.2; done; sleep 5";
    unit(
        build,
        "slow",
        &format!(
            "TimeoutStartSec=infinity\nExecStartPre=/bin/sh -c '{given_up}'\nExecStart=/bin/sleep \
             infinity"
        ),
    )
}

/// For an install beside which systemd starts itself anew all the time.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn daemon_reexec_is_survived_and_bad_units_show_a_reason() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    with_bad_units().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("outside").knowing(&server);
    node.install_binary();
    let install =
        [&["dcos-node", "install", "master", "--bootstrap-url", server.url()], node::LACKS]
            .concat();
    let reexec = "while [ ! -e /var/lib/dcos-node/receipt.json ]; do systemctl daemon-reexec; \
                  sleep 0.3; done";
    let reexecs = node.start(&["sh", "-c", reexec]);
    let outcome = node.run_within(PATIENCE, &install);
    eprintln!("{outcome}");
    outcome.exits_with(12);
    reexecs.finish_within(PATIENCE).succeeds();
    outcome
        .stdout_has("not healthy:")
        .stdout_has("dcos-tiny-relative.service")
        .stdout_has("dcos-tiny-ending.service");
    outcome.stderr_has("help:   dcos-node bundle");
    // Why, in systemd's words and the unit's own; and how to see it where the journal has no more:
    // a systemd that starts itself anew tells the journal nothing.
    outcome
        .stdout_has("bad unit file setting")
        .stdout_has("systemd-analyze verify dcos-tiny-relative.service");
    outcome
        .stdout_has("no good")
        .stdout_has("exited with status 1")
        .stdout_lacks("dcos-tiny-slow.service");
    node.run(&["systemctl", "is-active", "dcos.target", "dcos-tiny-slow.service"]).succeeds();
    node.run(&["systemctl", "daemon-reload"]).succeeds();
    let status = node::eventually(|| {
        let status = node.run(&["dcos-node", "status"]);
        if status.stdout().contains("absolute path") { Ok(status) } else { Err(status.to_string()) }
    });
    eprintln!("{status}");
    status
        .exits_with(12)
        .stdout_has("dcos-tiny-relative.service")
        .stderr_has("help:   dcos-node bundle");
    node.run(&["dcos-node", "uninstall"]).succeeds();
}
