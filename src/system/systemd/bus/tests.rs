//! Against a peer on a private socket that signs nothing, as systemd 219.

use std::path::Path;

use futures_util::StreamExt;
use tokio::net::UnixListener;
use zbus::message::Type as MessageType;
use zbus::{Connection, Guid, Message, MessageStream, ObjectPath, Variant};

use super::*;
use crate::system::cancellation::Cancellation;
use crate::system::systemd::Cancellable;

const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

fn sockets(directory: &Path) -> Sockets {
    Sockets {
        bus: directory.join("bus"),
        private: directory.join("private"),
        limit: Duration::from_secs(60),
    }
}

/// Listens on the private socket; every call is answered by [`answer`].
fn listen(directory: &Path) {
    let listener = UnixListener::bind(directory.join("private")).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = zbus::connection::Builder::unix_stream(stream.into_std().unwrap())
                .server(Guid::generate())
                .p2p();
            let connection = builder.build().await.unwrap();
            tokio::spawn(async move {
                let mut calls = MessageStream::from(&connection);
                while let Some(Ok(call)) = calls.next().await {
                    if call.message_type() == MessageType::MethodCall
                        && !answer(&connection, &call).await
                    {
                        break;
                    }
                }
                connection.close().await.unwrap();
            });
        }
    });
}

/// Answers by what the unit is called; false ends the connection.
async fn answer(connection: &Connection, call: &Message) -> bool {
    let header = call.header();
    let member = header.member().unwrap().to_string();
    let body = call.body();
    let unit = body
        .deserialize::<(&str, &str)>()
        .map(|(unit, _)| unit)
        .or_else(|_| body.deserialize::<&str>())
        .unwrap_or_default();
    let path = |path| ObjectPath::try_from(path).unwrap();
    match (member.as_str(), unit) {
        ("Subscribe", _) => connection.reply(&header, &()).await.unwrap(),
        ("StartUnit", "fast.service") => {
            let end = (7_u32, path(JOB), unit, "done");
            connection
                .emit_signal(None::<&str>, OBJECT, MANAGER, "JobRemoved", &end)
                .await
                .unwrap();
            connection.reply(&header, &path(JOB)).await.unwrap();
        }
        ("StartUnit", "absent.service" | "broken.service") => {
            connection
                .reply_error(&header, "org.freedesktop.systemd1.LoadFailed", &"Unit failed to load")
                .await
                .unwrap();
        }
        ("StartUnit", "silent.service") => {}
        ("StartUnit", _) => connection.reply(&header, &path(JOB)).await.unwrap(),
        ("RestartUnit", _) => return false,
        ("Get", MANAGER) => {
            let value = match body.deserialize::<(&str, &str)>().unwrap().1 {
                "Version" => Variant::from("219"),
                name => Variant::from(vec![name]),
            };
            connection.reply(&header, &value).await.unwrap();
        }
        ("LoadUnit", "odd.service") => connection.reply(&header, &7_u32).await.unwrap(),
        ("LoadUnit", "cut.service") => {
            connection.reply(&header, &path("/unit/active")).await.unwrap();
        }
        ("LoadUnit", "absent.service") => {
            connection.reply(&header, &path("/unit/absent")).await.unwrap()
        }
        ("LoadUnit", _) => connection.reply(&header, &path("/unit/broken")).await.unwrap(),
        // The first look ends the connection, as a `daemon-reexec` would; nobody signals the end of
        // the job.
        ("GetJob", _) => {
            connection
                .reply_error(
                    &header,
                    "org.freedesktop.systemd1.NoSuchJob",
                    &"Job 7 does not exist.",
                )
                .await
                .unwrap();
            return false;
        }
        ("GetAll", _) => {
            let load = if header.path().unwrap().as_str() == "/unit/absent" {
                "not-found"
            } else {
                "error"
            };
            let properties: HashMap<&str, Variant<'_>> = HashMap::from([
                ("Result", "success".into()),
                ("LoadState", load.into()),
                ("ActiveState", "active".into()),
                ("SubState", "running".into()),
                ("Description", "".into()),
                ("Job", (0_u32, path("/")).into()),
                ("ActiveEnterTimestampMonotonic", 1_u64.into()),
                ("InactiveExitTimestampMonotonic", 1_u64.into()),
                ("ConditionTimestampMonotonic", 1_u64.into()),
                ("ConditionResult", true.into()),
            ]);
            connection.reply(&header, &properties).await.unwrap();
        }
        _ => connection
            .reply_error(&header, "org.freedesktop.DBus.Error.UnknownMethod", &member)
            .await
            .unwrap(),
    }
    true
}

