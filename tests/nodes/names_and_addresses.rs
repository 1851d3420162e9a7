//! The same on a real node: name servers that hold port 53, ill-behaved scripts, and the kinds of
//! ip-detect that the documentation has.

use serde_json::Value;

use support::build::Build;
use support::node::{self, Node, Server};

/// What cloud providers have at 169.254.169.254, in the shape that matters here.
const METADATA: &str = r#"use strict; use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => '169.254.169.254', LocalPort => 80, Listen => 9, ReuseAddr => 1) or die $!;
open(my $ready, '>', '/run/metadata'); close($ready);
while (my $client = $server->accept) {
    my ($path, $google) = ('', 0);
    while (my $line = <$client>) {
        $path = $1 if $line =~ /^GET (\S+)/; $google = 1 if $line =~ /^metadata-flavor: google/i; last if $line =~ /^\r?\n$/;
    }
    my $answer = $path eq '/latest/meta-data/local-ipv4' ? $ARGV[0]
        : $path eq '/computeMetadata/v1/instance/network-interfaces/0/ip' && $google ? $ARGV[0] : undef;
    my ($status, $body) = defined $answer ? ('200 OK', $answer) : ('403 Forbidden', 'no');
    print $client "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close($client);
}
"#;

/// The first node of a server has it.
const OWN: &str = "10.77.0.2";
const ADDRESS: &str = "grep -Eo '[0-9]{1,3}(\\.[0-9]{1,3}){3}'";

/// What two checks say of a script: of its output, and of the address.
fn found(node: &Node, script: &str) -> (Value, Value) {
    node.write("/tmp/ip-detect", script);
    let report = node
        .run(&["dcos-node", "preflight", "slave", "--json", "--ip-detect", "/tmp/ip-detect"])
        .json();
    (check(&report, "ip-detect.output"), check(&report, "ip-detect.address"))
}

fn check(report: &Value, id: &str) -> Value {
    report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|c| c["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report}"))
        .clone()
}

/// Passes, with this node's address; on a machine that is busy it may take longer than it should,
/// which only warns.
#[track_caller]
fn is_right(node: &Node, script: &str) {
    let (output, address) = found(node, script);
    let is_late =
        output["found"].as_str().is_some_and(|found| found.starts_with(&format!("{OWN}, after ")));
    assert!(
        output["verdict"] == "pass" && output["found"] == OWN || is_late,
        "{script}: {output:#}"
    );
    assert_eq!(address["verdict"], "pass", "{script}: {address:#}");
}

/// Fails, with these words.
#[track_caller]
fn is_wrong(node: &Node, script: &str, words: &str) {
    let (output, _) = found(node, script);
    assert!(
        output["verdict"] == "fail"
            && output["found"].as_str().is_some_and(|found| found.contains(words)),
        "{script}: {output:#}"
    );
}

#[test]
fn documented_ip_detect_scripts_work_or_are_explained() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    Build::fixture().with_config("resolvers", "10.77.0.1").pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("detect").knowing(&server);
    node.install_binary();
    each_kind_for_each_place_of_the_master(&node);
    what_is_wrong_is_told(&node);
    addresses_of_no_use_are_found(&node);
    ill_behaved_scripts(&node);
    kept_identity(&node, &server);
}

const AWS: &str = "#!/bin/sh\ncurl -fsSL http://169.254.169.254/latest/meta-data/local-ipv4\n";
const GCE: &str = "#!/bin/sh\ncurl -fsSL -H 'Metadata-Flavor: Google' \
                   http://169.254.169.254/computeMetadata/v1/instance/network-interfaces/0/ip\n";

/// Where the metadata server is, as seen from the node: its own link, behind the router, and the
/// node itself. The address is always answered in the node's namespace; what differs is the route
/// that a connection takes to it.
const METADATA_ROUTES: [(&str, &str); 3] = [
    ("ip route add 169.254.169.254/32 dev eth0", "ip route del 169.254.169.254/32 dev eth0"),
    (
        "ip route add 169.254.169.254/32 via 10.77.0.1",
        "ip route del 169.254.169.254/32 via 10.77.0.1",
    ),
    ("true", "true"),
];

