//! The HTTP client and the sources against a server that does everything wrong.

use std::io::Read;
use std::time::{Duration, Instant};

use dcos_node::system::http::{Authorities, Body, Client, Error, Kind, Options, Slowest, get_unix};
use dcos_node::system::source::{self, Presence, Source};
use support::http_server::{CLOSED, Server};

/// Bytes that differ everywhere, so that a part in the wrong place is noticed.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// For servers that answer: a slow machine must not look like one that stalls.
fn options() -> Options {
    Options {
        attempts: 3,
        first_pause: Duration::from_millis(10),
        stall_timeout: Duration::from_secs(60),
        ..Options::default()
    }
}

/// For servers that stall.
fn impatient(stall_timeout: Duration) -> Client {
    Client::new(&Options { stall_timeout, ..options() }).unwrap()
}

fn client() -> Client {
    Client::new(&options()).unwrap()
}

/// A server with one file, `/file`, of so many bytes.
async fn server(length: usize) -> (Server, Vec<u8>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), content(length)).unwrap();
    (Server::start(directory.path()).await, content(length), directory)
}

async fn all(mut body: Body) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    while let Some(bytes) = body.chunk().await? {
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}

async fn download(server: &Server) -> Result<Vec<u8>, Error> {
    download_with(&client(), server).await
}

async fn download_with(client: &Client, server: &Server) -> Result<Vec<u8>, Error> {
    all(client.open(&server.at("/file"), u64::MAX).await?).await
}

#[tokio::test]
async fn file_arrives_whole_with_length_and_date() {
    let (server, content, _directory) = server(300_000).await;
    let body = client().open(&server.at("/file"), u64::MAX).await.unwrap();
    assert_eq!(body.length, Some(300_000));
    assert_eq!(
        body.date.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
        784_111_777
    );
    assert_eq!(all(body).await.unwrap(), content);
    assert_eq!(client().get(&server.at("/file"), 300_000).await.unwrap(), content);
    let head = client().head(&server.at("/file")).await.unwrap();
    assert_eq!((head.status, head.length), (200, Some(300_000)));
    assert_eq!(client().head(&server.at("/none")).await.unwrap().status, 404);
}

#[tokio::test]
async fn temporary_statuses_are_retried() {
    for status in [408, 429, 500, 502, 503, 504] {
        let (server, content, _directory) = server(10).await;
        server.answer("/file", status, 2);
        assert_eq!(client().get(&server.at("/file"), 10).await.unwrap(), content, "{status}");
        assert_eq!(server.requests("/file"), 3);
        server.answer("/file", status, 3);
        let error = client().open(&server.at("/file"), u64::MAX).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (Kind::Status(status), true));
        assert!(error.to_string().ends_with("(tried 3 times)"), "{error}");
    }
}

#[tokio::test]
async fn permanent_statuses_are_not_retried() {
    for status in [401, 403, 404, 410] {
        let (server, _, _directory) = server(10).await;
        server.answer("/file", status, 9);
        let error = client().get(&server.at("/file"), 10).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (Kind::Status(status), false));
        assert_eq!(server.requests("/file"), 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_header_is_respected() {
    let (server, content, _directory) = server(10).await;
    server.answer_with("/file", 503, 1, "Retry-After: 1\r\n");
    let start = Instant::now();
    assert_eq!(client().get(&server.at("/file"), 10).await.unwrap(), content);
    assert!(start.elapsed() >= Duration::from_secs(1));
    server.answer_with("/file", 429, 1, "Retry-After: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    let start = Instant::now();
    assert_eq!(client().get(&server.at("/file"), 10).await.unwrap(), content);
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn connections_broken_before_the_answer_are_retried() {
    let (server, content, _directory) = server(10).await;
    server.reset("/file", 2);
    assert_eq!(client().get(&server.at("/file"), 10).await.unwrap(), content);
    server.reset("/file", 3);
    let error = client().get(&server.at("/file"), 10).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Unreachable, true), "{error}");
}

#[tokio::test]
async fn unreachable_server_is_named_with_the_cause() {
    let error = client()
        .get(&format!("http://user:secret@{CLOSED}/file?token=secret"), 10)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Unreachable, true));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot get http://{CLOSED}/file?...: Connection refused (os error 111) (tried 3 times)"
        )
    );
    assert!(!format!("{error:?} {:?}", client()).contains("secret"));
}

