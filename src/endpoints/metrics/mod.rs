//! Metrics in the Prometheus text format, on the main port in development and on a listener of its own
//! elsewhere (`METRICS_LISTEN`).
//!
//! A scrape reads counters and nothing else. What only the store knows is counted on a schedule
//! ([`count_stored`]), which also prunes the index of sessions that ended.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::domain::logout_notifications;
use crate::domain::sessions;
use crate::http::app::App;

/// Counts sessions and waiting logouts. This grows with how many there are, so it is for a schedule.
pub async fn count_stored(app: &App) {
    let counters = &app.events.counters;
    match sessions::count_live(&*app.store, app.now()).await {
        Ok(count) => counters.active_sessions.set(i64::try_from(count).unwrap_or(i64::MAX)),
        Err(cause) => tracing::warn!(%cause, "the sessions could not be counted"),
    }
    match logout_notifications::count_pending(&*app.store).await {
        Ok(count) => counters.logouts_pending.set(i64::try_from(count).unwrap_or(i64::MAX)),
        Err(cause) => tracing::warn!(%cause, "the logouts to be told could not be counted"),
    }
}

/// `GET /metrics`.
pub async fn show(State(app): State<App>) -> Response {
    let counters = &app.events.counters;
    counters.hash_queue.set(i64::try_from(app.passwords.waiting()).unwrap_or(i64::MAX));
    let now = app.now();
    counters.set_key_ages(app.keys.keys().iter().map(|key| {
        let labels = [&*key.kid, key.purpose.as_str(), key.phase.as_str()];
        (labels, now.since(key.published_at))
    }));
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, counters.render()).into_response()
}
