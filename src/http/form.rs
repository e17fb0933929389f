//! Reads request bodies: forms and JSON, bounded in size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};

use super::error::ApiError;
use crate::http::app::App;
use crate::protocol::{ErrorCode, LenientParams, OAuthError, Params};

const MAX_BODY_BYTES: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The parameters of an `application/x-www-form-urlencoded` body.
///
/// Parameters in the query are refused: a URL is logged and remembered
/// everywhere ([RFC 6749 §2.3.1], §3.2).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub struct Form(pub Params, pub HeaderMap);

impl Form {
    /// Reads the parameters that are known; others are ignored, also when they are repeated.
    pub async fn read(request: Request, is_known: fn(&str) -> bool) -> Result<Self, ApiError> {
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(ApiError::invalid("parameters belong in the body, not in the URL"));
        }
        let (parts, body) = request.into_parts();
        let params = read_form(&parts.headers, body, is_known).await?;
        Ok(Self(params, parts.headers))
    }
}

impl FromRequest<App> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        Self::read(request, |_| true).await
    }
}

/// Reads the known parameters of a form body, or answers what is wrong with it.
pub async fn read_form(
    headers: &HeaderMap,
    body: Body,
    is_known: fn(&str) -> bool,
) -> Result<Params, ApiError> {
    let came = LenientParams::parse(&read_form_body(headers, body).await?, is_known);
    let Some(malformed) = came.error else { return Ok(came.params) };
    let text = malformed.to_string();
    Err(OAuthError::described(ErrorCode::InvalidRequest, &text).into())
}

/// The bytes of a form body, for callers that parse them.
pub async fn read_form_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    if media_type(headers).as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(ApiError::invalid("the body is not application/x-www-form-urlencoded"));
    }
    Ok(read_body(body).await?)
}

/// The media type without its parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.as_bytes();
    let kind = str::from_utf8(value.split(|byte| *byte == b';').next()?).ok()?;
    Some(kind.trim().to_ascii_lowercase())
}

/// Reads a whole body: at most 64 KiB, within ten seconds.
pub async fn read_body(body: Body) -> Result<Bytes, BodyError> {
    let limited = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIMEOUT, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(cause)) if cause.is::<http_body_util::LengthLimitError>() => {
            Err(BodyError::TooLarge)
        }
        Ok(Err(_)) => Err(BodyError::Incomplete),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    /// The connection ended first.
    Incomplete,
    /// More than 64 KiB.
    TooLarge,
    /// More than ten seconds.
    TooSlow,
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Incomplete => Self::invalid("the body broke off"),
            BodyError::TooLarge => Self::invalid("the body is larger than 64 KiB")
                .with_status(StatusCode::PAYLOAD_TOO_LARGE),
            BodyError::TooSlow => Self::invalid("the body took longer than ten seconds")
                .with_status(StatusCode::REQUEST_TIMEOUT),
        }
    }
}
