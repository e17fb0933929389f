//! Provider metadata ([OpenID Connect Discovery §4], [RFC 8414 §3]): what the rooms advertise, written
//! once at start. Nothing in it follows the Host header.
//!
//! Writes nothing.
//!
//! [OpenID Connect Discovery §4]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
//! [RFC 8414 §3]: https://www.rfc-editor.org/rfc/rfc8414#section-3

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};

use crate::app::App;
use crate::http::cacheable::cacheable_json;
use crate::http::cors;

/// The room's paths.
pub fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/.well-known/openid-configuration", get(show))
        .route("/.well-known/oauth-authorization-server", get(show))
        .layer(middleware::from_fn_with_state(app.clone(), cors::open))
}

async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    cacheable_json(&headers, &app.metadata())
}
