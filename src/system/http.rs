//! HTTP, and the only use of the HTTP client.

mod address;
mod answer;
mod backoff;
mod cancelled;
mod error;
pub mod neighbour;
pub mod netrc;
mod proxy;
mod rate;
mod trust;
mod unix;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode};

use super::cancellation::Cancellation;
use super::fault::{self, Effect};
use answer::{date_of, explain, failure, is_transient, refusal, text, too_large, validator};
use backoff::Backoff;
use error::{innermost, local};
use proxy::proxied;
use rate::{Limit, Watch};
use trust::{Names, trusted};

pub use address::Address;
pub use answer::Head;
pub use error::{Error, Kind, Validity};
pub use proxy::{Proxy, Setting, with_logins};
pub use rate::Slowest;
pub use trust::Authorities;
pub use unix::get_unix;

/// How to speak to servers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Certificates of authorities to trust besides those of the system.
    pub authorities: Option<Authorities>,
    /// Proxy settings by the names of their variables, for a process whose environment has none.
    pub proxies: BTreeMap<String, String>,
    /// How long making a connection may take, the lookup of the name included.
    pub connect_timeout: Duration,
    /// How long a server may send nothing, before its answer and inside of it.
    pub stall_timeout: Duration,
    /// A body that comes slower than this counts as stalled too.
    pub slowest: Slowest,
    /// How long one answer with a whole document may take, from the question to its last byte. A
    /// document is small: it comes in this time also over the slowest link.
    pub document_timeout: Duration,
    /// How fast all bodies together may come, in bytes a second; none for as fast as they can.
    pub bytes_per_second: Option<u64>,
    /// What we call ourselves.
    pub user_agent: String,
    /// How often a request is sent at most, if it fails in a way that may pass.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// Ends every request.
    pub cancellation: Cancellation,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authorities: None,
            proxies: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            slowest: Slowest { bytes_per_second: 1024, over: Duration::from_secs(60) },
            document_timeout: Duration::from_secs(60),
            bytes_per_second: None,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            attempts: 5,
            first_pause: Duration::from_millis(500),
            cancellation: Cancellation::default(),
        }
    }
}

/// Sends requests; clones share their connections. Proxies are taken from the environment
/// (`http_proxy`, `https_proxy`, `no_proxy`).
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    /// Kept here: the client's own read timeout also runs while nobody asks it for bytes, and so
    /// takes a slow reader for a stalled server.
    stall_timeout: Duration,
    slowest: Slowest,
    document_timeout: Duration,
    limit: Option<Arc<Limit>>,
    connect_timeout: Duration,
    attempts: u32,
    first_pause: Duration,
    cancellation: Cancellation,
}

