//! Bearer tokens ([RFC 6750]): read from the header or from a form, never from a URL.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750

use axum::http::{HeaderMap, header};

use super::error::ApiError;
use crate::protocol::{ErrorCode, OAuthError, Params};

/// The token in the `Authorization` header (§2.1); the scheme's case does not matter.
pub fn from_header(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::invalid("there are two Authorization headers"));
    }
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    let token68 = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
    let well_formed = !token.is_empty() && token.len() <= 16_384 && token.bytes().all(token68);
    if scheme.eq_ignore_ascii_case("bearer") && well_formed {
        Ok(Some(token))
    } else {
        Err(malformed())
    }
}

/// The token in the header or in the form (§2.2); in both places at once it is refused (§2).
pub fn from_either<'a>(
    headers: &'a HeaderMap,
    form: Option<&'a Params>,
) -> Result<Option<&'a str>, ApiError> {
    let in_form = form.and_then(|form| form.get("access_token"));
    match (from_header(headers)?, in_form) {
        (Some(_), Some(_)) => Err(ApiError::invalid("the access token is in two places")
            .with_challenge(r#"Bearer error="invalid_request""#)),
        (one, other) => Ok(one.or(other)),
    }
}

/// No token at all: the challenge has no error code then (§3.1).
pub fn missing() -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, "an access token is required"))
        .with_challenge("Bearer")
}

/// The token is worth nothing; why is for the log.
pub fn invalid() -> ApiError {
    let text = "the access token is invalid, expired or revoked";
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, text))
        .with_challenge(format!(r#"Bearer error="invalid_token", error_description="{text}""#))
}

/// The token is good, but not for this.
pub fn insufficient(scope: &str) -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InsufficientScope, "the token lacks a scope"))
        .with_challenge(format!(r#"Bearer error="insufficient_scope", scope="{scope}""#))
}

fn malformed() -> ApiError {
    ApiError::invalid("the Authorization header is not a bearer token")
        .with_challenge(r#"Bearer error="invalid_request""#)
}