#[tokio::test]
async fn broken_body_is_resumed() {
    let (server, content, _directory) = server(300_000).await;
    server.cut_times("/file", 70_000, 3);
    assert_eq!(download(&server).await.unwrap(), content);
    let ranges: Vec<String> = server
        .heads()
        .iter()
        .flat_map(|head| {
            head.lines()
                .filter(|line| line.starts_with("range"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ranges, ["range: bytes=70000-", "range: bytes=140000-", "range: bytes=210000-"]);
}

#[tokio::test]
async fn stalled_body_is_resumed() {
    let (server, content, _directory) = server(300_000).await;
    server.stall_after("/file", 70_000, 2);
    assert_eq!(
        download_with(&impatient(Duration::from_millis(300)), &server).await.unwrap(),
        content
    );
}

#[tokio::test]
async fn trickling_server_counts_as_stalled() {
    let (server, content, _directory) = server(30_000).await;
    let slowest = Slowest { bytes_per_second: 1_000_000, over: Duration::from_millis(200) };
    let client = Client::new(&Options { slowest, ..options() }).unwrap();
    server.slow("/file", 100, Duration::from_millis(20));
    let error = all(client.open(&server.at("/file"), u64::MAX).await.unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Stalled, true), "{error}");
    assert!(
        error.to_string().contains("less than 1000000 bytes/s")
            && error.to_string().ends_with("(tried 3 times)"),
        "{error}"
    );
    // Each time it was asked on a new connection to go on; a server that is slow by order is fast
    // enough.
    assert_eq!(server.requests("/file"), 3);
    server.slow("/file", 1000, Duration::from_millis(5));
    assert_eq!(download(&server).await.unwrap(), content);
}

#[tokio::test]
async fn a_rate_is_that_of_all_downloads_together() {
    let (server, content, _directory) = server(300_000).await;
    let client = Client::new(&Options { bytes_per_second: Some(500_000), ..options() }).unwrap();
    let start = Instant::now();
    let download = async || {
        all(client.clone().open(&server.at("/file"), u64::MAX).await.unwrap()).await.unwrap()
    };
    let (one, other) = tokio::join!(download(), download());
    assert!(one == content && other == content);
    // 600,000 bytes less what may come at once at the beginning.
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn download_without_progress_fails() {
    let (server, _, _directory) = server(300_000).await;
    server.stall_at("/file", 1000);
    let error = download_with(&impatient(Duration::from_secs(1)), &server).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Stalled, true), "{error}");
    assert!(error.to_string().contains("(after 1000 of 300000 bytes)"), "{error}");
}

#[tokio::test]
async fn changed_file_is_never_appended() {
    for how in 0..4 {
        let (server, _, _directory) = server(300_000).await;
        server.cut_times("/file", 70_000, 1);
        match how {
            0 => server.ignore_range("/file"),
            1 => server.wrong_range("/file"),
            2 => server.hide_validator("/file"),
            _ => server.etag("/file", "W/\"weak\""),
        };
        let error = download(&server).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (Kind::Truncated, true), "{how}: {error}");
        // From the start it works.
        assert_eq!(download(&server).await.unwrap(), content(300_000));
    }
    // The file changes while it is on its way.
    let (server, _, _directory) = server(300_000).await;
    server.cut_times("/file", 70_000, 1).etag("/file", "\"old\"");
    let mut body = client().open(&server.at("/file"), u64::MAX).await.unwrap();
    server.etag("/file", "\"new\"");
    let error = loop {
        match body.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is not whole"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.is_transient()), (Kind::Truncated, true));
}

#[tokio::test]
async fn lengths_must_be_right() {
    let (server, content, _directory) = server(1000).await;
    server.lie_about_length("/file", 1);
    let error = client().get(&server.at("/file"), 2000).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Truncated, "{error}");
    // A client cannot see what comes after the announced length; only a digest can.
    server.lie_about_length("/file", -1);
    assert_eq!(client().get(&server.at("/file"), 2000).await.unwrap(), content[..999]);
    server.lie_about_length("/file", 0);
    for hidden in [false, true] {
        let error = client().get(&server.at("/file"), 999).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (Kind::TooLarge, false), "{hidden}");
        let body = client().open(&server.at("/file"), 999).await;
        let error = async { all(body?).await }.await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (Kind::TooLarge, false), "{hidden}");
        server.hide_length("/file");
    }
    assert_eq!(client().get(&server.at("/file"), 1000).await.unwrap(), content);
}

#[tokio::test]
async fn dripping_document_is_given_up_after_its_total_time() {
    let (server, _, _directory) = server(1000).await;
    // It never stalls for as long as a stall takes, and is asked for once.
    server.slow("/file", 1, Duration::from_millis(20));
    let document_timeout = Duration::from_millis(500);
    let client = Client::new(&Options { document_timeout, ..options() }).unwrap();
    let error = client.get(&server.at("/file"), 1000).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Stalled, true), "{error}");
    assert!(error.to_string().contains("did not come whole within 500ms"), "{error}");
    assert_eq!(server.requests("/file"), 1);
}

