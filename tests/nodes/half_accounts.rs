//! Accounts on a real node whose `useradd` or `userdel` is cut between two of its four renames.

use support::build::Build;
use support::node::{self, Node, Server};
use support::step;

/// Stands in for both programs: lets the real one work, puts back the files from the rename on at
/// which the cut is to be, and leaves what a cut leaves: new texts, a lock with the number of a
/// process that lives, and an empty one. Then dcos-node is killed, which waits for it.
const CUT: &str = "#!/bin/sh\n\
    [ -e /run/cut ] || exec \"$0.real\" \"$@\"\n\
    cut=$(cat /run/cut); rm /run/cut; mkdir -p /run/before; cd /etc\n\
    for f in passwd shadow group gshadow; do cp -p $f /run/before/$f; done\n\
    \"$0.real\" \"$@\" || exit\n\
    back=\n\
    for f in passwd shadow group gshadow; do\n\
    [ $f != $cut ] || back=yes\n\
    [ -z \"$back\" ] || { mv $f $f+; cp -p /run/before/$f $f; }\n\
    done\n\
    printf 1 >passwd.lock; printf 4194303 >passwd.4194303; : >group.lock\n\
    kill -9 $PPID\n";

/// Faults that the programs for accounts see, and what lies beside their files.
const FAULTS: &str = "pwck -r; grpck -r; ls /etc/*+ /etc/*.lock /etc/passwd.[0-9]*; \
                      for user in $(grep -o '^dcos_[a-z_]*' /etc/passwd); do id $user; done";
const TEXTS: &str = "cat /etc/passwd /etc/shadow /etc/group /etc/gshadow";

#[test]
fn account_cut_at_each_file_heals_on_a_real_node() {
    if !node::available() {
        return;
    }
    let build = tempfile::tempdir().expect("a directory for the build");
    Build::tiny().pack(build.path());
    let server = Server::serving(build.path());
    let node = Node::boot("halfaccounts").knowing(&server);
    node.install_binary();
    for program in ["useradd", "userdel"] {
        let program = format!("/usr/sbin/{program}");
        node.run(&["mv", &program, &format!("{program}.real")]).succeeds();
        node.write_script(&program, CUT);
    }
    let install =
        [&["dcos-node", "install", "master", "--bootstrap-url", server.url()], node::LACKS]
            .concat();
    let uninstall = ["dcos-node", "uninstall", "--purge-data", "--yes"];
    let [texts, faults] = [TEXTS, FAULTS].map(|shell| node.shell(shell).stdout().to_owned());
    for file in ["passwd", "shadow", "group", "gshadow"] {
        step(&format!("useradd is cut before it renames {file}"), || {
            node.shell(&format!("echo {file} >/run/cut")).succeeds();
            let killed = node.run(&install);
            assert!(killed.was_killed(), "{killed}");
            if file == "group" {
                node.cut_power();
                node.power_on();
                node.wait_until_booted();
                node.wait_for_setup();
            }
            node.run(&install).succeeds();
            node.run(&["dcos-node", "verify"]).succeeds();
            let found = node.shell(FAULTS);
            found.stdout_has("(dcos_tiny_files)").stdout_lacks("no matching");
            found.stdout_lacks("/etc/passwd.").stdout_lacks("/etc/group");
        });
        step(&format!("userdel is cut before it renames {file}"), || {
            node.shell(&format!("echo {file} >/run/cut")).succeeds();
            let killed = node.run(&uninstall);
            assert!(killed.was_killed(), "{killed}");
            node.run(&["dcos-node", "recover"]).succeeds();
            assert_eq!(node.shell(FAULTS).stdout(), faults);
            assert_eq!(node.shell(TEXTS).stdout(), texts);
            node.shell("! ls -d /var/lib/dcos-node /opt/mesosphere").succeeds();
        });
    }
}
