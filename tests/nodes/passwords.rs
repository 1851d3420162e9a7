//! Passwords that an operator types on a real node: who can read them there.

use support::build::Build;
use support::node::{self, Node, Server};

#[test]
fn typed_password_is_not_in_ps_nor_in_the_journal() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the build");
    Build::tiny().pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("passwords").knowing(&server);
    node.install_binary();
    let url = server.url().replacen("http://", "http://ann:planted-password@", 1);

    // The delay keeps the process there for the look at it.
    let fetch = ["dcos-node", "fetch", "--bootstrap-url", &url, "--splay", "24h"];
    let mut waiting = node.start(&fetch);
    node.until("pgrep -f 'dcos-node fetch' && ! ps -eo args | grep -q '[p]lanted-password'");
    assert!(waiting.is_running(), "it ended before anybody could look at it");
    node.run(&["pkill", "-INT", "-x", "dcos-node"]).succeeds();
    waiting.finish_within(std::time::Duration::from_secs(300)).exits_with(10);

    let fetch = ["dcos-node", "fetch", "--bootstrap-url", &url];
    node.run(&fetch).succeeds().stderr_has("DCOS_NODE_BOOTSTRAP_URL");
    node.until("journalctl --sync");
    let entries =
        node.run(&["journalctl", "--no-pager", "-o", "json", "SYSLOG_IDENTIFIER=dcos-node"]);
    entries.succeeds().stdout_has("_CMDLINE").stdout_lacks("planted-password");
}