/// A master on the same link, behind a router, and this node itself.
fn each_kind_for_each_place_of_the_master(node: &Node) {
    let interface = format!(
        "#!/usr/bin/env bash\n\
         set -o nounset -o errexit\n\
         echo $(ip addr show eth0 | {ADDRESS} | head -1)\n"
    );
    node.shell("ip address add 169.254.169.254/32 dev lo").succeeds();
    node.write("/tmp/metadata.pl", METADATA);
    let running = node.start(&["perl", "/tmp/metadata.pl", OWN]);
    node.until("[ -e /run/metadata ]");
    for (master, (there, gone)) in ["10.77.0.1", "192.0.2.9", OWN].into_iter().zip(METADATA_ROUTES)
    {
        node.shell(there).succeeds();
        for script in [
            AWS,
            GCE,
            &interface,
            &format!("#!/bin/sh\necho $(ip route get {master} | {ADDRESS} | tail -1)\n"),
        ] {
            is_right(node, script);
        }
        // The last word was the address once; today iproute2 ends the line with the user's number.
        is_wrong(
            node,
            &format!("#!/bin/sh\nip route get {master} | awk '{{print $NF; exit}}'\n"),
            "a number after uid",
        );
        node.shell(gone).succeeds();
    }
    is_wrong(node, &GCE.replace("-H 'Metadata-Flavor: Google' ", ""), "403");
    drop(running);
    node.shell("ip address del 169.254.169.254/32 dev lo").succeeds();

    // The documentation's own way to ask for the route: right on the link and on the master itself,
    // a gateway behind a router.
    let to = |master: &str| {
        format!("#!/bin/sh\necho $(ip route show to match {master} | {ADDRESS} | tail -1)\n")
    };
    is_right(node, &to("10.77.0.1"));
    is_right(node, &to(OWN));
    let (output, address) = found(node, &to("192.0.2.9"));
    assert_eq!(output["found"], "10.77.0.1", "{output:#}");
    assert!(
        address["verdict"] == "fail"
            && address["found"]
                .as_str()
                .unwrap()
                .contains("a gateway of its routes, the field after via")
    );
}

fn what_is_wrong_is_told(node: &Node) {
    // On premises nobody answers there.
    is_wrong(node, &AWS.replace("-fsSL", "-fsSL --max-time 2"), "exited with status");
    is_wrong(
        node,
        &format!("#!/bin/bash\necho $(ip addr show eth7 | {ADDRESS} | head -1)\n"),
        "eth7",
    );
}

/// The address that a bridge of docker has on every node, and one that is nowhere.
fn addresses_of_no_use_are_found(node: &Node) {
    node.shell(
        "ip link add docker0 type veth peer name d02 && ip address add 172.17.0.1/16 dev docker0",
    )
    .succeeds();
    let judged = |address: &str| found(node, &format!("#!/bin/sh\necho {address}\n")).1;
    let address = judged("172.17.0.1");
    assert!(
        address["verdict"] == "warn" && address["found"].to_string().contains("is on docker0"),
        "{address:#}"
    );
    assert_eq!(judged("10.77.0.77")["verdict"], "fail");
    node.run(&["ip", "link", "del", "docker0"]).succeeds();
}

