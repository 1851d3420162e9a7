//! Places for connections: how many there are in all and for one peer, and which connection loses
//! its place because its reader does not read.
//!
//! Progress is what the peer sent and what its kernel acknowledged. What only waits in a buffer of
//! this machine is not progress: the buffer has some megabytes, and takes them from a server whose
//! client never reads.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::system::kernel;

/// How many connections there may be, and how slow they may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections of one address at the same time.
    pub per_peer: usize,
    /// A reader that takes fewer bytes a second...
    pub bytes_per_second: u64,
    /// ...over so long is dropped.
    pub over: Duration,
    /// Where all places are taken, a connection without progress for so long loses its place.
    pub unmoved: Duration,
}

/// Descriptors for everything but connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// A connection needs its socket and the file that it sends.
const DESCRIPTORS_EACH: u64 = 2;
const MAX_CONNECTIONS: u64 = 1024;
/// How often a full server looks for a place again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

impl Limits {
    /// As many connections as the process may have descriptors for; half of them for one peer,
    /// which may be a proxy or a gateway with many nodes behind it.
    pub fn of_process() -> Limits {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let wanted = (MAX_CONNECTIONS * DESCRIPTORS_EACH + OTHER_DESCRIPTORS).min(hard);
        let raised = soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        let descriptors = if raised { wanted } else { soft };
        let connections = (descriptors.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS_EACH)
            .clamp(2, MAX_CONNECTIONS);
        let connections = usize::try_from(connections).unwrap_or(2);
        Limits {
            connections,
            per_peer: connections.div_ceil(2),
            bytes_per_second: 1024,
            over: Duration::from_secs(120),
            unmoved: Duration::from_millis(500),
        }
    }
}

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Vec<Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    peer: IpAddr,
    stream: TcpStream,
    /// Bytes that came in, and bytes that were handed to the kernel.
    moved: AtomicU64,
    seen: Mutex<Seen>,
}

/// Progress when it was looked at last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    progress: u64,
    /// When the progress was first seen.
    at: Instant,
    /// The beginning of the span over which the rate is judged, and the progress at that time.
    span: (Instant, u64),
}

/// A connection with a place, which it gives back when it is dropped.
#[derive(Debug)]
pub(super) struct Placed {
    connection: Arc<Connection>,
    places: Arc<Places>,
}

impl Places {
    pub fn new(limits: Limits) -> Arc<Places> {
        Arc::new(Places { limits, taken: Mutex::default() })
    }

