//! The answers that no room gives: what is said when a request does not reach a handler, or the handler
//! does not reach an answer. A program is told in JSON, a person by a page.

use std::borrow::Cow;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::response_format::ResponseFormat;
use crate::http::logged_error::LoggedError;
use crate::http::page::{PagePolicy, page};
use crate::http::shared_pages::{ErrorPage, NextLink};
use crate::protocol::ErrorCode;

/// Why there is no other answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ErrorResponse {
    BodyIncomplete,
    BodyTooLarge,
    BodyTimeout,
    InternalError,
    UnsupportedTransferCoding,
    Overloaded,
    HeadersTooLarge,
    HostMissing,
    HostNotAllowed,
    MethodNotAllowed,
    NotFound,
    HandlerTimeout,
    MalformedRequest,
    UriTooLong,
}

/// A host that is none of ours, and those that are.
#[derive(Clone, Debug)]
pub(super) struct RejectedHost {
    /// Escaped, for a stranger wrote it.
    pub presented: String,
    /// Where people are to go.
    pub issuer: String,
    /// Every name that is answered to: for the log, since some are of use inside only.
    pub allowed: String,
}

impl ErrorResponse {
    /// What an answer with this status and no body is about, if it is not of a room's making.
    pub(super) fn from_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::NOT_FOUND => Some(Self::NotFound),
            StatusCode::METHOD_NOT_ALLOWED => Some(Self::MethodNotAllowed),
            StatusCode::INTERNAL_SERVER_ERROR => Some(Self::InternalError),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::HandlerTimeout),
            _ => None,
        }
    }

    /// Seconds until it may be worth trying again.
    pub(super) fn retry_after(self) -> Option<u16> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5)
    }

    /// Whether more of the same is not worth waiting for.
    pub(super) fn closes_connection(self) -> bool {
        matches!(
            self,
            Self::BodyIncomplete
                | Self::BodyTooLarge
                | Self::BodyTimeout
                | Self::UnsupportedTransferCoding
                | Self::HeadersTooLarge
                | Self::MalformedRequest
                | Self::UriTooLong
        )
    }

    /// The whole answer, in the form its reader understands.
    pub(super) fn to_response(
        self,
        reader: ResponseFormat,
        request_id: &str,
        strange: Option<&RejectedHost>,
    ) -> Response {
        match reader {
            ResponseFormat::Html => self.html_page(request_id, strange),
            ResponseFormat::Json => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (self.status(), kind, self.json_body(request_id, strange)).into_response()
            }
        }
    }

    /// For the log.
    pub(super) fn to_log(self, strange: Option<RejectedHost>) -> LoggedError {
        let why = match strange {
            Some(RejectedHost { presented: came, allowed: ours, .. }) => {
                format!("{came} is not a name of ours ({ours}); EXTRA_HOSTS lists further ones")
                    .into()
            }
            None => self.description().into(),
        };
        LoggedError { error: self.code(), why: Some(why) }
    }

    /// What is said of it; `named` is how the host is spoken of, if it is about one.
    fn detail(self, strange: Option<&RejectedHost>, named: &str) -> Cow<'static, str> {
        match strange {
            Some(RejectedHost { issuer, .. }) => format!(
                "this server does not answer to {named}: it is {issuer} (its operator: ISSUER_URL; \
                 EXTRA_HOSTS lists further names)"
            )
            .into(),
            None => self.description().into(),
        }
    }

    /// An error as OAuth writes it, and for what is our fault the name to ask about it. Whoever sent the host
    /// knows it: a description has no characters of a stranger's choosing ([RFC 6749 §5.2]).
    ///
    /// [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    fn json_body(self, request_id: &str, strange: Option<&RejectedHost>) -> String {
        let mut said = serde_json::json!({
            "error": self.code(),
            "error_description": self.detail(strange, "that host name"),
        });
        if self.status().is_server_error() {
            said["request_id"] = request_id.into();
        }
        said.to_string()
    }

    /// The page every refused authorization gets, with the words for this.
    fn html_page(self, request_id: &str, strange: Option<&RejectedHost>) -> Response {
        let (title, message) = self.page_text();
        let named =
            strange.map_or_else(String::new, |it| format!("the host name {}", it.presented));
        let detail = self.detail(strange, &named);
        let start = NextLink { href: "/", label: "To the start" };
        let home = strange.map(|it| NextLink { href: &it.issuer, label: "To the right address" });
        let template = ErrorPage {
            title,
            message,
            code: Some(self.code()),
            detail: Some(&*detail),
            request_id,
            next_link: home.or((self == Self::NotFound).then_some(start)),
        };
        page(&template, self.status(), &PagePolicy::default())
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnsupportedTransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyIncomplete | Self::HostMissing | Self::MalformedRequest => {
                StatusCode::BAD_REQUEST
            }
            Self::HostNotAllowed => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Overloaded | Self::HandlerTimeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::InternalError => ErrorCode::ServerError.as_str(),
            Self::Overloaded | Self::HandlerTimeout => ErrorCode::TemporarilyUnavailable.as_str(),
            // Not an OAuth error: the request did not reach an endpoint of ours.
            Self::NotFound => "not_found",
            Self::BodyIncomplete
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::UnsupportedTransferCoding
            | Self::HeadersTooLarge
            | Self::HostMissing
            | Self::HostNotAllowed
            | Self::MethodNotAllowed
            | Self::MalformedRequest
            | Self::UriTooLong => ErrorCode::InvalidRequest.as_str(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::BodyIncomplete => "the body broke off",
            Self::BodyTooLarge => "the body is too large",
            Self::BodyTimeout => "the body took longer than ten seconds",
            Self::InternalError => "something went wrong here",
            Self::UnsupportedTransferCoding => {
                "chunked is the only transfer coding that is understood"
            }
            Self::Overloaded => "too many are waiting, try again later",
            Self::HeadersTooLarge => "the headers are too large",
            Self::HostMissing => "the request must name exactly one host",
            Self::HostNotAllowed => "this server does not answer to that host name",
            Self::MethodNotAllowed => "method not allowed",
            Self::NotFound => "there is nothing at this address",
            Self::HandlerTimeout => "the answer took too long, try again later",
            Self::MalformedRequest => "what was sent is no HTTP that can be read",
            Self::UriTooLong => "the address is too long",
        }
    }

    /// The heading, and what there is to do.
    fn page_text(self) -> (&'static str, &'static str) {
        match self {
            Self::BodyIncomplete | Self::BodyTimeout => (
                "That did not arrive",
                "What was sent came too slowly, or only in part. Please try again.",
            ),
            Self::BodyTooLarge => {
                ("That was too much", "The form that was sent is larger than any of ours can be.")
            }
            Self::InternalError => (
                "Something went wrong",
                "The fault is ours, not yours. Please try again. If it happens again, ask for help \
                 and name the reference below.",
            ),
            Self::UnsupportedTransferCoding => (
                "Request error",
                "What was sent is packed in a way that cannot be read here. Nothing was shared.",
            ),
            Self::Overloaded => (
                "One moment",
                "Very many people are signing in just now. Please try again in a few seconds.",
            ),
            Self::HeadersTooLarge => (
                "That was too much",
                "Your browser sent more than can be read. Delete its cookies for this address and \
                 try again.",
            ),
            Self::HostMissing | Self::HostNotAllowed => (
                "Wrong address",
                "There is no sign-in under this name. Go back to the application and start again.",
            ),
            Self::MethodNotAllowed => (
                "Please start again",
                "This page cannot be opened this way. Go back to the application and sign in from \
                 there.",
            ),
            Self::NotFound => ("Nothing here", "There is no page at this address."),
            Self::HandlerTimeout => {
                ("One moment", "That took too long. Please try again in a few seconds.")
            }
            Self::MalformedRequest => (
                "Request error",
                "What was sent cannot be read. Nothing was shared. Go back to the application and start again.",
            ),
            Self::UriTooLong => (
                "Request error",
                "The application sent a request that is too long to be read. Nothing was shared \
                 with it. You can close this page or go back.",
            ),
        }
    }
}

/// The status alone; `layers::error_body` finds the refusal in the extensions and writes the body.
impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_page_with_its_status_and_no_request_in_it() {
        for refusal in [
            ErrorResponse::BodyIncomplete,
            ErrorResponse::BodyTooLarge,
            ErrorResponse::BodyTimeout,
            ErrorResponse::InternalError,
            ErrorResponse::UnsupportedTransferCoding,
            ErrorResponse::Overloaded,
            ErrorResponse::HeadersTooLarge,
            ErrorResponse::HostMissing,
            ErrorResponse::HostNotAllowed,
            ErrorResponse::MethodNotAllowed,
            ErrorResponse::NotFound,
            ErrorResponse::HandlerTimeout,
            ErrorResponse::MalformedRequest,
            ErrorResponse::UriTooLong,
        ] {
            let page = refusal.to_response(ResponseFormat::Html, "r1", None);
            assert_eq!(page.status(), refusal.status(), "{refusal:?}");
            assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
            assert!(page.headers().contains_key("content-security-policy"), "{refusal:?}");
        }
    }
}
