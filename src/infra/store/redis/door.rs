//! Opens connections: by TCP, by TLS, by a Unix socket.
//!
//! The stream is ours and the library is handed it, so that TLS is the one rustls with the one
//! provider that the rest of the house has.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::address::Endpoint;
use super::failure::{Failure, told};
use super::link::MOST_IN_FLIGHT;
use crate::infra::outbound::client_config;
use crate::infra::store::OpenError;

/// Whom to trust by TLS, and as whom to appear.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// PEM certificates to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// Our own PEM certificate chain and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Who is told what redis says without being asked, in line with its answers.
pub(super) type Ear = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// How connections are made. Clones are alike.
#[derive(Clone)]
pub(super) struct Door {
    tls: Option<TlsConnector>,
    patience: Duration,
}

/// One connection. It is gone when the last clone is: whatever it still waits for is waited for by
/// nobody.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) connection: MultiplexedConnection,
    heard: Arc<Mutex<Instant>>,
    _driver: Arc<Driver>,
}

impl Wire {
    /// Something came back on it.
    pub(super) fn has_answered(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// For how long something that was asked at that time has been met with silence.
    pub(super) fn silence(&self, asked: Instant) -> Duration {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.max(asked).elapsed()
    }
}

struct Driver(AbortHandle);

struct Told(Ear);

impl AsyncPushSender for Told {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        (self.0)(info);
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// Reads the certificates, if there is TLS.
    pub(super) fn new(tls: Option<&RedisTls>, patience: Duration) -> Result<Self, OpenError> {
        let tls = tls.map(connector).transpose()?;
        Ok(Self { tls, patience })
    }

    /// Connects and logs in, within our patience.
    pub(super) async fn open(
        &self,
        at: &Endpoint,
        login: &RedisConnectionInfo,
    ) -> Result<Wire, Failure> {
        self.open_with(at, login, None).await
    }

    /// A connection that speaks RESP3, for only there redis says anything without being asked.
    pub(super) async fn open_hearing(
        &self,
        at: &Endpoint,
        login: &RedisConnectionInfo,
        ear: Ear,
    ) -> Result<Wire, Failure> {
        let login = login.clone().set_protocol(ProtocolVersion::RESP3);
        self.open_with(at, &login, Some(ear)).await
    }

    async fn open_with(
        &self,
        at: &Endpoint,
        login: &RedisConnectionInfo,
        ear: Option<Ear>,
    ) -> Result<Wire, Failure> {
        let opened = timeout(self.patience, self.opened(at, login, ear)).await;
        opened.unwrap_or_else(|_elapsed| Err(Failure::unavailable("no answer in time")))
    }

    async fn opened(
        &self,
        at: &Endpoint,
        login: &RedisConnectionInfo,
        ear: Option<Ear>,
    ) -> Result<Wire, Failure> {
        let lost = |error: std::io::Error| told(&error.into());
        match (at, &self.tls) {
            (Endpoint::Unix(path), _) => {
                self.greeted(UnixStream::connect(path).await.map_err(lost)?, login, ear).await
            }
            (Endpoint::Tcp { host, port }, tls) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(lost)?;
                stream.set_nodelay(true).map_err(lost)?;
                let Some(tls) = tls else { return self.greeted(stream, login, ear).await };
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| Failure::unavailable("the host has no name that TLS knows"))?;
                let stream = tls.connect(name, stream).await.map_err(refused_by_tls)?;
                self.greeted(stream, login, ear).await
            }
        }
    }

    async fn greeted<S>(
        &self,
        stream: S,
        login: &RedisConnectionInfo,
        ear: Option<Ear>,
    ) -> Result<Wire, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Every command of a caller has its own bound, which is sooner: what a late answer means for
        // the connection is not for the connection to say. This one is for questions of our own.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(self.patience * 2))
            .set_pipeline_buffer_size(MOST_IN_FLIGHT);
        if let Some(ear) = ear {
            config = config.set_push_sender(Told(ear));
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config)
            .await
            .map_err(|error| told(&error))?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        Ok(Wire { connection, heard: Arc::new(Mutex::new(Instant::now())), _driver: driver })
    }
}

/// rustls names what it did not like about a certificate; none of that is secret.
fn refused_by_tls(error: std::io::Error) -> Failure {
    match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => {
            Failure::Unavailable(format!("TLS fails: {inner}"))
        }
        Some(_) | None => told(&error.into()),
    }
}

fn connector(files: &RedisTls) -> Result<TlsConnector, OpenError> {
    let mut config = client_config(files.ca_file.as_deref()).map_err(|_| {
        OpenError::InvalidOptions("REDIS_CA_FILE holds no PEM certificates to trust")
    })?;
    if let Some((certificate, key)) = &files.client {
        let shown = client_certificate(certificate, key).ok_or(OpenError::InvalidOptions(
            "REDIS_CERT_FILE and REDIS_KEY_FILE are not a PEM certificate and its key",
        ))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

fn client_certificate(certificate: &Path, key: &Path) -> Option<CertifiedKey> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).ok()?.collect();
    let key = PrivateKeyDer::from_pem_file(key).ok()?;
    let chain = chain.ok().filter(|chain| !chain.is_empty())?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).ok()
}
