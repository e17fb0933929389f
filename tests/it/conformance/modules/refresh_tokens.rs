//! Refresh tokens, and clients that change their keys meanwhile.

use serde_json::{Value, json};

use crate::conformance::checks::{id_token, metadata, tokens, userinfo};
use crate::conformance::client::Client;
use crate::conformance::key::Key;
use crate::conformance::suite::{Suite, text};
use crate::support::http;
use crate::support::relying_party::AuthorizationRequest;

/// The members of a client that wants to refresh.
fn refreshing(suite: &Suite) -> Value {
    let mut grants = suite.registration(0)["grant_types"].clone();
    grants.as_array_mut().expect("an array").push("refresh_token".into());
    json!({"grant_types": grants})
}

fn offline(client: &Client<'_>) -> AuthorizationRequest {
    client.asks().with("scope", "openid offline_access").with("prompt", "consent")
}

/// Signs in and refreshes a moment later, perhaps after the client has changed; gives the next refresh token.
async fn refreshed(
    suite: &Suite,
    client: &mut Client<'_>,
    change: impl FnOnce(&mut Client<'_>),
) -> String {
    let request = offline(client);
    let done = client.signs_in(&suite.browser(), &request).await;
    let first = done.tokens.expect("tokens");
    change(client);
    suite.waits(60);
    let token = first["refresh_token"].as_str().expect("CheckForRefreshTokenValue");
    let second = tokens::success(&client.refreshes(token, &[]).await);
    let (jwt, access) = (text(&second, "id_token"), text(&second, "access_token"));
    let beside = id_token::Beside { code: None, token: Some(access), front: false };
    // "it SHOULD NOT have a nonce Claim" (OpenID Connect Core §12.2); the suite takes both.
    let claims = id_token::check(jwt, client, &request.clone().without("nonce"), beside);
    id_token::refreshed(&done.claims, &claims);
    let url = suite.endpoint("userinfo_endpoint");
    let answer = http::send(suite.provider.http().get(url).bearer_auth(access)).await;
    userinfo::check(&answer, &request, &claims);
    text(&second, "refresh_token").to_owned()
}

pub async fn oidcc_refresh_token(suite: &Suite) {
    let supported = metadata::holds(&suite.metadata, "grant_types_supported", "refresh_token");
    assert!(supported, "EnsureServerConfigurationSupportsRefreshToken");
    let members = refreshing(suite);
    let mut first = suite.client_with(&members).await;
    let token = refreshed(suite, &mut first, |_| {}).await;
    let scope = [("scope", "openid offline_access")];
    let next = tokens::success(&first.refreshes(&token, &scope).await);
    let mut second = suite.second_client_with(&members).await;
    refreshed(suite, &mut second, |_| {}).await;
    let stolen = second.refreshes(text(&next, "refresh_token"), &[]).await;
    tokens::invalid_grant(&stolen);
}

/// The suite's own keys change behind its `jwks_uri`; the refresh, a minute later, is signed with the new one.
pub async fn oidcc_refresh_token_rp_key_rotation(suite: &Suite) {
    let (old, new) = (Key::named(0, "before"), Key::named(1, "after"));
    suite.host.serve_json(Some(json!({"keys": [old.jwk()]})));
    let mut members = refreshing(suite);
    members["jwks_uri"] = suite.host.uri.clone().into();
    let mut client = suite.client_with(&members).await;
    client.key = old;
    refreshed(suite, &mut client, |client| {
        suite.host.serve_json(Some(json!({"keys": [new.jwk()]})));
        client.key = new;
    })
    .await;
}
