//! Over TLS, and with a certificate that is replaced while it is in use.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// Writes a new certificate and key into the folder; gives the certificate.
pub(super) fn renewed(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

/// A connection over TLS that trusts this certificate and no other, and offers these protocols.
pub(super) async fn tls_stream(
    at: SocketAddr,
    trusted: &CertificateDer<'static>,
    offered: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(at).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn asked_over_tls(
    at: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut stream = tls_stream(at, trusted, &[]).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let old = renewed(folder.path());
    let keeper = CertReloader::load(certificate, key).unwrap();
    let reloading = keeper.spawn_reload(Duration::from_millis(20));
    let served = Served::with(ConnectionLimits::default(), Some(keeper), &[]).await;
    assert_eq!(status(&asked_over_tls(served.at, &old).await.unwrap()), "200");

    let new = renewed(folder.path());
    let taken_over = async {
        while asked_over_tls(served.at, &new).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), taken_over).await.expect("the new one is served");
    assert!(asked_over_tls(served.at, &old).await.is_err(), "and the old one no longer");
    reloading.abort();
}

#[tokio::test]
async fn a_handshake_that_does_not_happen_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    renewed(folder.path());
    let keeper = CertReloader::load(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let limits = ConnectionLimits {
        header_timeout: Duration::from_millis(200),
        ..ConnectionLimits::default()
    };
    let served = Served::with(limits, Some(keeper.unwrap()), &[]).await;
    assert_eq!(served.told("").await, "");
}
