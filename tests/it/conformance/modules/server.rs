//! The whole flow, in every way that must not matter.

use latchkey::domain::keys::Activation;
use latchkey::infra::secret::{Digest, Secret};

use serde_json::Value;

use crate::conformance::client::SignedIn;
use crate::conformance::suite::{Suite, text};
use crate::conformance::{checks, suite};
use crate::support::http;
use crate::support::relying_party::AuthorizationRequest;

/// With something added to the request.
async fn with(suite: &Suite, name: &str, value: &str) -> SignedIn {
    let client = suite.client().await;
    client.signs_in(&suite.browser(), &client.asks().with(name, value)).await
}

pub async fn oidcc_server(suite: &Suite) {
    let client = suite.client().await;
    client.signs_in(&suite.browser(), &client.asks()).await;
}

pub async fn oidcc_server_client_secret_post(suite: &Suite) {
    oidcc_server(suite).await;
}

/// The key is found by its name, and there is but one of it: `checks::id_token` and `checks::metadata`.
pub async fn oidcc_idtoken_signature(suite: &Suite) {
    oidcc_server(suite).await;
}

pub async fn oidcc_discovery_endpoint_verification(suite: &Suite) {
    checks::metadata::verify(&suite.metadata, suite.provider.issuer(), true);
}

/// The operator rotates between the suite's two looks at the keys, as `latchkey keys rotate --now` or SIGUSR1 do.
pub async fn oidcc_server_rotate_keys(suite: &Suite) {
    let held = |jwks: &Value| jwks["keys"].as_array().expect("keys").clone();
    let before = held(&suite.jwks);
    suite.provider.app().keys.rotate(Activation::Now).await.expect("a rotation");
    let jwks = http::send(suite.provider.http().get(suite.endpoint("jwks_uri"))).await;
    let after = held(&checks::metadata::jwks(&jwks));
    let is_new = |key: &&Value| {
        let differs = |name: &str| before.iter().all(|old| old[name] != key[name]);
        key["use"] == "sig" && differs("kid") && differs("n")
    };
    assert_eq!(after.iter().filter(is_new).count(), 1, "VerifyNewJwksHasNewSigningKey");
    assert!(before.iter().all(|old| after.contains(old)), "VerifyNewJwksStillHasOldSigningKey");
}

pub async fn oidcc_userinfo_get(suite: &Suite) {
    let client = suite.client().await;
    let done = client.signs_in(&suite.browser(), &client.asks()).await;
    assert!(done.userinfo.is_some_and(|claims| claims["sub"] == done.claims["sub"]));
}

pub async fn oidcc_userinfo_post_header(suite: &Suite) {
    let (client, url) = (suite.client().await, suite.endpoint("userinfo_endpoint"));
    let request = client.asks();
    let done = client.signs_in(&suite.browser(), &request).await;
    let token = done.access_token.expect("an access token");
    let answer = http::send(suite.provider.http().post(url).bearer_auth(token)).await;
    checks::userinfo::check(&answer, &request, &done.claims);
}

pub async fn oidcc_userinfo_post_body(suite: &Suite) {
    let (client, url) = (suite.client().await, suite.endpoint("userinfo_endpoint"));
    let request = client.asks();
    let done = client.signs_in(&suite.browser(), &request).await;
    let token = done.access_token.expect("an access token");
    let form = http::form(suite.provider.http(), url, &[("access_token", &token)]);
    checks::userinfo::check(&http::send(form).await, &request, &done.claims);
}

pub async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(suite: &Suite) {
    let client = suite.client().await;
    let done = client.signs_in(&suite.browser(), &client.asks().without("nonce")).await;
    assert!(!done.claims.contains_key("nonce"));
}

/// Scopes and parameters the other way around.
pub async fn oidcc_alternate_happy_flow(suite: &Suite) {
    let client = suite.client().await;
    let usual = client.asks().with("scope", "phone address email profile openid");
    let fields = usual.fields();
    let turned = fields
        .iter()
        .rev()
        .fold(AuthorizationRequest::empty(suite.provider.issuer()), |request, field| {
            request.with(field.0, field.1)
        });
    client.signs_in(&suite.browser(), &turned).await;
}

pub async fn oidcc_ensure_request_with_unknown_parameter_succeeds(suite: &Suite) {
    with(suite, "extra", "foobar").await;
}

pub async fn oidcc_display_page(suite: &Suite) {
    with(suite, "display", "page").await;
}

pub async fn oidcc_display_popup(suite: &Suite) {
    with(suite, "display", "popup").await;
}

pub async fn oidcc_ui_locales(suite: &Suite) {
    with(suite, "ui_locales", "se").await;
}

pub async fn oidcc_claims_locales(suite: &Suite) {
    with(suite, "claims_locales", "se").await;
}

/// Nobody here is of that name; the person who is signs in.
pub async fn oidcc_login_hint(suite: &Suite) {
    let done = with(suite, "login_hint", "buffy@localhost").await;
    let shown = done.callback.pages[0].attribute("#username", "value");
    assert_eq!(shown.as_deref(), Some("buffy@localhost"));
}

pub async fn oidcc_ensure_request_with_valid_pkce_succeeds(suite: &Suite) {
    let client = suite.client().await;
    let verifier = Secret::random().reveal();
    let challenge = Digest::of(verifier.as_bytes()).to_base64url();
    let request = client.asks().with("code_challenge", &challenge);
    let request = request.with("code_challenge_method", "S256");
    let browser = suite.browser();
    let spoilt = client.walks(&browser, &request).await;
    let code = spoilt.get("code").expect("a code");
    checks::tokens::invalid_grant(&client.exchanges(code, &[]).await);
    let callback = client.walks(&browser, &request).await;
    checks::authorization_response::success(&callback, &request, suite);
    let code = callback.get("code").expect("a code");
    let answer = client.exchanges(code, &[("code_verifier", &verifier)]).await;
    assert!(!suite::text(&checks::tokens::success(&answer), "id_token").is_empty());
}

pub async fn oidcc_ensure_post_request_succeeds(suite: &Suite) {
    let (client, browser) = (suite.client().await, suite.browser());
    let request = client.asks();
    let path =
        text(&suite.metadata, "authorization_endpoint").strip_prefix(suite.provider.issuer());
    let first = browser.submit(path.expect("here"), &request.fields()).await;
    let callback = client.goes_on(&browser, first).await;
    client.completes(&request, callback).await;
}
