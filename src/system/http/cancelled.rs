//! Requests that a cancellation ends at once, whatever pause or silence they are in.

use super::error::{Error, Kind};
use super::{Address, Body, Client, Head};
use bytes::Bytes;

impl Client {
    /// A whole file of at most `limit_bytes`.
    pub async fn get(&self, url: &str, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let address = Address::parse(url)?;
        let got = self.cancellation.or(self.get_patiently(&address, limit_bytes)).await;
        got.unwrap_or_else(|_| Err(cancelled("get", &address)))
    }

    /// A file of at most `limit_bytes`, piece by piece.
    pub async fn open(&self, url: &str, limit_bytes: u64) -> Result<Body, Error> {
        let address = Address::parse(url)?;
        let opened = self.cancellation.or(self.open_patiently(&address, limit_bytes)).await;
        opened.unwrap_or_else(|_| Err(cancelled("get", &address)))
    }

    /// What the server tells about a file. A status that will not pass is an answer, not an error.
    pub async fn head(&self, url: &str) -> Result<Head, Error> {
        let address = Address::parse(url)?;
        let told = self.cancellation.or(self.head_patiently(&address)).await;
        told.unwrap_or_else(|_| Err(cancelled("ask for", &address)))
    }
}

impl Body {
    /// The next bytes, `None` at the end. After an error [`Error::is_transient`] tells whether to
    /// start over.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let cancellation = self.client.cancellation.clone();
        let chunk = cancellation.or(self.chunk_patiently()).await;
        chunk.unwrap_or_else(|_| Err(cancelled("get", &self.address)))
    }
}

fn cancelled(operation: &'static str, address: &Address) -> Error {
    super::failure(operation, address, Kind::Cancelled, "interrupted".to_owned(), false)
}
