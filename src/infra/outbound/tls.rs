//! TLS for outgoing requests: trusts the public certificate authorities and the certificates of `OUTGOING_CA_FILE`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::CaFileError;

/// A configuration that trusts the public authorities and those in the file.
pub(crate) fn client_config(extra: Option<&Path>) -> Result<ClientConfig, CaFileError> {
    let path = extra.unwrap_or(Path::new(""));
    let unusable = |why: &dyn ToString| CaFileError { path: path.into(), reason: why.to_string() };
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut named = Vec::new();
    if let Some(path) = extra {
        named = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<_, _>>)
            .map_err(|error| unusable(&error))?;
        if named.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        for certificate in &named {
            roots.add(certificate.clone()).map_err(|error| unusable(&error))?;
        }
    }
    let provider: Arc<CryptoProvider> = aws_lc_rs::default_provider().into();
    let chain = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let chain = chain.build().map_err(|error| unusable(&error))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&error))?;
    let trust = Arc::new(ServerVerifier { chain, pinned: named });
    Ok(config.dangerous().with_custom_certificate_verifier(trust).with_no_client_auth())
}

/// The verifier of webpki, with one exception.
///
/// A self-signed certificate is often marked as an authority (`openssl req -x509` does so by default), and webpki refuses
/// such a certificate for a server. If the server presents the very certificate that is in the file, it is accepted for
/// its names and until it expires.
#[derive(Debug)]
struct ServerVerifier {
    chain: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chain.verify_server_cert(shown, intermediates, name, ocsp, now) {
            // The certificate's form was refused. Its validity was checked before, and has an error of its own.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.pinned.iter().any(|named| named == shown) =>
            {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// Self-signed, and marked as an authority.
    fn made(until: i32) -> CertificateDer<'static> {
        let mut asked = CertificateParams::new(["client.example".into()]).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        asked.not_after = date_time_ymd(until, 1, 1);
        asked.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verdict(
        named: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        host: &str,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(named.clone()).unwrap();
        let provider = aws_lc_rs::default_provider();
        let chain = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.into());
        let trust = ServerVerifier { chain: chain.build().unwrap(), pinned: vec![named.clone()] };
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let in_2020 = UnixTime::since_unix_epoch(Duration::from_secs(1_577_836_800));
        trust.verify_server_cert(shown, &[], &name, &[], in_2020).is_ok()
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_is_good_for_its_names_and_its_time() {
        let (good, other, expired) = (made(2040), made(2040), made(2019));
        assert!(verdict(&good, &good, "client.example"));
        assert!(!verdict(&good, &good, "elsewhere.example"));
        assert!(!verdict(&good, &other, "client.example"));
        assert!(!verdict(&expired, &expired, "client.example"));
    }
}
