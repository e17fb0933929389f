//! The quota of what unauthenticated requests may store, for each address and minute.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::page_error::PageError;
use super::request_info::RequestInfo;
use crate::domain::rate_limit::{self, RateLimited};
use crate::http::app::App;
use crate::infra::client_ip::rate_limit_key;

/// The quota units for storing so many bytes: a unit is 2 KiB, more than a usual request takes.
pub fn quota_units(bytes: usize) -> u32 {
    const BYTES_PER_TURN: usize = 2 * 1024;
    u32::try_from(bytes.div_ceil(BYTES_PER_TURN)).unwrap_or(u32::MAX)
}

/// Consumes quota of the address. Anyone may start an authorization, and each that waits for a user is a record. Many
/// users may share an address, so the quota is generous; requests that are answered at once are limited by session
/// instead. If the store cannot count, the request passes.
pub async fn consume_quota(app: &App, caller: &RequestInfo, turns: u32) -> Result<(), RateLimited> {
    const STARTS_PER_FAILURE: u32 = 10;
    let Some(per_minute) = app.failures_per_minute() else { return Ok(()) };
    let name = format!("authorize {}", rate_limit_key(caller.address));
    let most = per_minute.saturating_mul(STARTS_PER_FAILURE);
    let counted = rate_limit::consume_quota(&*app.store, &name, turns, most, app.now()).await;
    rate_limit::refuse_limited(counted)
}

/// The page for an address without quota.
pub fn too_many_requests(caller: &RequestInfo, wait: RateLimited) -> Response {
    let mut answer = PageError::too_many(&caller.request_id).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, wait.retry_after.as_secs().into());
    answer
}
