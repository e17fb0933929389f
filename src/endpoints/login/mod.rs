//! The login page and its form: `GET` and `POST /login`. A visit that does not need it any more (signed in
//! in another tab) goes on to the hub.
//!
//! Writes sessions, the interaction's proof, and through `users` the counters of failed sign-ins.

pub mod page;
mod render;
pub mod submit;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::domain::interactions::{Next, Step};
use crate::http::app::App;
use crate::http::cookies::Cookies;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::visit::Visit;
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
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    match visit.next(&app) {
        Next::Ask(Step::Login | Step::Account) => {
            Ok(render::show(&app, &visit, None, None, StatusCode::OK))
        }
        // "Not you?", on the consent page.
        Next::Ask(Step::Consent) if params.get("other").is_some() => {
            Ok(render::show(&app, &visit, None, None, StatusCode::OK))
        }
        next @ (Next::Ask(Step::Consent) | Next::Issue | Next::Refuse(_) | Next::Stop(_)) => {
            visit.leave_page(&caller, &app, next)
        }
    }
}
