use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::parameters::MAX_QUERY_LEN;
use crate::protocol::{ClientMetadata, Params, ResponseMode, ResponseType};

/// A registered redirect URI, with the `state` and response mode of the request.
///
/// The only way to get one is to match a registered redirect URI, so an error that needs a
/// `Destination` cannot be sent to an unregistered address ([RFC 9700 §4.11]).
///
/// [RFC 9700 §4.11]: https://www.rfc-editor.org/rfc/rfc9700#section-4.11
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Destination {
    redirect_uri: String,
    state: Option<String>,
    mode: ResponseMode,
}

/// Whether a `state` takes more bytes in a URL than a request may have altogether.
pub fn exceeds_url_length(state: &str) -> bool {
    url::form_urlencoded::byte_serialize(state.as_bytes()).map(str::len).sum::<usize>()
        > MAX_QUERY_LEN
}

/// Why there is no destination. Shown as a page, never redirected.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum DestinationError {
    /// `redirect_uri` is required even if only one is registered (OpenID Connect Core §3.1.2.1).
    #[error("redirect_uri is missing; it is required even when only one is registered")]
    MissingRedirectUri,
    #[error(
        "redirect_uri is not one of those registered for this client; they are compared \
         character by character"
    )]
    UnregisteredRedirectUri,
    /// `state` is longer than a URL can carry, and the client must get back exactly what it sent.
    #[error(
        "state is longer than the 8 KiB that an address can carry back; response_mode=form_post can"
    )]
    StateTooLong,
}

impl Destination {
    /// Finds the requested redirect URI among the registered ones ([RFC 9700 §2.1]).
    ///
    /// A `response_mode` that is unknown, or does not suit the response type, does not change where an
    /// error goes: it is refused later, and the refusal travels as the type's answers do by default.
    ///
    /// [RFC 9700 §2.1]: https://www.rfc-editor.org/rfc/rfc9700#section-2.1
    pub fn resolve(params: &Params, client: &ClientMetadata) -> Result<Self, DestinationError> {
        let asked = params.get("redirect_uri").ok_or(DestinationError::MissingRedirectUri)?;
        if !client.allows_redirect_to(asked) {
            return Err(DestinationError::UnregisteredRedirectUri);
        }
        let response = params.get("response_type").and_then(ResponseType::parse_unordered);
        let response = response.unwrap_or(ResponseType::Code);
        let mode = params.get("response_mode").and_then(ResponseMode::parse);
        let mode = mode.filter(|mode| mode.is_allowed_for(response));
        let mode = mode.unwrap_or(ResponseMode::default_for(response));
        let state = params.get("state").map(str::to_owned);
        let in_address = match mode {
            ResponseMode::Query | ResponseMode::Fragment => true,
            ResponseMode::FormPost => false,
        };
        if in_address && state.as_deref().is_some_and(exceeds_url_length) {
            return Err(DestinationError::StateTooLong);
        }
        Ok(Self { redirect_uri: asked.to_owned(), state, mode })
    }

    /// The URI, byte for byte as requested.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The client's `state`, untouched.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The response mode.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }
}
