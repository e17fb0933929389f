//! One connection, from its first byte to its last, and when it has taken too long.
//!
//! ```text
//! Fresh ─ a byte ▷ Head ─ headers whole ▷ Busy ─ answer made ▷ Idle ─ a byte ▷ Head …
//!   └──── header_timeout ────┘             request_timeout      keep_alive_idle
//! ```
//!
//! hyper's own `header_read_timeout` starts when the previous answer ends, so it cannot tell a client that
//! dribbles a header from one that rests between two requests. It is off, and the phases are told here.
//!
//! What is no HTTP at all, and a head larger than the buffer, never become a request: hyper answers them
//! itself, 400 or 431, with no body, no cookie and no header of ours, and closes. It has no hook for these
//! answers, and there is nothing in them to sniff, frame, keep or refer from.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower::ServiceExt;

use super::serve::Limits;
use crate::client_ip::PeerAddr;

/// Speaks HTTP/1.1 over the stream until either side has had enough.
pub(super) async fn converse<S>(
    stream: S,
    peer: SocketAddr,
    app: Router,
    limits: &Limits,
    mut shutdown: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Arc::new(Pulse::new());
    let stream = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse), lingering: None });
    let answering = Arc::clone(&pulse);
    let leaving = shutdown.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        answering.becomes(Phase::Busy);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddr(peer));
        let (app, leaving) = (app.clone(), leaving.clone());
        let ended = Ended(Arc::clone(&answering));
        async move {
            let mut response = tracked(app.oneshot(request).await, ended);
            if *leaving.borrow() {
                // So that the client does not send another request to a server that is going.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, hyper::Error>(response)
        }
    });
    let mut conversation = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(limits.max_header_bytes)
            .max_buf_size(limits.max_header_bytes.max(SMALLEST_BUFFER))
            .serve_connection(stream, service)
    );
    let mut leave = pin!(shutdown.wait_for(|told| *told));
    let mut watch = pin!(Watch::new(pulse.due(limits)));
    let mut told_to_leave = false;

    std::future::poll_fn(|cx| {
        loop {
            // A broken connection is the peer's affair; there is nobody left to tell.
            if conversation.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            told_to_leave = told_to_leave || leave.as_mut().poll(cx).is_ready();
            // A request on its way in is waited for, so that it is answered and not cut off.
            let may_close = told_to_leave && !matches!(pulse.phase(), Phase::Fresh | Phase::Head);
            match ready!(watch.as_mut().poll(cx, &pulse, limits, may_close)) {
                Verdict::SayGoodbye => conversation.as_mut().graceful_shutdown(),
                Verdict::Cut => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// The smallest buffer hyper works with.
const SMALLEST_BUFFER: usize = 8192;

/// How long a connection that was told goodbye may take to go.
const GOODBYE: Duration = Duration::from_secs(3);

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

    fn becomes(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    fn bytes_arrived(&self) {
        match self.phase() {
            Phase::Fresh | Phase::Idle => self.becomes(Phase::Head),
            Phase::Head | Phase::Busy => {}
        }
    }

    fn due(&self, limits: &Limits) -> Instant {
        let (phase, since) = self.state();
        since
            + match phase {
                Phase::Fresh | Phase::Head => limits.header_timeout,
                Phase::Busy => limits.request_timeout,
                Phase::Idle => limits.keep_alive_idle,
            }
    }
}

/// What is to be done about a connection whose time is up.
enum Verdict {
    SayGoodbye,
    Cut,
}

/// The alarm clock of one connection, set again only when it must ring earlier.
struct Watch {
    alarm: Pin<Box<Sleep>>,
    goodbye_until: Option<Instant>,
    goodbye_said: bool,
}

impl Watch {
    fn new(due: Instant) -> Self {
        Self { alarm: Box::pin(sleep_until(due)), goodbye_until: None, goodbye_said: false }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pulse: &Pulse,
        limits: &Limits,
        may_close: bool,
    ) -> Poll<Verdict> {
        if may_close && !self.goodbye_said {
            self.goodbye_said = true;
            return Poll::Ready(Verdict::SayGoodbye);
        }
        loop {
            let due = self.goodbye_until.unwrap_or_else(|| pulse.due(limits));
            if due < self.alarm.deadline() {
                self.alarm.as_mut().reset(due);
            }
            ready!(self.alarm.as_mut().poll(cx));
            if due > Instant::now() {
                self.alarm.as_mut().reset(due);
                continue;
            }
            if pulse.phase() != Phase::Idle || self.goodbye_until.is_some() {
                return Poll::Ready(Verdict::Cut);
            }
            self.goodbye_until = Some(Instant::now() + GOODBYE);
            self.goodbye_said = true;
            return Poll::Ready(Verdict::SayGoodbye);
        }
    }
}

/// A socket that tells when bytes arrive, and that closes without cutting off its last words.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    lingering: Option<Lingering>,
}

/// A socket closed with bytes unread is reset, and the reset may overtake the answer that says why
/// ([RFC 9112 §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)). So what still comes is read and
/// thrown away, for a moment and up to a limit.
struct Lingering {
    until: Pin<Box<Sleep>>,
    patience: usize,
}

impl Lingering {
    fn begin() -> Self {
        Self { until: Box::pin(sleep(Duration::from_secs(1))), patience: 1024 * 1024 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lingering, .. } = self.get_mut();
        if lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let lingering = lingering.get_or_insert_with(Lingering::begin);
        let mut scrap = [0; 4096];
        loop {
            if lingering.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut scrap = ReadBuf::new(&mut scrap);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut scrap));
            let came = scrap.filled().len();
            if read.is_err() || came == 0 || came > lingering.patience {
                return Poll::Ready(Ok(()));
            }
            lingering.patience -= came;
        }
    }
}

/// Tells the pulse that the answer is made, however it ended.
struct Ended(Arc<Pulse>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.becomes(Phase::Idle);
    }
}

/// A body that is missed when it is gone.
struct Tracked {
    body: Body,
    _ended: Ended,
}

fn tracked(
    answer: Result<Response<Body>, std::convert::Infallible>,
    ended: Ended,
) -> Response<Tracked> {
    match answer {
        Ok(response) => response.map(|body| Tracked { body, _ended: ended }),
        Err(never) => match never {},
    }
}

impl hyper::body::Body for Tracked {
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