/// A connection that waits for nothing for long. A machine that stalls for as long is given other
/// tries.
async fn impatient(directory: &Path) -> Bus {
    for _ in 0..20 {
        if let Ok(bus) =
            connect(&Sockets { limit: Duration::from_millis(500), ..sockets(directory) }).await
        {
            return bus;
        }
    }
    panic!("nobody can be reached");
}

#[tokio::test]
async fn a_job_that_ends_before_its_start_is_answered_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    // Less than until systemd is asked what became of the job; a machine that stalls for as long
    // tells nothing.
    for _ in 0..20 {
        let job = bus.start("fast.service").await.unwrap();
        if let Ok(ended) = bus.wait(&job, LOOK * 9 / 10).await {
            assert_eq!(ended, JobResult::Done);
            return;
        }
    }
    panic!("the end of a job is lost");
}

#[tokio::test]
async fn a_job_that_ends_with_its_connection_is_judged_by_its_unit() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    let job = bus.start("cut.service").await.unwrap();
    assert_eq!(bus.wait(&job, Duration::from_secs(60)).await.unwrap(), JobResult::Done);
}

#[tokio::test]
async fn a_restart_is_not_repeated_when_its_answer_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    assert!(matches!(
        bus.restart("a.service").await,
        Err(Error::Disconnected { member: "RestartUnit", .. })
    ));
    assert!(bus.start("a.service").await.is_ok(), "the next call connects again");
}

#[tokio::test]
async fn silent_manager_ends_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = impatient(directory.path()).await;
    assert!(matches!(
        bus.start("silent.service").await,
        Err(Error::Deadline { member: "StartUnit", .. })
    ));
}

#[tokio::test]
async fn cancelled_call_ends_before_its_deadline() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let patient = Sockets { limit: Duration::from_secs(86_400), ..sockets(directory.path()) };
    let cancellation = Cancellation::default();
    let systemd = Cancellable::new(connect(&patient).await.unwrap(), cancellation.clone());
    let (ended, ()) =
        tokio::join!(systemd.start("silent.service"), async { cancellation.request() });
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
}

#[tokio::test]
async fn properties_of_the_manager_are_read_by_name() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    assert_eq!(bus.version().await.unwrap(), "219");
    assert_eq!(bus.environment().await.unwrap(), ["Environment"]);
}

#[tokio::test]
async fn answer_of_another_type_is_an_error_with_the_member() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    match bus.service("odd.service").await {
        Err(Error::Call { member: "LoadUnit", object, source }) => {
            assert_eq!(object, "odd.service");
            assert!(source.message.starts_with("unreadable answer: "), "{source}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn absent_unit_is_distinguished_from_a_broken_one() {
    let directory = tempfile::tempdir().unwrap();
    listen(directory.path());
    let bus = connect(&sockets(directory.path())).await.unwrap();
    assert!(matches!(bus.start("absent.service").await, Err(Error::NoSuchUnit { .. })));
    assert!(matches!(
        bus.start("broken.service").await,
        Err(Error::Call { member: "StartUnit", .. })
    ));
}

#[tokio::test]
async fn both_sockets_are_named_when_neither_answers() {
    let directory = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(directory.path().join("private")).unwrap());
    let error = connect(&sockets(directory.path())).await.unwrap_err().to_string();
    let expected = [
        "systemd does not answer: on ",
        "/bus: No such file",
        "; on ",
        "/private: Connection refused",
    ];
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
}

#[tokio::test]
async fn hanging_bus_is_replaced_by_the_private_socket() {
    let directory = tempfile::tempdir().unwrap();
    // Connections are taken by the kernel, and nobody ever answers.
    let _hanging = UnixListener::bind(directory.path().join("bus")).unwrap();
    listen(directory.path());
    for _ in 0..20 {
        if impatient(directory.path()).await.start("a.service").await.is_ok() {
            return;
        }
    }
    panic!("the private socket is never asked");
}
