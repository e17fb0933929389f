//! Provider metadata ([OpenID Connect Discovery §4], [RFC 8414 §3]): what the rooms advertise, written
//! once at start. Nothing in it follows the Host header.
//!
//! Writes nothing.
//!
//! [OpenID Connect Discovery §4]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
//! [RFC 8414 §3]: https://www.rfc-editor.org/rfc/rfc8414#section-3

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Router, middleware};

use crate::http::app::App;
use crate::http::cacheable::cacheable_json;
use crate::http::cors;

/// The room's paths.
pub fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/.well-known/openid-configuration", get(show))
        .route("/.well-known/oauth-authorization-server", get(show))
        .route("/.well-known/{*name}", any(nothing))
        .layer(middleware::from_fn_with_state(app.clone(), cors::open))
}

/// Clients look for a document at several places in turn, and a script that may not read "not here" takes
/// the first of them for a network that is down.
async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}

async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    cacheable_json(&headers, &app.metadata())
}
