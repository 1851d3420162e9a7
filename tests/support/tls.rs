//! TLS in front of a plain server, with one of the certificates in `tls/`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dcos_node::system::http::Authorities;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A file in `tls/`.
pub fn file(name: &str) -> PathBuf {
    crate::checkout().join("tests/support/tls").join(name)
}

/// The authority of the certificates.
pub fn authorities() -> Authorities {
    let pem = std::fs::read(file("authority.pem")).expect("read authority.pem");
    Authorities { origin: "authority.pem".to_owned(), pem }
}

/// Passes every request on to a plain server that closes its connections (`http://HOST:PORT`).
/// Gives the address; ends with the test program.
pub fn in_front_of(server: &str, certificate: &str) -> String {
    asking(server, certificate, None)
}

/// The same, and refuses clients without a certificate of this authority.
pub fn for_clients_of(authority: &str, server: &str, certificate: &str) -> String {
    asking(server, certificate, Some(authority))
}

fn asking(server: &str, certificate: &str, authority: Option<&str>) -> String {
    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match authority {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file(authority)).unwrap()).unwrap();
            config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .unwrap(),
            )
        }
    };
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let server = server.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, server) = (config.clone(), server.clone());
            // A client that goes away because of the certificate is part of the tests.
            std::thread::spawn(move || pass(stream, config, &server));
        }
    });
    address
}

fn pass(stream: TcpStream, config: Arc<ServerConfig>, server: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut client =
        StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut server = TcpStream::connect(server)?;
    server.write_all(&request)?;
    std::io::copy(&mut server, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}
