//! One connection, from its first byte to its last, with its timeouts: docs/decisions/http-on-hyper.md.
//!
//! HTTP/1.1 is in `http1`, HTTP/2 in `http2`; `socket` and `preface` are the streams they read from. ALPN
//! decides between the two, or with `HTTP2=prior-knowledge` the first bytes do.

mod drain_on_drop;
mod frames;
mod http1;
mod http2;
mod last_byte;
mod limits;
mod parser_errors;
mod preface;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

pub use self::limits::ConnectionLimits;
pub(super) use self::limits::MAX_URI_LEN;
pub(super) use self::parser_errors::encode_error;
use super::connection_limit::{ConnectionLimiter, ConnectionPermit};

/// What every connection needs.
#[derive(Clone)]
pub(super) struct ConnectionContext {
    pub app: Router,
    pub limits: Arc<ConnectionLimits>,
    pub requests: RequestLimiter,
    pub shutdown: watch::Receiver<bool>,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// The first bytes decide.
    Either,
}

/// Serves the stream until either side closes it or a timeout does.
pub(super) async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    protocol: Protocol,
    service: ConnectionContext,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match protocol {
        Protocol::Http1 => http1::serve(stream, peer, service).await,
        Protocol::Http2 => http2::serve(stream, peer, service).await,
        Protocol::Either => {
            let read = preface::detect(stream);
            // The header timeout holds for the first bytes, too.
            match timeout(service.limits.header_timeout, read).await {
                Ok(Ok((true, stream))) => http2::serve(stream, peer, service).await,
                Ok(Ok((false, stream))) => http1::serve(stream, peer, service).await,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

/// Limits the requests that HTTP/2 connections have under way, in all and by address, as connections are limited. An HTTP/1.1
/// connection has one request at a time, so there the limit of connections is enough.
#[derive(Clone)]
pub(super) struct RequestLimiter {
    permits: Arc<Semaphore>,
    per_address: Arc<ConnectionLimiter>,
}

impl RequestLimiter {
    /// With the limits of connections.
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            per_address: ConnectionLimiter::new(
                limits.max_connections_per_address,
                limits.trusted.clone(),
            ),
        }
    }

    /// A permit for one more request; `None` at a limit.
    fn try_acquire(&self, peer: SocketAddr) -> Option<RequestPermit> {
        let seat = self.per_address.try_acquire(peer.ip())?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(RequestPermit { _seat: seat, _permit: permit })
    }
}

/// One counted request; dropping it gives the permits back.
struct RequestPermit {
    _seat: ConnectionPermit,
    _permit: OwnedSemaphorePermit,
}

/// Marks a request beyond the limit; `layers` answers it with 503.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverRequestLimit;

/// What to do with a connection whose deadline has passed.
enum TimeoutAction {
    GracefulShutdown,
    Abort,
}

/// How long a connection may take to close gracefully.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
