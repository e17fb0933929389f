use serde::{Deserialize, Serialize};

use crate::protocol::{AccessTokenTyp, Scope};

/// What the operator sets for a client, and a client cannot register.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ClientSettings {
    /// The operator's own application, which needs no consent.
    pub first_party: bool,
    /// Whether PKCE is required of it; what `REQUIRE_PKCE` says where absent. A public client cannot be let
    /// off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pkce: Option<bool>,
    /// Whether a nonce is required where it goes without PKCE; what `REQUIRE_PKCE` says where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_nonce: Option<bool>,
    /// Its access tokens are opaque handles instead of JWTs.
    pub opaque_access_tokens: bool,
    /// What the header of its JWT access tokens says; `at+jwt` where absent.
    pub access_token_typ: Option<AccessTokenTyp>,
    /// Its ID tokens carry the claims of the granted scopes too.
    pub claims_in_id_token: bool,
    /// Those of these claims that the granted scopes give are in its ID tokens.
    pub id_token_claims: Vec<String>,
    /// What a request of its without a scope asks for; what it registered where absent.
    pub default_scope: Option<Scope>,
    /// The resources its access tokens are for where a request names none, besides our own userinfo endpoint.
    pub audience: Vec<String>,
    /// The resources it serves: it may introspect access tokens meant for them.
    pub resource_server_for: Vec<String>,
    /// Claims of the user that introspection responses to it have, where the token's scope exposes them.
    pub introspection_claims: Vec<String>,
    /// Seconds; the server's default where absent.
    pub access_token_lifetime: Option<u32>,
    /// Seconds; the server's default where absent.
    pub id_token_lifetime: Option<u32>,
    /// Seconds; the server's default where absent.
    pub code_lifetime: Option<u32>,
    /// Seconds without use; the server's default where absent.
    pub refresh_token_idle_lifetime: Option<u32>,
    /// Seconds in all; the server's default where absent.
    pub refresh_token_lifetime: Option<u32>,
}

impl ClientSettings {
    /// The names of all of them.
    pub fn names() -> Vec<String> {
        let every = Self { require_pkce: Some(true), require_nonce: Some(true), ..Self::default() };
        let known = serde_json::to_value(every).unwrap_or_default();
        known.as_object().into_iter().flat_map(|members| members.keys().cloned()).collect()
    }
}
