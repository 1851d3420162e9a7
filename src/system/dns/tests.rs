use hickory_resolver::proto::op::OpCode;
use hickory_resolver::proto::rr::{Record, rdata::A};
use tokio::net::TcpListener;

use super::*;

const PATIENCE: Patience =
    Patience { udp: Duration::from_millis(300), tcp: Duration::from_millis(600) };
/// For servers that answer: a slow machine must not look like a silent one.
const LONG: Patience = Patience { udp: Duration::from_secs(60), tcp: Duration::from_secs(60) };
/// Nobody listens there, whatever the transport: no port that is free for all is this one.
const CLOSED: &str = "127.0.0.1:1";

/// Asks with no more patience than it takes to be answered: whoever waits for a right answer waits
/// for all of it.
async fn ask_patiently(server: SocketAddr, question: &Question) -> Answer {
    for seconds in [0.3, 3.0] {
        let answer = ask_udp(
            server,
            question,
            Patience { udp: Duration::from_secs_f64(seconds), tcp: LONG.tcp },
        )
        .await;
        if answer.reply != Reply::Silent {
            return answer;
        }
    }
    ask_udp(server, question, LONG).await
}

fn host() -> Question {
    Question::Host("bootstrap.example.com".into())
}

/// A name server that answers each datagram with what `reply` makes of it.
async fn udp_server(
    reply: impl Fn(Message, usize) -> Option<Vec<u8>> + Send + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        for number in 0.. {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
            let query = Message::from_vec(&buffer[..length]).unwrap();
            if let Some(answer) = reply(query, number) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

async fn tcp_server(answer: impl Fn(Message) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let _ = stream.write_all(&answer(Message::from_vec(&query).unwrap())).await;
        }
    });
    address
}

fn response(query: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata.response_code = code;
    message.add_queries(query.queries.clone());
    message
}

fn found(query: &Message) -> Vec<u8> {
    let mut message = response(query, ResponseCode::NoError);
    message.add_answer(Record::from_rdata(
        query.queries[0].name().clone(),
        60,
        RData::A(A(Ipv4Addr::new(192, 0, 2, 7))),
    ));
    message.to_vec().unwrap()
}

fn framed(bytes: Vec<u8>) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

#[tokio::test]
async fn working_server_is_distinguished_from_a_failing_one() {
    let works = udp_server(|query, _| Some(found(&query))).await;
    let answer = ask_udp(works, &host(), LONG).await;
    assert_eq!(
        (answer.reply, answer.retried),
        (Reply::Found(vec![Ipv4Addr::new(192, 0, 2, 7)]), false)
    );

    for (code, reply) in [
        (ResponseCode::ServFail, Reply::Error("SERVFAIL".into())),
        (ResponseCode::Refused, Reply::Error("REFUSED".into())),
        (ResponseCode::NXDomain, Reply::NoSuchName),
        (ResponseCode::NoError, Reply::Found(Vec::new())),
    ] {
        let server =
            udp_server(move |query, _| Some(response(&query, code).to_vec().unwrap())).await;
        assert_eq!(ask_udp(server, &host(), LONG).await.reply, reply);
        assert_eq!(ask_udp(server, &Question::Root, LONG).await.reply, reply);
    }
}

#[tokio::test]
async fn a_lost_question_is_asked_once_more() {
    for seconds in [2, 20, 60] {
        let server = udp_server(|query, number| (number > 0).then(|| found(&query))).await;
        let answer =
            ask_udp(server, &host(), Patience { udp: Duration::from_secs(seconds), tcp: LONG.tcp })
                .await;
        assert!(answer.retried, "{answer:?}");
        if answer.reply.is_answer() {
            return;
        }
    }
    panic!("it is never answered");
}

#[tokio::test]
async fn silent_server_is_distinguished_from_a_closed_port() {
    let silent = udp_server(|_, _| None).await;
    let answer = ask_udp(silent, &host(), PATIENCE).await;
    assert!(
        answer.reply == Reply::Silent && answer.retried && answer.took >= PATIENCE.udp,
        "{answer:?}"
    );

    let closed = CLOSED.parse().unwrap();
    assert!(matches!(ask_udp(closed, &host(), LONG).await.reply, Reply::Unreachable(_)));
    assert!(matches!(ask_tcp(closed, &host(), LONG).await.reply, Reply::Unreachable(_)));
}

