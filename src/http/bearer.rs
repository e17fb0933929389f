//! Bearer tokens ([RFC 6750]): read from the header or from a form, never from a URL.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750

use axum::http::{HeaderMap, header};

use super::error::ApiError;
use crate::protocol::{ErrorCode, OAuthError, Params, TokenType};

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
    if TokenType::Bearer.is_scheme(scheme) && well_formed {
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
        (Some(_), Some(_)) => Err(invalid_request("the access token is in two places")),
        (one, other) => Ok(one.or(other)),
    }
}

/// No token at all: the challenge has no error code then (§3.1).
pub fn missing() -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, "an access token is required"))
        .with_challenge(TokenType::Bearer.challenge(&[]))
}

/// The token is worth nothing; why is for the log.
pub fn invalid() -> ApiError {
    let text = "the access token is invalid, expired or revoked";
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, text)).with_challenge(
        TokenType::Bearer.challenge(&[("error", "invalid_token"), ("error_description", text)]),
    )
}

/// The token is good, but not for this.
pub fn insufficient(scope: &str) -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InsufficientScope, "the token lacks a scope"))
        .with_challenge(
            TokenType::Bearer.challenge(&[("error", "insufficient_scope"), ("scope", scope)]),
        )
}

/// The request shows a token in a way that is not to be (§3.1).
pub fn invalid_request(description: &'static str) -> ApiError {
    ApiError::invalid(description)
        .with_challenge(TokenType::Bearer.challenge(&[("error", "invalid_request")]))
}

fn malformed() -> ApiError {
    invalid_request("the Authorization header is not a bearer token")
}
