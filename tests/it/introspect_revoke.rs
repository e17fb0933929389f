//! Introspection and revocation: what a client learns of a token, and what ends it.

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use serde_json::json;

use crate::support::http;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_live_token_is_described_to_its_client,
    somebody_elses_token_is_inactive,
    a_resource_server_sees_the_tokens_meant_for_it,
    a_revoked_access_token_is_over_and_the_refresh_token_lives,
    a_revoked_refresh_token_takes_everything_along,
    another_client_can_revoke_nothing_and_learns_nothing,
    whatever_is_no_token_is_inactive_and_revoked_without_complaint,
    an_expired_token_is_inactive,
    an_opaque_token_is_worth_as_much_as_a_signed_one,
    both_endpoints_want_a_client_and_introspection_one_with_a_secret,
];

async fn a_live_token_is_described_to_its_client(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid email").await;
    let access = shop.introspect(tokens.access()).await;
    assert_eq!((&access["active"], &access["sub"]), (&json!(true), &json!("sub-of-ada")));
    assert_eq!((&access["client_id"], &access["iss"]), (&json!("shop"), &json!(server.issuer())));
    let mut scope: Vec<&str> = access["scope"].as_str().unwrap().split(' ').collect();
    scope.sort_unstable();
    assert_eq!(scope, ["email", "openid"]);
    assert!(access["exp"].as_u64() > access["iat"].as_u64());
    assert_eq!(shop.introspect(tokens.refresh()).await["active"], true);
}

async fn somebody_elses_token_is_inactive(server: TestServer) {
    let (shop, other) = (server.relying_party("shop").await, server.relying_party("other").await);
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    for token in [tokens.access(), tokens.refresh(), tokens.id()] {
        assert_eq!(other.introspect(token).await, json!({"active": false}));
    }
}

async fn a_resource_server_sees_the_tokens_meant_for_it(server: TestServer) {
    let resource = "https://api.example".to_owned();
    let for_api = ClientSettings { audience: vec![resource.clone()], ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &json!({}), for_api).await;
    let serves =
        ClientSettings { resource_server_for: vec![resource.clone()], ..ClientSettings::default() };
    let api = server.relying_party_with("api", &json!({}), serves).await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let seen = api.introspect(tokens.access()).await;
    assert_eq!(seen["active"], true);
    assert!(seen["aud"].to_string().contains(&resource), "{seen}");
    assert_eq!(api.introspect(tokens.refresh()).await, json!({"active": false}));
}

async fn a_revoked_access_token_is_over_and_the_refresh_token_lives(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    shop.revoke(tokens.access()).await;
    assert_eq!(shop.introspect(tokens.access()).await, json!({"active": false}));
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
}

async fn a_revoked_refresh_token_takes_everything_along(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    shop.revoke(tokens.refresh()).await;
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    for token in [tokens.access(), tokens.refresh()] {
        assert_eq!(shop.introspect(token).await, json!({"active": false}));
    }
    let refused = shop.refresh(tokens.refresh()).await;
    assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
}

async fn another_client_can_revoke_nothing_and_learns_nothing(server: TestServer) {
    let (shop, thief) = (server.relying_party("shop").await, server.relying_party("thief").await);
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    for token in [tokens.access(), tokens.refresh()] {
        thief.revoke(token).await;
        assert_eq!(shop.introspect(token).await["active"], true);
    }
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
}

async fn whatever_is_no_token_is_inactive_and_revoked_without_complaint(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let long = "x".repeat(20_000);
    for text in ["x", "a.b.c", tokens.id(), &tokens.code, &long] {
        assert_eq!(shop.introspect(text).await, json!({"active": false}));
        shop.revoke(text).await;
    }
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    for path in ["/introspect", "/revoke"] {
        let refused = shop.post(path, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_request".to_owned()), "{path}");
    }
}

async fn an_expired_token_is_inactive(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let lifetime = tokens.body["expires_in"].as_u64().unwrap();
    server.advance_time(Duration::from_secs(lifetime - 1));
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    server.advance_time(Duration::from_secs(1));
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.introspect(tokens.access()).await, json!({"active": false}));
}

async fn an_opaque_token_is_worth_as_much_as_a_signed_one(server: TestServer) {
    let opaque = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &json!({}), opaque).await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    assert!(!tokens.access().starts_with("ey"), "no JSON inside");
    assert_eq!(server.userinfo(tokens.access()).await.success_json()["sub"], "sub-of-ada");
    assert_eq!(shop.introspect(tokens.access()).await["active"], true);
    shop.revoke(tokens.access()).await;
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
}

async fn both_endpoints_want_a_client_and_introspection_one_with_a_secret(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let public = json!({
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    server.relying_party_with("phone", &public, ClientSettings::default()).await;
    let refused = (401, "invalid_client".to_owned());
    for path in ["/introspect", "/revoke"] {
        let nobody = http::send(shop.form(path, &[("token", "x")])).await;
        assert_eq!(nobody.error(), refused, "{path}");
    }
    let as_phone = [("token", "x"), ("client_id", "phone")];
    assert_eq!(http::send(shop.form("/introspect", &as_phone)).await.error(), refused);
    assert_eq!(http::send(shop.form("/revoke", &as_phone)).await.status, 200);
}
