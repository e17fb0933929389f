use std::time::Duration;

use latchkey::domain::clients::{self, ClientId, Settings};
use serde_json::json;

use crate::support::test_server::{House, on_every_store};

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

async fn a_replayed_code_ends_the_grant(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    assert_eq!(house.userinfo(tokens.access()).await.status, 200);
    let replay = shop.exchanges(&tokens.code, &tokens.request).await;
    assert_eq!(replay.error(), invalid_grant());
    assert_eq!(house.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.refreshes(tokens.refresh()).await.error(), invalid_grant());
}

async fn another_client_can_neither_use_nor_burn_a_code(house: House) {
    let (shop, thief) = (house.relying_party("shop").await, house.relying_party("thief").await);
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    for _ in 0..10 {
        assert_eq!(thief.exchanges(&code, &request).await.error(), invalid_grant());
    }
    let body = shop.exchanges(&code, &request).await.good();
    assert_eq!(thief.exchanges(&code, &request).await.error(), invalid_grant());
    assert_eq!(house.userinfo(body["access_token"].as_str().unwrap()).await.status, 200);
}

async fn a_wrong_verifier_gets_nothing_and_the_right_one_still_does(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let other = "x".repeat(43);
    assert_eq!(shop.exchanges_with(&code, &other).await.error(), invalid_grant());
    assert_eq!(shop.exchanges(&code, &request).await.status, 200);
}

async fn guessing_verifiers_burns_the_code(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    for _ in 0..5 {
        let guess = shop.exchanges_with(&code, &"x".repeat(43)).await;
        assert_eq!(guess.error(), invalid_grant());
    }
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());
}

async fn a_code_is_worth_nothing_after_its_minute(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    house.later(Duration::from_secs(61));
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());
}

async fn a_code_goes_with_the_redirect_uri_it_was_sent_to(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", &*request.verifier),
    ];
    assert_eq!(shop.posts("/token", &fields).await.error(), invalid_grant());
    let mut elsewhere = fields.to_vec();
    elsewhere.push(("redirect_uri", "https://shop.example/other"));
    assert_eq!(shop.posts("/token", &elsewhere).await.error(), invalid_grant());
    assert_eq!(shop.exchanges(&code, &request).await.status, 200);
}

async fn a_verifier_without_a_challenge_is_a_downgrade(house: House) {
    let let_off = Settings { require_pkce: Some(false), ..Settings::default() };
    let shop = house.relying_party_with("shop", &json!({}), let_off).await;
    let request = shop.asks("openid").with("nonce", "n");
    let request = request.without("code_challenge").without("code_challenge_method");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*shop.redirect_uri),
    ];
    assert_eq!(shop.posts("/token", &fields).await.status, 200);
}

async fn a_challenge_wants_its_verifier(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*shop.redirect_uri),
    ];
    assert_eq!(shop.posts("/token", &fields).await.error(), invalid_grant());
}

async fn text_that_is_no_code_is_refused(house: House) {
    let shop = house.relying_party("shop").await;
    let long = "x".repeat(5000);
    for code in ["x", "", "\u{e9}", &long] {
        let answer = shop.exchanges_with(code, &"x".repeat(43)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

async fn a_disabled_person_gets_nothing_for_a_code(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    house.disables("ada").await;
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());
}

async fn a_code_sent_to_a_redirect_uri_that_was_given_up_is_worth_nothing(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let id = ClientId::parse("shop").unwrap();
    let moves = clients::update(house.store(), &id, |client| {
        client.metadata.redirect_uris = vec!["https://shop.example/new".to_owned()];
    });
    assert_eq!(moves.await.unwrap(), Some(()));
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());
}

async fn a_scope_that_was_taken_from_the_client_meanwhile_is_not_given(house: House) {
    let shop = house.relying_party("shop").await;
    let may_have = async |scope: &str| {
        let id = ClientId::parse("shop").unwrap();
        let change = |client: &mut clients::Client| client.metadata.scope = scope.parse().ok();
        assert_eq!(clients::update(house.store(), &id, change).await.unwrap(), Some(()));
    };
    let (ada, request) = (house.browser("ada"), shop.asks("openid email phone"));
    let login = ada.opens(&request.url()).await;
    may_have("openid email").await;
    let consent = ada.signs_in(&login).await;
    assert!(!consent.body.contains("phone"), "it is not asked for");
    let answer = ada.decides(&consent, "accept").await;
    may_have("openid").await;
    let code = crate::support::browser::Landing::of(&answer).code();
    let body = shop.exchanges(&code, &request).await.good();
    assert_eq!(body["scope"], "openid");
}
