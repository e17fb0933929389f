//! Limits the requests for pages that are handled at the same time.
//!
//! Thousands of people who follow a link at once would ask the store for more than it can answer in a second, and then
//! token requests time out with them. So `MAX_CONCURRENT_REQUESTS`, and those that wait for a password to be hashed, are
//! handled together; the others wait up to `QUEUE_TIMEOUT` and are then answered 503. The endpoints of applications
//! (token, userinfo, …) are never in this queue.
//!
//! A request takes a permit only when its body has been read (`body_buffering.rs`).

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

/// Requests that are handled together besides those that may wait for a password to be hashed (`HASH_QUEUE`), which ask
/// nothing of the store.
const MAX_CONCURRENT_REQUESTS: usize = 128;

/// The longest wait for a permit.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// Limits these routes. `waiting` requests may hold a permit while they wait for a password to be hashed.
pub(super) fn limit_concurrency<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    waiting: usize,
    bodies: SlowBodyLimit,
) -> Router<S> {
    with_permits(routes, waiting + MAX_CONCURRENT_REQUESTS)
        .layer(from_fn_with_state(bodies, body_buffering::buffer_body))
}

fn with_permits<S: Clone + Send + Sync + 'static>(routes: Router<S>, permits: usize) -> Router<S> {
    routes.layer(from_fn_with_state(Arc::new(Semaphore::new(permits)), acquire_permit))
}

async fn acquire_permit(
    State(permits): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(QUEUE_TIMEOUT, permits.acquire()).await {
        Ok(Ok(_permit)) => next.run(request).await,
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
        let routes: Router = with_permits(Router::new().route("/", get(handler)), 1);
        let first = tokio::spawn(routes.clone().oneshot(request()));
        inside.notified().await;

        let second = routes.clone().oneshot(request()).await.unwrap();
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.extensions().get(), Some(&ErrorResponse::Overloaded));

        let third = tokio::spawn(routes.oneshot(request()));
        leave.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        inside.notified().await;
        leave.notify_one();
        assert_eq!(third.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}
