//! Authorization requests ([RFC 6749 §4.1.1], [OpenID Connect Core §3.1.2.1]): parsed and
//! validated as a whole before the end-user is asked anything.
//!
//! Checks belong to the request, not to the endpoint: however a request comes in, it is read by
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
    pub client: ClientId,
    /// How the client gets the answer.
    #[serde(rename = "destination")]
    pub reply: Reply,
    pub response_type: ResponseType,
    /// Restricted to what this client may have.
    pub scope: Scope,
    /// Claims asked for by name ([OpenID Connect Core §5.5](https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter)).
    pub claims: ClaimsRequest,
    /// The APIs that tokens are to be for ([RFC 8707 §2.1](https://www.rfc-editor.org/rfc/rfc8707#section-2.1)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// For the ID token, unchanged.
    pub nonce: Option<String>,
    /// [RFC 7636](https://www.rfc-editor.org/rfc/rfc7636)
    pub challenge: Option<CodeChallenge>,
    pub prompt: Prompt,
    /// In seconds.
    pub max_age: Option<u64>,
    /// Fills the login form, and nothing else.
    pub login_hint: Option<String>,
    /// The subject of the `id_token_hint`, or of a `sub` claim request: no other user's response is sent.
    pub hinted: Option<Subject>,
    /// ID tokens carry `acr`.
    pub wants_acr: bool,
    /// The query as it came, so that the request can be started again.
    pub query: String,
}

impl AuthorizationRequest {
    /// The APIs that access tokens will be for: those it names, or else the client's default ones.
    pub fn apis<'a>(&'a self, client: &'a Client) -> &'a [String] {
        if self.resources.is_empty() { &client.settings.audience } else { &self.resources }
    }
}
