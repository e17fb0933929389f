//! Which kind of token of ours a JWT is ([RFC 8725 §3.11, §3.12]).
//!
//! By its `typ`, as long as an access token says `at+jwt`. Where the operator has one say `JWT`, as an ID token
//! does, it has the claim `token_use` as well. No user record can hold that, no scope exposes it, and no ID token
//! has it: so neither is ever taken for the other, whatever else is in them.
//!
//! [RFC 8725 §3.11, §3.12]: https://www.rfc-editor.org/rfc/rfc8725#section-3.11

use serde_json::{Map, Value};

use super::ID_TYP;
use crate::domain::clients::Client;
use crate::domain::keys::KeyRing;
use crate::domain::resources::Target;
use crate::infra::jose::{NotVerified, Verified};
use crate::protocol::AccessTokenTyp;

/// What an access token is marked with that says `JWT`.
const TOKEN_USE: &str = "token_use";
const ACCESS: &str = "access";

/// What such an access token of a client says it is: its API counts before the client.
pub fn access_typ(client: &Client, target: &Target) -> AccessTokenTyp {
    target.typ.or(client.settings.access_token_typ).unwrap_or(AccessTokenTyp::AtJwt)
}

/// Marks the claims of an access token that says it is of that type.
pub(super) fn mark(claims: &mut Map<String, Value>, typ: AccessTokenTyp) {
    match typ {
        AccessTokenTyp::AtJwt => {}
        AccessTokenTyp::Jwt => drop(claims.insert(TOKEN_USE.into(), ACCESS.into())),
    }
}

/// The claims of a JWT access token of ours, of either type. Time and issuer are the caller's to judge.
pub fn verify_access_token(keys: &KeyRing, token: &str) -> Result<Map<String, Value>, NotVerified> {
    let Verified { typ, claims } = keys.verify_of_any_type(token)?;
    let says = |expected: AccessTokenTyp| {
        typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(expected.as_str()))
    };
    let is_marked = claims.get(TOKEN_USE).is_some_and(|it| it == ACCESS);
    if says(AccessTokenTyp::AtJwt) || (says(AccessTokenTyp::Jwt) && is_marked) {
        return Ok(claims);
    }
    Err(NotVerified::Type)
}

/// The claims of an ID token of ours. A signed answer of the userinfo endpoint says `JWT` too, and has no end.
pub fn verify_id_token(keys: &KeyRing, token: &str) -> Result<Map<String, Value>, NotVerified> {
    let claims = keys.verify(token, ID_TYP)?;
    if claims.contains_key(TOKEN_USE) || !claims.contains_key("exp") {
        return Err(NotVerified::Type);
    }
    Ok(claims)
}
