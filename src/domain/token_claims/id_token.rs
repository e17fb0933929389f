use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::add_claims;
use crate::domain::clients::Client;
use crate::domain::grants::{AuthenticationContext, Grant};
use crate::domain::users::User;
use crate::infra::clock::UnixTime;
use crate::infra::secret::base64url;
use crate::protocol::Subject;
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::client_metadata::SubjectType;

/// `typ` of an ID token.
pub const ID_TOKEN_TYP: &str = "JWT";

/// What an ID token is made from.
#[derive(Clone, Copy)]
pub struct IdTokenInput<'a> {
    /// Its scope, `nonce` and requested claims.
    pub grant: &'a Grant,
    /// How the end-user was authenticated for the grant.
    pub authentication: &'a AuthenticationContext,
    /// `aud`.
    pub client: &'a Client,
    /// The user as it is now.
    pub user: &'a User,
    /// The subject as this client sees it.
    pub sub: &'a Subject,
    /// The session as this client sees it.
    pub sid: &'a str,
}

/// What an ID token is sent with, and contains the hashes of ([OpenID Connect Core §3.1.3.6, §3.3.2.11]).
///
/// [OpenID Connect Core §3.1.3.6, §3.3.2.11]: https://openid.net/specs/openid-connect-core-1_0.html#HybridIDToken
#[derive(Clone, Copy, Default)]
pub struct HashedValues<'a> {
    /// `at_hash`
    pub access_token: Option<&'a str>,
    /// `c_hash`
    pub code: Option<&'a str>,
    /// `s_hash` ([FAPI 1.0 Advanced §5.1](https://openid.net/specs/openid-financial-api-part-2-1_0.html#id-token-as-detached-signature))
    pub state: Option<&'a str>,
    /// No access token will come of this response, so the claims of the scopes are in the ID token itself (OpenID
    /// Connect Core §5.4).
    pub is_only_token: bool,
}

/// The claims of an ID token ([OpenID Connect Core §2], §3.1.3.6, §12.2).
///
/// Profile and e-mail are left to the userinfo endpoint, unless the operator set the client so or the
/// request asked for single claims here.
///
/// [OpenID Connect Core §2]: https://openid.net/specs/openid-connect-core-1_0.html#IDToken
pub fn id_token_claims(
    issuer: &str,
    IdTokenInput { grant, authentication, client, user, sub, sid }: IdTokenInput<'_>,
    catalogue: &ScopeCatalogue,
    beside: HashedValues<'_>,
    lifetime: Duration,
    now: UnixTime,
) -> Map<String, Value> {
    let mut claims = Map::new();
    let ceiling = client.max_scope();
    let mut exposed = catalogue.claims_for(&grant.scope.intersection(&ceiling));
    if !client.settings.claims_in_id_token && !beside.is_only_token {
        exposed.retain(|name| client.settings.id_token_claims.iter().any(|it| it == name));
    }
    let allowed = catalogue.claims_for(&ceiling);
    add_claims(&mut claims, user, exposed, &grant.claims.id_token, &allowed);
    // These come last, so that no claim of the user replaces them.
    claims.insert("iss".into(), issuer.into());
    claims.insert("sub".into(), sub.as_str().into());
    claims.insert("aud".into(), client.id.as_str().into());
    claims.insert("iat".into(), now.as_secs().into());
    claims.insert("exp".into(), now.plus(lifetime).as_secs().into());
    claims.insert("sid".into(), sid.into());
    claims.insert("amr".into(), json!(authentication.amr));
    if includes_auth_time(client, grant) {
        claims.insert("auth_time".into(), authentication.authenticated_at.as_secs().into());
    }
    let hashes =
        [("at_hash", beside.access_token), ("c_hash", beside.code), ("s_hash", beside.state)];
    for (name, text) in hashes {
        if let Some(text) = text {
            let alg = client.metadata.id_token_signed_response_alg;
            claims.insert(name.into(), left_half_hash(alg, text).into());
        }
    }
    if authentication.wants_acr {
        claims.insert("acr".into(), authentication.acr.as_str().into());
    }
    if let Some(nonce) = &grant.nonce {
        claims.insert("nonce".into(), nonce.as_str().into());
    }
    claims
}

/// Whether tokens of the client have `auth_time`. To the second it identifies the session, so that clients of two
/// sectors could tell that they know the same user: a pairwise client gets it only where it asked, in the request or
/// at its registration (OpenID Connect Core §2), any other client always.
pub(super) fn includes_auth_time(client: &Client, grant: &Grant) -> bool {
    let metadata = &client.metadata;
    match metadata.subject_type {
        SubjectType::Public => true,
        SubjectType::Pairwise => {
            metadata.require_auth_time || grant.claims.id_token.contains_key("auth_time")
        }
    }
}

/// "The base64url encoding of the left-most half of the hash of the octets of the ASCII representation"
/// (§3.1.3.6), by the hash of the signature: Ed25519's is SHA-512.
fn left_half_hash(alg: ClientAlg, token: &str) -> String {
    match alg {
        ClientAlg::Rs256 | ClientAlg::Ps256 | ClientAlg::Es256 => {
            base64url(&Sha256::digest(token.as_bytes())[..16])
        }
        ClientAlg::EdDsa => base64url(&Sha512::digest(token.as_bytes())[..32]),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn at_hash_is_the_left_half_of_the_hash() {
        // OpenID Connect Core appendix A.3
        let alg = crate::protocol::algorithms::ClientAlg::Rs256;
        let hash = super::left_half_hash(alg, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(hash, "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
