use std::time::Duration;

use serde_json::Value;

use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_silent_request_succeeds_once_everything_is_answered,
    prompt_login_asks_for_the_password_again_and_says_when,
    a_sign_in_older_than_max_age_does_not_do,
    a_hint_about_somebody_else_is_not_answered_with_who_is_here,
    a_hint_that_is_no_id_token_of_ours_is_refused,
    choosing_an_account_may_go_on_as_who_is_here,
    a_session_ends_when_nobody_uses_it,
];

async fn tokens(shop: &RelyingParty, browser: &Browser, request: AuthorizationRequest) -> Tokens {
    let code = browser.authorize(&request.url()).await.code();
    let body = shop.redeem(&code, &request).await.success_json();
    Tokens { body, code, request }
}

fn auth_time(tokens: &Tokens) -> u64 {
    tokens.id_claims()["auth_time"].as_u64().expect("a time")
}

async fn a_silent_request_succeeds_once_everything_is_answered(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let silent = |scope| shop.authorization_request(scope).with("prompt", "none").url();
    shop.sign_in(&ada, "openid").await;
    assert!(
        !AuthorizationResponse::from_redirect(&ada.get(&silent("openid")).await).code().is_empty()
    );
    let wider = AuthorizationResponse::from_redirect(&ada.get(&silent("openid email")).await);
    assert_eq!(wider.error(), "consent_required");
    server.disable_user("ada").await;
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent("openid")).await).error(),
        "login_required"
    );
}

async fn prompt_login_asks_for_the_password_again_and_says_when(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = || shop.authorization_request("openid").with("max_age", "100000");
    let first = tokens(&shop, &ada, request()).await;
    server.advance_time(Duration::from_secs(30));
    let same = tokens(&shop, &ada, request()).await;
    assert_eq!(auth_time(&same), auth_time(&first));
    let again = request().with("prompt", "login");
    let page = ada.open(&again.url()).await;
    assert!(page.has_element("#login-submit") && !page.has_element("#login-continue"));
    assert!(page.text_of("#again").unwrap().ends_with("to go on as Ada Lovelace (ada)."));
    assert!(
        page.has_element("#username[value=ada]:not([readonly])"),
        "somebody else may sit here now"
    );
    let other = ada.open(&again.clone().with("login_hint", "bob").url()).await;
    assert!(other.has_element("#username[value=bob]") && !other.has_element("#again"));
    let second = tokens(&shop, &ada, again).await;
    assert_eq!(auth_time(&second), auth_time(&first) + 30);
    assert_eq!(second.id_claims()["sid"], first.id_claims()["sid"], "the same person goes on");
}

async fn a_sign_in_older_than_max_age_does_not_do(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = || shop.authorization_request("openid").with("max_age", "60");
    let first = tokens(&shop, &ada, request()).await;
    server.advance_time(Duration::from_mins(1));
    assert!(ada.get(&request().url()).await.location().unwrap().starts_with("https://shop."));
    server.advance_time(Duration::from_secs(2));
    let silent = request().with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).error(),
        "login_required"
    );
    assert!(ada.open(&request().url()).await.has_element("#login-submit"));
    assert_eq!(auth_time(&tokens(&shop, &ada, request()).await), auth_time(&first) + 62);
    let zero = shop.authorization_request("openid").with("max_age", "0");
    assert!(ada.open(&zero.url()).await.has_element("#login-submit"));
    assert_eq!(auth_time(&tokens(&shop, &ada, zero).await), auth_time(&first) + 62);
}

async fn a_hint_about_somebody_else_is_not_answered_with_who_is_here(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let (ada, bob) = (server.browser("ada"), server.browser("bob"));
    let of_ada = shop.sign_in(&ada, "openid").await;
    shop.sign_in(&bob, "openid").await;
    let hinted = shop.authorization_request("openid").with("id_token_hint", of_ada.id());
    let silent = hinted.clone().with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&bob.get(&silent.url()).await).error(),
        "login_required"
    );
    assert!(!AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code().is_empty());
    let page = bob.open(&hinted.url()).await;
    assert!(
        page.has_element("#login-submit") && !page.has_element("#again"),
        "it is not Bob who is asked for"
    );
    let landing = AuthorizationResponse::from_redirect(&bob.sign_in(&page).await);
    assert_eq!(landing.error(), "login_required", "Bob signed in where Ada was asked for");
    // A hint is about who, not a credential: it does not expire.
    server.advance_time(server.app().config.lifetimes.id_token + Duration::from_secs(1));
    assert!(!AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code().is_empty());
}

async fn a_hint_that_is_no_id_token_of_ours_is_refused(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let unsigned = format!("{}.", tokens.id().rsplit_once('.').unwrap().0);
    for hint in ["x", tokens.access(), &unsigned] {
        let answer =
            ada.get(&shop.authorization_request("openid").with("id_token_hint", hint).url()).await;
        assert_eq!(
            AuthorizationResponse::from_redirect(&answer).error(),
            "invalid_request",
            "{hint}"
        );
    }
}

async fn choosing_an_account_may_go_on_as_who_is_here(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let request = shop.authorization_request("openid").with("prompt", "select_account");
    let page = ada.open(&request.url()).await;
    assert_eq!(page.text_of("#login-continue").as_deref(), Some("Continue as Ada Lovelace (ada)"));
    let landing = AuthorizationResponse::from_redirect(&ada.continue_as_current_user(&page).await);
    assert_eq!(shop.redeem(&landing.code(), &request).await.status, 200);

    let page = ada
        .open(&shop.authorization_request("openid").with("prompt", "select_account").url())
        .await;
    let consent = ada.sign_in_as(&page, "bob", crate::support::test_server::PASSWORD).await;
    let request = shop.authorization_request("openid");
    assert!(consent.has_element("#consent-accept"), "Bob has not agreed yet");
    ada.decide_consent(&consent, "accept").await;
    let code = AuthorizationResponse::from_redirect(&ada.get(&request.url()).await).code();
    let body: Value = shop.redeem(&code, &request).await.success_json();
    let sub = server.userinfo(body["access_token"].as_str().unwrap()).await.success_json();
    assert_eq!(sub["sub"], "sub-of-bob");
}

async fn a_session_ends_when_nobody_uses_it(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    server.advance_time(server.app().config.lifetimes.session_idle + Duration::from_secs(1));
    let silent = shop.authorization_request("openid").with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).error(),
        "login_required"
    );
}