    /// Gives a connection a place. Where none is free, the connection that has made no progress for
    /// the longest time loses its place; where all make progress, a peer below its limit waits.
    ///
    /// Returns nothing, and closes the connection, if the peer has all the places that one peer may
    /// have and uses them.
    pub async fn admit(self: &Arc<Self>, stream: TcpStream, client: SocketAddr) -> Option<Placed> {
        let (peer, now) = (client.ip(), Instant::now());
        let seen = Seen { progress: 0, at: now, span: (now, 0) };
        let connection =
            Arc::new(Connection { peer, stream, moved: AtomicU64::new(0), seen: Mutex::new(seen) });
        loop {
            {
                let mut taken = self.taken();
                let own = taken.iter().filter(|other| other.peer == peer).count();
                let is_own_limit = own >= self.limits.per_peer;
                let is_full = taken.len() >= self.limits.connections;
                let freed = !is_own_limit && !is_full
                    || self.drop_unmoved(&mut taken, is_own_limit.then_some(peer));
                if freed {
                    taken.push(connection.clone());
                    return Some(Placed { connection, places: self.clone() });
                }
                if is_own_limit {
                    return None;
                }
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Drops the connection, of one peer or of all, that has made no progress for the longest time.
    /// Returns whether there was one.
    fn drop_unmoved(&self, taken: &mut Vec<Arc<Connection>>, peer: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let candidates = taken
            .iter()
            .enumerate()
            .filter(|(_, other)| peer.is_none_or(|peer| other.peer == peer));
        let oldest = candidates
            .map(|(index, other)| (other.look(now).at, index))
            .filter(|(at, _)| now.saturating_duration_since(*at) >= self.limits.unmoved)
            .min();
        let Some((_, index)) = oldest else { return false };
        taken.swap_remove(index).cut();
        true
    }

    /// Drops readers that are slower than the limit.
    pub fn drop_slow(&self, now: Instant) {
        self.taken().retain(|connection| {
            let is_slow = connection.is_slow(now, &self.limits);
            if is_slow {
                connection.cut();
            }
            !is_slow
        });
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Bytes of answers that the peer has not acknowledged.
    fn unread(&self) -> u64 {
        kernel::unacknowledged(&self.stream).unwrap_or(0)
    }

    fn look(&self, now: Instant) -> Seen {
        let progress = self.moved.load(Ordering::Relaxed).saturating_sub(self.unread());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if progress > seen.progress {
            (seen.progress, seen.at) = (progress, now);
        }
        *seen
    }

    fn is_slow(&self, now: Instant, limits: &Limits) -> bool {
        let (is_waited_for, seen) = (self.unread() > 0, self.look(now));
        let (began, before) = seen.span;
        let took = now.saturating_duration_since(began);
        if is_waited_for && took < limits.over {
            return false;
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).span = (now, seen.progress);
        let least = limits.bytes_per_second.saturating_mul(took.as_secs());
        is_waited_for && seen.progress.saturating_sub(before) < least
    }

    /// Ends the connection, also for who still reads or writes it.
    fn cut(&self) {
        // Without lingering the kernel forgets what was not read: otherwise it would keep it, and
        // ask the peer for minutes whether it reads now.
        let _ = self.stream.set_zero_linger();
        let _ = shutdown(&self.stream, Shutdown::Both);
    }

    fn add(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.places.taken().retain(|other| !Arc::ptr_eq(other, &self.connection));
    }
}

fn shutdown(stream: &TcpStream, how: Shutdown) -> io::Result<()> {
    use nix::sys::socket::{Shutdown as How, shutdown};
    let how = match how {
        Shutdown::Read => How::Read,
        Shutdown::Write => How::Write,
        Shutdown::Both => How::Both,
    };
    Ok(shutdown(stream.as_raw_fd(), how)?)
}

impl AsyncRead for Placed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.connection.stream.poll_read_ready(context))?;
            match self.connection.stream.try_read(buffer.initialize_unfilled()) {
                Ok(bytes) => {
                    self.connection.add(bytes);
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.connection.stream.poll_write_ready(context))?;
            match self.connection.stream.try_write_vectored(pieces) {
                Ok(bytes) => {
                    self.connection.add(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&self.connection.stream, Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn limits(connections: usize, per_peer: usize) -> Limits {
        let (over, unmoved) = (Duration::from_secs(3600), Duration::ZERO);
        Limits { connections, per_peer, bytes_per_second: 1024, over, unmoved }
    }

    async fn connect(listener: &TcpListener) -> (TcpStream, TcpStream, SocketAddr) {
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (server, from) = accepted.unwrap();
        (client.unwrap(), server, from)
    }

    async fn ends(client: &mut TcpStream) -> bool {
        !matches!(client.read(&mut [0; 1]).await, Ok(1))
    }

    #[tokio::test]
    async fn full_server_drops_the_longest_unmoved_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = Places::new(limits(2, 2));
        let (mut first, server, from) = connect(&listener).await;
        let mut asked = places.admit(server, from).await.unwrap();
        let (mut second, server, from) = connect(&listener).await;
        let mut answer = places.admit(server, from).await.unwrap();
        // The first asked before the second, and makes progress after it.
        first.write_all(b"x").await.unwrap();
        let (_third, server, from) = connect(&listener).await;
        asked.read_exact(&mut [0; 1]).await.unwrap();
        let _third_place = places.admit(server, from).await.unwrap();
        assert!(ends(&mut second).await);
        assert!(answer.write_all(b"x").await.is_err());
        asked.write_all(b"y").await.unwrap();
        first.read_exact(&mut [0; 1]).await.unwrap();
    }

    #[tokio::test]
    async fn busy_peer_at_its_limit_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let never = Duration::from_secs(3600);
        let places = Places::new(Limits { unmoved: never, ..limits(8, 1) });
        let (_first, server, from) = connect(&listener).await;
        let place = places.admit(server, from).await.unwrap();
        let (mut second, server, from) = connect(&listener).await;
        assert!(places.admit(server, from).await.is_none());
        assert!(ends(&mut second).await);
        drop(place);
        let (_third, server, from) = connect(&listener).await;
        assert!(places.admit(server, from).await.is_some());
    }

    #[tokio::test]
    async fn reader_below_the_minimum_rate_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let over = Duration::from_secs(120);
        let places = Places::new(Limits { over, ..limits(8, 8) });
        let (_unread, server, from) = connect(&listener).await;
        let mut stalled = places.admit(server, from).await.unwrap();
        let (_silent, server, from) = connect(&listener).await;
        let mut silent = places.admit(server, from).await.unwrap();
        // Until both kernels have all that they take: the client reads nothing.
        let piece = [0; 1 << 16];
        while tokio::time::timeout(over / 120, stalled.write_all(&piece)).await.is_ok() {}
        let began = Instant::now();
        places.drop_slow(began + 2 * over);
        places.drop_slow(began + 4 * over);
        assert!(stalled.write_all(&piece).await.is_err());
        // Nothing waits for this one to read it.
        silent.write_all(b"x").await.unwrap();
    }
}