impl fmt::Debug for Client {
    /// What is inside knows the credentials of proxies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("attempts", &self.attempts)
            .field("first_pause", &self.first_pause)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Fails only if the authorities cannot be used. A node without any authorities gets a
    /// client for plain HTTP.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let authorities = trusted(options.authorities.as_ref())?;
        let builder = || proxied(common(options), &options.proxies).dns_resolver(Names);
        // The client refuses to be made on a system without authorities unless it is told to do
        // without.
        let inner = builder()
            .tls_certs_merge(authorities.clone())
            .build()
            .or_else(|_| builder().tls_certs_only(authorities).build())
            .map_err(|error| {
                local("make", "an HTTP client".to_owned(), innermost(&error).to_string())
            })?;
        Ok(Self::with(inner, options))
    }

    fn with(inner: reqwest::Client, options: &Options) -> Self {
        let &Options { connect_timeout, stall_timeout, slowest, document_timeout, .. } = options;
        let &Options { attempts, first_pause, .. } = options;
        let limit = options.bytes_per_second.map(|rate| Arc::new(Limit::new(rate)));
        let cancellation = options.cancellation.clone();
        Self {
            inner,
            stall_timeout,
            slowest,
            document_timeout,
            limit,
            connect_timeout,
            attempts,
            first_pause,
            cancellation,
        }
    }

    /// The same client, its connections shared, for questions of which each must be answered at
    /// once: one attempt, and so long for it.
    pub fn impatient(&self, answer: Duration) -> Self {
        Self {
            attempts: 1,
            connect_timeout: Duration::ZERO,
            stall_timeout: answer,
            document_timeout: answer.min(self.document_timeout),
            ..self.clone()
        }
    }

    async fn get_patiently(&self, address: &Address, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut backoff = self.backoff();
        loop {
            let whole = self.get_once(address, limit_bytes);
            match tokio::time::timeout(self.document_timeout, whole).await {
                Ok(Ok(content)) => return Ok(content),
                Ok(Err(error)) => backoff.pause_after(error).await?,
                // It drips: another attempt would take as long.
                Err(_) => {
                    let cause = format!("it did not come whole within {:?}", self.document_timeout);
                    return Err(failure("get", address, Kind::Stalled, cause, true));
                }
            }
        }
    }

    async fn open_patiently(&self, address: &Address, limit_bytes: u64) -> Result<Body, Error> {
        let mut backoff = self.backoff();
        loop {
            match self.open_once(address, limit_bytes).await {
                Ok(body) => return Ok(body),
                Err(error) => backoff.pause_after(error).await?,
            }
        }
    }

    async fn head_patiently(&self, address: &Address) -> Result<Head, Error> {
        let mut backoff = self.backoff();
        loop {
            match self.send(Method::HEAD, address, &[]).await {
                Ok(response) if is_transient(response.status()) => {
                    backoff.pause_after(refusal("ask for", address, &response)).await?
                }
                Ok(response) => {
                    let length = text(response.headers(), header::CONTENT_LENGTH)
                        .and_then(|length| length.parse().ok());
                    return Ok(Head {
                        status: response.status().as_u16(),
                        length,
                        date: date_of(response.headers()),
                    });
                }
                Err(error) => backoff.pause_after(error).await?,
            }
        }
    }

    async fn get_once(&self, address: &Address, limit: u64) -> Result<Vec<u8>, Error> {
        let mut body = self.open_once(address, limit).await?;
        // A short file is sooner asked for again than gone on with.
        body.validator = None;
        let mut content = Vec::new();
        while let Some(bytes) = body.chunk().await? {
            content.extend_from_slice(&bytes);
        }
        Ok(content)
    }

    async fn open_once(&self, address: &Address, limit: u64) -> Result<Body, Error> {
        let response = self.send(Method::GET, address, &[]).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal("get", address, &response));
        }
        let headers = response.headers();
        let length = response.content_length();
        if length.is_some_and(|length| length > limit) {
            return Err(too_large(address, limit));
        }
        Ok(Body {
            length,
            limit,
            date: date_of(headers),
            validator: validator(headers),
            received: 0,
            client: self.clone(),
            address: address.clone(),
            backoff: self.backoff(),
            watch: Watch::default(),
            slow: 0,
            too_slow: false,
            response,
        })
    }

    /// One request, one answer of any status.
    async fn send(
        &self,
        method: Method,
        address: &Address,
        headers: &[(HeaderName, &str)],
    ) -> Result<Response, Error> {
        let operation = if method == Method::HEAD { "ask for" } else { "get" };
        let mut request = self.inner.request(method, address.url());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        match tokio::time::timeout(self.connect_timeout + self.stall_timeout, request.send()).await
        {
            Ok(answer) => answer.map_err(|error| explain(operation, address, &error)),
            Err(_) => Err(failure(
                operation,
                address,
                Kind::Stalled,
                "the server does not answer".to_owned(),
                true,
            )),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.attempts, self.first_pause)
    }
}

