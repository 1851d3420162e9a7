//! Whether an address can be reached: a TCP connection and nothing more.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

/// Connects and closes the connection again. Gives the address of this machine that the route leads
/// from, or why there is no connection.
pub async fn connect(to: SocketAddr, limit: Duration) -> Result<IpAddr, String> {
    match tokio::time::timeout(limit, TcpStream::connect(to)).await {
        Err(_) => Err(format!("no answer in {limit:?} (a firewall?)")),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(stream)) => {
            stream.local_addr().map(|from| from.ip()).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_answers_or_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(connect(address, Duration::from_secs(20)).await, Ok(address.ip()));
        // At this one nobody listens.
        let closed = "127.0.0.1:1".parse().unwrap();
        assert!(connect(closed, Duration::from_secs(20)).await.unwrap_err().contains("refused"));
    }
}
