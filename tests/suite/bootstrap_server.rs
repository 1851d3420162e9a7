//! The bootstrap server, each layer of it broken on purpose.

mod report;

use std::path::PathBuf;
use std::time::Duration;

use dcos_node::observe::server::{Layer, Limits, Network, Server as Seen, Validity};
use dcos_node::system::http::{Authorities, Client, Options};
use dcos_node::system::source::Source;
use support::build::{Build, Packed};
use support::http_server::{CLOSED, Server};
use support::tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Long enough for a machine that is slow or stalls for a while.
const LONG: Duration = Duration::from_secs(60);
const LIMITS: Limits =
    Limits { name: LONG, connect: LONG, answer: LONG, build: LONG, artifacts: LONG };
/// Short enough to wait for a server that does not answer: a handshake is given up sooner than an
/// answer.
const IMPATIENT: Limits =
    Limits { connect: Duration::from_secs(2), answer: Duration::from_secs(4), ..LIMITS };

async fn serve() -> (Server, Packed, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let packed = Build::tiny().pack(directory.path());
    (Server::start(directory.path()).await, packed, directory)
}

/// What is seen of a server, and why the build cannot be read.
async fn look_trusting(url: &str, authorities: Option<Authorities>) -> (Seen, Option<String>) {
    look_within(&LIMITS, url, authorities).await
}

async fn look_within(
    limits: &Limits,
    url: &str,
    authorities: Option<Authorities>,
) -> (Seen, Option<String>) {
    let options =
        Options { authorities, connect_timeout: limits.connect, attempts: 1, ..Options::default() };
    let source = Source::parse(url, &Client::new(&options).unwrap()).unwrap();
    let (mut seen, read) = Seen::look(&source, None, limits).await;
    if let Ok((build, _)) = &read {
        seen.look_at_artifacts(&source, build, limits).await;
    }
    (seen, read.err().map(|error| error.to_string()))
}

async fn look(url: &str) -> (Network, Seen, Option<String>) {
    let (seen, error) = look_trusting(url, None).await;
    (seen.network.clone().expect("a server"), seen, error)
}

/// The network of a server that does not answer.
async fn look_in_vain(url: &str) -> Network {
    look_within(&IMPATIENT, url, None).await.0.network.expect("a server")
}

/// The packages that have to be fetched: the others are in the bootstrap archive.
fn needed(packed: &Packed) -> Vec<&String> {
    packed.ids.keys().filter(|name| !packed.bootstrap_ids.contains_key(*name)).collect()
}

fn good<T>(layer: &Layer<T>) -> Option<&T> {
    match layer {
        Layer::Reached { result: Ok(found), .. } => Some(found),
        _ => None,
    }
}

fn trouble<T>(layer: &Layer<T>) -> &str {
    match layer {
        Layer::Reached { result: Err(why), .. } => why,
        _ => "",
    }
}

fn unreached<T>(layer: &Layer<T>) -> bool {
    matches!(layer, Layer::NotReached)
}

