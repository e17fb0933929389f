//! JSON documents that clients may cache: the provider metadata and the JWK Set.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::infra::secret::Digest;

/// A JSON document and its ETag.
pub struct CachedJson {
    json: String,
    etag: HeaderValue,
}

impl CachedJson {
    /// Computes the ETag of the text.
    pub fn new(json: String) -> Self {
        let digest = Digest::of(json.as_bytes()).to_base64url();
        let etag = HeaderValue::try_from(format!("\"{}\"", &digest[..22]));
        Self { json, etag: etag.unwrap_or(HeaderValue::from_static("\"0\"")) }
    }
}

/// Answers the document, or 304 if the client has it ([RFC 9110 §13.1.2]). Good for five minutes: long enough
/// to spare both sides, short enough that a new key is seen soon.
///
/// [RFC 9110 §13.1.2]: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
pub fn respond_cached(headers: &HeaderMap, document: &CachedJson) -> Response {
    let kept = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let ours = document.etag.to_str().unwrap_or_default();
    let is_kept = kept.is_some_and(|tags| {
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == ours || tag == "*")
    });
    let always = [
        (header::ETAG, document.etag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    if is_kept {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (always, kind, document.json.clone()).into_response()
}
