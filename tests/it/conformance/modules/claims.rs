//! Claims, by scope and by name.

use serde_json::{Value, json};

use crate::conformance::checks::userinfo::complete;
use crate::conformance::suite::Suite;

/// The claims come from the userinfo endpoint, or in the ID token where that is all there is.
async fn asks_for(suite: &Suite, scope: &str) {
    let client = suite.client().await;
    let request = client.asks().with("scope", &format!("openid {scope}"));
    let done = client.signs_in(&suite.browser(), &request).await;
    complete(&done.userinfo.unwrap_or(done.claims), scope);
}

pub async fn oidcc_scope_profile(suite: &Suite) {
    asks_for(suite, "profile").await;
}

pub async fn oidcc_scope_email(suite: &Suite) {
    asks_for(suite, "email").await;
}

pub async fn oidcc_scope_address(suite: &Suite) {
    asks_for(suite, "address").await;
}

pub async fn oidcc_scope_phone(suite: &Suite) {
    asks_for(suite, "phone").await;
}

pub async fn oidcc_scope_all(suite: &Suite) {
    asks_for(suite, "profile email address phone").await;
}

/// In the ID token only if it was asked for there.
pub async fn oidcc_claims_essential(suite: &Suite) {
    let client = suite.client().await;
    let place = if suite.variant.is_id_token() { "id_token" } else { "userinfo" };
    let wish = json!({place: {"name": {"essential": true}}}).to_string();
    let done = client.signs_in(&suite.browser(), &client.asks().with("claims", &wish)).await;
    match done.userinfo {
        Some(userinfo) => {
            assert!(userinfo["name"].is_string(), "EnsureUserInfoContainsName");
            assert!(!done.claims.contains_key("name"), "EnsureIdTokenDoesNotContainName");
        }
        None => assert!(done.claims["name"].is_string(), "EnsureIdTokenContainsName"),
    }
}

pub async fn oidcc_ensure_request_with_acr_values_succeeds(suite: &Suite) {
    let offered = suite.metadata["acr_values_supported"].as_array().expect("some");
    let offered: Vec<&str> = offered.iter().filter_map(Value::as_str).collect();
    let client = suite.client().await;
    let request = client.asks().with("acr_values", &offered.join(" "));
    let done = client.signs_in(&suite.browser(), &request).await;
    let acr = done.claims["acr"].as_str();
    assert!(acr.is_some_and(|acr| offered.contains(&acr)), "EnsureIdTokenContainsRequestedAcr");
}