#[tokio::test]
async fn healthy_server_passes_every_layer() {
    let (server, packed, _directory) = serve().await;
    let (network, seen, error) = look(server.url()).await;
    assert_eq!(error, None);
    assert_eq!(
        good(&network.name).unwrap()[..],
        ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert!(good(&network.connect).unwrap()[0].result.is_ok() && unreached(&network.tls));
    // The server lives in 1994.
    assert!(good(&network.http).unwrap().unwrap() < -900_000_000);
    assert!(good(&seen.build).unwrap().contains("3 packages"), "{:?}", seen.build);
    let artifacts = good(&seen.artifacts).unwrap();
    let length = |path: PathBuf| std::fs::metadata(path).unwrap().len();
    let bytes: u64 = needed(&packed).into_iter().map(|name| length(packed.archive(name))).sum();
    assert_eq!(
        (artifacts.count, artifacts.bytes),
        (needed(&packed).len() + 1, bytes + length(packed.bootstrap_archive()))
    );
    assert!(artifacts.missing.is_empty() && artifacts.failed.is_empty(), "{artifacts:?}");
}

#[tokio::test]
async fn local_directory_is_checked_for_build_and_artifacts() {
    let (_server, packed, directory) = serve().await;
    std::fs::remove_file(packed.bootstrap_archive()).unwrap();
    let (seen, error) = look_trusting(directory.path().to_str().unwrap(), None).await;
    assert!(seen.network.is_none() && good(&seen.build).is_some(), "{error:?}");
    assert!(good(&seen.artifacts).unwrap().missing[0].contains("bootstrap.tar.xz"));
}

#[tokio::test]
async fn a_name_without_an_address_is_the_first_broken_layer() {
    let (network, seen, error) = look("http://no-such-host.invalid:8080/dcos").await;
    assert!(trouble(&network.name).contains("cannot resolve no-such-host.invalid"), "{network:?}");
    assert!(
        unreached(&network.connect)
            && unreached(&network.http)
            && unreached(&seen.build)
            && unreached(&seen.artifacts)
    );
    assert!(error.unwrap().contains("cannot resolve"));
}

#[tokio::test]
async fn a_closed_port_is_the_first_broken_layer() {
    let (network, _, _) = look(&format!("https://{CLOSED}")).await;
    assert!(
        good(&network.name).is_some() && trouble(&network.connect).contains("refused"),
        "{network:?}"
    );
    assert!(unreached(&network.tls) && unreached(&network.http));
}

#[tokio::test]
async fn certificate_of_a_trusted_authority_passes() {
    let (server, _, _directory) = serve().await;
    let url = tls::in_front_of(server.url(), "valid.pem");
    let (seen, error) = look_trusting(&url, Some(tls::authorities())).await;
    let network = seen.network.unwrap();
    assert!(
        good(&network.tls).is_some()
            && good(&network.http).is_some()
            && good(&seen.artifacts).is_some(),
        "{network:?} {error:?}"
    );
}

#[tokio::test]
async fn certificate_fails_by_its_authority_or_its_dates() {
    let (server, _, _directory) = serve().await;
    let authority = || Some(tls::authorities());
    for (certificate, authorities) in
        [("valid.pem", None), ("expired.pem", authority()), ("future.pem", authority())]
    {
        let (seen, error) =
            look_trusting(&tls::in_front_of(server.url(), certificate), authorities).await;
        let network = seen.network.unwrap();
        assert!(
            good(&network.connect).is_some() && trouble(&network.tls).contains("certificate"),
            "{network:?}"
        );
        assert!(unreached(&network.http) && unreached(&seen.build) && error.is_some());
        // 2021-01-01 and 2110-01-01.
        let at = |seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        let expected = match certificate {
            "expired.pem" => Some(Validity::Ended(at(1_609_459_200))),
            "future.pem" => Some(Validity::NotBegun(at(4_417_977_600))),
            _ => None,
        };
        assert_eq!(network.dates.map(|(validity, _)| validity), expected, "{certificate}");
    }
}

#[tokio::test]
async fn plain_http_server_fails_for_https() {
    let (server, _, _directory) = serve().await;
    let (network, _, _) = look(&server.url().replace("http:", "https:")).await;
    assert!(
        good(&network.connect).is_some()
            && !trouble(&network.tls).is_empty()
            && unreached(&network.http),
        "{network:?}"
    );
}

#[tokio::test]
async fn http_error_answer_is_the_first_broken_layer() {
    let (server, _, _directory) = serve().await;
    for status in [404, 403, 500] {
        server.answer("/bootstrap.latest", status, 1);
        let (network, seen, _) = look(server.url()).await;
        assert!(trouble(&network.http).contains(&status.to_string()), "{network:?}");
        assert!(unreached(&seen.build));
    }
}

/// A server that takes every connection and does this with it.
async fn hostile<F>(act: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(stream));
        }
    });
    url
}

#[tokio::test]
async fn server_that_never_answers_times_out() {
    let url = hostile(|mut stream| async move {
        let mut request = Vec::new();
        let _ = stream.read_to_end(&mut request).await;
    })
    .await;
    let network = look_in_vain(&url).await;
    assert!(trouble(&network.http).contains("does not answer"), "{network:?}");
    let network = look_in_vain(&url.replace("http:", "https:")).await;
    assert!(!trouble(&network.tls).is_empty(), "{network:?}");
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let url = hostile(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(b"X-Header: 0123456789012345678901234567890123456789\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    // It ends, whichever limit ends it.
    let network = look_in_vain(&url).await;
    assert!(
        !trouble(&network.http).is_empty() && trouble(&network.http).len() < 400,
        "{network:?}"
    );
}

#[tokio::test]
async fn oversized_file_is_not_read() {
    let (server, _, directory) = serve().await;
    server.lie_about_length("/bootstrap.latest", 1 << 30);
    let (network, seen, _) = look(server.url()).await;
    assert!(
        good(&network.http).is_some() && trouble(&seen.build).contains("more than"),
        "{seen:?}"
    );
    std::fs::write(
        directory.path().join("cluster-package-list.latest"),
        "<html>".repeat(1_000_000),
    )
    .unwrap();
    server.lie_about_length("/bootstrap.latest", 0);
    let (_, seen, _) = look(server.url()).await;
    assert!(
        trouble(&seen.build).contains("is this the URL of a DC/OS build?")
            && trouble(&seen.build).len() < 400,
        "{seen:?}"
    );
}

#[tokio::test]
async fn missing_and_empty_artifacts_are_named_also_without_head() {
    let (server, packed, directory) = serve().await;
    let path =
        |file: PathBuf| format!("/{}", file.strip_prefix(directory.path()).unwrap().display());
    let names = needed(&packed);
    let [one, other] = [0, 1].map(|n| packed.archive(names[n]));
    server.refuse_head(&path(one.clone())).hide_length(&path(one.clone()));
    std::fs::write(&other, "").unwrap();
    std::fs::remove_file(packed.bootstrap_archive()).unwrap();
    let (_, seen, error) = look(server.url()).await;
    let artifacts = good(&seen.artifacts).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(
        (artifacts.missing.len(), artifacts.failed.len(), artifacts.of_unknown_length),
        (2, 0, 1),
        "{artifacts:?}"
    );
    assert!(
        artifacts.missing[1].contains(names[1]) && artifacts.missing[1].ends_with("(it is empty)"),
        "{artifacts:?}"
    );
    server.answer(&path(one), 403, 9);
    let (_, seen, _) = look(server.url()).await;
    let artifacts = good(&seen.artifacts).unwrap();
    assert!(
        artifacts.failed[0].contains("403") && artifacts.failed[0].contains(names[0].as_str()),
        "{artifacts:?}"
    );
}
