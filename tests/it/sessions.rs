//! What a session is bound to, how long it lives, and what dies with it.

use std::time::Duration;

use latchkey::infra::secret::Secret;
use serde_json::json;

use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{PASSWORD, TestServer, on_every_store};

on_every_store![
    signing_in_again_for_another_app_takes_nothing_from_the_first,
    somebody_else_at_the_same_browser_ends_the_session_and_what_hangs_on_it,
    a_session_in_use_lives_until_its_absolute_end,
    a_refreshing_app_keeps_the_session_from_going_idle,
    a_cookie_that_was_not_given_out_here_is_never_adopted,
    the_cookie_changes_at_every_sign_in_and_the_old_one_opens_nothing,
    a_cookie_that_stands_there_twice_is_not_believed,
    a_disabled_person_loses_everything_at_once,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

/// What a request without any page comes back with: a code, or an error.
async fn silently(shop: &RelyingParty, browser: &Browser) -> String {
    let landing = AuthorizationResponse::from_redirect(
        &browser.get(&shop.authorization_request("openid").with("prompt", "none").url()).await,
    );
    match landing.param("error") {
        Some(error) => error,
        None if landing.code().is_empty() => "nothing".to_owned(),
        None => "signed in".to_owned(),
    }
}

async fn signing_in_again_for_another_app_takes_nothing_from_the_first(server: TestServer) {
    let (shop, other) = (server.relying_party("shop").await, server.relying_party("other").await);
    let ada = server.browser("ada");
    let first = shop.sign_in(&ada, "openid").await;
    let before = ada.cookie("session");
    server.advance_time(Duration::from_secs(60));

    let request = other.authorization_request("openid").with("prompt", "login");
    let code = ada.authorize(&request.url()).await.code();
    let body = other.redeem(&code, &request).await.success_json();
    assert_ne!(ada.cookie("session"), before);
    let second = Tokens { body, code, request };
    assert_eq!(second.id_claims()["sid"], first.id_claims()["sid"], "one session, by one name");

    let refreshed = shop.refresh(first.refresh()).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(server.userinfo(first.access()).await.status, 200);
    assert_eq!(silently(&shop, &ada).await, "signed in");
}

async fn somebody_else_at_the_same_browser_ends_the_session_and_what_hangs_on_it(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let browser = server.browser("ada");
    let bound = shop.sign_in(&browser, "openid").await;
    let offline = shop.sign_in(&browser, "openid offline_access").await;
    let page =
        browser.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    let consent = browser.sign_in_as(&page, "bob", PASSWORD).await;
    assert!(consent.has_element("#consent-accept"));
    assert_eq!(shop.refresh(bound.refresh()).await.error(), invalid_grant());
    assert_eq!(server.userinfo(bound.access()).await.status, 401);
    assert_eq!(shop.introspect(bound.access()).await, json!({"active": false}));
    assert_eq!(shop.refresh(offline.refresh()).await.status, 200, "offline_access");
    assert_eq!(server.userinfo(offline.access()).await.success_json()["sub"], "sub-of-ada");
}

async fn a_session_in_use_lives_until_its_absolute_end(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let lifetimes = &server.app().config.lifetimes;
    let (half, absolute) = (lifetimes.session_idle / 2, lifetimes.session_absolute);
    let mut lived = Duration::ZERO;
    while lived + half < absolute {
        server.advance_time(half);
        lived += half;
        assert_eq!(silently(&shop, &ada).await, "signed in", "{lived:?}");
    }
    server.advance_time(absolute.checked_sub(lived).expect("the rest"));
    assert_eq!(silently(&shop, &ada).await, "login_required");
}

async fn a_refreshing_app_keeps_the_session_from_going_idle(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let mut token = shop.sign_in(&ada, "openid").await.refresh().to_owned();
    let step = server.app().config.lifetimes.session_idle * 2 / 3;
    for _ in 0..3 {
        server.advance_time(step);
        let body = shop.refresh(&token).await.success_json();
        body["refresh_token"].as_str().expect("the next").clone_into(&mut token);
    }
    assert_eq!(silently(&shop, &ada).await, "signed in");
    server.advance_time(step * 2);
    assert_eq!(shop.refresh(&token).await.error(), invalid_grant());
}

async fn a_cookie_that_was_not_given_out_here_is_never_adopted(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let planted = Secret::random().reveal();
    let (ada, thief) = (server.browser("ada"), server.browser("eve"));
    for browser in [&ada, &thief] {
        browser.set_cookie(&server.cookie_name("session"), &planted);
    }
    assert_eq!(silently(&shop, &ada).await, "login_required");
    shop.sign_in(&ada, "openid").await;
    assert_ne!(ada.cookie("session"), Some(planted));
    assert_eq!(silently(&shop, &ada).await, "signed in");
    assert_eq!(silently(&shop, &thief).await, "login_required");
}

async fn the_cookie_changes_at_every_sign_in_and_the_old_one_opens_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let mut old = Vec::new();
    for _ in 0..3 {
        ada.authorize(&shop.authorization_request("openid").with("prompt", "login").url()).await;
        old.push(ada.cookie("session").expect("a session"));
    }
    let newest = old.pop().expect("three");
    assert!(!old.contains(&newest) && old[0] != old[1]);
    for cookie in old {
        let thief = server.browser("eve");
        thief.set_cookie(&server.cookie_name("session"), &cookie);
        assert_eq!(silently(&shop, &thief).await, "login_required");
    }
    assert_eq!(silently(&shop, &ada).await, "signed in");
}

async fn a_cookie_that_stands_there_twice_is_not_believed(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let good = ada.cookie("session").expect("a session");
    let name = server.cookie_name("session");
    let twice = format!("{good}; {name}={}", Secret::random().reveal());
    ada.set_cookie(&server.cookie_name("session"), &twice);
    assert_eq!(silently(&shop, &ada).await, "login_required");
    ada.set_cookie(&server.cookie_name("session"), &good);
    assert_eq!(silently(&shop, &ada).await, "signed in");
}

async fn a_disabled_person_loses_everything_at_once(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let bound = shop.sign_in(&ada, "openid").await;
    let offline = shop.sign_in(&ada, "openid offline_access").await;
    let request = shop.authorization_request("openid");
    let code = ada.authorize(&request.url()).await.code();
    let half_way = server.browser("ada");
    let login = half_way.open(&shop.authorization_request("openid email").url()).await;
    let consent = half_way.sign_in(&login).await;
    assert!(consent.has_element("#consent-accept"));

    server.disable_user("ada").await;
    assert_eq!(silently(&shop, &ada).await, "login_required", "the session");
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant(), "the code");
    for tokens in [&bound, &offline] {
        assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
        assert_eq!(server.userinfo(tokens.access()).await.status, 401);
        for token in [tokens.access(), tokens.refresh()] {
            assert_eq!(shop.introspect(token).await, json!({"active": false}));
        }
    }
    // An answer on a page that was open already leads back to the login form.
    let page = half_way.decide_consent(&consent, "accept").await;
    assert!(page.has_element("#login-submit"), "{page:?}");
    assert!(half_way.sign_in(&page).await.has_element("[role=alert]"));
}
