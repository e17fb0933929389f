//! ID tokens, from the browser and from the token endpoint.

use std::collections::BTreeSet;

use latchkey::infra::secret::base64url;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{require, userinfo};
use crate::conformance::client::Client;
use crate::conformance::key::{is_signed_with, peek};
use crate::support::relying_party::AuthorizationRequest;

/// What it came with.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    pub code: Option<&'a str>,
    pub token: Option<&'a str>,
    /// Through the browser: what it came with has to be vouched for.
    pub front: bool,
}

/// Gives its claims.
pub fn check(
    jwt: &str,
    client: &Client<'_>,
    asked: &AuthorizationRequest,
    beside: Beside<'_>,
) -> Map<String, Value> {
    let (header, claims) = peek(jwt);
    signature(jwt, &header, client);
    let issuer = client.suite.provider.issuer();
    require("ValidateIdToken", claims["iss"] == issuer, &claims["iss"]);
    let aud = &claims["aud"];
    let named = *aud == client.id
        || aud.as_array().is_some_and(|aud| aud.contains(&client.id.clone().into()));
    require("ValidateIdToken", named, aud);
    let now = client.suite.provider.app().now().as_secs();
    let seconds = |name: &str| claims[name].as_u64().expect("ValidateIdToken");
    require("ValidateIdToken", seconds("exp") > now, seconds("exp"));
    require("ValidateIdToken", (now - 300..=now + 300).contains(&seconds("iat")), seconds("iat"));
    let nonce = claims.get("nonce").and_then(Value::as_str);
    require("ValidateIdTokenNonce", nonce == asked.get("nonce"), nonce);
    let sub = claims["sub"].as_str().unwrap_or_default();
    require("CheckForSubjectInIdToken", (1..=255).contains(&sub.len()), sub);
    hashes(&claims, asked, beside);
    userinfo::types("ValidateIdTokenStandardClaims", &claims);
    unasked(&claims, client, asked);
    if asked.get("max_age").is_some() {
        require("CheckIdTokenAuthTimeIsPresent", claims["auth_time"].is_u64(), &claims);
    }
    if let Some(acr) = claims.get("acr") {
        require("ValidateIdTokenACRClaimAgainstRequest", acr.is_string(), acr);
    }
    claims
}

fn signature(jwt: &str, header: &Map<String, Value>, client: &Client<'_>) {
    require("EnsureIdTokenSignatureIsRS256", header["alg"] == "RS256", header);
    let keys = client.suite.jwks["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["kid"] == header["kid"] && key["alg"] == "RS256");
    let key = key.expect("ValidateIdTokenSignatureUsingKid");
    require("ValidateIdTokenSignature", is_signed_with(jwt, key), header);
}

fn hashes(claims: &Map<String, Value>, asked: &AuthorizationRequest, beside: Beside<'_>) {
    let state = asked.get("state").filter(|_| claims.contains_key("s_hash"));
    for (condition, name, text) in [
        ("ValidateCHash", "c_hash", beside.code),
        ("ValidateAtHash", "at_hash", beside.token),
        ("ValidateSHash", "s_hash", state),
    ] {
        let said = claims.get(name).and_then(Value::as_str);
        let half = text.map(|text| base64url(&Sha256::digest(text.as_bytes())[..16]));
        if beside.front && text.is_some() {
            require(condition, said.is_some(), name);
        }
        require(condition, said.is_none() || said == half.as_deref(), said);
    }
}

/// `EnsureIdTokenDoesNotContainNonRequestedClaims`: the claims of scopes come from the userinfo endpoint,
/// unless there is no token for it.
fn unasked(claims: &Map<String, Value>, client: &Client<'_>, asked: &AuthorizationRequest) {
    let mut allowed: BTreeSet<&str> = ALLOWED.into();
    let scopes = asked.get("scope").unwrap_or_default();
    if client.suite.variant.is_id_token() {
        allowed.extend(scopes.split(' ').flat_map(userinfo::claims_of));
    }
    let wish: Option<Value> = asked.get("claims").map(|it| serde_json::from_str(it).expect("JSON"));
    let wished = |name: &str| wish.as_ref().is_some_and(|it| it["id_token"].get(name).is_some());
    for (name, value) in claims {
        let good = allowed.contains(name.as_str()) || wished(name);
        require("EnsureIdTokenDoesNotContainNonRequestedClaims", good, name);
        let empty = *value == "" || *value == "null" || value.is_null();
        require("EnsureIdTokenDoesNotContainEmptyClaims", !empty, name);
    }
}

const ALLOWED: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "nbf",
    "jti",
    "sid",
];

/// The one from the browser and the one from the token endpoint.
pub fn agree(front: &Map<String, Value>, back: &Map<String, Value>) {
    for name in ["iss", "sub", "aud"] {
        let same = front[name] == back[name];
        require("VerifyIdTokenSubConsistentHybridFlow", same, (&front[name], &back[name]));
    }
}

/// The one that comes with a refresh, and the first.
pub fn refreshed(first: &Map<String, Value>, second: &Map<String, Value>) {
    for name in ["iss", "sub", "aud", "azp", "auth_time"] {
        let same = first.get(name) == second.get(name);
        require("CompareIdTokenClaims", same, (name, first.get(name), second.get(name)));
    }
    require("CompareIdTokenClaims", second["iat"].as_u64() >= first["iat"].as_u64(), second);
}
