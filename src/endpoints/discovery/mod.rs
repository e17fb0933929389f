//! Provider metadata ([OpenID Connect Discovery §4], [RFC 8414 §3]): assembled from
//! the endpoints at start. Nothing in it follows the Host header.
//!
//! Writes nothing.
//!
//! [OpenID Connect Discovery §4]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
//! [RFC 8414 §3]: https://www.rfc-editor.org/rfc/rfc8414#section-3

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::http::app::App;
use crate::http::cached_json::respond_cached;

/// Every other path below `/.well-known`. Clients look for a document at several places in turn, and a script that may not read "not here" takes
/// the first of them for a network that is down.
pub async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// `GET /.well-known/openid-configuration`.
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    respond_cached(&headers, &app.metadata())
}
