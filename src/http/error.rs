//! Errors of the JSON endpoints: one shape, one place where they are logged.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::logged_error::LoggedError;
use crate::infra::store::StoreError;
use crate::protocol::{ErrorCode, OAuthError};

/// An error answer ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    error: OAuthError,
    challenge: Option<String>,
    retry_after: Option<u64>,
}

impl ApiError {
    /// With the status that goes with the code.
    pub fn new(error: OAuthError) -> Self {
        let status = match error.code {
            ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
            ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::AccessDenied
            | ErrorCode::ConsentRequired
            | ErrorCode::InteractionRequired
            | ErrorCode::InvalidClientMetadata
            | ErrorCode::InvalidGrant
            | ErrorCode::InvalidRedirectUri
            | ErrorCode::InvalidRequest
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget
            | ErrorCode::InvalidRequestObject
            | ErrorCode::InvalidRequestUri
            | ErrorCode::InvalidSoftwareStatement
            | ErrorCode::LoginRequired
            | ErrorCode::UnapprovedSoftwareStatement
            | ErrorCode::UnmetAuthenticationRequirements
            | ErrorCode::RegistrationNotSupported
            | ErrorCode::RequestNotSupported
            | ErrorCode::RequestUriNotSupported
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::UnsupportedResponseType => StatusCode::BAD_REQUEST,
        };
        Self { status, error, challenge: None, retry_after: None }
    }

    /// `invalid_request`.
    pub fn invalid(description: &'static str) -> Self {
        Self::new(OAuthError::new(ErrorCode::InvalidRequest, description))
    }

    /// 503 with `Retry-After`: the store or another service of ours does not answer. Never `invalid_grant`, on which a
    /// client discards its token.
    pub fn unavailable() -> Self {
        let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "try again in a moment");
        Self { retry_after: Some(1), ..Self::new(error) }
    }

    /// An error of ours that does not pass by itself.
    pub fn internal() -> Self {
        Self::new(OAuthError::new(ErrorCode::ServerError, "something went wrong here"))
    }

    /// Too many tries: 429 ([RFC 6585 §4](https://www.rfc-editor.org/rfc/rfc6585#section-4)).
    pub fn too_many(retry_after: u64) -> Self {
        Self::too_many_because("too many tries; wait a little", retry_after)
    }

    /// Too many of something else: the same, in other words.
    pub fn too_many_because(description: &'static str, retry_after: u64) -> Self {
        let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, description);
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(retry_after.max(1)),
            ..Self::new(error)
        }
    }

    /// The sentence for the developer.
    pub fn description(&self) -> &str {
        &self.error.description
    }

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a `WWW-Authenticate` challenge.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }
}

impl From<OAuthError> for ApiError {
    fn from(error: OAuthError) -> Self {
        Self::new(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(cause: StoreError) -> Self {
        tracing::error!(%cause, kind = cause.kind(), "the store did not do what it was asked");
        Self::unavailable()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, error, challenge, retry_after } = self;
        let body = json!({ "error": error.code.as_str(), "error_description": error.description });
        let mut answer = (status, no_store(Json(body))).into_response();
        let headers = answer.headers_mut();
        if let Some(challenge) = challenge.and_then(|it| HeaderValue::from_str(&it).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        LoggedError::from(&error).attach_to(answer)
    }
}

/// A response that must not be cached ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
pub fn no_store(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], body).into_response()
}
