//! The support bundle of a running node.

use support::node::Node;

const SETTINGS: &str = "/etc/systemd/system/dcos-net.service.d";

pub(super) fn bundle_has_the_log_and_no_secret(node: &Node) {
    plant_secrets(node);
    node.run(&["dcos-node", "bundle", "/tmp/bundle.tar.gz"]).succeeds().stdout_has("redacted:");
    bundle_has_the_texts_around_secrets(node);
    node.shell(&format!(
        "rm -r {SETTINGS} /tmp/bundle.tar.gz /tmp/said /tmp/all; systemctl daemon-reload"
    ))
    .succeeds();
}

/// Secrets where operators and programs leave them: in settings beside a unit, on a command line,
/// in the lines of a log. Each has "planted" in it.
fn plant_secrets(node: &Node) {
    node.write(
        &format!("{SETTINGS}/proxy.conf"),
        "[Service]\n\
         Environment=\"HTTPS_PROXY=http://ann:planted@proxy.example:3128/\" DB_PASS=planted\n\
         ExecStartPre=-/bin/true --password planted --port 5\n\
         ExecStartPre=-/bin/true -u ann:planted last-word\n",
    );
    node.run(&["systemctl", "daemon-reload"]).succeeds();
    let key =
        "-----BEGIN RSA PRIVATE KEY-----\nMIIplanted\nplanted==\n-----END RSA PRIVATE KEY-----\n";
    node.write(
        "/tmp/said",
        &format!(
            "token=planted\nthe password is planted\n{key}license: |\n  planted\nmore to read\n"
        ),
    );
    node.run(&["systemd-run", "--wait", "--unit=chronyd.service", "cat", "/tmp/said"]).succeeds();
    // The unit has ended some time before journald has what it said.
    node.until("journalctl -u chronyd.service | grep -q 'more to read'");
}

fn bundle_has_the_texts_around_secrets(node: &Node) {
    let part = |name: &str| node.shell(&format!("tar -xzOf /tmp/bundle.tar.gz {name}"));
    node.shell(
        "{ tar -xzOf /tmp/bundle.tar.gz && tar -tzf /tmp/bundle.tar.gz; } >/tmp/all && ! grep -a \
         -i planted /tmp/all",
    )
    .succeeds();
    part("logs/chronyd.service.log")
        .succeeds()
        .stdout_has("| more to read")
        .stdout_has("token=[redacted]");
    part("units/dcos-net.service.d/proxy.conf")
        .succeeds()
        .stdout_has("proxy.example:3128")
        .stdout_has("--port 5");
    part("units.json").succeeds().stdout_has("\"--password\"").stdout_has("last-word");
    part("logs/dcos-node.log")
        .succeeds()
        .stdout_has("dcos-node | install master begins")
        .stdout_has("dcos-node | ended after");
    part("units/dcos-setup.service").succeeds().stdout_has("recover");
}
