//! Our resolver as the client wants it, and the certificates of authorities from a file.

use std::net::SocketAddr;
use std::path::Path;

use reqwest::Certificate;

use super::error::{Error, innermost, local};
use crate::system::{files, resolver};

/// The longest file of certificates, in bytes: those of all authorities have less than one million.
const MAX_CERTIFICATES: u64 = 16 << 20;

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

/// The certificates of authorities in a file, or else in the text of one.
pub(super) fn trusted(file: Option<&Path>, text: Option<&str>) -> Result<Vec<Certificate>, Error> {
    let unusable = |place: String| move |cause| local("use the certificates in", place, cause);
    match (file, text) {
        (Some(file), _) => certificates(file).map_err(unusable(file.display().to_string())),
        (None, Some(text)) => {
            authorities(text.as_bytes()).map_err(unusable("the journal".to_owned()))
        }
        (None, None) => Ok(Vec::new()),
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let pem =
        files::read_named(file, MAX_CERTIFICATES).map_err(|error| error.source.to_string())?;
    authorities(&pem)
}

/// The certificates in the text of such a file.
fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => Err("there are none in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(innermost(&error).to_string()),
    }
}
