//! Whom outgoing TLS believes: the public authorities, and what the operator put in `OUTGOING_CA_FILE`.
//!
//! A certificate in that file is an authority, and also stands for itself: a server that shows that very
//! certificate is believed, whatever its name, dates and basic constraints say, as DANE does for a pinned
//! end entity ([RFC 7671 §5.1]). Self-signed certificates are commonly made as authorities, and a verifier
//! that goes by the book refuses an authority as a server.
//!
//! [RFC 7671 §5.1]: https://www.rfc-editor.org/rfc/rfc7671#section-5.1

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::FetchComplaint;

/// The public authorities, and those of the operator's own house.
pub(crate) fn trusting(extra: Option<&Path>) -> Result<ClientConfig, FetchComplaint> {
    let unusable = |why: String| FetchComplaint {
        path: extra.map(Path::to_path_buf).unwrap_or_default(),
        why,
    };
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut pinned = Vec::new();
    if let Some(path) = extra {
        pinned = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(error.to_string()))?;
        if pinned.is_empty() {
            return Err(unusable("it holds no certificate".into()));
        }
        for certificate in &pinned {
            let added = roots.add(certificate.clone());
            added.map_err(|error| unusable(error.to_string()))?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let by_the_book =
        WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(error.to_string()))?;
    let verifier = Arc::new(Verifier { by_the_book, pinned });
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// By the book, or the very certificate that the operator gave.
#[derive(Debug)]
struct Verifier {
    by_the_book: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let book = &self.by_the_book;
        book.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    // Whoever shows the certificate still has to hold its key.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_the_book.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_the_book.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_the_book.supported_verify_schemes()
    }
}
