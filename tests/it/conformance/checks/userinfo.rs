//! Answers of the userinfo endpoint, and the types of the standard claims.

use serde_json::{Map, Value};
use url::Url;

use super::{is_json, require};
use crate::conformance::client::Client;
use crate::conformance::key::{is_signed_with, peek};
use crate::support::http::HttpResponse;
use crate::support::relying_party::AuthorizationRequest;

/// Gives the claims.
pub fn check(
    answer: &HttpResponse,
    asked: &AuthorizationRequest,
    id_token: &Map<String, Value>,
) -> Map<String, Value> {
    require("EnsureHttpStatusCodeIs200", answer.status == 200, answer);
    require("EnsureUserInfoResponseContentTypeIsJson", is_json(answer), answer);
    let claims =
        answer.json().as_object().cloned().expect("ExtractUserInfoFromUserInfoEndpointResponse");
    require("EnsureUserInfoContainsSub", claims["sub"].is_string(), &claims);
    require("VerifyUserInfoAndIdTokenSameSub", claims["sub"] == id_token["sub"], &claims["sub"]);
    types("ValidateUserInfoStandardClaims", &claims);
    let scopes: Vec<&str> = asked.get("scope").unwrap_or_default().split(' ').collect();
    let wish: Option<Value> = asked.get("claims").map(|it| serde_json::from_str(it).expect("JSON"));
    for name in claims.keys() {
        let of_scope =
            |(claim, scope, _): &(&str, &str, Kind)| claim == name && scopes.contains(scope);
        let wished = wish.as_ref().is_some_and(|it| it["userinfo"].get(name).is_some());
        let asked = name == "sub" || wished || CLAIMS.iter().any(of_scope);
        require("EnsureUserInfoDoesNotContainNonRequestedClaims", asked, name);
    }
    claims
}

/// As a JWT, for a client that registered so.
pub fn signed(answer: &HttpResponse, client: &Client<'_>, sub: &Value) {
    require("EnsureHttpStatusCodeIs200", answer.status == 200, answer);
    let kind = answer.header("content-type").unwrap_or_default();
    require("EnsureContentTypeApplicationJwt", kind.starts_with("application/jwt"), kind);
    let (header, claims) = peek(&answer.body);
    require("ValidateUserInfoSigningAlgIsRS256", header["alg"] == "RS256", &header);
    let keys = client.suite.jwks["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["kid"] == header["kid"] && key["alg"] == "RS256");
    let good = key.is_some_and(|key| is_signed_with(&answer.body, key));
    require("ValidateUserInfoResponseSignature", good, &header);
    let issuer = client.suite.provider.issuer();
    let condition = "ValidateSignedUserInfoResponseStandardJWTClaims";
    require(condition, claims.get("iss") == Some(&issuer.into()), &claims);
    let aud = claims.get("aud").cloned().unwrap_or_default();
    let one = aud == *client.id;
    let several = aud.as_array().is_some_and(|aud| aud.iter().any(|it| *it == *client.id));
    require(condition, one || several, &claims);
    require("EnsureUserInfoDoesNotContainNonce", !claims.contains_key("nonce"), &claims);
    require("VerifyUserInfoAndIdTokenSameSub", claims.get("sub") == Some(sub), &claims);
    types("ValidateUserInfoStandardClaims", &claims);
}

/// `VerifyScopesReturnedInUserInfoClaims`: every standard claim of these scopes is there.
pub fn complete(claims: &Map<String, Value>, scopes: &str) {
    for (name, scope, _) in CLAIMS {
        let there = claims.contains_key(name) || !scopes.split(' ').any(|it| it == scope);
        require("VerifyScopesReturnedInUserInfoClaims", there, name);
    }
}

/// The standard claims a scope stands for.
pub fn claims_of(scope: &str) -> impl Iterator<Item = &'static str> {
    CLAIMS.iter().filter(move |(_, by, _)| *by == scope).map(|(name, _, _)| *name)
}

pub fn types(condition: &str, claims: &Map<String, Value>) {
    for (name, _, kind) in CLAIMS {
        let Some(value) = claims.get(name) else { continue };
        let text = value.as_str();
        let good = match kind {
            Kind::Text => text.is_some_and(|it| !it.is_empty() && it != "null"),
            Kind::Link => text.is_some_and(|it| Url::parse(it).is_ok()),
            Kind::Flag => value.is_boolean(),
            // Since 1990.
            Kind::Seconds => value.as_u64().is_some_and(|it| it > 631_152_000),
            Kind::Day => text.is_some_and(is_birthdate),
            Kind::Place => value.as_object().is_some_and(|it| it.values().all(Value::is_string)),
        };
        require(condition, good, (name, value));
    }
}

/// A day or a year; one before 1850 is not believed, but for the year that is withheld.
fn is_birthdate(text: &str) -> bool {
    let mut parts = text.split('-');
    let year = parts.next().filter(|year| year.len() == 4).and_then(|year| year.parse().ok());
    let in_life = year.is_some_and(|year: u16| year >= 1850);
    match parts.count() {
        0 => in_life,
        2 => in_life || year == Some(0),
        _ => false,
    }
}

#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    Link,
    Flag,
    Seconds,
    Day,
    Place,
}

const CLAIMS: [(&str, &str, Kind); 19] = [
    ("name", "profile", Kind::Text),
    ("given_name", "profile", Kind::Text),
    ("family_name", "profile", Kind::Text),
    ("middle_name", "profile", Kind::Text),
    ("nickname", "profile", Kind::Text),
    ("preferred_username", "profile", Kind::Text),
    ("profile", "profile", Kind::Link),
    ("picture", "profile", Kind::Link),
    ("website", "profile", Kind::Link),
    ("gender", "profile", Kind::Text),
    ("birthdate", "profile", Kind::Day),
    ("zoneinfo", "profile", Kind::Text),
    ("locale", "profile", Kind::Text),
    ("updated_at", "profile", Kind::Seconds),
    ("email", "email", Kind::Text),
    ("email_verified", "email", Kind::Flag),
    ("address", "address", Kind::Place),
    ("phone_number", "phone", Kind::Text),
    ("phone_number_verified", "phone", Kind::Flag),
];
