//! HTTP/1.1: one request after the other.
//!
//! ```text
//! Fresh ─ a byte ▷ Head ─ headers whole ▷ Busy ─ answer made ▷ Idle ─ a byte ▷ Head …
//!   └──── header_timeout ────┘             request_timeout      keep_alive
//! ```
//!
//! hyper's own `header_read_timeout` starts when the previous answer ends, so it cannot tell a client that
//! dribbles a header from one that rests between two requests. It is off, and the phases are told here.
//!
//! What is no HTTP at all, and a head larger than the buffer, never become a request: hyper answers them
//! itself and closes. These answers are given words on their way out (`bare`).

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

use super::bare::{self, Start};
use super::socket::{Tap, Tapped};
use super::{Limits, SHUTDOWN_TIMEOUT, Service, Verdict};
use crate::infra::client_ip::PeerAddr;

/// Speaks HTTP/1.1 over the stream until either side has had enough.
pub(super) async fn serve<S>(stream: S, peer: SocketAddr, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Service { app, limits, mut shutdown, .. } = service;
    let pulse = Arc::new(Pulse::new());
    let tap =
        RequestTap { pulse: Arc::clone(&pulse), start: Start::default(), https: limits.https };
    let answering = Arc::clone(&pulse);
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
                // So that the client does not send another request to a server that is going.
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
            .max_buf_size(limits.max_header_bytes.max(SMALLEST_BUFFER))
            .serve_connection(TokioIo::new(Tapped::new(stream, tap)), answer)
    );
    let mut leave = pin!(shutdown.wait_for(|told| *told));
    let mut deadline = pin!(Deadline::new(pulse.due(&limits)));
    let mut told_to_leave = false;

    std::future::poll_fn(|cx| {
        loop {
            // A broken connection is the peer's affair; there is nobody left to tell.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            told_to_leave = told_to_leave || leave.as_mut().poll(cx).is_ready();
            // A request on its way in is waited for, so that it is answered and not cut off.
            let may_close = told_to_leave && !matches!(pulse.phase(), Phase::Fresh | Phase::Head);
            match ready!(deadline.as_mut().poll(cx, &pulse, &limits, may_close)) {
                Verdict::GracefulShutdown => connection.as_mut().graceful_shutdown(),
                Verdict::Abort => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// The smallest buffer hyper works with.
const SMALLEST_BUFFER: usize = 8192;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Accepted, and silent.
    Fresh,
    /// A header has begun to arrive.
    Head,
    /// A request is being answered.
    Busy,
    /// The answer is made; nothing more was asked.
    Idle,
}

/// The phase, and since when. Shared by the socket, the service and the body of one connection.
struct Pulse(Mutex<(Phase, Instant)>);

impl Pulse {
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

    fn due(&self, limits: &Limits) -> Instant {
        let (phase, since) = self.state();
        since
            + match phase {
                Phase::Fresh | Phase::Head => limits.header_timeout,
                Phase::Busy => limits.request_timeout,
                Phase::Idle => limits.keep_alive,
            }
    }
}

/// Tells the phase from what arrives, and knows how the request began.
struct RequestTap {
    pulse: Arc<Pulse>,
    start: Start,
    https: bool,
}

impl Tap for RequestTap {
    fn arrived(&mut self, bytes: &[u8]) {
        match self.pulse.phase() {
            Phase::Fresh | Phase::Idle => {
                self.pulse.set_phase(Phase::Head);
                self.start = Start::default();
            }
            Phase::Head | Phase::Busy => {}
        }
        self.start.arrived(bytes);
    }

    fn reworded(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        bare::reworded(bytes, &self.start, self.https)
    }
}

/// The alarm clock of one connection, set again only when it must ring earlier.
struct Deadline {
    alarm: Pin<Box<Sleep>>,
    abort_at: Option<Instant>,
    told: bool,
}

impl Deadline {
    fn new(due: Instant) -> Self {
        Self { alarm: Box::pin(sleep_until(due)), abort_at: None, told: false }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pulse: &Pulse,
        limits: &Limits,
        may_close: bool,
    ) -> Poll<Verdict> {
        if may_close && !self.told {
            self.told = true;
            return Poll::Ready(Verdict::GracefulShutdown);
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
                return Poll::Ready(Verdict::Abort);
            }
            self.abort_at = Some(Instant::now() + SHUTDOWN_TIMEOUT);
            self.told = true;
            return Poll::Ready(Verdict::GracefulShutdown);
        }
    }
}

/// Tells that the answer is made, however it ended.
struct IdleOnDrop(Arc<Pulse>);

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Idle);
    }
}

/// A body that is missed when it is gone.
pub(super) struct TrackedBody<G> {
    body: Body,
    _guard: G,
}

/// The answer, with a guard that is dropped with its body.
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
