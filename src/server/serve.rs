//! Listens, accepts connections within the limits, and drains them at the end.
//!
//! `axum::serve` has no limit on slow headers, on their size or on the number of connections, so hyper is used directly
//! (`connection/` has the timeouts): docs/decisions/http-on-hyper.md.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub use super::connection::ConnectionLimits;
use super::connection::{
    ConnectionContext, Protocol, RequestLimiter, encode_error, serve_connection,
};
use super::connection_limit::{ConnectionLimiter, ConnectionPermit};
use super::error_response::ErrorResponse;
use super::response_format::ResponseFormat;
use super::tls::{ALPN_HTTP2, CertReloader};

/// Binds a listener for each address of the name: `localhost` is both `127.0.0.1` and `[::1]`.
///
/// An address that this machine does not have (often `::1`) is skipped if another can be bound. With port 0 all get the port
/// of the first.
pub async fn listen(address: &str) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses: Vec<SocketAddr> = lookup_host(address).await?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    for mut address in addresses {
        if let (0, Some(first)) = (address.port(), listeners.first()) {
            address.set_port(first.local_addr()?.port());
        }
        match bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => refused = error,
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() { Err(refused) } else { Ok(listeners) }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// Serves until `shutdown` is true or its sender is dropped, then drains.
///
/// While draining nothing new is accepted, idle connections are closed, and requests under way have `drain` to be answered.
/// Connections that are still open afterwards are aborted.
pub async fn serve(
    listeners: Vec<TcpListener>,
    tls: Option<CertReloader>,
    app: Router,
    limits: ConnectionLimits,
    shutdown: watch::Receiver<bool>,
    drain: Duration,
) {
    let acceptor = Acceptor {
        permits: Arc::new(Semaphore::new(limits.max_connections)),
        per_address: ConnectionLimiter::new(
            limits.max_connections_per_address,
            limits.trusted.clone(),
        ),
        tls,
        context: ConnectionContext {
            app,
            requests: RequestLimiter::new(&limits),
            limits: Arc::new(limits),
            shutdown,
        },
    };
    let mut accept_loops = JoinSet::new();
    for listener in listeners {
        accept_loops.spawn(acceptor.clone().accept_loop(listener, drain));
    }
    while let Some(closed) = accept_loops.join_next().await {
        if let Err(error) = closed {
            tracing::error!(%error, "a listener ended by itself");
        }
    }
}

/// Accepts connections, and holds what each of them needs.
#[derive(Clone)]
struct Acceptor {
    permits: Arc<Semaphore>,
    per_address: Arc<ConnectionLimiter>,
    tls: Option<CertReloader>,
    context: ConnectionContext,
}

impl Acceptor {
    async fn accept_loop(mut self, listener: TcpListener, drain: Duration) {
        let mut connections = JoinSet::new();
        let mut shutdown = self.context.shutdown.clone();
        let mut stop = std::pin::pin!(shutdown.wait_for(|stopping| *stopping));
        loop {
            let (permit, stream, peer) = tokio::select! {
                biased;
                _ = &mut stop => break,
                next = self.accept(&listener) => next,
            };
            connections.spawn(self.clone().handle_connection(permit, stream, peer));
            while connections.try_join_next().is_some() {}
        }

        // Connections that the kernel has accepted already are served.
        while let Some((permit, stream, peer)) = self.try_accept(&listener).await {
            connections.spawn(self.clone().handle_connection(permit, stream, peer));
        }
        drop(listener);
        let gone = timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
        if gone.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the time to finish is over; cutting the rest"
            );
        }
    }

    /// The next connection, once there is a permit for it.
    async fn accept(
        &mut self,
        listener: &TcpListener,
    ) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                std::future::pending().await
            };
            match listener.accept().await {
                Ok((stream, peer)) => return (permit, stream, peer),
                // The peer gave up while it waited. The next one may be fine.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Most likely out of file descriptors: trying again at once would fail again.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(75)).await;
                }
            }
        }
    }

    /// A connection that is waiting to be accepted now, if there is one.
    async fn try_accept(
        &mut self,
        listener: &TcpListener,
    ) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let waiting = poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
            Poll::Pending => Poll::Ready(None),
        });
        waiting.await.map(|(stream, peer)| (permit, stream, peer))
    }

    async fn handle_connection(
        self,
        _permit: OwnedSemaphorePermit,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        let Some(seat) = self.per_address.try_acquire(peer.ip()) else {
            return self.reject(stream).await;
        };
        // A lost option costs latency, not correctness.
        let _ = stream.set_nodelay(true);
        self.serve_tls(seat, stream, peer).await;
    }

    async fn serve_tls(self, _seat: ConnectionPermit, stream: TcpStream, peer: SocketAddr) {
        let Self { tls, context: service, .. } = self;
        let Some(tls) = tls else {
            let either = service.limits.prior_knowledge;
            let protocol = if either { Protocol::Either } else { Protocol::Http1 };
            return serve_connection(stream, peer, protocol, service).await;
        };
        let greeting = TlsAcceptor::from(tls.current()).accept(stream);
        match timeout(service.limits.header_timeout, greeting).await {
            Ok(Ok(stream)) => {
                let agreed = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
                let protocol = if agreed { Protocol::Http2 } else { Protocol::Http1 };
                serve_connection(stream, peer, protocol, service).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Answers 503 to a connection beyond the limit of its address. Over TLS the connection is closed without a handshake.
    async fn reject(&self, mut stream: TcpStream) {
        if self.tls.is_some() {
            return;
        }
        let https = self.context.limits.https;
        let Some(answer) = encode_error(ErrorResponse::Overloaded, ResponseFormat::Json, https)
        else {
            return;
        };
        let _ = timeout(Duration::from_secs(1), async {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            // Unread bytes would turn the close into a reset that overtakes the answer.
            stream.read(&mut [0; 1024]).await
        })
        .await;
    }
}
