//! HTTP/2 ([RFC 9113]): many requests at once on one connection, each under the limits of HTTP/1.1.
//!
//! * A header block has `header_timeout` from its first byte to its last, and so has the preface.
//! * A request has `request_timeout` for its response, and is reset after it; body and handler have their usual timeouts.
//! * A connection without a request gets GOAWAY after `keep_alive`; a ping finds out earlier that the peer is gone.
//! * As many requests may be under way in all, and from one address, as there may be connections.
//! * A connection that resets requests again and again is aborted ([CVE-2023-44487]); `h2` does the same for header blocks
//!   without end ([CVE-2024-27316]), settings and small frames.
//!
//! Endpoints see a request in the form of HTTP/1.1.
//!
//! [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113
//! [CVE-2023-44487]: https://nvd.nist.gov/vuln/detail/CVE-2023-44487
//! [CVE-2024-27316]: https://nvd.nist.gov/vuln/detail/CVE-2024-27316

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::Parts;
use axum::http::{HeaderMap, Uri, header};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower::ServiceExt;

use super::drain_on_drop::DrainOnDrop;
use super::frames::FrameTracker;
use super::http1::tracked;
use super::last_byte::SplitLastByte;
use super::socket::{StreamTap, TappedStream};
use super::{
    ConnectionContext, ConnectionLimits, OverRequestLimit, RequestPermit, SHUTDOWN_TIMEOUT,
    TimeoutAction,
};
use crate::infra::client_ip::PeerAddr;

/// Requests under way on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// The flow-control windows of one request body and of a connection. The first is the initial value of the protocol, and
/// our largest body is hardly more.
const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How much of a response is buffered while the peer does not read it.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Limits of `h2` on requests that the peer reset before they were accepted, and on those that we reset.
const MAX_PENDING_ACCEPT_RESETS: usize = 20;
const MAX_LOCAL_ERROR_RESETS: usize = 128;

/// How many requests the peer may reset, beyond one for every ten that are answered: a browser that is closed while a
/// page loads resets a few.
const MAX_ABANDONED: u32 = 100;
const RESPONSES_PER_ABANDONED: u32 = 10;

