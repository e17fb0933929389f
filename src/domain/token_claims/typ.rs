//! Telling access tokens and ID tokens apart ([RFC 8725 §3.11, §3.12]).
//!
//! The `typ` of an access token is `at+jwt`. Where the operator sets `JWT`, which ID tokens have, an access token has
//! the claim `token_use` as well. No user can have that claim, no scope exposes it, and no ID token has it, so neither
//! is ever accepted for the other.
//!
//! [RFC 8725 §3.11, §3.12]: https://www.rfc-editor.org/rfc/rfc8725#section-3.11

use serde_json::{Map, Value};

use super::ID_TOKEN_TYP;
use crate::domain::clients::Client;
use crate::domain::keys::KeyRing;
use crate::domain::resources::Target;
use crate::infra::jose::{VerificationError, VerifiedJwt};
use crate::protocol::AccessTokenTyp;

/// The claim of access tokens whose `typ` is `JWT`.
const TOKEN_USE: &str = "token_use";
const ACCESS_TOKEN_USE: &str = "access";

/// The `typ` of an access token: that of its API, else that of its client.
pub fn access_token_typ(client: &Client, target: &Target) -> AccessTokenTyp {
    target.typ.or(client.settings.access_token_typ).unwrap_or(AccessTokenTyp::AtJwt)
}

/// Adds `token_use` to an access token of that type, where it needs it.
pub(super) fn add_token_use(claims: &mut Map<String, Value>, typ: AccessTokenTyp) {
    match typ {
        AccessTokenTyp::AtJwt => {}
        AccessTokenTyp::Jwt => drop(claims.insert(TOKEN_USE.into(), ACCESS_TOKEN_USE.into())),
    }
}

/// Verifies the signature and type of a JWT access token, and answers its claims. Time and issuer are for the caller to
/// check.
pub fn verify_access_token(
    keys: &KeyRing,
    token: &str,
) -> Result<Map<String, Value>, VerificationError> {
    let VerifiedJwt { typ, claims } = keys.verify_of_any_type(token)?;
    let says = |expected: AccessTokenTyp| {
        typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(expected.as_str()))
    };
    let is_marked = claims.get(TOKEN_USE).is_some_and(|it| it == ACCESS_TOKEN_USE);
    if says(AccessTokenTyp::AtJwt) || (says(AccessTokenTyp::Jwt) && is_marked) {
        return Ok(claims);
    }
    Err(VerificationError::Type)
}

/// Verifies the signature and type of an ID token, and answers its claims. A signed userinfo response has the same
/// `typ`, but no `exp`.
pub fn verify_id_token(
    keys: &KeyRing,
    token: &str,
) -> Result<Map<String, Value>, VerificationError> {
    let claims = keys.verify(token, ID_TOKEN_TYP)?;
    if claims.contains_key(TOKEN_USE) || !claims.contains_key("exp") {
        return Err(VerificationError::Type);
    }
    Ok(claims)
}
