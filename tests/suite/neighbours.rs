//! How this node's own Exhibitor and Mesos are asked: with the password and the certificates that
//! the build put on the node, over TLS where they speak that, and a refusal is a sign of life.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dcos_node::dcos::cluster::{Ensemble, Metrics};
use dcos_node::observe::cluster::{self, Answer, Silence};
use dcos_node::system::root::Root;
use support::http_server::{CLOSED, Server};
use support::tls;

const STATUS: &str = "/exhibitor/v1/cluster/status";
const METRICS: &str = "/metrics/snapshot";

fn put(root: &Path, path: &str, content: &[u8]) {
    let file = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

/// A server that answers as an Exhibitor and a Mesos do, and an empty node.
async fn bench() -> (Server, tempfile::TempDir, tempfile::TempDir) {
    let served = tempfile::tempdir().unwrap();
    put(
        served.path(),
        STATUS,
        br#"[{"code":3,"description":"serving","hostname":"10.0.0.1","isLeader":true}]"#,
    );
    put(served.path(), METRICS, br#"{"slave/registered":1.0}"#);
    (Server::start(served.path()).await, served, tempfile::tempdir().unwrap())
}

/// A machine may stall, and these servers do answer.
const LIMIT: Duration = Duration::from_secs(60);

async fn exhibitor(root: &Root, port: u16) -> Answer<Ensemble> {
    cluster::exhibitor(root, port, LIMIT).await
}

async fn mesos_at(to: SocketAddr) -> Answer<Metrics> {
    cluster::mesos_at(to, LIMIT).await
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

fn address(url: &str) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port(url)))
}

/// What the node has for an Exhibitor that speaks TLS.
fn certificates(node: &Path, authority: &str) {
    let put = |name: &str, from: &str| {
        put(
            node,
            &format!("/var/lib/dcos/exhibitor-tls-artifacts/{name}"),
            &std::fs::read(tls::file(from)).unwrap(),
        );
    };
    put("root-cert.pem", authority);
    put("client-cert.pem", "client.pem");
    put("client-key.pem", "client.key");
}

#[tokio::test]
async fn stranger_on_the_port_of_exhibitor_gets_no_password() {
    let (server, _served, node) = bench().await;
    let root = Root::new(node.path());
    let is_asked_with = |word: &str| server.heads().last().unwrap().to_lowercase().contains(word);
    assert_eq!(exhibitor(&root, port(server.url())).await.told().unwrap().serving(), 1);
    assert!(!is_asked_with("authorization"));
    put(node.path(), "/opt/mesosphere/etc/exhibitor_realm", b"admin: secret,admin\n");
    assert_eq!(exhibitor(&root, port(server.url())).await.told().unwrap().serving(), 1);
    // Nothing shows that this listener is that of Exhibitor.
    assert!(!is_asked_with("authorization"));
}

#[tokio::test]
async fn exhibitor_with_tls_gets_the_certificate_of_the_node() {
    let (server, _served, node) = bench().await;
    let root = Root::new(node.path());
    let behind = tls::for_clients_of("clients.pem", server.url(), "valid.pem");
    assert!(
        exhibitor(&root, port(&behind)).await.silence().is_some(),
        "without a certificate it tells nothing"
    );
    certificates(node.path(), "authority.pem");
    assert_eq!(exhibitor(&root, port(&behind)).await.told().unwrap().serving(), 1);
    // One of an authority that is not the node's is not believed.
    certificates(node.path(), "clients.pem");
    let answer = exhibitor(&root, port(&behind)).await;
    assert!(matches!(answer.silence(), Some(Silence::Certificate(_))), "{answer:?}");
}

#[tokio::test]
async fn service_that_asks_for_a_login_counts_as_alive() {
    let (server, _served, node) = bench().await;
    for status in [401, 403] {
        let (server, _served, _node) = bench().await;
        server.answer(STATUS, status, 99).answer(METRICS, status, 99);
        assert_eq!(exhibitor(&Root::new(node.path()), port(server.url())).await, Answer::Locked);
        assert_eq!(mesos_at(address(server.url())).await, Answer::Locked);
    }
    server.answer(METRICS, 500, 99);
    assert!(
        mesos_at(address(server.url()))
            .await
            .silence()
            .is_some_and(|why| why.to_string().contains("500"))
    );
}

#[tokio::test]
async fn mesos_with_tls_only_counts_as_alive() {
    let (server, _served, _node) = bench().await;
    assert!(mesos_at(address(server.url())).await.told().unwrap().is("slave/registered"));
    let behind = tls::in_front_of(server.url(), "valid.pem");
    assert_eq!(mesos_at(address(&behind)).await, Answer::Locked);
    assert!(
        mesos_at(CLOSED.parse().unwrap())
            .await
            .silence()
            .is_some_and(|why| why.to_string().starts_with("cannot get http://"))
    );
}
