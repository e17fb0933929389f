//! What anybody may have kept here without being anybody: so much a minute and address.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::page_error::PageError;
use super::request_info::RequestInfo;
use crate::domain::rate_limit::{self, RateLimited};
use crate::http::app::App;
use crate::infra::client_ip::rate_limit_key;

/// How many turns it takes to keep so much: so it is bytes that an address has so many of in a minute. A usual
/// request is less than one.
pub fn quota_units(bytes: usize) -> u32 {
    const BYTES_PER_TURN: usize = 2 * 1024;
    u32::try_from(bytes.div_ceil(BYTES_PER_TURN)).unwrap_or(u32::MAX)
}

/// Anybody may begin an authorization, and each one that has to wait for a person is a record: so many
/// a minute and address. Many people may be behind one address, so it is generous, and what can be
/// answered at once is counted by its session. A store that does not count leaves it open.
pub async fn consume_quota(app: &App, caller: &RequestInfo, turns: u32) -> Result<(), RateLimited> {
    const STARTS_PER_FAILURE: u32 = 10;
    let Some(per_minute) = app.failures_per_minute() else { return Ok(()) };
    let name = format!("authorize {}", rate_limit_key(caller.address));
    let most = per_minute.saturating_mul(STARTS_PER_FAILURE);
    rate_limit::consume_quota(&*app.store, &name, turns, most, app.now()).await.unwrap_or(Ok(()))
}

/// Tells a person that their network began too many.
pub fn too_many_requests(caller: &RequestInfo, wait: RateLimited) -> Response {
    let mut answer = PageError::too_many(&caller.request_id).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, wait.retry_after.as_secs().into());
    answer
}
