use std::borrow::Cow;

use axum::response::Response;

use crate::protocol::OAuthError;

/// What went wrong, as the answer tells it: an extension of the response, for the one line that the log has
/// of each request.
#[derive(Clone, Debug)]
pub struct Told {
    /// The error code, or the heading of the page.
    pub error: &'static str,
    /// The rest of it.
    pub why: Option<Cow<'static, str>>,
}

impl Told {
    /// The answer, with this beside it.
    pub fn beside(self, mut answer: Response) -> Response {
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<&OAuthError> for Told {
    fn from(error: &OAuthError) -> Self {
        Self { error: error.code.as_str(), why: Some(error.description.clone()) }
    }
}
