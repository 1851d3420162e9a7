//! Asks one given name server one question, over UDP and over TCP, and tells how it answered.
//! `resolver` is for those who only want the answer.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{timeout, timeout_at};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The IPv4 addresses of a host.
    Host(String),
    /// The name servers of the root zone: every resolver knows them.
    Root,
}

/// How a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These addresses; none if the name has none, or none were asked for.
    Found(Vec<Ipv4Addr>),
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// It refuses or cannot: `SERVFAIL`, `REFUSED` or another code.
    Error(String),
    /// It said that the answer does not fit and that TCP should be used, in answer to a question as
    /// short as ours.
    Truncated,
    /// What came is no answer to the question.
    Garbage(String),
    /// Nothing came in time.
    Silent,
    /// It cannot be reached, or nothing listens there.
    Unreachable(String),
    /// The question cannot be asked.
    BadQuestion(String),
}

/// How it answered over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How.
    pub reply: Reply,
    /// How long the try that was answered took; of the last one if none was.
    pub took: Duration,
    /// Whether the first try was lost.
    pub retried: bool,
}

/// How long each try may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For each of the tries over UDP.
    pub udp: Duration,
    /// For the whole of the one over TCP.
    pub tcp: Duration,
}

/// One loss is no news with UDP.
const TRIES: usize = 2;
/// More datagrams than this in one try are a flood.
const MOST_DATAGRAMS: usize = 64;
/// Longest datagram that is read; a longer one is cut off, and then it is garbage.
const DATAGRAM: usize = 4096;

/// Asks over UDP; what is lost is asked once more.
pub async fn ask_udp(server: SocketAddr, question: &Question, patience: Patience) -> Answer {
    let mut answer = Answer { reply: Reply::Silent, took: Duration::ZERO, retried: false };
    for attempt in 0..TRIES {
        let began = Instant::now();
        let reply = try_udp(server, question, patience.udp)
            .await
            .unwrap_or_else(|error| Reply::Unreachable(error.to_string()));
        let again = matches!(reply, Reply::Silent | Reply::Garbage(_));
        answer = Answer { reply, took: began.elapsed(), retried: attempt > 0 };
        if !again {
            break;
        }
    }
    answer
}

/// Asks over TCP.
pub async fn ask_tcp(server: SocketAddr, question: &Question, patience: Patience) -> Answer {
    let began = Instant::now();
    let reply = match timeout(patience.tcp, try_tcp(server, question)).await {
        Err(_) => Reply::Silent,
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Reply::Garbage("the connection ended before the answer did".into())
        }
        Ok(Err(error)) => Reply::Unreachable(error.to_string()),
    };
    Answer { reply, took: began.elapsed(), retried: false }
}

/// Reads `IP` or `IP:PORT`, the port being 53 if there is none.
pub fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
}

async fn try_udp(server: SocketAddr, question: &Question, limit: Duration) -> io::Result<Reply> {
    let (query, bytes) = match encoded(question) {
        Ok(encoded) => encoded,
        Err(why) => return Ok(Reply::BadQuestion(why)),
    };
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // A connected socket hears from nobody else, and of a port that is closed.
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let deadline = tokio::time::Instant::now() + limit;
    let mut outcome = Reply::Silent;
    let mut datagram = vec![0; DATAGRAM];
    for _ in 0..MOST_DATAGRAMS {
        let Ok(received) = timeout_at(deadline, socket.recv(&mut datagram)).await else { break };
        let length = received?;
        match read(datagram.get(..length).unwrap_or_default(), &query) {
            // The right one may still come: a late answer to another question is no reason to give
            // up.
            Reply::Garbage(why) => outcome = Reply::Garbage(why),
            reply => return Ok(reply),
        }
    }
    Ok(outcome)
}

async fn try_tcp(server: SocketAddr, question: &Question) -> io::Result<Reply> {
    let (query, bytes) = match encoded(question) {
        Ok(encoded) => encoded,
        Err(why) => return Ok(Reply::BadQuestion(why)),
    };
    let mut stream = TcpStream::connect(server).await?;
    let mut request = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    request.extend_from_slice(&bytes);
    stream.write_all(&request).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(read(&answer, &query))
}

fn encoded(question: &Question) -> Result<(Message, Vec<u8>), String> {
    let query = match question {
        Question::Root => Query::query(Name::root(), RecordType::NS),
        Question::Host(host) => {
            let mut name =
                Name::from_str(host).map_err(|e| format!("{host:?} is no host name: {e}"))?;
            name.set_fqdn(true);
            Query::query(name, RecordType::A)
        }
    };
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(query);
    let bytes = message.to_vec().map_err(|e| e.to_string())?;
    Ok((message, bytes))
}

/// What bytes from a name server mean as an answer to `query`.
fn read(bytes: &[u8], query: &Message) -> Reply {
    let garbage = |why: &str| Reply::Garbage(why.to_owned());
    let Ok(message) = Message::from_vec(bytes) else { return garbage("it is no DNS message") };
    let header = &message.metadata;
    if header.message_type != MessageType::Response || header.id != query.metadata.id {
        return garbage("it is no answer to our question");
    }
    // Servers may leave the question out when they refuse.
    let asked = |ours: &Query, theirs: &Query| {
        ours.name().eq_ignore_root(theirs.name()) && ours.query_type() == theirs.query_type()
    };
    let same_question = message.queries.len() == 1
        && query.queries.iter().zip(&message.queries).all(|(a, b)| asked(a, b));
    match header.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if !same_question => {
            garbage("it answers another question")
        }
        ResponseCode::NoError if header.truncation => Reply::Truncated,
        ResponseCode::NoError => Reply::Found(
            message.answers.iter().filter_map(|record| address_of(&record.data)).collect(),
        ),
        ResponseCode::NXDomain => Reply::NoSuchName,
        ResponseCode::ServFail => Reply::Error("SERVFAIL".into()),
        ResponseCode::Refused => Reply::Error("REFUSED".into()),
        ResponseCode::FormErr => Reply::Error("FORMERR".into()),
        ResponseCode::NotImp => Reply::Error("NOTIMP".into()),
        other => Reply::Error(format!("code {}", u16::from(other))),
    }
}

fn address_of(data: &RData) -> Option<Ipv4Addr> {
    match data {
        RData::A(address) => Some(address.0),
        _ => None,
    }
}

impl Reply {
    /// Whether the server works: it knew the name, or that there is none.
    pub fn is_answer(&self) -> bool {
        matches!(self, Reply::Found(_) | Reply::NoSuchName)
    }

    /// Whether the server works, and has no address for the name.
    pub fn is_without_address(&self) -> bool {
        matches!(self, Reply::NoSuchName)
            || matches!(self, Reply::Found(addresses) if addresses.is_empty())
    }

    /// The reply in words that follow the name of the server.
    pub fn words(&self) -> String {
        match self {
            Reply::Found(addresses) => addresses
                .first()
                .map_or_else(|| "answers".into(), |address| format!("answers {address}")),
            Reply::NoSuchName => "answers that there is no such name".into(),
            Reply::Error(code) => format!("answers {code}"),
            Reply::Truncated => "cuts off a short answer".into(),
            Reply::Garbage(why) => format!("answers garbage ({why})"),
            Reply::Silent => "does not answer".into(),
            Reply::Unreachable(why) => format!("cannot be reached ({why})"),
            Reply::BadQuestion(why) => why.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
