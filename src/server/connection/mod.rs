//! One connection, from its first byte to its last, and when it has taken too long.
//!
//! HTTP/1.1 is in `http1`, HTTP/2 in `http2`; `socket` and `preface` are the streams they read from. Which
//! of the two it is, TLS has agreed on (ALPN), or the first bytes say where `HTTP2=prior-knowledge`.

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

/// What every connection is served with.
#[derive(Clone)]
pub(super) struct ConnectionContext {
    pub app: Router,
    pub limits: Arc<ConnectionLimits>,
    pub requests: RequestLimiter,
    pub shutdown: watch::Receiver<bool>,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// The first bytes tell.
    Either,
}

/// Speaks HTTP over the stream until either side has had enough.
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
            // Who sends nothing in this time sends no header either.
            match timeout(service.limits.header_timeout, read).await {
                Ok(Ok((true, stream))) => http2::serve(stream, peer, service).await,
                Ok(Ok((false, stream))) => http1::serve(stream, peer, service).await,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

/// The requests that HTTP/2 connections have under way. A connection of HTTP/1.1 has one at a time, so that
/// the bounds on connections hold for requests, too. One of HTTP/2 has a hundred, and these count as many.
#[derive(Clone)]
pub(super) struct RequestLimiter {
    permits: Arc<Semaphore>,
    per_address: Arc<ConnectionLimiter>,
}

impl RequestLimiter {
    /// None yet. The bounds are those on connections.
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            per_address: ConnectionLimiter::new(
                limits.max_connections_per_address,
                limits.trusted.clone(),
            ),
        }
    }

    /// A place for one more, unless there are enough.
    fn try_acquire(&self, peer: SocketAddr) -> Option<RequestPermit> {
        let seat = self.per_address.try_acquire(peer.ip())?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(RequestPermit { _seat: seat, _permit: permit })
    }
}

/// Given back when dropped.
struct RequestPermit {
    _seat: ConnectionPermit,
    _permit: OwnedSemaphorePermit,
}

/// On a request that found no place: `layers` refuses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverRequestLimit;

/// What is to be done about a connection whose time is up.
enum TimeoutAction {
    GracefulShutdown,
    Abort,
}

/// How long a connection that was told to close may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
