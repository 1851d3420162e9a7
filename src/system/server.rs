//! A small file server over HTTP/1.1: GET and HEAD of files below one directory, with ranges and
//! entity tags.
//!
//! It lists nothing, follows no link to outside, and gives away no file whose name, or whose
//! directory's, begins with a dot.

mod path;
mod places;
mod range;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use places::{Placed, Places};
use range::Range;

pub use places::Limits;

/// How long a client may take to ask, also between two requests.
const ASKING: Duration = Duration::from_secs(60);
/// How long answers that are under way may go on after the wish to stop.
const ENDING: Duration = Duration::from_secs(30);
/// How long a failed accept is waited out, for example when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// What is read of a file at a time.
const PIECE: u64 = 64 * 1024;
/// What of an answer waits in this process for a slow reader, besides the piece that is next.
const MAX_BUFFER: usize = 64 * 1024;
/// How often slow readers are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// One answer, after its last byte or when the client went away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Who asked.
    pub client: SocketAddr,
    /// As it was asked.
    pub method: String,
    /// As it was asked, still encoded.
    pub path: String,
    /// The status.
    pub status: u16,
    /// Bytes of the body that were handed to the connection.
    pub bytes: u64,
    /// From the request to the end.
    pub took: Duration,
}

/// Where answers are told of.
pub type Log = Arc<dyn Fn(Served) + Send + Sync>;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves a directory until `stop` is ready, and then ends what is under way.
///
/// # Errors
/// The directory is not there.
pub async fn serve(
    listener: TcpListener,
    directory: &Path,
    log: Log,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let directory: Arc<Path> = std::fs::canonicalize(directory)?.into();
    let (places, graceful) = (Places::new(limits), GracefulShutdown::new());
    let looked_after = places.clone();
    let looking = tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            looked_after.drop_slow(look.tick().await.into_std());
        }
    });
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            match listener.accept().await {
                Ok((stream, client)) => Some((places.admit(stream, client).await?, client)),
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    None
                }
            }
        };
        let admitted = tokio::select! {
            () = &mut stop => break,
            admitted = next => admitted,
        };
        let Some((stream, client)) = admitted else { continue };
        let connection = graceful.watch(connection(stream, client, directory.clone(), log.clone()));
        tokio::spawn(async move {
            // A client that goes away in the middle is told of in the log.
            let _ = connection.await;
        });
    }
    drop(listener);
    // Nodes that download end first; a second signal ends the process at once.
    let _ = tokio::time::timeout(ENDING, graceful.shutdown()).await;
    looking.abort();
    Ok(())
}

fn connection(
    stream: Placed,
    client: SocketAddr,
    directory: Arc<Path>,
    log: Log,
) -> impl hyper_util::server::graceful::GracefulConnection<
    Error = hyper::Error,
    Output = hyper::Result<()>,
