//! Whether all is well: `/live` (the process), `/ready` (send me traffic), `/health` (both, in words).
//!
//! Writes one short-lived key, to see whether the store takes it, and compares its clock with ours.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::app::App;
use crate::infra::store::PingInfo;

const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Between this server and the store; more is reported.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);

/// `GET /live`.
pub async fn live() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /ready`.
pub async fn ready(State(app): State<App>) -> Response {
    report(&app, true).await
}

/// `GET /health`.
pub async fn health(State(app): State<App>) -> Response {
    report(&app, false).await
}

async fn report(app: &App, for_traffic: bool) -> Response {
    let pulse = ping_store(app).await;
    let store = pulse.is_some();
    // While the store does not answer, nothing is known about the stored keys.
    let keys = !app.keys.is_empty() && (!store || keys_are_stored(app).await);
    let leaving = for_traffic && app.draining.load(Ordering::Relaxed);
    let word = |good: bool| if good { "ok" } else { "failing" };
    let well = store && keys && !leaving;
    let status = match (well, leaving) {
        (true, _) => "ok",
        (false, true) => "draining",
        (false, false) => "unhealthy",
    };
    let now = UNIX_EPOCH + Duration::from_millis(app.now().as_millis());
    let body = json!({
        "status": status,
        "timestamp": humantime::format_rfc3339_seconds(now).to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "checks": { "store": word(store), "keys": word(keys), "clock": clock(app, pulse) },
    });
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

/// Whether the signing keys are in the store. One that was emptied answers pings, too.
async fn keys_are_stored(app: &App) -> bool {
    !matches!(tokio::time::timeout(STORE_TIMEOUT, app.keys.is_stored()).await, Ok(Ok(false)))
}

/// `None` unless the store takes a write.
async fn ping_store(app: &App) -> Option<PingInfo> {
    match tokio::time::timeout(STORE_TIMEOUT, app.store.ping()).await {
        Ok(Ok(pulse)) => Some(pulse),
        Ok(Err(cause)) => {
            tracing::warn!(%cause, "the store does not take a write");
            None
        }
        Err(_) => {
            tracing::warn!("the store does not answer");
            None
        }
    }
}

/// A wrong clock does not fail `/ready`: if it is that of the store, every server would fail.
fn clock(app: &App, pulse: Option<PingInfo>) -> &'static str {
    let told = pulse.and_then(|pulse| pulse.ahead_millis);
    let Some(ahead_millis) = told else { return "unknown" };
    app.events.counters.clock_ahead.set(ahead_millis);
    if ahead_millis.unsigned_abs() <= MAX_CLOCK_SKEW.as_millis().try_into().unwrap_or(u64::MAX) {
        return "ok";
    }
    tracing::warn!(ahead_millis, "the clocks of this server and of the store are too far apart");
    "off"
}
