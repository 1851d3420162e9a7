//! A file server that lies, stalls and breaks when told to.
//!
//! `Server::start(dir).await` serves a directory on loopback; every other method changes how it
//! serves one path (`"/a/b"`), at any time. It answers GET and HEAD, honours `Range` with
//! `If-Range`, and closes each connection after one answer. As a proxy it stands for every server.

#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// An address of this machine at which nobody listens: no listener that asks for any free port is
/// given this one.
pub const CLOSED: &str = "127.0.0.1:1";

/// A server; it ends when it is dropped.
pub struct Server {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

/// How one path is served.
#[derive(Clone, Default)]
struct Rule {
    /// The next so many requests get this status (and header lines) and no file.
    statuses: Vec<(u16, String)>,
    /// So many answers end their connection after so many bytes of the body.
    cut: Option<(usize, u32)>,
    /// So many answers send nothing more after so many bytes, the connection stays.
    stall: Option<(usize, u32)>,
    /// Nothing is sent from this byte of the file on, the connection stays.
    end: Option<usize>,
    /// So many requests are not answered at all.
    resets: u32,
    /// Added to the true Content-Length.
    lie: i64,
    /// No Content-Length: the end of the connection is the end of the body.
    no_length: bool,
    ignore_range: bool,
    wrong_range: bool,
    etag: Option<String>,
    no_validator: bool,
    refuse_head: bool,
    location: Option<String>,
    slow: Option<(usize, Duration)>,
}

#[derive(Default)]
struct State {
    rules: HashMap<String, Rule>,
    /// Heads of all requests, in order.
    requests: Vec<String>,
}

impl Server {
    /// Serves a directory on a free port of loopback.
    pub async fn start(directory: impl AsRef<Path>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (directory, shared) = (directory.as_ref().to_owned(), state.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (directory, state) = (directory.clone(), shared.clone());
                tokio::spawn(async move {
                    // A client that goes away in the middle is part of the tests.
                    let _ = serve(stream, directory, state).await;
                });
            }
        });
        Self { url, state, task }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// How many requests came for a path.
    pub fn requests(&self, path: &str) -> usize {
        self.heads().iter().filter(|head| head.split(' ').nth(1) == Some(path)).count()
    }