fn ill_behaved_scripts(node: &Node) {
    for (script, words) in [
        ("#!/bin/sh\nsleep 4711\n", "did not end within 10 s"),
        ("#!/bin/sh\nfor i in 1 2 3; do sleep 4712 & done; wait\n", "did not end within 10 s"),
        ("#!/bin/sh\nprintf '10.77.0.2\\r\\n'\n", "CRLF"),
        ("#!/bin/sh\nhostname -I >/dev/null; echo 10.77.0.2; echo 10.77.0.3\n", "2 lines"),
        ("#!/bin/sh\necho 10.77.0.2 10.77.0.3\n", "not exactly one"),
        ("#!/bin/sh\necho careful >&2; echo 10.77.0.2\n", "stderr: careful"),
        ("#!/bin/sh\n", "nothing"),
        ("#!/bin/sh\nexec head -c 1000000000 /dev/zero\n", "more than 65 kB"),
        (
            "#!/bin/sh\nset $(od -An -N3 -tu1 /dev/urandom)\necho 10.$1.$2.$3\n",
            "it changes from run to run",
        ),
    ] {
        is_wrong(node, script, words);
    }
    // What was killed for its time was killed with its children. `-x` spares the shell that asks.
    node.until("! pgrep -xf 'sleep 471[12]'");
    // Who leaves a child behind has told the address all the same, and holds nobody up; the child
    // goes with the script.
    is_right(node, &format!("#!/bin/sh\nsleep 4713 &\necho {OWN}\n"));
    node.until("! pgrep -xf 'sleep 4713'");
}

/// Answers on port 53 of four addresses, over UDP and TCP: never, with SERVFAIL, late and with no
/// address, and with one for a single name. Holds that port of IPv6 too.
const NAME_SERVERS: &str = r#"use strict; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
my (%kind, $set); $SIG{CHLD} = 'IGNORE';
sub listener { my ($family, $type, $name, $kind) = @_;
    my $socket; socket($socket, $family, $type, 0) && setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) && bind($socket, $name) or die "bind: $!";
    $type == SOCK_STREAM and (listen($socket, 9) or die "listen: $!");
    $kind{fileno $socket} = [$socket, $type, $kind]; vec($set, fileno $socket, 1) = 1;
}
for (['127.0.0.11', 'silent'], ['127.0.0.12', 'fails'], ['127.0.0.13', 'slow'], ['127.0.0.14', 'knows']) {
    my ($address, $kind) = @$_;
    listener(AF_INET, $_, pack_sockaddr_in(53, inet_aton($address)), $kind) for SOCK_DGRAM, SOCK_STREAM;
}
listener(AF_INET6, $_, pack_sockaddr_in6(53, inet_pton(AF_INET6, '::1')), 'silent') for SOCK_DGRAM, SOCK_STREAM;
open(my $ready, '>', '/run/name-servers'); close($ready);
sub answer { my ($query, $kind) = @_;
    if ($kind eq 'knows') {
        my $question = substr($query, 12, index($query, "\0", 12) - 12 + 5);
        my ($code, $address) = $question !~ /^\x04boot\x07example\0/ ? (3, '') : $question !~ /\0\x01\0\x01$/ ? (0, '')
            : (0, "\xc0\x0c" . pack('nnNn', 1, 1, 60, 4) . inet_aton('10.77.0.1'));
        return substr($query, 0, 2) . pack('CCn4', 0x85, 0x80 | $code, 1, $address ? 1 : 0, 0, 0) . $question . $address;
    }
    select(undef, undef, undef, 1.3) if $kind eq 'slow';
    substr($query, 2, 1) |= "\x80"; substr($query, 3, 1) = $kind eq 'fails' ? "\x82" : "\x80"; $query;
}
while (1) {
    select(my $ready = $set, undef, undef, undef) > 0 or next;
    for (grep { vec($ready, $_, 1) } keys %kind) {
        my ($socket, $type, $kind) = @{$kind{$_}};
        if ($type == SOCK_DGRAM) {
            my $from = recv($socket, my $query, 1024, 0); next if $kind eq 'silent' || fork;
            send($socket, answer($query, $kind), 0, $from); exit;
        }
        accept(my $client, $socket) or next; next if fork;
        if ($kind eq 'silent') { sleep 60; exit }
        sysread($client, my $query, 1024); syswrite($client, substr($query, 0, 2) . answer(substr($query, 2), $kind)); exit;
    }
}
"#;

