//! A stranger on the port of Exhibitor, which any user can take while Exhibitor is down: it gets no
//! password, and whatever it answers ends in a bounded time with a clear message.

use std::time::Duration;

use support::build::Build;
use support::node::{self, Node, Outcome, Running, Server};
use support::step;

const PASSWORD: &str = "planted-password";
/// What the server in the place of Exhibitor was sent.
const REQUESTS: &str = "/var/tmp/requests";
const PROGRAM: &str = "/srv/server";
/// What `status` and `uninstall` may take at most. An endless answer ends in neither of them.
const BOUND: Duration = Duration::from_secs(300);

/// A server on port 8181 that answers as its first argument says.
const SERVER: &str = r#"
use strict; use warnings; use IO::Socket::INET;
$SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
my $mode = shift;
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0:8181', Listen => 50, ReuseAddr => 1) or die $!;
my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
my $member = '{"code":3,"description":"serving","hostname":"a","isLeader":true}';
while (my $client = $server->accept) {
    next if fork;
    sysread $client, my $request, 65536;
    open my $log, '>>', '/var/tmp/requests' or die; print $log $request; close $log;
    my $send = sub { syswrite $client, shift or exit };
    # A next request on this connection would race with its end.
    my $elsewhere = "Location: http://127.0.0.1:8181/elsewhere\r\nContent-Length: 0\r\nConnection: close";
    $send->("HTTP/1.1 302 F\r\n$elsewhere\r\n\r\n"), exit if $mode eq 'redirect';
    $send->($head);
    if ($mode eq 'escapes') {
        $send->('[{"code":3,"description":"\u001b]0;x\u0007","hostname":"10.0.0.1\u001b[31m","isLeader":true},'
            . "{\"code\":0,\"description\":\"down\\n\",\"hostname\":\"\\u001b[2Jx\\u202e\",\"isLeader\":false}]");
    } elsif ($mode eq 'control') { $send->("[{\"hostname\":\"\e[31m\"")
    } elsif ($mode eq 'endless') { $send->('['); $send->("$member," x 1000) while 1
    } elsif ($mode eq 'deep') { $send->('[' x 100000) for 1 .. 50
    } elsif ($mode eq 'drip') { $send->('['); while (1) { $send->(' '); select undef, undef, undef, 0.5 }
    } elsif ($mode eq 'page') { $send->("<html>\e[31m</html>")
    } elsif ($mode eq 'serving') { $send->("[$member]") }
    exit;
}
"#;

#[test]
fn stranger_on_the_port_of_exhibitor_gets_no_password() {
    if !node::available() {
        return;
    }
    let (node, _server) = master_without_exhibitor();
    step("another user", || {
        let stranger = listener(&node, &NOBODY, "serving");
        ask_everything(&node);
        assert!(!is_told_the_password(&node));
        end(&node, stranger);
    });
    step("another unit of root", || {
        let stranger = listener(&node, &["systemd-run", "--quiet", "--wait"], "serving");
        ask_everything(&node);
        assert!(!is_told_the_password(&node));
        end(&node, stranger);
    });
    // The account of Exhibitor is asked with it: the log would show it.
    step("Exhibitor", || {
        let own =
            listener(&node, &["setpriv", "--reuid=dcos_exhibitor", "--clear-groups"], "serving");
        ask_everything(&node);
        assert!(is_told_the_password(&node));
        end(&node, own);
    });
}

#[test]
fn hostile_answers_end_with_a_clear_message() {
    if !node::available() {
        return;
    }
    let (node, _server) = master_without_exhibitor();
    let too_long = "it has more than 1048576 bytes";
    for (mode, cause) in [
        ("endless", too_long),
        ("deep", too_long),
        ("drip", "the server does not answer"),
        ("page", "is not what it should be"),
        ("control", "is not what it should be"),
        ("redirect", "too many redirects"),
    ] {
        step(mode, || {
            let stranger = listener(&node, &NOBODY, mode);
            silence_is_reported(&node, cause);
            nothing_steers_the_terminal(&node);
            end(&node, stranger);
        });
    }
    step("escapes", || {
        let stranger = listener(&node, &NOBODY, "escapes");
        let wait = ["dcos-node", "status", "--wait=cluster-ready", "--wait-timeout=1s"];
        let shown = node.run_within(BOUND, &wait);
        shown.exits_with(7).stderr_has("masters: 10.0.0.1\\u{1b}[31m serving");
        shown.stderr_has("\\u{1b}[2Jx\\u{202e}");
        nothing_steers_the_terminal(&node);
        end(&node, stranger);
    });
}

/// As a person who looks and one who wants to uninstall.
fn ask_everything(node: &Node) -> [Outcome; 3] {
    let wait = ["dcos-node", "status", "--wait=cluster-ready", "--wait-timeout=1s"];
    [
        node.run_within(BOUND, &["dcos-node", "status"]),
        node.run_within(BOUND, &["dcos-node", "uninstall", "--dry-run"]),
        node.run_within(BOUND, &wait),
    ]
}

fn silence_is_reported(node: &Node, cause: &str) {
    let status = node.run_within(BOUND, &["dcos-node", "status", "--json"]).json();
    let obstacles = status["readiness"]["obstacles"].as_array().expect("obstacles");
    let texts: Vec<&str> = obstacles.iter().filter_map(|o| o["text"].as_str()).collect();
    let is_named =
        |text: &&str| text.starts_with("Exhibitor does not answer: ") && text.contains(cause);
    assert!(texts.iter().any(is_named), "{cause} is not in {texts:#?}");
}

#[track_caller]
fn nothing_steers_the_terminal(node: &Node) {
    // Exhibitor is stopped; another program has its port.
    for (outcome, code) in ask_everything(node).into_iter().zip([12, 0, 7]) {
        outcome.exits_with(code);
        for text in [outcome.stdout(), outcome.stderr()] {
            assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{outcome}");
        }
    }
}

const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Starts a server in the place of Exhibitor, and waits for it.
fn listener(node: &Node, before: &[&str], mode: &str) -> Running {
    node.shell(&format!("install -m 666 /dev/null {REQUESTS}")).succeeds();
    let running = node.start(&[before, &["perl", PROGRAM, mode]].concat());
    node.until(&format!("curl -s -m 1 -o /dev/null http://127.0.0.1:8181/; [ -s {REQUESTS} ]"));
    running
}

fn is_told_the_password(node: &Node) -> bool {
    let requests = node.read(REQUESTS).to_lowercase();
    // By dcos-node and by the node's own services, which poll.
    assert!(requests.contains("get /exhibitor/v1/cluster/status"), "it was never asked");
    requests.contains("authorization: ")
}

fn end(node: &Node, listener: Running) {
    // The bracket keeps the pattern from matching the shell that has it.
    node.until("! pkill -KILL -f 'perl /srv/serve[r]'");
    drop(listener);
}

fn master_without_exhibitor() -> (Node, (Server, tempfile::TempDir)) {
    let directory = tempfile::tempdir().expect("a directory for the build");
    let build = Build::fixture()
        .with_config("exhibitor_auth", "true")
        .with_config("exhibitor_admin_password", PASSWORD);
    build.pack(directory.path());
    let server = Server::serving(directory.path());
    let node = Node::boot("strangers").knowing(&server);
    node.install_binary();
    node.write(PROGRAM, SERVER);
    let install = ["dcos-node", "install", "master", "--bootstrap-url", server.url()];
    node.run(&[&install[..], node::LACKS].concat()).succeeds();
    node.run(&["systemctl", "stop", "dcos-exhibitor"]).succeeds();
    (node, (server, directory))
}
