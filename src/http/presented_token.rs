//! Tokens as requests present them ([RFC 6750 §2]): in the `Authorization` header or in a form, never in a URL.
//!
//! The scheme is read here and nowhere else, and so is the proof that goes with a token that is bound to a key.
//! Whether the token is worth anything is for the endpoint to find out; the refusals that name a scheme in
//! `WWW-Authenticate` are here, too ([RFC 6750 §3]).
//!
//! [RFC 6750 §2]: https://www.rfc-editor.org/rfc/rfc6750#section-2
//! [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};

use super::app::App;
use super::error::ApiError;
use super::form;
use crate::protocol::{Confirmation, ErrorCode, OAuthError, TokenType};

/// A token that came with a request. As an extractor it takes the one in the `Authorization` header, and refuses
/// a request without one.
pub struct PresentedToken {
    /// The token's text.
    pub token: String,
    /// The scheme it was presented by; that of the form is `Bearer`.
    pub token_type: TokenType,
    /// The key that the request proves to hold. No [`TokenType`] there is has a proof.
    pub proven_key: Option<Confirmation>,
}

/// [`PresentedToken`] of an endpoint that also takes it from a form (§2.2), and refuses one in its URL.
pub struct HeaderOrForm(pub PresentedToken);

impl PresentedToken {
    /// The token in the `Authorization` header (§2.1); the scheme's case does not matter.
    pub fn from_header(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
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
            Ok(Some(Self::bearer(token)))
        } else {
            Err(malformed())
        }
    }

    fn bearer(token: &str) -> Self {
        Self { token: token.to_owned(), token_type: TokenType::Bearer, proven_key: None }
    }
}

impl FromRequestParts<App> for PresentedToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::from_header(&parts.headers)?.ok_or_else(missing)
    }
}

impl FromRequest<App> for HeaderOrForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        refuse_token_in_query(&parts.uri)?;
        let form = match form::media_type(&parts.headers).as_deref() {
            Some("application/x-www-form-urlencoded") if parts.method == Method::POST => {
                Some(form::read_form(&parts.headers, body, |name| name == "access_token").await?)
            }
            // A POST may carry nothing, or anything else, beside its Authorization header.
            Some(_) | None => None,
        };
        let in_form = form.as_ref().and_then(|form| form.get("access_token"));
        match (PresentedToken::from_header(&parts.headers)?, in_form) {
            // "Clients MUST NOT use more than one method" (§2).
            (Some(_), Some(_)) => Err(invalid_request("the access token is in two places")),
            (Some(presented), None) => Ok(Self(presented)),
            (None, Some(token)) => Ok(Self(PresentedToken::bearer(token))),
            (None, None) => Err(missing()),
        }
    }
}

/// URLs are logged and remembered everywhere, so a token that came in one is not taken, wherever else it may be
/// ([RFC 9700 §4.3.2]).
///
/// [RFC 9700 §4.3.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2
fn refuse_token_in_query(uri: &Uri) -> Result<(), ApiError> {
    let query = uri.query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(invalid_request("the access token must not be in the URL"));
    }
    Ok(())
}

/// No token at all: the challenge has no error code then (§3.1).
pub fn missing() -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, "an access token is required"))
        .with_challenge(TokenType::Bearer.challenge(&[]))
}

/// The token is not accepted. The client learns no reason; the endpoint logs it.
pub fn invalid() -> ApiError {
    let text = "the access token is invalid, expired or revoked";
    ApiError::new(OAuthError::new(ErrorCode::InvalidToken, text)).with_challenge(
        TokenType::Bearer.challenge(&[("error", "invalid_token"), ("error_description", text)]),
    )
}

/// The token is valid, but lacks this scope.
pub fn insufficient_scope(scope: &str) -> ApiError {
    ApiError::new(OAuthError::new(ErrorCode::InsufficientScope, "the token lacks a scope"))
        .with_challenge(
            TokenType::Bearer.challenge(&[("error", "insufficient_scope"), ("scope", scope)]),
        )
}

/// The request presents a token in a way that is not allowed (§3.1).
fn invalid_request(description: &'static str) -> ApiError {
    ApiError::invalid(description)
        .with_challenge(TokenType::Bearer.challenge(&[("error", "invalid_request")]))
}

fn malformed() -> ApiError {
    invalid_request("the Authorization header is not a bearer token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_address_is_found_however_it_is_spelled() {
        for (address, fine) in [
            ("/userinfo", true),
            ("/userinfo?schema=openid", true),
            ("/userinfo?not_access_token=x", true),
            ("/userinfo?access_token=x", false),
            ("/userinfo?a=b&access%5Ftoken=x", false),
            ("/userinfo?access_token", false),
        ] {
            let uri: Uri = address.parse().unwrap();
            assert_eq!(refuse_token_in_query(&uri).is_ok(), fine, "{address}");
        }
    }
}
