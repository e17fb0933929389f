//! The login step: `GET /login` is its page, `POST /login` its form. An interaction that no longer needs it (the user
//! signed in in another tab) is redirected to the next step.
//!
//! Writes sessions and the interaction, and through `authenticators` the counters of failed attempts.

pub mod page;
mod render;
pub mod submit;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::domain::interactions::NextStep;
use crate::http::app::App;
use crate::http::cookies::Cookies;
use crate::http::interaction_context::InteractionContext;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::protocol::LenientParams;

/// `GET /login`.
pub async fn show(
    State(app): State<App>,
    caller: RequestInfo,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let known = |name: &str| matches!(name, "interaction" | "other");
    let params = LenientParams::parse(query.unwrap_or_default().as_bytes(), known).params;
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let context = InteractionContext::load(&app, &caller, &cookies, id).await?;
    let next = context.next_step(&app);
    let is_next = matches!(next, NextStep::Ask(step) if step.path() == "/login");
    // "Not you?", on the page of a later step.
    let is_other = matches!(next, NextStep::Ask(_)) && params.get("other").is_some();
    if is_next || is_other {
        return Ok(render::show(&app, &context, None, None, StatusCode::OK));
    }
    context.redirect_onward(&caller, &app, next)
}