#[tokio::test]
async fn redirects_are_followed_but_not_in_circles() {
    let (server, content, _directory) = server(1000).await;
    server.redirect("/old", &server.at("/file")).redirect("/circle", "/circle");
    assert_eq!(client().get(&server.at("/old"), 1000).await.unwrap(), content);
    let error = client().get(&server.at("/circle"), 1000).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Other, false));
}

#[tokio::test]
async fn invalid_url_is_not_retried() {
    for url in ["", "nothing", "ftp://user:secret@host/", "http://user:secret@host:port/"] {
        let error = client().get(url, 10).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Other);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn empty_certificate_authority_file_is_refused() {
    let authorities = Authorities { origin: "/srv/ca.pem".to_owned(), pem: Vec::new() };
    let options = Options { authorities: Some(authorities), ..options() };
    let error = Client::new(&options).unwrap_err().to_string();
    assert!(error.contains("there are none in it") && error.contains("/srv/ca.pem"), "{error}");
}

#[tokio::test]
async fn a_plain_server_does_not_speak_tls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let error = client().get(&url, 10).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (Kind::Tls, false), "{error}");
}

#[tokio::test]
async fn a_daemon_is_asked_on_its_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let daemon = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let n = stream.read(&mut head).await.unwrap();
            assert!(head[..n].starts_with(b"GET /info HTTP/1.1\r\n"));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                .await
                .unwrap();
        }
    });
    assert_eq!(get_unix(&socket, "/info", 10).await.unwrap(), b"{}");
    assert_eq!(get_unix(&socket, "/info", 1).await.unwrap_err().kind(), Kind::TooLarge);
    daemon.await.unwrap();
    let error = get_unix(&directory.path().join("none.sock"), "/info", 10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("none.sock: No such file"), "{error}");
}

/// Reads a download as the unpacking threads do.
async fn drain(source: &Source, name: &str) -> (Option<u64>, std::io::Result<Vec<u8>>) {
    let mut download = source.open(name, u64::MAX).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut content = Vec::new();
        (download.length, download.reader.read_to_end(&mut content).map(|_| content))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_source_is_the_same_on_a_server_and_in_a_directory() {
    let (server, content, directory) = server(300_000).await;
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    std::fs::write(directory.path().join("sub/x"), "x").unwrap();
    server.cut_times("/file", 100_000, 1);
    for place in [
        server.url().to_owned(),
        format!("{}/", server.url()),
        directory.path().to_str().unwrap().to_owned(),
    ] {
        let source = Source::parse(&place, &client()).unwrap();
        let (length, read) = drain(&source, "file").await;
        assert_eq!(length, Some(300_000));
        assert!(read.unwrap() == content);
        assert_eq!(source.read("sub/x", 1).await.unwrap(), b"x");
        assert_eq!(source.presence("sub/x").await.unwrap(), Presence::Present { bytes: Some(1) });
        assert_eq!(source.presence("sub/y").await.unwrap(), Presence::Absent);
        assert!(source.read("sub/y", 1).await.unwrap_err().is_not_found());
    }
    server.refuse_head("/file").hide_length("/file");
    let source = Source::parse(server.url(), &client()).unwrap();
    assert_eq!(source.presence("file").await.unwrap(), Presence::Present { bytes: None });
}

#[tokio::test]
async fn body_error_is_returned_by_the_reader() {
    let (server, _, _directory) = server(300_000).await;
    server.cut_after("/file", 1000).hide_validator("/file");
    let source = Source::parse(server.url(), &client()).unwrap();
    let error = drain(&source, "file").await.1.unwrap_err();
    let error = error.get_ref().unwrap().downcast_ref::<source::Error>().unwrap();
    assert!(
        error.is_transient()
            && matches!(error, source::Error::Http(error) if error.kind() == Kind::Truncated),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_or_closed_reader_stops_the_transfer() {
    let (server, content, _directory) = server(20_000_000).await;
    let source = Source::parse(server.url(), &impatient(Duration::from_millis(300))).unwrap();
    // A machine that stalls for as long looks like a server that does: then it is asked once more,
    // which tells nothing of the reader.
    for _ in 0..20 {
        let before = server.requests("/file");
        let mut download = source.open("file", u64::MAX).await.unwrap();
        // Longer than the stall timeout: a reader that waits is no server that stalls.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (download, read) = tokio::task::spawn_blocking(move || {
            let mut read = vec![0; 15_000_000];
            download.reader.read_exact(&mut read).unwrap();
            (download, read)
        })
        .await
        .unwrap();
        assert!(read == content[..15_000_000]);
        drop(download);
        if server.requests("/file") == before + 1 {
            return;
        }
    }
    panic!("whoever waits is taken for a server that stalls");
}
