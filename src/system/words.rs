//! A word to a port and all that comes back: the way ZooKeeper is asked how it is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the word and reads until the other side closes: at most `limit_bytes`, for at most
/// `patience`.
///
/// # Errors
/// No connection, or no end of the answer in time.
pub async fn ask(
    to: SocketAddr,
    word: &str,
    limit_bytes: u64,
    patience: Duration,
) -> io::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(limit_bytes).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(patience, exchange)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn short_answer_is_read_and_an_endless_one_is_cut() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut word = [0; 4];
                stream.read_exact(&mut word).await.unwrap();
                let endless = &word == b"more";
                while stream.write_all(b"Mode: leader\n").await.is_ok() && endless {}
            }
        });
        assert_eq!(
            ask(to, "srvr", 1 << 10, Duration::from_secs(20)).await.unwrap(),
            "Mode: leader\n"
        );
        assert_eq!(ask(to, "more", 1 << 10, Duration::from_secs(20)).await.unwrap().len(), 1 << 10);
    }
}
