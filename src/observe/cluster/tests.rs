use super::*;

/// A server that says these bytes to whoever says something; its address.
async fn saying(answer: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.read(&mut [0; 4096]).await;
            let _ = client.write_all(answer).await;
        }
    });
    place
}

#[tokio::test]
async fn service_that_answers_with_tls_only_counts_as_alive() {
    let asked = |place: String| async move {
        ask_either(&format!("{place}/x"), LONGEST, PATIENCE, |text| Some(text.to_vec())).await
    };
    // An alert: the handshake failed.
    assert_eq!(asked(saying(&[0x15, 3, 3, 0, 2, 2, 40]).await).await, Answer::Locked);
    let plain =
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
    assert_eq!(asked(plain).await, Answer::Told(b"{}".to_vec()));
    assert!(asked("127.0.0.1:1".to_owned()).await.silence().is_some(), "nobody listens there");
}

/// A server that keeps what it is told; its port.
async fn hearing() -> (u16, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), std::sync::Arc::default());
    let ear: std::sync::Arc<std::sync::Mutex<Vec<u8>>> = std::sync::Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = client.read(&mut request).await.unwrap_or(0);
            ear.lock().unwrap().extend(&request[..length]);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";
            let _ = client.write_all(answer).await;
        }
    });
    (port, heard)
}

#[tokio::test]
async fn exhibitor_password_goes_to_its_own_listener_only() {
    for (unit, is_own) in [("dcos-exhibitor.service", true), ("session-3.scope", false)] {
        let (port, heard) = hearing().await;
        let (directory, root) = listener::tests::root(port, 1000, unit);
        let realm = directory.path().join(layout::EXHIBITOR_REALM.trim_start_matches('/'));
        files::make_directories(realm.parent().unwrap(), 0o755).unwrap();
        files::place(&realm, b"admin: PASSWORD,admin\n", 0o600, None).unwrap();
        let answer = exhibitor(&root, port, PATIENCE).await;
        assert!(
            answer.silence().is_none_or(|why| !why.to_string().contains("PASSWORD")),
            "{answer:?}"
        );
        let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap().to_lowercase();
        assert!(heard.starts_with("get /exhibitor/v1/cluster/status"), "{heard}");
        assert_eq!(heard.contains("\r\nauthorization: basic "), is_own, "{unit}: {heard}");
    }
}

#[test]
fn question_only_for_root_is_unknown_without_root() {
    let error = |kind: ErrorKind| files::Error {
        operation: "open",
        path: "root-cert.pem".into(),
        source: kind.into(),
    };
    assert_eq!(unasked::<Ensemble>(&error(ErrorKind::PermissionDenied)), Answer::Locked);
    assert!(
        unasked::<Ensemble>(&error(ErrorKind::InvalidData))
            .silence()
            .is_some_and(|why| why.to_string().contains("root-cert.pem"))
    );
    let own =
        |serving| Ensemble { members: vec![Member { host: HERE.into(), serving, leads: true }] };
    assert_eq!(alone(own(Serving::Serving), Some(&Answer::Locked)), None);
    assert!(alone(own(Serving::Down), Some(&Answer::Locked)).is_some());
    assert!(alone(own(Serving::Serving), Some(&Answer::Silent("refused".into()))).is_some());
}

#[test]
fn exhibitor_answer_counts_until_version_2_1() {
    let version = |text: &str| Version { version: text.into(), image_commit: None, variant: None };
    for (text, lies) in [
        ("1.12.4", false),
        ("2.0.5", false),
        ("2.1.0", true),
        ("2.2.0-dev", true),
        ("3.0", true),
        ("x", false),
    ] {
        assert_eq!(exhibitor_may_lie(Some(&version(text))), lies, "{text}");
    }
    assert!(!exhibitor_may_lie(None));
}

#[test]
fn ipv6_address_is_written_in_brackets() {
    assert_eq!(front("http", "fd01:d::1"), "http://[fd01:d::1]");
    assert_eq!(front("https", "192.0.2.7"), "https://192.0.2.7");
    assert_eq!(front("https", "master.example.com"), "https://master.example.com");
}

const THREE: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

fn members(states: &[(&str, Serving)]) -> Ensemble {
    let member = |(n, (host, serving)): (usize, &(&str, Serving))| Member {
        host: (*host).into(),
        serving: *serving,
        leads: n == 0,
    };
    Ensemble { members: states.iter().enumerate().map(member).collect() }
}

fn disunion(cluster: &Cluster) -> Option<String> {
    cluster.disunion().map(|disunion| disunion.to_string())
}

fn cluster(exhibitor: Answer<Ensemble>, zookeepers: Option<Ensemble>) -> Cluster {
    Cluster {
        address: [10, 0, 0, 1].into(),
        expected: Some(3),
        exhibitor: Some(exhibitor),
        exhibitor_may_lie: true,
        zookeepers,
        mesos: Answer::Locked,
        leader: Ok([10, 0, 0, 1].into()),
        admin_router: Answer::Locked,
    }
}

#[test]
fn zookeeper_answers_override_exhibitor_for_every_master() {
    let (all, down) = (
        members(&THREE.map(|host| (host, Serving::Serving))),
        members(&THREE.map(|host| (host, Serving::Down))),
    );
    let liar = cluster(Answer::Told(down), Some(all.clone()));
    assert_eq!((liar.disunion(), liar.masters()), (None, Some(&all)));
    let two = members(&[("10.0.0.1", Serving::Serving), ("10.0.0.2", Serving::Serving)]);
    let fewer = cluster(Answer::Locked, Some(two));
    assert_eq!(disunion(&fewer).as_deref(), Some("waiting for masters: ZooKeeper knows 2 of 3"));
    let one_down = members(&[
        ("10.0.0.1", Serving::Serving),
        ("10.0.0.2", Serving::Serving),
        ("10.0.0.3", Serving::Down),
    ]);
    assert_eq!(
        disunion(&cluster(Answer::Told(all), Some(one_down))).as_deref(),
        Some("waiting for masters: 10.0.0.3")
    );
}

#[test]
fn silent_exhibitor_is_the_cause_if_its_zookeeper_is_down() {
    let silent = || Answer::Silent("refused".into());
    let here_down = members(&[
        ("10.0.0.1", Serving::Down),
        ("10.0.0.2", Serving::Serving),
        ("10.0.0.3", Serving::Serving),
    ]);
    assert_eq!(
        disunion(&cluster(silent(), Some(here_down))).as_deref(),
        Some("Exhibitor does not answer: refused")
    );
    let all = members(&THREE.map(|host| (host, Serving::Serving)));
    let new = cluster(silent(), Some(all.clone()));
    assert_eq!(new.disunion(), None);
    assert!(Cluster { exhibitor_may_lie: false, ..new }.disunion().is_some());
}
