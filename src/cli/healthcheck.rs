//! `latchkey healthcheck`: asks `/health` of the server on this machine, so that a container needs no
//! other program for it.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::CliError;
use crate::config::Config;

/// Long for a request to the same machine, short for a check that runs every few seconds.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// Well if any of the listeners says so.
pub(super) async fn run(config: &Config) -> Result<String, CliError> {
    let mut problems = Vec::new();
    for listen in &config.listen {
        let address = loopback_address(listen);
        match tokio::time::timeout(HEALTH_TIMEOUT, check_health(&address, config)).await {
            Ok(Ok(())) => return Ok(format!("{address} is well")),
            Ok(Err(problem)) => problems.push(format!("{address}: {problem}")),
            Err(_) => problems.push(format!("{address}: no answer within {HEALTH_TIMEOUT:?}")),
        }
    }
    Err(CliError::Refused(problems.join("\n")))
}

/// Where to reach a listener from here: one on every address is on loopback too.
fn loopback_address(listen: &str) -> String {
    let Some((host, port)) = listen.rsplit_once(':') else { return listen.to_owned() };
    match host {
        "0.0.0.0" => format!("127.0.0.1:{port}"),
        "[::]" => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

async fn check_health(address: &str, config: &Config) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    // The name clients know us by: others may be refused.
    let host = config.issuer.host();
    if config.tls.is_none() {
        return get_health(stream, &host).await;
    }
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(accept_any_certificate()?));
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    get_health(stream, &host).await
}

async fn get_health(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
) -> Result<(), String> {
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status).await.map_err(|error| error.to_string())?;
    if &status == b"HTTP/1.1 200" {
        return Ok(());
    }
    Err(format!("answered {}", String::from_utf8_lossy(&status).escape_default()))
}

/// No secret is sent and nothing but a status is believed, and the certificate is for the name the
/// world uses, not for loopback. Comparing it with the file would fail between a renewal and the
/// restart.
fn accept_any_certificate() -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let verifier = Arc::new(AnyCertificate(provider));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
