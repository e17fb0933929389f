//! A queue before the pages, so that a crowd at the door is nobody else's trouble.
//!
//! Thousands who follow a link at the same moment ask the store for more than it answers in a second, and
//! then it answers nobody in time: neither them, nor an application that only wants to refresh. So only so
//! many requests for pages are looked at together. The others wait their turn, and are told to come back if
//! it does not come soon. What applications ask for themselves is never in line here.
//!
//! Nobody has a place who has not said everything yet: a body is read before (`body_buffering.rs`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body_buffering::{self, SlowBodyLimit};
use super::error_response::ErrorResponse;

/// Requests that are looked at together when as many as may (`HASH_QUEUE`) wait for a password to be hashed,
/// which asks nothing of the store. When none waits, they may be as many more.
const MAX_CONCURRENT_REQUESTS: usize = 128;

/// From coming to having one's turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// The rooms with a queue before them, of which so many may be waiting for something inside.
pub(super) fn limit_concurrency<S: Clone + Send + Sync + 'static>(
    rooms: Router<S>,
    waiting: usize,
    bodies: SlowBodyLimit,
) -> Router<S> {
    with_permits(rooms, waiting + MAX_CONCURRENT_REQUESTS)
        .layer(from_fn_with_state(bodies, body_buffering::buffer_body))
}

fn with_permits<S: Clone + Send + Sync + 'static>(rooms: Router<S>, places: usize) -> Router<S> {
    rooms.layer(from_fn_with_state(Arc::new(Semaphore::new(places)), acquire_permit))
}

async fn acquire_permit(
    State(places): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(QUEUE_TIMEOUT, places.acquire()).await {
        Ok(Ok(_place)) => next.run(request).await,
        Ok(Err(_)) | Err(_) => ErrorResponse::Overloaded.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    fn request() -> Request {
        Request::new(Body::empty())
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_turn_in_time_is_sent_away_and_who_leaves_makes_room() {
        let (inside, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (inside, leave) = (Arc::clone(&inside), Arc::clone(&leave));
            move || async move {
                inside.notify_one();
                leave.notified().await;
            }
        };
        let rooms: Router = with_permits(Router::new().route("/", get(handler)), 1);
        let first = tokio::spawn(rooms.clone().oneshot(request()));
        inside.notified().await;

        let second = rooms.clone().oneshot(request()).await.unwrap();
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.extensions().get(), Some(&ErrorResponse::Overloaded));

        let third = tokio::spawn(rooms.oneshot(request()));
        leave.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        inside.notified().await;
        leave.notify_one();
        assert_eq!(third.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}