#[test]
fn name_servers_are_judged_and_holders_of_port_53_are_named() {
    if !node::available() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    Build::fixture()
        .with_config("resolvers", "127.0.0.11,127.0.0.12,127.0.0.13")
        .pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("resolvers").knowing(&server);
    node.install_binary();
    node.write("/opt/name-servers.pl", NAME_SERVERS);
    node.run(&["systemd-run", "--unit=name-servers", "perl", "/opt/name-servers.pl"]).succeeds();
    node.until("[ -e /run/name-servers ]");
    // A server has two seconds for an answer. On a machine that stands still for a moment all are
    // late, and are asked again.
    let report = node::eventually(|| {
        let report = node
            .run(&["dcos-node", "preflight", "slave", "--json", "--bootstrap-url", server.url()])
            .json();
        let resolvers = check(&report, "dns.resolvers");
        let found = resolvers["found"].as_str().unwrap();
        let answers = [
            "127.0.0.11 does not answer",
            "127.0.0.12 answers SERVFAIL",
            "127.0.0.13 answers, but only after",
        ];
        let are_told =
            resolvers["verdict"] == "warn" && answers.iter().all(|words| found.contains(words));
        if are_told { Ok(report) } else { Err(format!("{resolvers:#}")) }
    });
    let pid = node.run(&["systemctl", "show", "-p", "MainPID", "--value", "name-servers"]);
    let by = format!(
        "perl (pid {}, name-servers.service) at 127.0.0.11 and 127.0.0.12 and 127.0.0.13 and \
         127.0.0.14 and ::1",
        pid.stdout().trim()
    );
    let ports = check(&report, "ports.free");
    assert!(
        ports["verdict"] == "fail"
            && ports["cure"].as_str().unwrap().contains("name-servers.service"),
        "{ports:#}"
    );
    for protocol in ["tcp", "udp"] {
        let words = format!("53/{protocol} (dcos-net) is held by {by}");
        assert!(ports["found"].as_str().unwrap().contains(&words), "no {words:?}: {ports:#}");
    }

    names_that_only_this_node_or_nobody_knows(&node, &server);
    names_in_the_hosts_file_are_not_asked_for(&node, &server);

    // The classic script's flag prints the same report, fails as it did, and changes nothing.
    let only = ["dcos-node", "install", "-p", "slave", "--bootstrap-url", server.url()];
    let told = node.run(&only);
    told.exits_with(3)
        .stdout_has("FAIL  ports.free")
        .stdout_has("no writes: enforced")
        .stdout_lacks("actions, none of them done");
    node.run(&["systemctl", "stop", "name-servers"]).succeeds();
    let skips = [&only[..], node::LACKS].concat();
    node.run(&skips).succeeds().stdout_has("pass  ports.free").stdout_lacks("actions");
    assert!(!node.has("/opt/mesosphere") && !node.has("/var/lib/dcos-node"));
}

/// The resolvers of the build answer that the server's name has no address, or nothing; those of
/// the node know it, and not the node's own name.
fn names_that_only_this_node_or_nobody_knows(node: &Node, server: &Server) {
    node.shell("rm -f /etc/resolv.conf && echo nameserver 127.0.0.14 >/etc/resolv.conf").succeeds();
    let own = node.run(&["hostname"]).stdout().trim().to_owned();
    let url = server.url().replace(Server::NAME, "boot.example");
    let is = |id: &str, verdict: &str, words: &str| {
        node::eventually(|| {
            let check = check(
                &node
                    .run(&["dcos-node", "preflight", "slave", "--json", "--bootstrap-url", &url])
                    .json(),
                id,
            );
            let is_told = check["verdict"] == verdict
                && check["found"].as_str().is_some_and(|found| found.contains(words));
            if is_told { Ok(()) } else { Err(format!("{words:?}: {check:#}")) }
        });
    };
    is(
        "dns.bootstrap",
        "warn",
        "boot.example is 10.77.0.1; but the resolvers of the build do not know it",
    );
    is("dns.hostname", "warn", &format!("cannot resolve {own}: there is no such name"));
    node.shell(&format!("echo 10.77.0.1 boot.example >>/etc/hosts; echo {OWN} {own} >>/etc/hosts"))
        .succeeds();
    is("dns.bootstrap", "pass", "boot.example is 10.77.0.1");
    is("dns.hostname", "pass", &format!("{own} is {OWN}"));
    node.shell(&format!("sed -i 's/^{OWN} /10.77.0.99 /' /etc/hosts")).succeeds();
    is("dns.hostname", "warn", "10.77.0.99, which is no address of this node");
}

