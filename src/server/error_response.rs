//! The error responses that no endpoint makes: for a request that does not reach a handler, or whose handler does not
//! finish. Browsers get a page, programs JSON.

use std::borrow::Cow;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::response_format::ResponseFormat;
use crate::http::logged_error::LoggedError;
use crate::http::pages::{PagePolicy, page};
use crate::http::shared_pages::{ErrorPage, NextLink};
use crate::protocol::ErrorCode;

/// Why the request was not handled.
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

/// A `Host` that was rejected, and those that are accepted.
#[derive(Clone, Debug)]
pub(super) struct RejectedHost {
    /// What the request named, escaped.
    pub presented: String,
    /// The issuer, to be shown instead.
    pub issuer: String,
    /// Every accepted host. For the log only, since some are internal.
    pub allowed: String,
}

impl ErrorResponse {
    /// The error behind a status without a body; `None` for one that an endpoint may answer.
    pub(super) fn from_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::NOT_FOUND => Some(Self::NotFound),
            StatusCode::METHOD_NOT_ALLOWED => Some(Self::MethodNotAllowed),
            StatusCode::INTERNAL_SERVER_ERROR => Some(Self::InternalError),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::HandlerTimeout),
            _ => None,
        }
    }

    /// The seconds of `Retry-After`.
    pub(super) fn retry_after(self) -> Option<u16> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5)
    }

    /// Whether the rest of the request is not read, so that the connection has to be closed.
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

    /// The whole response.
    pub(super) fn to_response(
        self,
        reader: ResponseFormat,
        request_id: &str,
        rejected: Option<&RejectedHost>,
    ) -> Response {
        match reader {
            ResponseFormat::Html => self.html_page(request_id, rejected),
            ResponseFormat::Json => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (self.status(), kind, self.json_body(request_id, rejected)).into_response()
            }
        }
    }

    /// The reason for the log line.
    pub(super) fn to_log(self, rejected: Option<RejectedHost>) -> LoggedError {
        let why = match rejected {
            Some(RejectedHost { presented: came, allowed: ours, .. }) => {
                format!("{came} is not a name of ours ({ours}); EXTRA_HOSTS lists further ones")
                    .into()
            }
            None => self.description().into(),
        };
        LoggedError { error: self.code(), why: Some(why) }
    }

    /// The description; `named` is how a rejected host is called in it.
    fn detail(self, rejected: Option<&RejectedHost>, named: &str) -> Cow<'static, str> {
        match rejected {
            Some(RejectedHost { issuer, .. }) => format!(
                "this server does not answer to {named}: it is {issuer} (its operator: ISSUER_URL; \
                 EXTRA_HOSTS lists further names)"
            )
            .into(),
            None => self.description().into(),
        }
    }

    /// An error response as in OAuth, with the request id for errors of the server. The rejected host is not repeated: a
    /// description has no characters that the client chose ([RFC 6749 §5.2]).
    ///
    /// [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    fn json_body(self, request_id: &str, rejected: Option<&RejectedHost>) -> String {
        let mut said = serde_json::json!({
            "error": self.code(),
            "error_description": self.detail(rejected, "that host name"),
        });
        if self.status().is_server_error() {
            said["request_id"] = request_id.into();
        }
        said.to_string()
    }

    /// The error page, with the text for this error.
    fn html_page(self, request_id: &str, rejected: Option<&RejectedHost>) -> Response {
        let Text { title, message, .. } = self.text();
        let named =
            rejected.map_or_else(String::new, |it| format!("the host name {}", it.presented));
        let detail = self.detail(rejected, &named);
        let start = NextLink { href: "/", label: "To the start" };
        let home = rejected.map(|it| NextLink { href: &it.issuer, label: "To the right address" });
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
        self.text().status
    }

    fn code(self) -> &'static str {
        self.text().code
    }

    fn description(self) -> &'static str {
        self.text().description
    }

    /// Everything that is said about this error, in one place.
    fn text(self) -> Text {
        const INVALID_REQUEST: &str = ErrorCode::InvalidRequest.as_str();
        const SERVER_ERROR: &str = ErrorCode::ServerError.as_str();
        const UNAVAILABLE: &str = ErrorCode::TemporarilyUnavailable.as_str();
        use StatusCode as S;
        #[rustfmt::skip]
        let (status, code, description, title, message) = match self {
            Self::BodyIncomplete => (S::BAD_REQUEST, INVALID_REQUEST, "the body broke off",
                "That did not arrive",
                "What was sent came too slowly, or only in part. Please try again."),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "the body is too large",
                "That was too much",
                "The form that was sent is larger than any of ours can be."),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, INVALID_REQUEST, "the body took longer than ten seconds",
                "That did not arrive",
                "What was sent came too slowly, or only in part. Please try again."),
            Self::InternalError => (S::INTERNAL_SERVER_ERROR, SERVER_ERROR, "something went wrong here",
                "Something went wrong",
                "The fault is ours, not yours. Please try again. If it happens again, ask for help and name the \
                 reference below."),
            Self::UnsupportedTransferCoding => (S::NOT_IMPLEMENTED, INVALID_REQUEST, "chunked is the only transfer coding that is understood",
                "Request error",
                "What was sent is packed in a way that cannot be read here. Nothing was shared."),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, UNAVAILABLE, "too many are waiting, try again later",
                "One moment",
                "Very many people are signing in just now. Please try again in a few seconds."),
            Self::HeadersTooLarge => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, INVALID_REQUEST, "the headers are too large",
                "That was too much",
                "Your browser sent more than can be read. Delete its cookies for this address and try again."),
            Self::HostMissing => (S::BAD_REQUEST, INVALID_REQUEST, "the request must name exactly one host",
                "Wrong address",
                "There is no sign-in under this name. Go back to the application and start again."),
            Self::HostNotAllowed => (S::MISDIRECTED_REQUEST, INVALID_REQUEST, "this server does not answer to that host name",
                "Wrong address",
                "There is no sign-in under this name. Go back to the application and start again."),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, INVALID_REQUEST, "method not allowed",
                "Please start again",
                "This page cannot be opened this way. Go back to the application and sign in from there."),
            // Not an OAuth error: the request did not reach an endpoint.
            Self::NotFound => (S::NOT_FOUND, "not_found", "there is nothing at this address",
                "Nothing here",
                "There is no page at this address."),
            Self::HandlerTimeout => (S::SERVICE_UNAVAILABLE, UNAVAILABLE, "the answer took too long, try again later",
                "One moment",
                "That took too long. Please try again in a few seconds."),
            Self::MalformedRequest => (S::BAD_REQUEST, INVALID_REQUEST, "what was sent is no HTTP that can be read",
                "Request error",
                "What was sent cannot be read. Nothing was shared. Go back to the application and start again."),
            Self::UriTooLong => (S::URI_TOO_LONG, INVALID_REQUEST, "the address is too long",
                "Request error",
                "The application sent a request that is too long to be read. Nothing was shared with it. You can \
                 close this page or go back."),
        };
        Text { status, code, description, title, message }
    }
}

/// What is said about an error.
struct Text {
    status: StatusCode,
    /// The `error` of the JSON.
    code: &'static str,
    /// The `error_description` of the JSON.
    description: &'static str,
    /// The heading of the page.
    title: &'static str,
    /// What the user of the page can do.
    message: &'static str,
}

/// The status alone; `layers::error_body` finds the error in the extensions and writes the body.
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
