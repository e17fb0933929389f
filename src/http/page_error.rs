//! Errors as pages for the end-user: what happened, and how to go on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::logged_error::LoggedError;
use super::pages::{PagePolicy, page};
use super::shared_pages::{ErrorPage, NextLink};
use crate::domain::clients::{Client, RegistrationSource};
use crate::infra::store::StoreError;
use crate::protocol::redirect_uri;

/// An error page, shown to a user.
#[derive(Clone, Debug)]
pub struct PageError {
    /// The status of the response.
    pub status: StatusCode,
    /// The heading.
    pub title: &'static str,
    /// For the end-user.
    pub message: String,
    /// For the developer of the client: the error code and what is wrong with the request.
    pub detail: Option<(&'static str, String)>,
    /// The URL and the text of a link; the URL is ours or one that the operator registered.
    pub next_link: Option<(String, String)>,
    /// Shown so that the end-user can name it to support.
    pub request_id: String,
}

impl PageError {
    /// A refused authorization request that has nowhere safe to go (RFC 6749 §4.1.2.1).
    pub fn request_error(request_id: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "Request error",
            message:
                "The app sent a request that cannot be answered. Nothing was shared with it, and \
                      nothing is wrong with your account. You can close this page or go back."
                    .into(),
            detail: Some((code, detail.into())),
            next_link: None,
            request_id: request_id.to_owned(),
        }
    }

    /// Adds a link back to the client, if the operator registered it: the request may be forged, so no URL of a client
    /// that registered itself is linked.
    #[must_use]
    pub fn back_to(mut self, client: &Client) -> Self {
        let declared =
            Some(&client.metadata).filter(|_| client.source == RegistrationSource::Operator);
        let home = declared.and_then(|it| {
            let uris = it.redirect_uris.iter().filter(|uri| !redirect_uri::is_native(uri));
            it.client_uri
                .clone()
                .or_else(|| uris.into_iter().find_map(|uri| redirect_uri::web_origin(uri)))
        });
        self.next_link = home.map(|home| (home, format!("Back to {}", client.display_name())));
        self
    }

    /// The store does not answer.
    pub fn unavailable(request_id: &str, cause: &StoreError) -> Self {
        tracing::error!(%cause, kind = cause.kind(), "the store did not do what it was asked");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "One moment",
            message: "Signing in does not work right now. Please try again in a few seconds."
                .into(),
            detail: None,
            next_link: None,
            request_id: request_id.to_owned(),
        }
    }

    /// An internal error that trying again does not help.
    pub fn internal(request_id: &str) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "Something went wrong",
            message: "That is our fault, not yours. Please go back and try again.".into(),
            detail: None,
            next_link: None,
            request_id: request_id.to_owned(),
        }
    }

    /// Very many sign-ins were begun from one network.
    pub fn too_many(request_id: &str) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            title: "One moment",
            message: "Very many sign-ins were begun from your network just now. \
                      Please wait a minute, then load this page again."
                .into(),
            detail: None,
            next_link: None,
            request_id: request_id.to_owned(),
        }
    }

    /// The form did not come from our page, or not from this browser.
    pub fn foreign_form(request_id: &str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "Please start again",
            message: "This form was not sent from our own page in this browser. \
                      Go back to the app and sign in again."
                .into(),
            detail: None,
            next_link: None,
            request_id: request_id.to_owned(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let code = self.detail.as_ref().map(|(code, _)| *code);
        let next_link = self.next_link.as_ref();
        let template = ErrorPage {
            title: self.title,
            message: &self.message,
            code,
            detail: self.detail.as_ref().map(|(_, detail)| detail.as_str()),
            request_id: &self.request_id,
            next_link: next_link.map(|(href, label)| NextLink { href, label }),
        };
        let mut answer = page(&template, self.status, &PagePolicy::default());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        let why = self.detail.map(|(_, detail)| detail.into());
        LoggedError { error: code.unwrap_or(self.title), why }.attach_to(answer)
    }
}
