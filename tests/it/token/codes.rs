use std::time::Duration;

use latchkey::domain::clients::{self, ClientId, ClientSettings};
use serde_json::json;

use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_replayed_code_ends_the_grant,
    another_client_can_neither_use_nor_burn_a_code,
    a_wrong_verifier_gets_nothing_and_the_right_one_still_does,
    guessing_verifiers_burns_the_code,
    a_code_is_worth_nothing_after_its_minute,
    a_code_goes_with_the_redirect_uri_it_was_sent_to,
    a_verifier_without_a_challenge_is_a_downgrade,
    a_challenge_wants_its_verifier,
    text_that_is_no_code_is_refused,
    a_disabled_person_gets_nothing_for_a_code,
    a_code_sent_to_a_redirect_uri_that_was_given_up_is_worth_nothing,
    a_scope_that_was_taken_from_the_client_meanwhile_is_not_given,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn a_replayed_code_ends_the_grant(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    let replay = shop.redeem(&tokens.code, &tokens.request).await;
    assert_eq!(replay.error(), invalid_grant());
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
}

async fn another_client_can_neither_use_nor_burn_a_code(server: TestServer) {
    let (shop, thief) = (server.relying_party("shop").await, server.relying_party("thief").await);
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    for _ in 0..10 {
        assert_eq!(thief.redeem(&code, &request).await.error(), invalid_grant());
    }
    let body = shop.redeem(&code, &request).await.success_json();
    assert_eq!(thief.redeem(&code, &request).await.error(), invalid_grant());
    assert_eq!(server.userinfo(body["access_token"].as_str().unwrap()).await.status, 200);
}

async fn a_wrong_verifier_gets_nothing_and_the_right_one_still_does(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let other = "x".repeat(43);
    assert_eq!(shop.redeem_with(&code, &other).await.error(), invalid_grant());
    assert_eq!(shop.redeem(&code, &request).await.status, 200);
}

async fn guessing_verifiers_burns_the_code(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    for _ in 0..5 {
        let guess = shop.redeem_with(&code, &"x".repeat(43)).await;
        assert_eq!(guess.error(), invalid_grant());
    }
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
}

async fn a_code_is_worth_nothing_after_its_minute(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    server.advance_time(Duration::from_secs(61));
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
}

async fn a_code_goes_with_the_redirect_uri_it_was_sent_to(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", &*request.verifier),
    ];
    assert_eq!(shop.post("/token", &fields).await.error(), invalid_grant());
    let mut elsewhere = fields.to_vec();
    elsewhere.push(("redirect_uri", "https://shop.example/other"));
    assert_eq!(shop.post("/token", &elsewhere).await.error(), invalid_grant());
    assert_eq!(shop.redeem(&code, &request).await.status, 200);
}

async fn a_verifier_without_a_challenge_is_a_downgrade(server: TestServer) {
    let let_off = ClientSettings { require_pkce: Some(false), ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &json!({}), let_off).await;
    let request = shop.authorization_request("openid").with("nonce", "n");
    let request = request.without("code_challenge").without("code_challenge_method");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*shop.redirect_uri),
    ];
    assert_eq!(shop.post("/token", &fields).await.status, 200);
}

async fn a_challenge_wants_its_verifier(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*shop.redirect_uri),
    ];
    assert_eq!(shop.post("/token", &fields).await.error(), invalid_grant());
}

async fn text_that_is_no_code_is_refused(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let long = "x".repeat(5000);
    for code in ["x", "", "\u{e9}", &long] {
        let answer = shop.redeem_with(code, &"x".repeat(43)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

async fn a_disabled_person_gets_nothing_for_a_code(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    server.disable_user("ada").await;
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
}

async fn a_code_sent_to_a_redirect_uri_that_was_given_up_is_worth_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let id = ClientId::parse("shop").unwrap();
    let moves = clients::update(server.store(), &id, |client| {
        client.metadata.redirect_uris = vec!["https://shop.example/new".to_owned()];
    });
    assert_eq!(moves.await.unwrap(), Some(()));
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
}

async fn a_scope_that_was_taken_from_the_client_meanwhile_is_not_given(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let may_have = async |scope: &str| {
        let id = ClientId::parse("shop").unwrap();
        let change = |client: &mut clients::Client| client.metadata.scope = scope.parse().ok();
        assert_eq!(clients::update(server.store(), &id, change).await.unwrap(), Some(()));
    };
    let (ada, request) = (server.browser("ada"), shop.authorization_request("openid email phone"));
    let login = ada.open(&request.url()).await;
    may_have("openid email").await;
    let consent = ada.sign_in(&login).await;
    assert!(!consent.body.contains("phone"), "it is not asked for");
    let answer = ada.decide_consent(&consent, "accept").await;
    may_have("openid").await;
    let code = crate::support::browser::AuthorizationResponse::from_redirect(&answer).code();
    let body = shop.redeem(&code, &request).await.success_json();
    assert_eq!(body["scope"], "openid");
}
