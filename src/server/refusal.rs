//! The answers that no room gives: what is said when a request does not reach a handler, or the handler
//! does not reach an answer.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::protocol::ErrorCode;

/// Why there is no other answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    BodyTooLarge,
    Broken,
    HeadersTooLarge,
    HostMissing,
    HostUnknown,
    MethodNotAllowed,
    NotFound,
    TooSlow,
    UriTooLong,
}

impl Refusal {
    /// What an answer with this status and no body is about, if it is not of a room's making.
    pub(super) fn behind(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::NOT_FOUND => Some(Self::NotFound),
            StatusCode::METHOD_NOT_ALLOWED => Some(Self::MethodNotAllowed),
            StatusCode::INTERNAL_SERVER_ERROR => Some(Self::Broken),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::TooSlow),
            _ => None,
        }
    }

    /// Seconds until it may be worth trying again.
    pub(super) fn retry_after(self) -> Option<u16> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5)
    }

    /// Whether more of the same is not worth waiting for.
    pub(super) fn hangs_up(self) -> bool {
        matches!(self, Self::BodyTooLarge | Self::HeadersTooLarge | Self::UriTooLong)
    }

    /// The body: an error as OAuth writes it, and for what is our fault the name to ask about it.
    pub(super) fn json(self, request_id: Option<&str>) -> String {
        let mut said = serde_json::json!({
            "error": self.code(),
            "error_description": self.description(),
        });
        if let (true, Some(id)) = (self.status().is_server_error(), request_id) {
            said["request_id"] = id.into();
        }
        said.to_string()
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HostMissing => StatusCode::BAD_REQUEST,
            Self::HostUnknown => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Broken => ErrorCode::ServerError.as_str(),
            Self::TooSlow => ErrorCode::TemporarilyUnavailable.as_str(),
            // Not an OAuth error: the request did not reach an endpoint of ours.
            Self::NotFound => "not_found",
            Self::BodyTooLarge
            | Self::HeadersTooLarge
            | Self::HostMissing
            | Self::HostUnknown
            | Self::MethodNotAllowed
            | Self::UriTooLong => ErrorCode::InvalidRequest.as_str(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "the body is too large",
            Self::Broken => "something went wrong here",
            Self::HeadersTooLarge => "the headers are too large",
            Self::HostMissing => "the request must name exactly one host",
            Self::HostUnknown => "this server does not answer to that host name",
            Self::MethodNotAllowed => "method not allowed",
            Self::NotFound => "there is nothing at this address",
            Self::TooSlow => "the answer took too long, try again later",
            Self::UriTooLong => "the address is too long",
        }
    }
}

/// The status alone; `layers::explain` finds the refusal in the extensions and writes the body.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