    /// Waits until a request came whose head begins so.
    pub async fn is_asked(&self, begin: &str) {
        let began = Instant::now();
        while !self.heads().iter().any(|head| head.starts_with(begin)) {
            assert!(
                began.elapsed() < Duration::from_secs(300),
                "{begin} never came: {:?}",
                self.heads()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The heads of all requests, in order.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Every answer ends its connection after so many bytes of the body.
    pub fn cut_after(&self, path: &str, bytes: usize) -> &Self {
        self.cut_times(path, bytes, u32::MAX)
    }

    /// The next `times` answers end their connection after so many bytes of the body.
    pub fn cut_times(&self, path: &str, bytes: usize, times: u32) -> &Self {
        self.rule(path, |rule| rule.cut = Some((bytes, times)))
    }

    /// The next `times` answers send nothing more after so many bytes of the body.
    pub fn stall_after(&self, path: &str, bytes: usize, times: u32) -> &Self {
        self.rule(path, |rule| rule.stall = Some((bytes, times)))
    }

    /// No answer sends anything from this byte of the file on, however often it is asked to go on.
    pub fn stall_at(&self, path: &str, byte: usize) -> &Self {
        self.rule(path, |rule| rule.end = Some(byte))
    }

    /// The next `times` connections are closed without an answer.
    pub fn reset(&self, path: &str, times: u32) -> &Self {
        self.rule(path, |rule| rule.resets = times)
    }

    /// The next `times` answers have this status and no file.
    pub fn answer(&self, path: &str, status: u16, times: usize) -> &Self {
        self.answer_with(path, status, times, "")
    }

    /// The same, with header lines (each ending in `\r\n`).
    pub fn answer_with(&self, path: &str, status: u16, times: usize, headers: &str) -> &Self {
        self.rule(path, |rule| {
            rule.statuses.extend(std::iter::repeat_n((status, headers.to_owned()), times))
        })
    }

    /// Content-Length is wrong by so much.
    pub fn lie_about_length(&self, path: &str, by: i64) -> &Self {
        self.rule(path, |rule| rule.lie = by)
    }

    /// There is no Content-Length.
    pub fn hide_length(&self, path: &str) -> &Self {
        self.rule(path, |rule| rule.no_length = true)
    }

    /// Ranges are ignored: the whole file comes.
    pub fn ignore_range(&self, path: &str) -> &Self {
        self.rule(path, |rule| rule.ignore_range = true)
    }

    /// Ranges are answered with one that starts a byte too late.
    pub fn wrong_range(&self, path: &str) -> &Self {
        self.rule(path, |rule| rule.wrong_range = true)
    }

    /// The tag, which is else made of the length: changing it says that the file is another.
    pub fn etag(&self, path: &str, etag: &str) -> &Self {
        self.rule(path, |rule| rule.etag = Some(etag.to_owned()))
    }

    /// Neither ETag nor Last-Modified.
    pub fn hide_validator(&self, path: &str) -> &Self {
        self.rule(path, |rule| rule.no_validator = true)
    }

    /// HEAD is answered with 405.
    pub fn refuse_head(&self, path: &str) -> &Self {
        self.rule(path, |rule| rule.refuse_head = true)
    }

    /// A redirect to an address.
    pub fn redirect(&self, path: &str, to: &str) -> &Self {
        self.rule(path, |rule| rule.location = Some(to.to_owned()))
    }

    /// The body comes in pieces of so many bytes with a pause after each.
    pub fn slow(&self, path: &str, piece: usize, pause: Duration) -> &Self {
        self.rule(path, |rule| rule.slow = Some((piece, pause)))
    }

    /// Ends it: from now on it refuses, and nobody else is given its port as long as the value
    /// lives.
    pub async fn stop(mut self) -> TcpSocket {
        self.task.abort();
        let _ = (&mut self.task).await;
        let socket = TcpSocket::new_v4().unwrap();
        // Connections that it had may still be ending.
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.url.trim_start_matches("http://").parse().unwrap()).unwrap();
        socket
    }

    fn rule(&self, path: &str, change: impl FnOnce(&mut Rule)) -> &Self {
        change(self.state.lock().unwrap().rules.entry(path.to_owned()).or_default());
        self
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The rule for this request; what is counted is counted down.
fn take(state: &Mutex<State>, path: &str, head: &str) -> Rule {
    let mut state = state.lock().unwrap();
    state.requests.push(head.to_owned());
    let Some(rule) = state.rules.get_mut(path) else { return Rule::default() };
    let now = rule.clone();
    rule.resets = rule.resets.saturating_sub(1);
    if now.resets > 0 {
        return now;
    }
    if !rule.statuses.is_empty() {
        rule.statuses.remove(0);
        return now;
    }
    for counted in [&mut rule.cut, &mut rule.stall] {
        *counted = counted.and_then(|(bytes, times)| {
            (times > 1).then(|| (bytes, times - u32::from(times != u32::MAX)))
        });
    }
    now
}

async fn serve(
    stream: TcpStream,
    directory: PathBuf,
    state: Arc<Mutex<State>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // Who takes this for a proxy names the server too.
    let path = target
        .strip_prefix("http://")
        .map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let header = |name: &str| {
        head.lines().find_map(|line| {
            line.split_once(": ")
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        })
    };
    let rule = take(&state, path, &head);
    if rule.resets > 0 {
        return Ok(());
    }
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n";
    let mut plain = async |status: u16, headers: &str| {
        let answer =
            format!("HTTP/1.1 {status} Status\r\n{date}{headers}Content-Length: 0\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).await
    };
    if let Some((status, headers)) = rule.statuses.first() {
        return plain(*status, headers).await;
    }
    if let Some(location) = &rule.location {
        return plain(302, &format!("Location: {location}\r\n")).await;
    }
    if method == "HEAD" && rule.refuse_head {
        return plain(405, "").await;
    }
    let Ok(content) = std::fs::read(directory.join(path.trim_start_matches('/'))) else {
        return plain(404, "").await;
    };
    let etag = rule.etag.clone().unwrap_or_else(|| format!("\"{}\"", content.len()));
    let first = header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let first =
        first.filter(|_| !rule.ignore_range && header("if-range").is_none_or(|tag| tag == etag));
    if first.is_some_and(|first| first >= content.len()) {
        return plain(416, "").await;
    }
    let mut body = &content[first.unwrap_or(0)..];
    let mut answer = format!(
        "HTTP/1.1 {}\r\n{date}",
        if first.is_some() { "206 Partial Content" } else { "200 OK" }
    );
    if let Some(first) = first {
        let shift = usize::from(rule.wrong_range);
        answer += &format!(
            "Content-Range: bytes {}-{}/{}\r\n",
            first + shift,
            content.len() - 1,
            content.len()
        );
        body = &body[shift..];
    }
    if !rule.no_validator {
        answer += &format!("ETag: {etag}\r\n");
    }
    if !rule.no_length {
        answer += &format!("Content-Length: {}\r\n", body.len() as i64 + rule.lie);
    }
    stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await?;
    if method == "HEAD" {
        return Ok(());
    }
    let (end, stalls) = match (rule.cut, rule.stall, rule.end) {
        (Some((bytes, _)), ..) => (bytes, false),
        (None, Some((bytes, _)), _) => (bytes, true),
        (None, None, Some(byte)) => (byte.saturating_sub(first.unwrap_or(0)), true),
        (None, None, None) => (body.len(), false),
    };
    let body = &body[..end.min(body.len())];
    let (piece, pause) = rule.slow.unwrap_or((64 * 1024, Duration::ZERO));
    for piece in body.chunks(piece) {
        stream.get_mut().write_all(piece).await?;
        tokio::time::sleep(pause).await;
    }
    if stalls {
        // Until the client gives up.
        stream.fill_buf().await?;
    }
    stream.get_mut().shutdown().await
}
