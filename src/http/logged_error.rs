use std::borrow::Cow;

use axum::response::Response;

use crate::protocol::OAuthError;

/// The error that a response reports: an extension of the response, for the access log's one line per request.
#[derive(Clone, Debug)]
pub struct LoggedError {
    /// The error code, or the heading of the page.
    pub error: &'static str,
    /// The description.
    pub why: Option<Cow<'static, str>>,
}

impl LoggedError {
    /// Adds it to a response.
    pub fn attach_to(self, mut answer: Response) -> Response {
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<&OAuthError> for LoggedError {
    fn from(error: &OAuthError) -> Self {
        Self { error: error.code.as_str(), why: Some(error.description.clone()) }
    }
}
