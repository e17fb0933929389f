//! HTTP/1.1: one request after the other.
//!
//! ```text
//! Fresh ─ a byte ▷ Head ─ headers whole ▷ Busy ─ answer made ▷ Idle ─ a byte ▷ Head …
//!   └──── header_timeout ────┘             request_timeout      keep_alive
//! ```
//!
//! hyper's own `header_read_timeout` starts when the previous answer ends, so it cannot tell a client that
//! dribbles a header from one that rests between two requests. It is off, and the phases are tracked here.
//!
//! What is no HTTP, and a head larger than the buffer, never become a request: hyper answers them with a bare status and
//! closes. `parser_errors` replaces these responses on their way out.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::ServiceExt;

use super::parser_errors::{self, RequestStart};
use super::socket::{StreamTap, TappedStream};
use super::{ConnectionContext, ConnectionLimits, SHUTDOWN_TIMEOUT, TimeoutAction};
use crate::infra::client_ip::PeerAddr;

/// Serves HTTP/1.1 until either side closes the connection or a timeout does.
pub(super) async fn serve<S>(stream: S, peer: SocketAddr, service: ConnectionContext)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ConnectionContext { app, limits, mut shutdown, .. } = service;
    let phases = Arc::new(PhaseTracker::new());
    let tap = RequestTap {
        phases: Arc::clone(&phases),
        start: RequestStart::default(),
        https: limits.https,
    };
    let answering = Arc::clone(&phases);
    let leaving = shutdown.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        answering.set_phase(Phase::Busy);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddr(peer));
        let (app, leaving) = (app.clone(), leaving.clone());
        let idle = IdleOnDrop(Arc::clone(&answering));
        async move {
            let mut response = tracked(app.oneshot(request).await, idle);
            if *leaving.borrow() {
                // So that the client sends its next request elsewhere.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, hyper::Error>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(limits.max_header_bytes)
            .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER_BYTES))
            .serve_connection(TokioIo::new(TappedStream::new(stream, tap)), answer)
    );
    let mut leave = pin!(shutdown.wait_for(|stopping| *stopping));
    let mut deadline = pin!(Deadline::new(phases.due(&limits)));
    let mut shutting_down = false;

    std::future::poll_fn(|cx| {
        loop {
            // An error of the connection cannot be answered any more.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            shutting_down = shutting_down || leave.as_mut().poll(cx).is_ready();
            // A request that has begun to arrive is still answered.
            let may_close = shutting_down && !matches!(phases.phase(), Phase::Fresh | Phase::Head);
            match ready!(deadline.as_mut().poll(cx, &phases, &limits, may_close)) {
                TimeoutAction::GracefulShutdown => connection.as_mut().graceful_shutdown(),
                TimeoutAction::Abort => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// The smallest buffer hyper works with.
const MIN_BUFFER_BYTES: usize = 8192;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing was received yet.
    Fresh,
    /// A header has begun to arrive.
    Head,
    /// A request is being answered.
    Busy,
    /// The response is complete; no further request has begun.
    Idle,
}

/// The phase, and since when. Shared by the socket, the service and the body of one connection.
struct PhaseTracker(Mutex<(Phase, Instant)>);

impl PhaseTracker {
    fn new() -> Self {
        Self(Mutex::new((Phase::Fresh, Instant::now())))
    }

    fn state(&self) -> (Phase, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        self.state().0
    }

    fn set_phase(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    fn due(&self, limits: &ConnectionLimits) -> Instant {
        let (phase, since) = self.state();
        since
            + match phase {
                Phase::Fresh | Phase::Head => limits.header_timeout,
                Phase::Busy => limits.request_timeout,
                Phase::Idle => limits.keep_alive,
            }
    }
}

/// Sets the phase from the bytes that arrive, and keeps the start of the request.
struct RequestTap {
    phases: Arc<PhaseTracker>,
    start: RequestStart,
    https: bool,
}

impl StreamTap for RequestTap {
    fn on_read(&mut self, bytes: &[u8]) {
        match self.phases.phase() {
            Phase::Fresh | Phase::Idle => {
                self.phases.set_phase(Phase::Head);
                self.start = RequestStart::default();
            }
            Phase::Head | Phase::Busy => {}
        }
        self.start.record(bytes);
    }

    fn on_write(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        parser_errors::replacement_for(bytes, &self.start, self.https)
    }
}

/// The timer of one connection, reset only when it has to fire earlier.
struct Deadline {
    alarm: Pin<Box<Sleep>>,
    abort_at: Option<Instant>,
    closing: bool,
}

impl Deadline {
    fn new(due: Instant) -> Self {
        Self { alarm: Box::pin(sleep_until(due)), abort_at: None, closing: false }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pulse: &PhaseTracker,
        limits: &ConnectionLimits,
        may_close: bool,
    ) -> Poll<TimeoutAction> {
        if may_close && !self.closing {
            self.closing = true;
            return Poll::Ready(TimeoutAction::GracefulShutdown);
        }
        loop {
            let due = self.abort_at.unwrap_or_else(|| pulse.due(limits));
            if due < self.alarm.deadline() {
                self.alarm.as_mut().reset(due);
            }
            ready!(self.alarm.as_mut().poll(cx));
            if due > Instant::now() {
                self.alarm.as_mut().reset(due);
                continue;
            }
            if pulse.phase() != Phase::Idle || self.abort_at.is_some() {
                return Poll::Ready(TimeoutAction::Abort);
            }
            self.abort_at = Some(Instant::now() + SHUTDOWN_TIMEOUT);
            self.closing = true;
            return Poll::Ready(TimeoutAction::GracefulShutdown);
        }
    }
}

/// Sets the phase to idle when the response has ended, in whatever way.
struct IdleOnDrop(Arc<PhaseTracker>);

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Idle);
    }
}

/// A response body that drops a guard when it has ended.
pub(super) struct TrackedBody<G> {
    body: Body,
    _guard: G,
}

/// Attaches a guard to the response that is dropped with its body.
pub(super) fn tracked<G>(
    answer: Result<Response<Body>, std::convert::Infallible>,
    guard: G,
) -> Response<TrackedBody<G>> {
    match answer {
        Ok(response) => response.map(|body| TrackedBody { body, _guard: guard }),
        Err(never) => match never {},
    }
}

impl<G: Unpin> hyper::body::Body for TrackedBody<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
