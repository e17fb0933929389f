//! The TLS certificate, and its replacement without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use zeroize::Zeroizing;

use crate::infra::secret::Digest;

/// Holds the certificate in use, and reloads it when its files change. Clones share it.
#[derive(Clone)]
pub struct CertReloader(Arc<ReloaderState>);

struct ReloaderState {
    paths: CertPaths,
    current: ArcSwap<ServerConfig>,
    fingerprint: ArcSwap<Fingerprint>,
}

struct CertPaths {
    certificate: PathBuf,
    key: PathBuf,
    http2: bool,
}

/// The ALPN protocol names ([RFC 9113 §3.2]).
///
/// [RFC 9113 §3.2]: https://www.rfc-editor.org/rfc/rfc9113#section-3.2
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Digests of the two files. Of contents, not times: a replaced link or a restored backup has an old time.
type Fingerprint = (Digest, Digest);

impl CertReloader {
    /// Reads the certificate chain and its key, both PEM, and checks that they belong together. HTTP/2 is
    /// offered besides HTTP/1.1.
    pub fn load(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsConfigError> {
        Self::read(CertPaths { certificate: certificate.into(), key: key.into(), http2: true })
    }

    /// The same, and HTTP/2 is not offered.
    pub fn load_for_http1(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsConfigError> {
        Self::read(CertPaths { certificate: certificate.into(), key: key.into(), http2: false })
    }

    fn read(files: CertPaths) -> Result<Self, TlsConfigError> {
        let (seen, config) =
            files.read().and_then(|held| Ok((held.fingerprint(), held.parse(&files)?)))?;
        let (current, seen) = (ArcSwap::new(config), ArcSwap::from_pointee(seen));
        Ok(Self(Arc::new(ReloaderState { paths: files, current, fingerprint: seen })))
    }

    /// The configuration for the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.current.load_full()
    }

    /// Starts a task that reloads the files when they have changed.
    pub fn spawn_reload(&self, every: Duration) -> JoinHandle<()> {
        let keeper = self.clone();
        tokio::spawn(async move {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let keeper = keeper.clone();
                let looked = tokio::task::spawn_blocking(move || keeper.reload_if_changed()).await;
                match looked {
                    Ok(Ok(true)) => tracing::info!("a new TLS certificate is in use"),
                    Ok(Ok(false)) => {}
                    Ok(Err(complaint)) => {
                        tracing::error!(%complaint, "the new TLS certificate is not usable; the old one stays");
                    }
                    Err(error) => tracing::error!(%error, "looking for a new certificate failed"),
                }
            }
        })
    }

    /// Reloads changed files; whether they had changed. Files that do not load are reported once, not each time: the
    /// certificate is often replaced a moment before its key.
    fn reload_if_changed(&self) -> Result<bool, TlsConfigError> {
        let held = self.0.paths.read()?;
        let fingerprint = held.fingerprint();
        if **self.0.fingerprint.load() == fingerprint {
            return Ok(false);
        }
        self.0.fingerprint.store(Arc::new(fingerprint));
        self.0.current.store(held.parse(&self.0.paths)?);
        Ok(true)
    }
}

impl CertPaths {
    fn read(&self) -> Result<PemContents, TlsConfigError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|source| TlsConfigError::Unreadable { path: path.into(), source })
        };
        Ok(PemContents {
            certificate: read(&self.certificate)?,
            key: Zeroizing::new(read(&self.key)?),
        })
    }
}

/// The contents of the two files.
struct PemContents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl PemContents {
    fn fingerprint(&self) -> Fingerprint {
        (Digest::of(&self.certificate), Digest::of(&self.key))
    }

    fn parse(&self, files: &CertPaths) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<_, _>>().map_err(
                |source| TlsConfigError::InvalidPem { path: files.certificate.clone(), source },
            )?;
        if chain.is_empty() {
            return Err(TlsConfigError::NoCertificate(files.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|source| TlsConfigError::InvalidPem { path: files.key.clone(), source })?;

        let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|source| TlsConfigError::Unusable {
                path: files.certificate.clone(),
                source,
            })?;
        let offered = if files.http2 { &[ALPN_HTTP2, ALPN_HTTP1][..] } else { &[ALPN_HTTP1] };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// Why the certificate cannot be served; each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no PEM of the expected kind.
    #[error("{} is not usable PEM: {source}", .path.display())]
    InvalidPem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PemError,
    },
    /// The certificate file is PEM, but holds no certificate.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The certificate and the key do not belong together, or are of a kind that cannot be served.
    #[error("{} cannot be served with its key: {source}", .path.display())]
    Unusable {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_complaint_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = pair();
        let certificate = written(folder.path(), "cert.pem", &certificate);
        let key = written(folder.path(), "key.pem", &key);
        let empty = written(folder.path(), "empty.pem", "");

        let complaint = |certificate: &Path, key: &Path| {
            CertReloader::load(certificate, key).err().map(|complaint| complaint.to_string())
        };
        assert_eq!(complaint(&certificate, &key), None);
        assert!(
            complaint(&folder.path().join("gone.pem"), &key)
                .is_some_and(|c| c.contains("gone.pem"))
        );
        assert!(
            complaint(&empty, &key).is_some_and(|c| c.contains("empty.pem holds no certificate"))
        );
        assert!(complaint(&certificate, &empty).is_some_and(|c| c.contains("empty.pem is not")));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = written(folder.path(), "cert.pem", &pair().0);
        let key = written(folder.path(), "key.pem", &pair().1);
        assert!(matches!(
            CertReloader::load(certificate, key),
            Err(TlsConfigError::Unusable { .. })
        ));
    }

    #[test]
    fn a_half_finished_replacement_keeps_the_old_certificate_until_the_key_follows() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (pair(), pair());
        let certificate = written(folder.path(), "cert.pem", &old.0);
        let key = written(folder.path(), "key.pem", &old.1);
        let keeper = CertReloader::load(certificate, key).expect("a good pair");
        let served = keeper.current();
        assert!(matches!(keeper.reload_if_changed(), Ok(false)), "nothing has changed");

        written(folder.path(), "cert.pem", &new.0);
        assert!(keeper.reload_if_changed().is_err());
        assert!(matches!(keeper.reload_if_changed(), Ok(false)), "one complaint is enough");
        assert!(Arc::ptr_eq(&served, &keeper.current()));

        written(folder.path(), "key.pem", &new.1);
        assert!(matches!(keeper.reload_if_changed(), Ok(true)));
        assert!(!Arc::ptr_eq(&served, &keeper.current()));
    }
}
