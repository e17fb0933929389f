use std::time::Duration;

use serde_json::Value;

use crate::support::browser::{Browser, Landing};
use crate::support::relying_party::{RelyingParty, Request, Tokens};
use crate::support::test_server::{House, on_every_store};

on_every_store![
    a_silent_request_succeeds_once_everything_is_answered,
    prompt_login_asks_for_the_password_again_and_says_when,
    a_sign_in_older_than_max_age_does_not_do,
    a_hint_about_somebody_else_is_not_answered_with_who_is_here,
    a_hint_that_is_no_id_token_of_ours_is_refused,
    choosing_an_account_may_go_on_as_who_is_here,
    a_session_ends_when_nobody_uses_it,
];

async fn tokens(shop: &RelyingParty, browser: &Browser, request: Request) -> Tokens {
    let code = browser.authorizes(&request.url()).await.code();
    let body = shop.exchanges(&code, &request).await.good();
    Tokens { body, code, request }
}

fn auth_time(tokens: &Tokens) -> u64 {
    tokens.id_claims()["auth_time"].as_u64().expect("a time")
}

async fn a_silent_request_succeeds_once_everything_is_answered(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let silent = |scope| shop.asks(scope).with("prompt", "none").url();
    shop.signs_in(&ada, "openid").await;
    assert!(!Landing::of(&ada.asks(&silent("openid")).await).code().is_empty());
    let wider = Landing::of(&ada.asks(&silent("openid email")).await);
    assert_eq!(wider.error(), "consent_required");
    house.disables("ada").await;
    assert_eq!(Landing::of(&ada.asks(&silent("openid")).await).error(), "login_required");
}

async fn prompt_login_asks_for_the_password_again_and_says_when(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let request = || shop.asks("openid").with("max_age", "100000");
    let first = tokens(&shop, &ada, request()).await;
    house.later(Duration::from_secs(30));
    let same = tokens(&shop, &ada, request()).await;
    assert_eq!(auth_time(&same), auth_time(&first));
    let again = request().with("prompt", "login");
    let page = ada.opens(&again.url()).await;
    assert!(page.shows("#login-submit") && !page.shows("#login-continue"));
    assert!(page.words("#again").unwrap().ends_with("to go on as Ada Lovelace (ada)."));
    assert!(page.shows("#username[value=ada]:not([readonly])"), "somebody else may sit here now");
    let other = ada.opens(&again.clone().with("login_hint", "bob").url()).await;
    assert!(other.shows("#username[value=bob]") && !other.shows("#again"));
    let second = tokens(&shop, &ada, again).await;
    assert_eq!(auth_time(&second), auth_time(&first) + 30);
    assert_eq!(second.id_claims()["sid"], first.id_claims()["sid"], "the same person goes on");
}

async fn a_sign_in_older_than_max_age_does_not_do(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let request = || shop.asks("openid").with("max_age", "60");
    let first = tokens(&shop, &ada, request()).await;
    house.later(Duration::from_mins(1));
    assert!(ada.asks(&request().url()).await.location().unwrap().starts_with("https://shop."));
    house.later(Duration::from_secs(2));
    let silent = request().with("prompt", "none");
    assert_eq!(Landing::of(&ada.asks(&silent.url()).await).error(), "login_required");
    assert!(ada.opens(&request().url()).await.shows("#login-submit"));
    assert_eq!(auth_time(&tokens(&shop, &ada, request()).await), auth_time(&first) + 62);
    let zero = shop.asks("openid").with("max_age", "0");
    assert!(ada.opens(&zero.url()).await.shows("#login-submit"));
    assert_eq!(auth_time(&tokens(&shop, &ada, zero).await), auth_time(&first) + 62);
}

async fn a_hint_about_somebody_else_is_not_answered_with_who_is_here(house: House) {
    let shop = house.relying_party("shop").await;
    let (ada, bob) = (house.browser("ada"), house.browser("bob"));
    let of_ada = shop.signs_in(&ada, "openid").await;
    shop.signs_in(&bob, "openid").await;
    let hinted = shop.asks("openid").with("id_token_hint", of_ada.id());
    let silent = hinted.clone().with("prompt", "none");
    assert_eq!(Landing::of(&bob.asks(&silent.url()).await).error(), "login_required");
    assert!(!Landing::of(&ada.asks(&silent.url()).await).code().is_empty());
    let page = bob.opens(&hinted.url()).await;
    assert!(page.shows("#login-submit") && !page.shows("#again"), "it is not Bob who is asked for");
    let landing = Landing::of(&bob.signs_in(&page).await);
    assert_eq!(landing.error(), "login_required", "Bob signed in where Ada was asked for");
    // A hint is about who, not a credential: it does not expire.
    house.later(house.app().config.lifetimes.id_token + Duration::from_secs(1));
    assert!(!Landing::of(&ada.asks(&silent.url()).await).code().is_empty());
}

async fn a_hint_that_is_no_id_token_of_ours_is_refused(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    let unsigned = format!("{}.", tokens.id().rsplit_once('.').unwrap().0);
    for hint in ["x", tokens.access(), &unsigned] {
        let answer = ada.asks(&shop.asks("openid").with("id_token_hint", hint).url()).await;
        assert_eq!(Landing::of(&answer).error(), "invalid_request", "{hint}");
    }
}

async fn choosing_an_account_may_go_on_as_who_is_here(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid").await;
    let request = shop.asks("openid").with("prompt", "select_account");
    let page = ada.opens(&request.url()).await;
    assert_eq!(page.words("#login-continue").as_deref(), Some("Continue as Ada Lovelace (ada)"));
    let landing = Landing::of(&ada.continues(&page).await);
    assert_eq!(shop.exchanges(&landing.code(), &request).await.status, 200);

    let page = ada.opens(&shop.asks("openid").with("prompt", "select_account").url()).await;
    let consent = ada.tries(&page, "bob", crate::support::test_server::PASSWORD).await;
    let request = shop.asks("openid");
    assert!(consent.shows("#consent-accept"), "Bob has not agreed yet");
    ada.decides(&consent, "accept").await;
    let code = Landing::of(&ada.asks(&request.url()).await).code();
    let body: Value = shop.exchanges(&code, &request).await.good();
    let sub = house.userinfo(body["access_token"].as_str().unwrap()).await.good();
    assert_eq!(sub["sub"], "sub-of-bob");
}

async fn a_session_ends_when_nobody_uses_it(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid").await;
    house.later(house.app().config.lifetimes.session_idle + Duration::from_secs(1));
    let silent = shop.asks("openid").with("prompt", "none");
    assert_eq!(Landing::of(&ada.asks(&silent.url()).await).error(), "login_required");
}
