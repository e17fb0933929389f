//! Opens connections: by TCP, by TLS, by a Unix socket.
//!
//! The streams are opened here and handed to the redis library, so that TLS is the rustls, with the one
//! crypto provider, that every other connection of Latchkey uses.

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

use super::error::{CommandError, classify_error, invalid_options};
use super::url::Endpoint;
use crate::infra::outbound::client_config;
use crate::infra::store::OpenError;

/// More than this many commands waiting for one server are refused.
pub(super) const MAX_IN_FLIGHT: usize = 1024;

/// The certificates of TLS.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// PEM certificates to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// Our own PEM certificate chain and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Receives RESP3 push messages, in order with the replies.
pub(super) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Opens connections. Clones are alike.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<TlsConnector>,
    timeout: Duration,
}

/// One multiplexed connection. Dropping the last clone closes it: nothing waits for a reply then.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) multiplexed: MultiplexedConnection,
    last_reply: Arc<Mutex<Instant>>,
    _driver: Arc<Driver>,
}

impl Connection {
    /// Notes that a reply was received.
    pub(super) fn mark_alive(&self) {
        *self.last_reply.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// For how long a command sent at `sent` has waited without any reply on this connection.
    pub(super) fn idle_for(&self, sent: Instant) -> Duration {
        let last_reply = *self.last_reply.lock().unwrap_or_else(PoisonError::into_inner);
        last_reply.max(sent).elapsed()
    }
}

/// The task that reads and writes the socket. It ends with this value.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct PushSender(PushHandler);

impl AsyncPushSender for PushSender {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        (self.0)(info);
        Ok(())
    }
}

impl Connector {
    /// Reads the certificates, if there is TLS. `timeout` bounds each connect, login included.
    pub(super) fn new(tls: Option<&RedisTls>, timeout: Duration) -> Result<Self, OpenError> {
        let tls = tls.map(tls_connector).transpose()?;
        Ok(Self { tls, timeout })
    }

    /// Connects and logs in.
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
    ) -> Result<Connection, CommandError> {
        self.connect_with_timeout(endpoint, login, None).await
    }

    /// [`connect`](Self::connect) with RESP3, the only version with push messages.
    pub(super) async fn connect_with_push(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
        on_push: PushHandler,
    ) -> Result<Connection, CommandError> {
        let login = login.clone().set_protocol(ProtocolVersion::RESP3);
        self.connect_with_timeout(endpoint, &login, Some(on_push)).await
    }

    async fn connect_with_timeout(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
        on_push: Option<PushHandler>,
    ) -> Result<Connection, CommandError> {
        let connected = timeout(self.timeout, self.connect_inner(endpoint, login, on_push)).await;
        connected.unwrap_or_else(|_elapsed| Err(CommandError::unavailable("no answer in time")))
    }

    async fn connect_inner(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
        on_push: Option<PushHandler>,
    ) -> Result<Connection, CommandError> {
        let lost = |error: std::io::Error| classify_error(&error.into());
        match (endpoint, &self.tls) {
            (Endpoint::Unix(path), _) => {
                let stream = UnixStream::connect(path).await.map_err(lost)?;
                self.handshake(stream, login, on_push).await
            }
            (Endpoint::Tcp { host, port }, tls) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(lost)?;
                stream.set_nodelay(true).map_err(lost)?;
                let Some(tls) = tls else { return self.handshake(stream, login, on_push).await };
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    CommandError::unavailable("the host has no name that TLS knows")
                })?;
                let stream = tls.connect(name, stream).await.map_err(tls_error)?;
                self.handshake(stream, login, on_push).await
            }
        }
    }

    async fn handshake<S>(
        &self,
        stream: S,
        login: &RedisConnectionInfo,
        on_push: Option<PushHandler>,
    ) -> Result<Connection, CommandError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Callers bound their own commands, sooner than this, and decide what a timeout means for the
        // connection (`connections.rs`). This bound is for commands such as `ROLE` that have no caller.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(self.timeout * 2))
            .set_pipeline_buffer_size(MAX_IN_FLIGHT);
        if let Some(on_push) = on_push {
            config = config.set_push_sender(PushSender(on_push));
        }
        let (multiplexed, driver) = MultiplexedConnection::new_with_config(login, stream, config)
            .await
            .map_err(|error| classify_error(&error))?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        let last_reply = Arc::new(Mutex::new(Instant::now()));
        Ok(Connection { multiplexed, last_reply, _driver: driver })
    }
}

/// rustls names what is wrong with a certificate; none of that is secret.
fn tls_error(error: std::io::Error) -> CommandError {
    match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => {
            CommandError::Unavailable(format!("TLS fails: {inner}"))
        }
        Some(_) | None => classify_error(&error.into()),
    }
}

fn tls_connector(files: &RedisTls) -> Result<TlsConnector, OpenError> {
    let mut config = client_config(files.ca_file.as_deref())
        .map_err(|_| invalid_options("REDIS_CA_FILE holds no PEM certificates to trust"))?;
    if let Some((certificate, key)) = &files.client {
        let certified_key = client_certificate(certificate, key).ok_or(invalid_options(
            "REDIS_CERT_FILE and REDIS_KEY_FILE are not a PEM certificate and its key",
        ))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified_key));
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

fn client_certificate(certificate: &Path, key: &Path) -> Option<CertifiedKey> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).ok()?.collect();
    let key = PrivateKeyDer::from_pem_file(key).ok()?;
    let chain = chain.ok().filter(|chain| !chain.is_empty())?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).ok()
}
