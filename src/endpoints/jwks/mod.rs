//! The JWK Set ([RFC 7517 §5]): the public halves of the signing keys.
//!
//! It follows the ring, so its ETag changes when a key comes or goes. Writes nothing.
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::config::Config;
use crate::http::app::App;
use crate::http::cached_json::{CachedJson, respond_cached};
use crate::protocol::ProviderMetadata;

/// Adds the members of this endpoint to the provider metadata.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.jwks_uri = Some(config.issuer.url("/jwks.json"));
    metadata.id_token_signing_alg_values_supported =
        config.key_ring.signing_algs.iter().map(|alg| alg.as_str()).collect();
}

/// `GET /jwks.json`.
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    respond_cached(&headers, &CachedJson::new(app.keys.jwks()))
}