> {
    let service = service_fn(move |request| {
        let (directory, log) = (directory.clone(), log.clone());
        async move {
            let answer = answer(&request, client, directory, log).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(ASKING).max_buf_size(MAX_BUFFER);
    builder.serve_connection(TokioIo::new(stream), service)
}

/// Tells of an answer when it is dropped, whatever became of it.
struct Telling {
    served: Served,
    began: Instant,
    log: Log,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.served.took = self.began.elapsed();
        (self.log)(self.served.clone());
    }
}

async fn answer<B>(
    request: &Request<B>,
    client: SocketAddr,
    directory: Arc<Path>,
    log: Log,
) -> Response<Body> {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let served = Served { client, method, path, status: 0, bytes: 0, took: Duration::ZERO };
    let mut telling = Telling { served, began: Instant::now(), log };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return refused(
            StatusCode::METHOD_NOT_ALLOWED,
            &[(header::ALLOW, "GET, HEAD".to_owned())],
            telling,
        );
    }
    let path = telling.served.path.clone();
    let opened = tokio::task::spawn_blocking(move || open(&directory, &path)).await;
    let found = match opened.map_err(io::Error::other).and_then(|opened| opened) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return refused(StatusCode::NOT_FOUND, &[], telling);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return refused(StatusCode::FORBIDDEN, &[], telling);
        }
        Err(_) => return refused(StatusCode::INTERNAL_SERVER_ERROR, &[], telling),
    };
    let about = [(header::ETAG, found.tag.clone()), (header::ACCEPT_RANGES, "bytes".to_owned())];
    let asked =
        |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if asked(header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.trim() == "*" || tags.split(',').any(|tag| weak(tag) == weak(&found.tag))
    }) {
        telling.served.status = StatusCode::NOT_MODIFIED.as_u16();
        return response(
            StatusCode::NOT_MODIFIED,
            &about,
            Empty::new().map_err(|never| match never {}).boxed_unsync(),
        );
    }
    // Another file than the one that the client has a part of is sent whole.
    let is_same = asked(header::IF_RANGE).is_none_or(|tag| tag == found.tag);
    let range = match asked(header::RANGE).filter(|_| is_same) {
        Some(text) => Range::parse(text, found.bytes),
        None => Range::Whole,
    };
    let (status, from, to) = match range {
        Range::Whole => (StatusCode::OK, 0, found.bytes),
        Range::Part { from, to } => (StatusCode::PARTIAL_CONTENT, from, to),
        Range::Outside => {
            let range = (header::CONTENT_RANGE, format!("bytes */{}", found.bytes));
            return refused(StatusCode::RANGE_NOT_SATISFIABLE, &[range], telling);
        }
    };
    let mut about = about.to_vec();
    about.push((header::CONTENT_LENGTH, (to - from).to_string()));
    about.push((header::CONTENT_TYPE, kind(&telling.served.path).to_owned()));
    if status == StatusCode::PARTIAL_CONTENT {
        about.push((header::CONTENT_RANGE, format!("bytes {from}-{}/{}", to - 1, found.bytes)));
    }
    telling.served.status = status.as_u16();
    let body = match *request.method() == Method::HEAD {
        true => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        false => pieces(found.file, from, to, telling),
    };
    response(status, &about, body)
}

/// A tag without the mark of a weak one, for questions to which that makes no difference.
fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("json") => "application/json",
        Some("latest" | "sh") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn refused(
    status: StatusCode,
    about: &[(HeaderName, String)],
    mut telling: Telling,
) -> Response<Body> {
    telling.served.status = status.as_u16();
    let text = format!("{status}\n");
    if telling.served.method != "HEAD" {
        telling.served.bytes = text.len() as u64;
    }
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = response(status, about, body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn response(status: StatusCode, about: &[(HeaderName, String)], body: Body) -> Response<Body> {
    let mut headers = HeaderMap::new();
    headers.extend(
        about
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_str(value).ok()?))),
    );
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

/// The bytes of a file from one place to another. A file that became shorter breaks the connection,
/// so that nobody takes the part for the whole.
fn pieces(file: File, from: u64, to: u64, telling: Telling) -> Body {
    let read = |(file, at, to, mut telling): (Arc<File>, u64, u64, Telling)| async move {
        let length = (to - at).min(PIECE);
        if length == 0 {
            return None;
        }
        let from = file.clone();
        let piece = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
            from.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = piece.await.map_err(io::Error::other).and_then(|piece| piece);
        telling.served.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        // After an error there is nothing more to read.
        let at = if piece.is_ok() { at + length } else { to };
        Some((piece.map(Frame::data), (file, at, to, telling)))
    };
    StreamBody::new(stream::unfold((Arc::new(file), from, to, telling), read)).boxed_unsync()
}

/// A file that may be given away.
struct Found {
    file: File,
    bytes: u64,
    tag: String,
}

/// Opens what was asked for. What may not be given away is not there.
fn open(directory: &Path, asked: &str) -> io::Result<Found> {
    let nothing = || io::Error::from(io::ErrorKind::NotFound);
    let relative = path::decoded(asked).ok_or_else(nothing)?;
    // Opening a pipe would wait for somebody to write into it.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(directory.join(relative))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => nothing(),
            _ => error,
        })?;
    // Where the open file really is, whatever links led there and whatever became of them since.
    let real: PathBuf = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let inside = real.strip_prefix(directory).map_err(|_| nothing())?;
    let metadata = file.metadata()?;
    if path::is_hidden(inside) || !metadata.is_file() {
        return Err(nothing());
    }
    let tag = format!(
        "\"{:x}-{:x}-{:x}-{:x}\"",
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ino()
    );
    Ok(Found { bytes: metadata.len(), tag, file })
}
