//! Request objects ([OpenID Connect Core §6], [RFC 9101]): an authorization request as a JWT that the
//! client signed.
//!
//! A parameter in the object counts before the same one in the query. For an object of type
//! `oauth-authz-req+jwt` the query does not count at all (RFC 9101 §6.3); OpenID Connect lets the two complete each
//! other (§6.3.3 there), and its clients rely on it. An unsigned object is refused: it proves no more than the
//! query does.
//!
//! [OpenID Connect Core §6]: https://openid.net/specs/openid-connect-core-1_0.html#JWTRequests
//! [RFC 9101]: https://www.rfc-editor.org/rfc/rfc9101

use std::time::Duration;

use serde_json::{Map, Value};

use super::parameters;
use crate::domain::clients::Client;
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, VerifiedJwt, claims};
use crate::protocol::{ErrorCode, OAuthError, Params};

/// `typ` of RFC 9101 §10.8.
const TYP: &str = "oauth-authz-req+jwt";
/// The tolerated difference between the client's clock and ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);
/// The longest time until `exp` of an RFC 9101 object.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// The parameters that count: those of an object with a good signature, and what may stand beside it.
pub fn merge_params(
    outer: &Params,
    object: &VerifiedJwt,
    client: &Client,
    issuer: &str,
    now: UnixTime,
) -> Result<Params, OAuthError> {
    let strict = object.typ.as_deref() == Some(TYP);
    validate_claims(&object.claims, client, issuer, strict, now)?;
    let inner = parameters(&object.claims)?;
    for name in ["client_id", "response_type"] {
        let (said, beside) = (inner.get(name), outer.get(name));
        if said.is_some() && beside.is_some() && said != beside {
            return Err(invalid(
                "client_id and response_type must be the same in the request object",
            ));
        }
    }
    let beside = outer.clone().without("request").without("request_uri");
    let pairs = |params: &Params| -> Vec<(String, String)> {
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let mut all = pairs(&inner);
    let counts = |name: &str| !strict || name == "client_id";
    all.extend(
        pairs(&beside).into_iter().filter(|(name, _)| counts(name) && inner.get(name).is_none()),
    );
    Params::collect(all).map_err(|_| invalid("the request object repeats a parameter"))
}

/// The parameters that say where an error goes if the object is not valid: those of the query, and where one is
/// missing, that of the unverified object. The redirect URI is compared with the registered ones like any other.
pub fn unverified_params(outer: &Params, object: &str) -> Params {
    let claims = jose::parse_unverified(object).map(|peeked| peeked.claims).unwrap_or_default();
    let names = ["redirect_uri", "response_mode", "response_type", "state"];
    let missing = names.into_iter().filter(|name| outer.get(name).is_none());
    let inner = missing.filter_map(|name| Some((name, claims.get(name)?.as_str()?)));
    let pairs = outer.iter().chain(inner);
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Params::collect(pairs).unwrap_or_else(|_| outer.clone())
}

/// Checks the issuer, audience and times of the object ([RFC 9101 §4, §10.8], OpenID Connect Core §6.1).
///
/// [RFC 9101 §4, §10.8]: https://www.rfc-editor.org/rfc/rfc9101#section-4
fn validate_claims(
    claims: &Map<String, Value>,
    client: &Client,
    issuer: &str,
    strict: bool,
    now: UnixTime,
) -> Result<(), OAuthError> {
    let wrong_type = || invalid("a claim of the request object has the wrong type");
    let text = |name| claims::text(claims, name).map_err(|_| wrong_type());
    let time = |name| {
        let seconds = claims::seconds(claims, name).map_err(|_| wrong_type())?;
        Ok::<_, OAuthError>(seconds.map(UnixTime::from_secs))
    };
    let us = match claims.get("aud") {
        None => !strict,
        Some(_) => claims::audience(claims).map_err(|_| wrong_type())?.contains(&issuer),
    };
    let them = text("iss")?.map_or(!strict, |iss| iss == client.id.as_str());
    if !us || !them {
        return Err(invalid("iss of the request object must be the client, and aud this issuer"));
    }
    // A client assertion names the client as its subject, and must not pass for a request.
    if text("sub")?.is_some() {
        return Err(invalid("a request object has no sub"));
    }
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err(invalid("a request object must not hold another"));
    }
    let expires_at = time("exp")?;
    if expires_at.is_some_and(|at| at.plus(MAX_CLOCK_SKEW) <= now) {
        return Err(invalid("the request object has expired"));
    }
    let too_long = |at: UnixTime| at > now.plus(MAX_LIFETIME).plus(MAX_CLOCK_SKEW);
    if strict && expires_at.is_none_or(too_long) {
        return Err(invalid("exp of the request object must be at most an hour ahead"));
    }
    if time("nbf")?.is_some_and(|at| at > now.plus(MAX_CLOCK_SKEW)) {
        return Err(invalid("the request object is not valid yet"));
    }
    Ok(())
}

/// Its members as the texts they would be in a query, those that mean something here. `max_age` may be a
/// number and `claims` an object; any other would seem to be absent, and is refused.
fn parameters(claims: &Map<String, Value>) -> Result<Params, OAuthError> {
    let wrong_type = || invalid("a parameter in the request object has the wrong type");
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| parameters::is_known(name)) {
        let text = match value {
            // The one that may be repeated (RFC 8707 §2).
            Value::Array(several) if name == "resource" => {
                for one in several {
                    let one = one.as_str().ok_or_else(wrong_type)?;
                    pairs.push((name.clone(), one.to_owned()));
                }
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_u64() => number.to_string(),
            Value::Object(_) if name == "claims" => value.to_string(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                return Err(wrong_type());
            }
        };
        pairs.push((name.clone(), text));
    }
    Params::collect(pairs).map_err(|_| invalid("the request object repeats a parameter"))
}

/// Whether the client registered this `request_uri` ([OpenID Connect Registration §2]): the fragment may
/// be the digest of what it holds now, and is not part of the address.
///
/// [OpenID Connect Registration §2]: https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata
pub fn is_registered(uri: &str, client: &Client) -> bool {
    let address = |uri: &str| uri.split('#').next().unwrap_or_default().to_owned();
    client.metadata.request_uris.iter().any(|held| address(held) == address(uri))
}

fn invalid(why: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestObject, why)
}

#[cfg(test)]
mod tests;
