//! How an uninstall has networkd forget the files of DC/OS.

use support::node::{self, Node};

use super::{Bench, has, things};

/// What `dcos-net-setup.py` writes for networkd.
const NETWORKD_FILE: &str = "/etc/systemd/network/dcos.network";

#[test]
fn networkd_reloads_its_files_or_is_restarted() {
    if !node::available() {
        return;
    }
    let bench = Bench::on(Node::switched_off("networkd").unfenced(), "networkd");
    let node = &bench.node;
    // An interface of the operator's, which DC/OS' file keeps from networkd as long as it is there.
    let theirs = "/etc/systemd/network/z-operator.network";
    node.write(theirs, "[Match]\nName=dcos-op\n\n[Network]\nLinkLocalAddressing=no\n");
    bench.all("ip link add dcos-op type bridge; systemctl enable --now systemd-networkd.service");
    let pid = || {
        node.run(&["systemctl", "show", "-p", "MainPID,ActiveState", "systemd-networkd.service"])
            .stdout()
            .to_owned()
    };
    let goes_by = |file: &str| {
        node.until(&format!("networkctl status dcos-op | grep -q 'Network File: {file}'"));
    };
    let installed = || {
        goes_by(theirs);
        bench.install();
        node.write(NETWORKD_FILE, "[Match]\nName=dcos-op\n\n[Link]\nUnmanaged=yes\n");
        bench.all("systemctl restart systemd-networkd.service");
        goes_by("n/a");
    };

    installed();
    let running = pid();
    has(&things(bench.uninstall().succeeds(), "removed"), &format!("file {NETWORKD_FILE}"));
    goes_by(theirs);
    assert_eq!(pid(), running, "networkd was restarted, although it could be told");

    installed();
    bench.all("systemctl stop dbus.socket dbus.service");
    let running = pid();
    bench.uninstall().succeeds();
    assert!(
        pid() != running && pid().contains("ActiveState=active"),
        "networkd was not restarted: {}",
        pid()
    );
    bench.all("systemctl start dbus.socket dbus.service");
    goes_by(theirs);
}
