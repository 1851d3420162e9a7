//! Questions to daemons on their sockets.

use std::path::Path;
use std::time::Duration;

use super::error::{innermost, local};
use super::{Address, Client, Error, Options, common};

/// What a daemon answers on its socket (`path` is that of the request), at most `limit_bytes`. One
/// attempt; ten seconds of silence are an error.
pub async fn get_unix(socket: &Path, path: &str, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let shown = || format!("{path} from {}", socket.display());
    let options =
        Options { stall_timeout: Duration::from_secs(10), attempts: 1, ..Options::default() };
    let inner = common(&options).no_proxy().tls_certs_only([]).unix_socket(socket).build();
    let inner = inner.map_err(|error| local("get", shown(), innermost(&error).to_string()))?;
    let client = Client::with(inner, &options);
    let address = Address::parse(&format!("http://localhost{path}"))?;
    client
        .get_once(&address, limit_bytes)
        .await
        .map_err(|error| Error { address: shown(), ..error })
}