/// Serves HTTP/2 until either side closes the connection or a timeout does.
pub(super) async fn serve<S>(stream: S, peer: SocketAddr, service: ConnectionContext)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ConnectionContext { app, limits, requests, mut shutdown } = service;
    let shared = Arc::new(SharedHttp2State::new());
    let tap = FrameTap { shared: Arc::clone(&shared), frames: FrameTracker::new() };
    let answering = Arc::clone(&shared);
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = as_http1_request(request.map(|body| Body::new(DrainOnDrop::new(body))));
        request.extensions_mut().insert(PeerAddr(peer));
        let permit = requests.try_acquire(peer);
        if permit.is_none() {
            request.extensions_mut().insert(OverRequestLimit);
        }
        let mut open = OpenRequest::new(Arc::clone(&answering), permit);
        let app = app.clone();
        async move {
            let answer = app.oneshot(request).await;
            open.answered = true;
            Ok::<_, hyper::Error>(tracked(answer, open).map(SplitLastByte::new))
        }
    });
    let stream = TokioIo::new(TappedStream::new(stream, tap));
    let mut connection = pin!(builder(&limits).serve_connection(stream, answer));
    let mut leave = pin!(shutdown.wait_for(|stopping| *stopping));
    let mut deadline = Deadline::new(&shared, &limits);
    let mut shutting_down = false;

    poll_fn(|cx| {
        loop {
            // An error of the connection cannot be answered any more.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            shutting_down = shutting_down || leave.as_mut().poll(cx).is_ready();
            match ready!(deadline.poll(cx, &shared, &limits, shutting_down)) {
                TimeoutAction::GracefulShutdown => connection.as_mut().graceful_shutdown(),
                TimeoutAction::Abort => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// The timer of one connection, reset only when it has to fire earlier.
struct Deadline(Pin<Box<Sleep>>);

impl Deadline {
    fn new(pulse: &SharedHttp2State, limits: &ConnectionLimits) -> Self {
        Self(Box::pin(sleep_until(pulse.state().due(limits))))
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        pulse: &SharedHttp2State,
        limits: &ConnectionLimits,
        leaving: bool,
    ) -> Poll<TimeoutAction> {
        loop {
            let mut state = pulse.state();
            if state.abandoned > MAX_ABANDONED * RESPONSES_PER_ABANDONED {
                tracing::info!("a connection that took back too many requests was cut off");
                return Poll::Ready(TimeoutAction::Abort);
            }
            let due = state.due(limits);
            let expired = due <= Instant::now();
            if expired && (state.goaway_at.is_some() || !state.is_idle()) {
                return Poll::Ready(TimeoutAction::Abort);
            }
            if state.goaway_at.is_none() && (leaving || expired) {
                state.goaway_at = Some(Instant::now());
                return Poll::Ready(TimeoutAction::GracefulShutdown);
            }
            drop(state);
            if due < self.0.deadline() {
                self.0.as_mut().reset(due);
            }
            ready!(self.0.as_mut().poll(cx));
            // It fired for a deadline that has moved.
            self.0.as_mut().reset(due);
        }
    }
}

fn builder(limits: &ConnectionLimits) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor { limit: limits.request_timeout });
    // Twice what the parser of HTTP/1.1 holds, so that `layers` can say what was too much: beyond this `h2`
    // answers 431 without a word.
    let headers = u32::try_from(limits.max_header_bytes * 2).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_header_list_size(headers)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}

/// Runs each request in a task with a timeout; a request that is dropped is reset.
#[derive(Clone)]
struct StreamExecutor {
    limit: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(timeout(self.limit, stream));
    }
}

/// What a connection is doing. Shared by the socket, the service and the bodies of one connection.
struct SharedHttp2State(Mutex<Http2State>);

struct Http2State {
    /// Requests under way.
    open: usize,
    /// When the last of them ended, or the connection began.
    since: Instant,
    /// When the unfinished header block began.
    header_since: Option<Instant>,
    /// When GOAWAY was sent.
    goaway_at: Option<Instant>,
    /// Ten for each request that the peer reset, less one for each response.
    abandoned: u32,
}

impl SharedHttp2State {
    fn new() -> Self {
        let now = Instant::now();
        let (header_since, told_at) = (Some(now), None);
        Self(Mutex::new(Http2State {
            open: 0,
            since: now,
            header_since,
            goaway_at: told_at,
            abandoned: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, Http2State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Http2State {
    fn is_idle(&self) -> bool {
        self.open == 0 && self.header_since.is_none()
    }

    /// When the connection has to be checked next.
    fn due(&self, limits: &ConnectionLimits) -> Instant {
        let header = self.header_since.map(|since| since + limits.header_timeout);
        let rest = match self.goaway_at {
            // Each request has a timeout of its own.
            _ if self.open > 0 => Instant::now() + limits.keep_alive.min(SHUTDOWN_TIMEOUT),
            Some(told_at) => self.since.max(told_at) + SHUTDOWN_TIMEOUT,
            None => self.since + limits.keep_alive,
        };
        header.map_or(rest, |header| header.min(rest))
    }
}

/// Records from the frames that arrive when a header block begins and ends.
struct FrameTap {
    shared: Arc<SharedHttp2State>,
    frames: FrameTracker,
}

impl StreamTap for FrameTap {
    fn on_read(&mut self, bytes: &[u8]) {
        let ended = self.frames.record(bytes);
        let mut state = self.shared.state();
        let begun = state.header_since.filter(|_| !ended);
        let unfinished = self.frames.is_unfinished();
        state.header_since = unfinished.then(|| begun.unwrap_or_else(Instant::now));
    }

    fn on_write(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// One request under way, from its header to the end of its response.
struct OpenRequest {
    shared: Arc<SharedHttp2State>,
    answered: bool,
    _permit: Option<RequestPermit>,
}

impl OpenRequest {
    fn new(pulse: Arc<SharedHttp2State>, place: Option<RequestPermit>) -> Self {
        pulse.state().open += 1;
        Self { shared: pulse, answered: false, _permit: place }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        (state.open, state.since) = (state.open - 1, Instant::now());
        state.abandoned = if self.answered {
            state.abandoned.saturating_sub(1)
        } else {
            state.abandoned + RESPONSES_PER_ABANDONED
        };
    }
}

/// The request in the form of HTTP/1.1: the authority is in `Host`, and all cookies in one line
/// ([RFC 9113 §8.3.1, §8.2.3]).
///
/// [RFC 9113 §8.3.1, §8.2.3]: https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1
fn as_http1_request(mut request: Request<Body>) -> Request<Body> {
    join_cookies(request.headers_mut());
    if *request.method() == Method::CONNECT {
        return request;
    }
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &uri.authority {
        set_host_header(request.headers_mut(), authority.as_str());
    }
    let mut own = Parts::default();
    own.path_and_query = uri.path_and_query;
    *request.uri_mut() = Uri::from_parts(own).unwrap_or_default();
    request
}

/// Sets `Host` to the authority. A `Host` that differs from it is removed, and then the request has none.
fn set_host_header(headers: &mut HeaderMap, authority: &str) {
    let same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
    let agreed = headers.get_all(header::HOST).iter().all(same);
    headers.remove(header::HOST);
    if let Ok(host) = HeaderValue::from_str(authority)
        && agreed
    {
        headers.insert(header::HOST, host);
    }
}

fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() < 2 {
        return;
    }
    // Values of headers are valid in one header.
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}