/// A name in `/etc/hosts` is not sent to a server, with no domain of `search` behind it either: one
/// server is dead, the other knows another address for the name with such a domain.
fn names_in_the_hosts_file_are_not_asked_for(node: &Node, server: &Server) {
    node.shell("cp /etc/hosts /root/hosts; cp /etc/resolv.conf /root/resolv.conf").succeeds();
    node.shell("echo 10.77.0.1 boot boot.dcos >>/etc/hosts").succeeds();
    for (name, resolv_conf) in [
        ("boot", "search a.test b.test\nnameserver 127.0.0.11\n"),
        ("boot.dcos", "search a.test\noptions ndots:5\nnameserver 127.0.0.11\n"),
        ("boot", "search example\nnameserver 127.0.0.14\n"),
    ] {
        node.write("/etc/resolv.conf", resolv_conf);
        if resolv_conf.contains("example") {
            node.shell("sed -i 's/^10.77.0.1 boot /192.0.2.77 boot /' /etc/hosts").succeeds();
        }
        let address = if resolv_conf.contains("example") { "192.0.2.77" } else { "10.77.0.1" };
        let url = server.url().replace(Server::NAME, name);
        let report = node
            .run(&["dcos-node", "preflight", "slave", "--json", "--bootstrap-url", &url])
            .json();
        let found = check(&report, "bootstrap.name")["found"].to_string();
        assert!(found.contains(address), "{name}, {resolv_conf:?}: {found}");
        let found = check(&report, "dns.bootstrap")["found"].to_string();
        assert!(found.contains(&format!("{name} is {address}")), "{resolv_conf:?}: {found}");
    }
    node.shell("cp /root/hosts /etc/hosts; cp /root/resolv.conf /etc/resolv.conf").succeeds();
}

fn kept_identity(node: &Node, server: &Server) {
    node.shell(
        "mkdir -p /var/lib/dcos/navstar /var/lib/mesos/slave/meta && echo 192.0.2.200 \
         >/var/lib/dcos/navstar/ip && echo x >/var/lib/mesos/slave/meta/boot_id",
    )
    .succeeds();
    let install = |more: &[&str]| {
        let words = ["dcos-node", "install", "slave", "--bootstrap-url", server.url(), "--json"];
        node.run(&[&words, node::LACKS, more].concat())
    };
    install(&[])
        .exits_with(3)
        .stderr_has("ip-detect.kept")
        .stderr_has("dcos-node install slave --reset-identity");
    install(&["--reset-identity", "--dry-run"])
        .succeeds()
        .stdout_has("set /var/lib/dcos/navstar/ip aside");
    assert_eq!(node.read("/var/lib/dcos/navstar/ip"), "192.0.2.200\n");
    install(&["--reset-identity"]).succeeds();
    node.shell("cat /var/lib/dcos/navstar/ip.2*").stdout_has("192.0.2.200");
    node.shell("cat /var/lib/mesos/slave/meta.2*/boot_id").succeeds();
    assert!(!node.has("/var/lib/mesos/slave/meta/boot_id"));
    install(&["--reset-identity"]).exits_with(5).stderr_has("leave out --reset-identity");
}
