//! The client information response ([RFC 7591 §3.2.1], [RFC 7592 §3]).
//!
//! [RFC 7591 §3.2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
//! [RFC 7592 §3]: https://www.rfc-editor.org/rfc/rfc7592#section-3

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::PATH;
use crate::domain::clients::Client;
use crate::http::app::App;
use crate::http::error::{ApiError, no_store};
use crate::infra::secret::{Digest, Secret};

/// Credentials that are in a response and of which only digests are stored.
pub(super) struct NewCredentials {
    /// The registration access token.
    pub(super) token: String,
    /// Only where it was made for this response.
    pub(super) secret: Option<String>,
}

/// A new secret, and its digest.
pub(super) fn new_secret() -> (String, Digest) {
    let text = Secret::random().reveal();
    let digest = Digest::of(text.as_bytes());
    (text, digest)
}

/// The response: the metadata, the credentials, and the client configuration endpoint.
pub(super) fn client_information(
    app: &App,
    client: &Client,
    fresh: &NewCredentials,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let place = app.config.issuer.url(&format!("{PATH}/{}", client.id.as_str()));
    let members = members(client, fresh, place).ok_or_else(ApiError::internal)?;
    Ok((status, no_store(Json(members))).into_response())
}

fn members(client: &Client, fresh: &NewCredentials, place: String) -> Option<Map<String, Value>> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(&client.metadata) else {
        return None;
    };
    members.insert("client_id".into(), client.id.as_str().into());
    members.insert("client_id_issued_at".into(), client.created_at.as_secs().into());
    members.insert("registration_access_token".into(), fresh.token.as_str().into());
    members.insert("registration_client_uri".into(), place.into());
    if let Some(secret) = &fresh.secret {
        members.insert("client_secret".into(), secret.as_str().into());
        // Zero: it does not expire (RFC 7591 §3.2.1).
        members.insert("client_secret_expires_at".into(), 0.into());
    }
    Some(members)
}
