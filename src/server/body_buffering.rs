//! Reads the body of a request before the request takes a permit of `concurrency_limit.rs`.
//!
//! A body that arrives slowly costs a connection and what has arrived, and must not hold a permit meanwhile. Slow bodies
//! have limits of their own: in all, for each address, and the time that a body may take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection_limit::ConnectionLimiter;
use super::error_response::ErrorResponse;
use crate::http::form::{BodyError, read_body};
use crate::http::request_info;

/// A body that is complete within this time is not counted as slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// Slow bodies in all: 64 MiB, if each has the largest allowed size.
const MAX_SLOW_BODIES: usize = 1024;

/// Slow bodies from one address, which may be a whole office.
const MAX_SLOW_BODIES_PER_ADDRESS: usize = 64;

/// Counts slow bodies, in all and by address.
#[derive(Clone)]
pub(super) struct SlowBodyLimit {
    permits: Arc<Semaphore>,
    per_address: Arc<ConnectionLimiter>,
    trusted_proxies: Arc<[IpNet]>,
}

impl SlowBodyLimit {
    /// Proxies are not counted by their own address, but by the one they forward for.
    pub(super) fn new(proxies: &[IpNet]) -> Self {
        Self::with_limits(MAX_SLOW_BODIES, MAX_SLOW_BODIES_PER_ADDRESS, proxies)
    }

    fn with_limits(most: usize, each: usize, proxies: &[IpNet]) -> Self {
        let (permits, per_address) =
            (Arc::new(Semaphore::new(most)), ConnectionLimiter::new(each, proxies.to_vec()));
        Self { permits, per_address, trusted_proxies: proxies.into() }
    }
}

/// Middleware: reads the whole body, then passes the request on.
pub(super) async fn buffer_body(
    State(bodies): State<SlowBodyLimit>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let address = request_info::address(&parts, &bodies.trusted_proxies);
    let mut reading = pin!(read_body(body));
    let read = if let Ok(read) = timeout(SLOW_AFTER, &mut reading).await {
        read
    } else {
        let (place, seat) = (bodies.permits.try_acquire(), bodies.per_address.try_acquire(address));
        let (Ok(_place), Some(_seat)) = (place, seat) else {
            return ErrorResponse::Overloaded.into_response();
        };
        reading.await
    };
    match read {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(BodyError::Incomplete) => ErrorResponse::BodyIncomplete.into_response(),
        Err(BodyError::TooLarge) => ErrorResponse::BodyTooLarge.into_response(),
        Err(BodyError::TooSlow) => ErrorResponse::BodyTimeout.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use bytes::Bytes;
    use hyper::body::Frame;
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;
    use crate::infra::client_ip::PeerAddr;

    fn router(most: usize, each: usize) -> Router {
        let router = Router::new().route("/", post(async |body: String| body));
        router.layer(from_fn_with_state(SlowBodyLimit::with_limits(most, each, &[]), buffer_body))
    }

    fn from(address: &str, body: Body) -> Request {
        let mut request = Request::post("/").body(body).unwrap();
        let peer = SocketAddr::new(address.parse().unwrap(), 4711);
        request.extensions_mut().insert(PeerAddr(peer));
        request
    }

    /// A body that never yields a frame.
    struct Slow;

    impl HttpBody for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    fn slow() -> Body {
        Body::new(Slow)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_waits_for_itself_and_only_other_slow_ones_from_there_are_turned_away() {
        let router = router(8, 1);
        let begun = Instant::now();
        let first = tokio::spawn(router.clone().oneshot(from("203.0.114.9", slow())));
        let second = tokio::spawn(router.clone().oneshot(from("203.0.114.9", slow())));
        let quick = router.clone().oneshot(from("203.0.114.9", Body::from("quick")));
        assert_eq!(quick.await.unwrap().status(), StatusCode::OK);
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for somebody else's body");

        let both = [first.await.unwrap().unwrap(), second.await.unwrap().unwrap()];
        let both = both.map(|answer| answer.extensions().get().copied());
        assert!(both.contains(&Some(ErrorResponse::BodyTimeout)), "{both:?}");
        assert!(both.contains(&Some(ErrorResponse::Overloaded)), "{both:?}");
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_slow_bodies_from_wherever_they_come() {
        let router = router(1, 8);
        let first = tokio::spawn(router.clone().oneshot(from("203.0.114.9", slow())));
        tokio::time::sleep(SLOW_AFTER * 2).await;
        let other = router.clone().oneshot(from("203.0.115.9", slow())).await.unwrap();
        assert_eq!(other.extensions().get(), Some(&ErrorResponse::Overloaded));
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        let after = router.oneshot(from("203.0.115.9", slow())).await.unwrap();
        assert_eq!(
            after.extensions().get(),
            Some(&ErrorResponse::BodyTimeout),
            "there is room again"
        );
    }

    #[tokio::test]
    async fn more_than_a_body_may_be_is_not_read() {
        let large = Body::from(vec![b'x'; 64 * 1024 + 1]);
        let answer = router(1, 1).oneshot(from("203.0.114.9", large)).await.unwrap();
        assert_eq!(answer.extensions().get(), Some(&ErrorResponse::BodyTooLarge));
    }
}
