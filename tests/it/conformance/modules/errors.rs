//! What must not go on: an answer with an error, or a page that goes nowhere.

use serde_json::json;

use crate::conformance::checks::{self, registration};
use crate::conformance::client::Client;
use crate::conformance::suite::Suite;

/// Two are good enough for the suite.
pub async fn oidcc_response_type_missing(suite: &Suite) {
    let client = suite.client().await;
    let request = client.asks().without("response_type");
    let error = client.is_refused(&suite.browser(), &request).await;
    assert!(["invalid_request", "unsupported_response_type"].contains(&&*error), "{error}");
}

pub async fn oidcc_ensure_request_without_nonce_fails(suite: &Suite) {
    let client = suite.client().await;
    let error = client.is_refused(&suite.browser(), &client.asks().without("nonce")).await;
    assert_eq!(error, "invalid_request", "EnsureInvalidRequestError");
}

/// Nobody is sent to this redirect URI, or without one.
async fn leads_nowhere(suite: &Suite, client: &Client<'_>, redirect_uri: Option<&str>) {
    let request = client.asks().without("redirect_uri");
    let request = redirect_uri.map_or(request.clone(), |uri| request.with("redirect_uri", uri));
    checks::pages::error(&suite.browser().open(&request.url()).await);
}

pub async fn oidcc_ensure_registered_redirect_uri(suite: &Suite) {
    let client = suite.client().await;
    let other = format!("{}/{}", client.redirect_uri, "x".repeat(10));
    leads_nowhere(suite, &client, Some(&other)).await;
}

pub async fn oidcc_ensure_redirect_uri_in_authorization_request(suite: &Suite) {
    let first = suite.registration(0)["redirect_uris"][0].clone();
    let second = format!("{}2", first.as_str().expect("a URI"));
    let client = suite.client_with(&json!({"redirect_uris": [first, second]})).await;
    leads_nowhere(suite, &client, None).await;
}

async fn with_query(suite: &Suite) -> Client<'_> {
    let bare = suite.registration(0)["redirect_uris"][0].clone();
    let uri = format!("{}?bar=foo", bare.as_str().expect("a URI"));
    suite.client_with(&json!({"redirect_uris": [uri]})).await
}

/// The query comes back beside what is added to it: `Client::receives`.
pub async fn oidcc_redirect_uri_query_ok(suite: &Suite) {
    let client = with_query(suite).await;
    assert!(client.redirect_uri.ends_with("?bar=foo"));
    client.signs_in(&suite.browser(), &client.asks()).await;
}

pub async fn oidcc_redirect_uri_query_mismatch(suite: &Suite) {
    let client = with_query(suite).await;
    let other = client.redirect_uri.replace("bar=foo", "bar=other");
    leads_nowhere(suite, &client, Some(&other)).await;
}

pub async fn oidcc_redirect_uri_query_added(suite: &Suite) {
    let client = suite.client().await;
    let other = format!("{}?foo=bar", client.redirect_uri);
    leads_nowhere(suite, &client, Some(&other)).await;
}

pub async fn oidcc_redirect_uri_regfrag(suite: &Suite) {
    let mut request = suite.registration(0);
    let uri = format!("{}#foobar", request["redirect_uris"][0].as_str().expect("a URI"));
    request["redirect_uris"] = json!([uri]);
    let code = registration::refused(&suite.registers(&request).await);
    assert_eq!(
        code, "invalid_redirect_uri",
        "CheckErrorFromDynamicRegistrationEndpointIsInvalidRedirectUri…"
    );
}
