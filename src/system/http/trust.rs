//! Our resolver as the client wants it, and the certificates of authorities.

use std::net::SocketAddr;

use reqwest::Certificate;

use super::error::{Error, innermost, local};
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

/// PEM certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// Where they come from, for errors.
    pub origin: String,
    /// The certificates.
    pub pem: Vec<u8>,
}

/// The certificates, parsed; none if there are no authorities.
pub(super) fn trusted(authorities: Option<&Authorities>) -> Result<Vec<Certificate>, Error> {
    let Some(Authorities { origin, pem }) = authorities else { return Ok(Vec::new()) };
    let cause = match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => "there are none in it".to_owned(),
        Ok(certificates) => return Ok(certificates),
        Err(error) => innermost(&error).to_string(),
    };
    Err(local("use the certificates in", origin.clone(), cause))
}
