//! Our resolver as the client wants it, and the certificates of authorities from a file.

use std::net::SocketAddr;
use std::path::Path;

use reqwest::Certificate;

use super::error::innermost;
use crate::system::resolver;

/// Names without the C library.
pub(super) struct Names;

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let addresses = resolver::lookup(name.as_str()).await?;
            let addresses: reqwest::dns::Addrs =
                Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

pub(super) fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(file).map_err(|error| error.to_string())?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => Err("there are none in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(innermost(&error).to_string()),
    }
}
