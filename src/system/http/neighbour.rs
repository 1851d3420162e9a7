//! Short questions to servers of this machine and its neighbours: no proxy, no second attempt, and
//! any status is an answer.

use std::time::Duration;

use reqwest::{Certificate, Identity};

use super::error::{innermost, local};
use super::{Address, Error, Kind, common, explain, failure};
use crate::system::fault::{self, Effect};
use crate::system::http::Options;

/// How to be let in.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User and password for basic authentication.
    pub basic: Option<(String, String)>,
    /// PEM text of certificates to trust, instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// PEM text of our own certificate and its key.
    pub identity: Option<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    /// Says what there is and never what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = |there: bool| if there { "..." } else { "none" };
        let Credentials { basic, authorities, identity } = self;
        f.debug_struct("Credentials")
            .field("basic", &told(basic.is_some()))
            .field("authorities", &told(authorities.is_some()))
            .field("identity", &told(identity.is_some()))
            .finish()
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Any status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Asks once, and waits so long for the whole answer of at most `limit_bytes`.
///
/// # Errors
/// No answer, one that is too long, or certificates that cannot be used.
pub async fn ask(
    url: &str,
    credentials: &Credentials,
    limit_bytes: u64,
    patience: Duration,
) -> Result<Reply, Error> {
    let address = Address::parse(url)?;
    let unusable = |cause: String| local("get", address.to_string(), cause);
    let options = Options { connect_timeout: patience, ..Options::default() };
    let mut builder = common(&options).no_proxy();
    if let Some(pem) = &credentials.authorities {
        let authorities =
            Certificate::from_pem_bundle(pem).map_err(|e| unusable(innermost(&e).to_string()))?;
        builder = builder.tls_certs_only(authorities);
    } else {
        builder = builder.tls_certs_only([]);
    }
    if let Some(pem) = &credentials.identity {
        builder = builder
            .identity(Identity::from_pem(pem).map_err(|e| unusable(innermost(&e).to_string()))?);
    }
    let client = builder.build().map_err(|e| unusable(innermost(&e).to_string()))?;
    let mut request = client.get(address.url());
    if let Some((user, password)) = &credentials.basic {
        request = request.basic_auth(user, Some(password));
    }
    let answer = async {
        let mut response = request.send().await.map_err(|e| explain("get", &address, &e))?;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        loop {
            fault::point(Effect::Receive, url).map_err(|cause| unusable(cause.to_string()))?;
            let Some(bytes) = response.chunk().await.map_err(|e| explain("get", &address, &e))?
            else {
                break;
            };
            if (body.len() + bytes.len()) as u64 > limit_bytes {
                return Err(failure(
                    "get",
                    &address,
                    Kind::TooLarge,
                    format!("it has more than {limit_bytes} bytes"),
                    false,
                ));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Reply { status, body })
    };
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(failure(
            "get",
            &address,
            Kind::Stalled,
            "the server does not answer".to_owned(),
            true,
        )),
    }
}