/// A file on its way. A connection that breaks is taken up again where it broke, if the server can
/// do that.
pub struct Body {
    /// Length in bytes, if the server tells; exactly so many come, or an error.
    pub length: Option<u64>,
    /// The clock of the server.
    pub date: Option<std::time::SystemTime>,
    /// What tells one version of the file from another; without it nothing can be taken up again.
    validator: Option<String>,
    /// More bytes than this are an error.
    limit: u64,
    received: u64,
    client: Client,
    address: Address,
    backoff: Backoff,
    response: Response,
    watch: Watch,
    /// How often in a row it was too slow, and whether it is now.
    slow: u32,
    too_slow: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("address", &self.address)
            .field("length", &self.length)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Body {
    async fn chunk_patiently(&mut self) -> Result<Option<Bytes>, Error> {
        if let Err(cause) = fault::point(Effect::Receive, self.address.as_str()) {
            return Err(self.broken(cause.to_string()));
        }
        if std::mem::take(&mut self.too_slow) {
            let slowest = self.client.slowest;
            let cause = format!(
                "less than {} bytes/s came in {:?}",
                slowest.bytes_per_second, slowest.over
            );
            let error = Error { kind: Kind::Stalled, ..self.broken(cause) };
            if self.slow >= self.client.attempts {
                return Err(Error { attempts: self.slow, ..error });
            }
            self.resume(error).await?;
        }
        loop {
            let asked = Instant::now();
            let error = match tokio::time::timeout(self.client.stall_timeout, self.response.chunk())
                .await
            {
                Err(_) => Error {
                    kind: Kind::Stalled,
                    ..self.broken("the server sends no more".to_owned())
                },
                Ok(Ok(Some(bytes))) if bytes.is_empty() => continue,
                Ok(Ok(Some(bytes))) => {
                    self.received += bytes.len() as u64;
                    if self.received > self.limit {
                        return Err(too_large(&self.address, self.limit));
                    }
                    if self.length.is_some_and(|length| self.received > length) {
                        return Err(
                            self.broken("the server sends more than it announced".to_owned())
                        );
                    }
                    self.backoff.reset();
                    self.watch_speed(asked.elapsed(), bytes.len());
                    if let Some(limit) = &self.client.limit {
                        limit.pay(bytes.len()).await;
                    }
                    return Ok(Some(bytes));
                }
                Ok(Ok(None)) if self.length.is_none_or(|length| self.received == length) => {
                    return Ok(None);
                }
                Ok(Ok(None)) => self.broken("the connection ended".to_owned()),
                Ok(Err(error)) => self.broken(innermost(&error).to_string()),
            };
            self.resume(error).await?;
        }
    }

    /// A server that sends a little now and then is given up like one that sends nothing: another
    /// connection, then an error.
    fn watch_speed(&mut self, waited: Duration, bytes: usize) {
        match self.watch.add(waited, bytes, self.client.slowest) {
            Some(true) => self.slow = 0,
            Some(false) => {
                self.slow += 1;
                // What is there already needs no other connection.
                self.too_slow = self.length.is_none_or(|length| self.received < length);
            }
            None => {}
        }
    }

    /// Asks for the rest. Only an answer with the rest of the same file is taken; after any other
    /// the caller has to start over.
    async fn resume(&mut self, mut error: Error) -> Result<(), Error> {
        let Some(validator) = self.validator.clone() else { return Err(error) };
        let range = format!("bytes={}-", self.received);
        loop {
            self.backoff.pause_after(error).await?;
            let headers = [(header::RANGE, range.as_str()), (header::IF_RANGE, validator.as_str())];
            match self.client.send(Method::GET, &self.address, &headers).await {
                Ok(response)
                    if response.status() == StatusCode::PARTIAL_CONTENT
                        && self.continues(response.headers()) =>
                {
                    self.response = response;
                    return Ok(());
                }
                Ok(response)
                    if response.status().is_success()
                        || response.status() == StatusCode::RANGE_NOT_SATISFIABLE =>
                {
                    return Err(self.broken(
                        "the connection ended, and the server cannot go on from there".to_owned(),
                    ));
                }
                Ok(response) => error = refusal("get", &self.address, &response),
                Err(next) => error = next,
            }
        }
    }

    /// The answer starts where we are, and belongs to the file that we have begun.
    fn continues(&self, headers: &HeaderMap) -> bool {
        let Some((first, last, whole)) =
            text(headers, header::CONTENT_RANGE).and_then(values::range)
        else {
            return false;
        };
        first == self.received
            && self.length.is_none_or(|length| {
                last + 1 == length && whole.is_none_or(|whole| whole == length)
            })
            && validator(headers)
                .is_none_or(|validator| self.validator.as_ref() == Some(&validator))
    }

    fn broken(&self, cause: String) -> Error {
        let of = self.length.map(|length| format!(" of {length}")).unwrap_or_default();
        failure(
            "get",
            &self.address,
            Kind::Truncated,
            format!("{cause} (after {}{of} bytes)", self.received),
            true,
        )
    }
}

/// What all clients have in common.
fn common(options: &Options) -> reqwest::ClientBuilder {
    // Fails if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .referer(false)
}
