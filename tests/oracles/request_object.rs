use std::collections::BTreeMap;

use latchkey::domain::authorization_request::request_object::merge_params;
use latchkey::domain::clients::Client;
use latchkey::infra::clock::UnixTime;
use latchkey::infra::jose::VerifiedJwt;
use latchkey::protocol::{OAuthError, Params};
use serde_json::Value;

use super::in_process_server::{self, ISSUER, NOW};
use super::{lines, reference_parsers, text};

/// A request object with a good signature counts exactly if a second reader of the rules lets it
/// ([RFC 9101 §4, §6.3, §10.8], OpenID Connect Core §6), and then just those parameters count which that
/// reader finds. One that goes by RFC 9101 leaves nothing to what stands beside it but the client's id.
///
/// Lines: the query beside it, `typ` (none where empty), the claims.
///
/// [RFC 9101 §4, §6.3, §10.8]: https://www.rfc-editor.org/rfc/rfc9101#section-4
pub fn request_object(data: &[u8]) {
    holds(data, merge_params);
}

pub fn holds(
    data: &[u8],
    merge_params: impl Fn(&Params, &VerifiedJwt, &Client, &str, UnixTime) -> Result<Params, OAuthError>,
) {
    let [query, typ, payload] = lines(data);
    let Ok(outer) = Params::parse(query) else { return };
    let Ok(Value::Object(claims)) = serde_json::from_slice(payload) else { return };
    let typ = Some(text(typ)).filter(|typ| !typ.is_empty());
    let client = in_process_server::client("shop");
    let verified = VerifiedJwt { typ: typ.clone(), claims: claims.clone() };
    let found = merge_params(&outer, &verified, &client, ISSUER, NOW);
    let strict = typ.as_deref() == Some("oauth-authz-req+jwt");
    let expected = slowly(&outer, &Value::Object(claims), strict);
    let found: Result<BTreeMap<String, String>, OAuthError> =
        found.map(|it| it.iter().map(|(name, value)| (name.into(), value.into())).collect());
    assert_eq!(found.as_ref().ok(), expected.as_ref().ok(), "{typ:?}: {found:?}");
    let Ok(found) = found else { return };
    for name in ["request", "request_uri", "iss", "aud", "exp", "nbf", "iat", "jti", "sub"] {
        let beside = !strict && outer.get(name).is_some() && !name.starts_with("request");
        assert!(beside || !found.contains_key(name), "{name} is no parameter");
    }
}

fn slowly(outer: &Params, claims: &Value, strict: bool) -> Result<BTreeMap<String, String>, ()> {
    let must = |holds: bool| if holds { Ok(()) } else { Err(()) };
    let now = NOW.as_millis();
    let audience = reference_parsers::audience(claims.get("aud"))?;
    must(if claims.get("aud").is_some() { audience.contains(&ISSUER) } else { !strict })?;
    must(reference_parsers::string(claims.get("iss"))?.map_or(!strict, |iss| iss == "shop"))?;
    must(claims.get("sub").is_none())?;
    must(claims.get("request").is_none() && claims.get("request_uri").is_none())?;
    let moment = |name| {
        reference_parsers::seconds(claims.get(name)).map(|at| at.map(|it| it.saturating_mul(1000)))
    };
    match moment("exp")? {
        Some(end) => {
            must(end.saturating_add(10_000) > now && (!strict || end <= now + 3_610_000))?;
        }
        None => must(!strict)?,
    }
    must(moment("nbf")?.unwrap_or(0) <= now + 10_000)?;

    let mut counted = BTreeMap::new();
    for (name, value) in claims.as_object().ok_or(())? {
        if !READ.contains(&&**name) {
            continue;
        }
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_u64() => number.to_string(),
            Value::Object(_) if name == "claims" => serde_json::to_string(value).map_err(drop)?,
            // May be said several times (RFC 8707 §2).
            Value::Array(several) if name == "resource" => {
                must(several.iter().all(Value::is_string))?;
                let Some(last) = several.last() else { continue };
                last.as_str().unwrap_or_default().to_owned()
            }
            _ => return Err(()),
        };
        counted.insert(name.clone(), shown);
    }
    counted.retain(|_, value| !value.is_empty());
    for name in ["client_id", "response_type"] {
        let clash = outer.get(name).zip(counted.get(name)).is_some_and(|(one, two)| one != two);
        must(!clash)?;
    }
    for (name, value) in outer.iter() {
        let counts = if strict { name == "client_id" } else { !name.starts_with("request") };
        let own = ["request", "request_uri"].contains(&name);
        if (counts || (!strict && !own)) && !counted.contains_key(name) {
            counted.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(counted)
}

/// What a request is made of (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3, RFC 8707 §2); the
/// rest of an object is not looked at.
const READ: [&str; 20] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "response_mode",
    "nonce",
    "display",
    "prompt",
    "max_age",
    "ui_locales",
    "claims_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "claims",
    "registration",
    "code_challenge",
    "code_challenge_method",
    "resource",
];
