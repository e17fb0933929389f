//! The claims of tokens ([OpenID Connect Core §2], [RFC 9068 §2.2], OpenID Connect Core §5.3.2): from the stored grant and
//! the user as it is now, never from the token request.
//!
//! [OpenID Connect Core §2]: https://openid.net/specs/openid-connect-core-1_0.html#IDToken
//! [RFC 9068 §2.2]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2

mod access_token;
mod id_token;
mod typ;
mod userinfo;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use self::access_token::{
    AccessTokenError, MAX_ACCESS_TOKEN_LEN, RequestedResources, RevokedToken, TokenSource,
    ValidAccessToken, access_token_claims, audience, validate_access_token,
};
pub use self::id_token::{HashedValues, ID_TOKEN_TYP, IdTokenInput, id_token_claims};
pub use self::typ::{access_token_typ, verify_access_token, verify_id_token};
pub use self::userinfo::userinfo_claims;
use crate::domain::users::User;
use crate::protocol::claims::{self, ClaimRequest};

/// Adds the claims that a scope exposes, and those requested one by one that are among `allowed`: the client may be
/// allowed less than when they were granted. A claim that the user does not have, or whose value is not one that was
/// requested, is left out (OpenID Connect Core §5.5.1).
fn add_claims(
    into: &mut Map<String, Value>,
    user: &User,
    exposed: BTreeSet<&str>,
    asked: &BTreeMap<String, ClaimRequest>,
    allowed: &BTreeSet<&str>,
) {
    // No stored user can have a reserved claim; it is checked again, so that no token has one.
    let ours = |name: &str| claims::is_reserved(name);
    for name in exposed.into_iter().filter(|name| !ours(name)) {
        if let Some(value) = user.claim(name) {
            into.insert(name.to_owned(), value);
        }
    }
    let may_have = |name: &str| allowed.contains(name) && !ours(name);
    for (name, wish) in asked.iter().filter(|(name, _)| may_have(name)) {
        if let Some(value) = user.claim(name)
            && wish.accepts(&value)
        {
            into.entry(name.clone()).or_insert(value);
        }
    }
}
