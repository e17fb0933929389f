use serde::{Deserialize, Serialize};

use super::Destination;
use crate::domain::clients::Client;
use crate::domain::grants::Credential;

/// How the client gets the answer to its authorization request.
///
/// What pages and decisions ask of it is below; `endpoints/authorize/reply.rs` alone sends it. A new way (the
/// device flow's, [RFC 8628]) is a variant, and breaks the build at both.
///
/// Stored as the bare destination, under the name `destination`, as releases before this one wrote it.
///
/// [RFC 8628]: https://www.rfc-editor.org/rfc/rfc8628
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// The browser carries it to the client's redirect URI.
    Redirect(Destination),
}

impl Reply {
    /// Where the browser goes with the answer; absent where it travels another way.
    pub fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Redirect(destination) => Some(destination.redirect_uri()),
        }
    }

    /// Which grant type the code of the answer is redeemed with.
    pub const fn credential(&self) -> Credential {
        match self {
            Self::Redirect(_) => Credential::AuthorizationCode,
        }
    }

    /// The client's `state`, which goes back with the answer.
    pub fn state(&self) -> Option<&str> {
        match self {
            Self::Redirect(destination) => destination.state(),
        }
    }

    /// Whether the client may still be answered so: a redirect URI that it no longer registers may belong to
    /// another party by now.
    pub fn is_allowed_for(&self, client: &Client) -> bool {
        match self {
            Self::Redirect(destination) => {
                client.metadata.allows_redirect_to(destination.redirect_uri())
            }
        }
    }

    /// Whether another program could get the answer in this client's place ([RFC 8252 §8.6]), so that consent
    /// is asked each time.
    ///
    /// [RFC 8252 §8.6]: https://www.rfc-editor.org/rfc/rfc8252#section-8.6
    pub fn is_impersonable(&self, client: &Client) -> bool {
        match self {
            Self::Redirect(destination) => {
                client.metadata.is_impersonable_at(destination.redirect_uri())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_stored_as_the_bare_destination() {
        let stored = r#"{"redirect_uri":"https://rp.example/cb","state":"s","mode":"query"}"#;
        let reply: Reply = serde_json::from_str(stored).unwrap();
        assert_eq!(reply.redirect_uri(), Some("https://rp.example/cb"));
        assert_eq!(serde_json::to_string(&reply).unwrap(), stored);
    }
}