#[tokio::test]
async fn a_slow_answer_is_an_answer_with_its_time() {
    let listener = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let delay = Duration::from_millis(150);
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        let (length, from) = listener.recv_from(&mut buffer).await.unwrap();
        tokio::time::sleep(delay).await;
        listener
            .send_to(&found(&Message::from_vec(&buffer[..length]).unwrap()), from)
            .await
            .unwrap();
    });
    let answer = ask_udp(server, &host(), LONG).await;
    assert!(answer.reply.is_answer() && answer.took >= delay, "{answer:?}");
}

#[tokio::test]
async fn garbage_answer_is_reported_without_a_hang() {
    let pointers: Vec<u8> =
        [&[0, 0, 0x81, 0x80, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0][..], &[0xc0, 12].repeat(200)]
            .concat();
    let garbage: [Vec<u8>; 4] =
        [Vec::new(), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), vec![0xff; 600], pointers];
    for bytes in garbage {
        let server = udp_server(move |query, _| {
            let mut bytes = bytes.clone();
            // With the right number at its beginning it looks like an answer for longer.
            for (at, byte) in bytes.iter_mut().zip(query.metadata.id.to_be_bytes()) {
                *at = byte;
            }
            Some(bytes)
        })
        .await;
        assert!(matches!(ask_patiently(server, &host()).await.reply, Reply::Garbage(_)));
    }
    let other = udp_server(|query, _| {
        let mut message = response(&query, ResponseCode::NoError);
        message.queries =
            vec![Query::query(Name::from_str("other.example.").unwrap(), RecordType::A)];
        Some(message.to_vec().unwrap())
    })
    .await;
    assert_eq!(
        ask_patiently(other, &host()).await.reply,
        Reply::Garbage("it answers another question".into())
    );
    let echo = udp_server(|query, _| Some(query.to_vec().unwrap())).await;
    assert!(matches!(ask_patiently(echo, &host()).await.reply, Reply::Garbage(_)));
}

#[tokio::test]
async fn an_answer_to_another_question_does_not_hide_the_right_one() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        socket.send_to(b"late", from).await.unwrap();
        socket.send_to(&found(&Message::from_vec(&buffer[..length]).unwrap()), from).await.unwrap();
    });
    assert!(ask_udp(server, &host(), LONG).await.reply.is_answer());
}

#[tokio::test]
async fn truncated_answer_is_reported() {
    let server = udp_server(|query, _| {
        let mut message = response(&query, ResponseCode::NoError);
        message.metadata.truncation = true;
        Some(message.to_vec().unwrap())
    })
    .await;
    assert_eq!(ask_udp(server, &host(), LONG).await.reply, Reply::Truncated);
}

#[tokio::test]
async fn tcp_query_gives_the_same_answer() {
    let works = tcp_server(|query| framed(found(&query))).await;
    assert_eq!(
        ask_tcp(works, &host(), LONG).await.reply,
        Reply::Found(vec![Ipv4Addr::new(192, 0, 2, 7)])
    );
    let short = tcp_server(|_| vec![0, 200, 1]).await;
    assert!(matches!(ask_tcp(short, &host(), LONG).await.reply, Reply::Garbage(_)));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(ask_tcp(silent.local_addr().unwrap(), &host(), PATIENCE).await.reply, Reply::Silent);
}

#[tokio::test]
async fn unqueryable_name_is_an_error() {
    let long = "x".repeat(70);
    let server = "127.0.0.1:9".parse().unwrap();
    assert!(matches!(
        ask_udp(server, &Question::Host(long.clone()), PATIENCE).await.reply,
        Reply::BadQuestion(_)
    ));
    assert!(matches!(
        ask_tcp(server, &Question::Host(long), PATIENCE).await.reply,
        Reply::BadQuestion(_)
    ));
}

#[test]
fn resolvers_are_read_as_builds_write_them() {
    assert_eq!(address("192.0.2.1"), "192.0.2.1:53".parse().ok());
    assert_eq!(address("192.0.2.1:5353"), "192.0.2.1:5353".parse().ok());
    assert_eq!(address("2001:db8::1"), "[2001:db8::1]:53".parse().ok());
    assert_eq!(address("dns.example.com"), None);
}
