//! Reads a registration request: JSON, bounded in size and depth.

use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::domain::clients::{self, Client};
use crate::http::error::ApiError;
use crate::http::form;
use crate::infra::clock::UnixTime;
use crate::protocol::client_metadata::ServerCapabilities;
use crate::protocol::{ClientMetadata, ErrorCode, OAuthError};

/// A key set is nested the deepest of all metadata.
const MAX_DEPTH: usize = 16;

/// The members of a JSON body.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    if form::media_type(headers).as_deref() != Some("application/json") {
        return Err(ApiError::invalid("the body is not application/json"));
    }
    parse(&form::read_body(body).await?).map_err(ApiError::from)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, OAuthError> {
    let wrong = |text| OAuthError::new(ErrorCode::InvalidClientMetadata, text);
    match serde_json::from_slice(bytes) {
        Ok(value) if depth(&value) > MAX_DEPTH => Err(wrong("the body is nested too deeply")),
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(wrong("the body is not a JSON object")),
    }
}

/// How many arrays and objects are inside one another. The parser itself gives up at 128.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Parses the metadata.
pub(super) fn metadata(
    members: &Map<String, Value>,
    offer: &ServerCapabilities,
) -> Result<ClientMetadata, OAuthError> {
    let (metadata, dropped) = ClientMetadata::parse_reporting(members, offer)?;
    if !dropped.is_empty() {
        let why: Vec<&str> = dropped.iter().map(|why| &*why.description).collect();
        tracing::info!(why = why.join("; "), "dropped or replaced in a registration");
    }
    clients::check_registered_keys(&metadata)?;
    Ok(metadata)
}

/// Checks the members that an update must not have, and those that must match ([RFC 7592 §2.2]).
///
/// [RFC 7592 §2.2]: https://www.rfc-editor.org/rfc/rfc7592#section-2.2
pub(super) fn check_update(
    members: &Map<String, Value>,
    client: &Client,
    now: UnixTime,
) -> Result<(), OAuthError> {
    let wrong = |text| Err(OAuthError::new(ErrorCode::InvalidRequest, text));
    if SERVER_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return wrong("the body has a member that only the server sets");
    }
    if members.get("client_id").and_then(Value::as_str) != Some(client.id.as_str()) {
        return wrong("client_id is missing or another one");
    }
    let matches = |shown: &Value| shown.as_str().is_some_and(|it| client.accepts_secret(it, now));
    if members.get("client_secret").is_some_and(|shown| !matches(shown)) {
        return wrong("client_secret is another one");
    }
    Ok(())
}

const SERVER_MEMBERS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_of_sixteen_levels_at_most() {
        let nested = |levels: usize| {
            let inner = levels - 1;
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner)).into_bytes()
        };
        assert!(parse(&nested(16)).is_ok());
        for refused in [nested(17), nested(500), b"[]".to_vec(), b"\"x\"".to_vec(), Vec::new()] {
            let error = parse(&refused).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidClientMetadata);
        }
    }
}
