use serde::{Deserialize, Serialize};

use crate::protocol::{ClientMetadata, Params, ResponseMode, ResponseType};

/// A place it is safe to send the browser back to, and how.
///
/// The only way to get one is to match a registered redirect URI, so an error that needs a
/// `Destination` to be answered cannot be answered to a stranger ([RFC 9700 §4.11]).
///
/// [RFC 9700 §4.11]: https://www.rfc-editor.org/rfc/rfc9700#section-4.11
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Destination {
    redirect_uri: String,
    state: Option<String>,
    mode: ResponseMode,
}

/// Shown to the person as a page, never sent anywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unredirectable {
    /// Not in the request: required even with one registered (OpenID Connect Core §3.1.2.1).
    NoRedirectUri,
    /// Not among the registered ones.
    UnregisteredRedirectUri,
}

impl Destination {
    /// Finds the requested redirect URI among the registered ones ([RFC 9700 §2.1]).
    ///
    /// A `response_mode` that is unknown, or does not suit the response type, does not change where an
    /// error goes: it is refused later, and the refusal travels as the type's answers do by default.
    ///
    /// [RFC 9700 §2.1]: https://www.rfc-editor.org/rfc/rfc9700#section-2.1
    pub fn settle(params: &Params, client: &ClientMetadata) -> Result<Self, Unredirectable> {
        let asked = params.get("redirect_uri").ok_or(Unredirectable::NoRedirectUri)?;
        if !client.allows_redirect_to(asked) {
            return Err(Unredirectable::UnregisteredRedirectUri);
        }
        let response = params.get("response_type").and_then(ResponseType::read);
        let response = response.unwrap_or(ResponseType::Code);
        let mode = params.get("response_mode").and_then(ResponseMode::parse);
        let mode = mode.filter(|mode| mode.suits(response));
        // A state that is too long is refused by `validate`, and not carried along then.
        let state =
            params.get("state").filter(|state| state.len() <= super::validate::LONGEST_STATE);
        Ok(Self {
            redirect_uri: asked.to_owned(),
            state: state.map(str::to_owned),
            mode: mode.unwrap_or(ResponseMode::default_for(response)),
        })
    }

    /// The URI, byte for byte as requested.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The client's `state`, untouched.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// How the answer travels.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }
}
