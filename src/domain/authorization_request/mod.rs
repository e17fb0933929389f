//! Authorization requests ([RFC 6749 §4.1.1], [OpenID Connect Core §3.1.2.1]): what a client asked,
//! checked whole before anybody is bothered with it.
//!
//! Checks belong to the request, not to the endpoint: whatever way a request comes in, it is read by
//! [`Destination::resolve`] and then by [`validate`], in that order.
//!
//! [RFC 6749 §4.1.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1
//! [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest

mod destination;
mod parameters;
mod reply;
pub mod request_object;
mod stored_request;
mod validate;

use serde::{Deserialize, Serialize};

pub use self::destination::{Destination, DestinationError, exceeds_url_length};
pub use self::parameters::{MAX_QUERY_LEN, is_known, to_query};
pub use self::reply::Reply;
pub use self::stored_request::{StoredRequest, find_stored, insert_stored};
pub use self::validate::{HintedSubject, RequestPolicy, validate};
use crate::domain::clients::{Client, ClientId};
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{CodeChallenge, Prompt, ResponseType, Scope, Subject};

/// A valid authorization request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: ClientId,
    /// How the client gets the answer.
    #[serde(rename = "destination")]
    pub reply: Reply,
    /// What the answer is to carry.
    pub response_type: ResponseType,
    /// What it wants, cut down to what this client may have.
    pub scope: Scope,
    /// Single claims beside the scopes.
    pub claims: ClaimsRequest,
    /// The APIs that tokens are to be for ([RFC 8707 §2.1](https://www.rfc-editor.org/rfc/rfc8707#section-2.1)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// PKCE.
    pub challenge: Option<CodeChallenge>,
    /// What the person is to be asked.
    pub prompt: Prompt,
    /// How old the sign-in may be, in seconds.
    pub max_age: Option<u64>,
    /// Who the client thinks it is: fills the form, promises nothing.
    pub login_hint: Option<String>,
    /// Who it has to be: the subject of the `id_token_hint`.
    pub hinted: Option<Subject>,
    /// Whether it wants an `acr` in the ID token.
    pub wants_acr: bool,
    /// The request as it came, so that it can be begun again.
    pub query: String,
}

impl AuthorizationRequest {
    /// The APIs that tokens will be for: those it names, or else those that the operator gave the client.
    pub fn apis<'a>(&'a self, client: &'a Client) -> &'a [String] {
        if self.resources.is_empty() { &client.settings.audience } else { &self.resources }
    }
}
