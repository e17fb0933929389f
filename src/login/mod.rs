//! The login page. It only shows a form: the form's answer goes to `POST /authorize`, and a visit that
//! does not need it any more (signed in in another tab) goes on to the hub.
//!
//! Writes nothing.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;

use crate::app::App;
use crate::http::answer::see_other;
use crate::http::caller::Caller;
use crate::http::cookies::Cookies;
use crate::http::sign_in;
use crate::http::trouble::Trouble;
use crate::http::visit::Visit;
use crate::interactions::Next;
use crate::protocol::Params;

/// The room's path.
pub fn routes() -> Router<App> {
    Router::new().route("/login", get(show))
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    match visit.next(&app) {
        Next::AskLogin | Next::AskAccount => {
            Ok(sign_in::show(&app, &visit, None, None, StatusCode::OK))
        }
        Next::AskConsent | Next::Issue | Next::Refuse(_) => Ok(see_other(&visit.hub())),
    }
}
