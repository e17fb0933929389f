//! A check that finds nothing wrong with anything proves nothing.

use std::any::Any;
use std::panic::catch_unwind;

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{entropy, metadata, pages, registration, tokens, userinfo};
use crate::support::http::HttpResponse;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> HttpResponse {
    let value = |text: &str| HeaderValue::from_str(text).expect("a value");
    let named = |(name, text): &(&'static str, &str)| {
        (reqwest::header::HeaderName::from_static(name), value(text))
    };
    let headers: HeaderMap = headers.iter().map(named).collect();
    HttpResponse { status, headers, body: body.to_string() }
}

/// The words of the panic.
fn failure(what: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let thrown: Box<dyn Any + Send> = catch_unwind(what).expect_err("a failure");
    thrown.downcast_ref::<String>().cloned().unwrap_or_default()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const KEPT: (&str, &str) = ("cache-control", "no-store");

#[test]
fn tokens_that_are_not_as_they_should_be_are_named() {
    let token = "bXkgYWNjZXNzIHRva2VuIGhhcyBlbnRyb3B5IGVub3VnaA";
    let good =
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 600, "id_token": "x"});
    tokens::success(&answer(200, &[JSON, KEPT], &good));
    for (member, value, condition) in [
        (
            "access_token",
            json!("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            "EnsureMinimumAccessTokenEntropy",
        ),
        ("token_type", json!("DPoP"), "CheckTokenTypeIsBearer"),
        ("expires_in", json!("600"), "ValidateExpiresIn"),
        ("id_token", Value::Null, "ExtractIdTokenFromTokenResponse"),
        ("refresh_token", json!("1"), "EnsureMinimumRefreshTokenEntropy"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let said = failure(|| drop(tokens::success(&answer(200, &[JSON, KEPT], &bad))));
        assert!(said.starts_with(condition), "{said}");
    }
    let said = failure(|| drop(tokens::success(&answer(200, &[JSON], &good))));
    assert!(said.starts_with("CheckTokenEndpointCacheHeaders"), "{said}");
    let other = json!({"error": "invalid_request"});
    let said = failure(|| tokens::invalid_grant(&answer(400, &[JSON], &other)));
    assert!(said.starts_with("CheckErrorFromTokenEndpointResponseErrorInvalidGrant"), "{said}");
}

#[test]
fn keys_that_should_not_be_published_are_found() {
    let key =
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": "x", "e": "AQAB"});
    metadata::jwks(&answer(200, &[JSON], &json!({"keys": [key]})));
    let mut private = key.clone();
    private["d"] = "x".into();
    for (keys, condition) in [
        (json!([private]), "EnsureServerJwksDoesNotContainPrivateOrSymmetricKeys"),
        (json!([key, key]), "CheckDistinctKeyIdValueInServerJWKs"),
        (json!([]), "ValidateServerJWKs"),
    ] {
        let keys = answer(200, &[JSON], &json!({"keys": keys}));
        let said = failure(|| drop(metadata::jwks(&keys)));
        assert!(said.starts_with(condition), "{said}");
    }
}

#[test]
fn claims_of_the_wrong_type_and_missing_ones_are_named() {
    for (name, value) in [
        ("email_verified", json!("true")),
        ("updated_at", json!("yesterday")),
        ("address", json!({"locality": 1})),
        ("website", json!("nowhere")),
        ("name", json!("")),
        ("birthdate", json!("10/12/1915")),
        ("birthdate", json!("1815-12-10")),
        ("birthdate", json!("0000")),
    ] {
        let claims = json!({name: value}).as_object().cloned().expect("an object");
        let said = failure(|| userinfo::types("ValidateUserInfoStandardClaims", &claims));
        assert!(said.starts_with("ValidateUserInfoStandardClaims"), "{said}");
    }
    let said = failure(|| userinfo::complete(&serde_json::Map::new(), "phone"));
    assert!(said.contains("phone_number"), "{said}");
}

#[test]
fn a_registration_without_an_end_of_its_secret_and_a_page_that_is_none_are_named() {
    let client = json!({"client_id": "x", "client_secret": "y"});
    let said = failure(|| drop(registration::accepted(&answer(201, &[JSON], &client), &json!({}))));
    assert!(said.contains("ClientSecretExpiresAt"), "{said}");
    let said = failure(|| drop(registration::accepted(&answer(200, &[JSON], &client), &json!({}))));
    assert!(said.starts_with("EnsureHttpStatusCodeIs201"), "{said}");
    let said = failure(|| pages::error(&answer(400, &[JSON], &client)));
    assert!(said.starts_with("text/html"), "{said}");
}

#[test]
fn entropy_is_shannons() {
    assert!(entropy("aaaa") < 0.1);
    assert!((entropy("abcd") - 8.0).abs() < 0.001);
}
