//! Rate limits: too many attempts are refused for a while, and end no session and no token.

use std::time::Duration;

use serde_json::json;

use crate::support::browser::AuthorizationResponse;
use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_backend};

on_every_backend![
    guesses_at_one_account_are_slowed_down_and_nothing_it_holds_is_lost,
    an_address_that_guesses_is_shut_out_of_the_login_form_whatever_name_it_types,
    an_address_that_fails_as_a_client_is_told_to_wait_and_real_clients_are_not,
    registrations_are_counted_by_address,
    what_is_counted_by_address_can_be_switched_off_and_guesses_at_an_account_cannot,
    in_development_guesses_can_be_free,
];

async fn limited(backing: Backend, per_minute: &str) -> TestServer {
    let on = [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", per_minute)];
    TestServer::start_with(backing, &on).await
}

/// 429, and the seconds after which to try again.
fn wait(answer: &HttpResponse) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    let seconds = answer.header("retry-after").expect("when to come back");
    seconds.parse().expect("whole seconds")
}

async fn guesses_at_one_account_are_slowed_down_and_nothing_it_holds_is_lost(backing: Backend) {
    let server = limited(backing, "1000").await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;

    let thief = server.browser("ada");
    let login = thief.open(&shop.authorization_request("openid").url()).await;
    // However the name is written, it is one account.
    for name in ["ada", "ADA", " ada ", "\u{ff41}da", "Ada"] {
        assert_eq!(thief.sign_in_as(&login, name, "wrong password").await.status, 200, "{name}");
    }
    let shut = thief.sign_in_as(&login, "ada", PASSWORD).await;
    assert_eq!(wait(&shut), 3, "the right password is not told apart");
    assert!(shut.has_element("#login-submit") && shut.has_element("[role=alert]"));
    assert_eq!(
        thief.sign_in_as(&login, "bob", "wrong password").await.status,
        200,
        "somebody else"
    );

    let silent = shop.authorization_request("openid").with("prompt", "none");
    assert!(
        !AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code().is_empty(),
        "the session"
    );
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200, "the refresh token");
    assert_eq!(server.userinfo(tokens.access()).await.status, 200, "the access token");

    server.advance_time(Duration::from_secs(3));
    assert_eq!(thief.sign_in_as(&login, "ada", "wrong password").await.status, 200);
    assert_eq!(wait(&thief.sign_in_as(&login, "ada", "wrong password").await), 3);
    server.advance_time(Duration::from_secs(3));
    assert!(!AuthorizationResponse::from_redirect(&thief.sign_in(&login).await).code().is_empty());
}

async fn an_address_that_guesses_is_shut_out_of_the_login_form_whatever_name_it_types(
    backing: Backend,
) {
    let server = limited(backing, "3").await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    for name in ["eve", "mallory", "trudy"] {
        assert_eq!(ada.sign_in_as(&login, name, PASSWORD).await.status, 200);
    }
    // Nobody waits in line to be told that: here no turn would come.
    let (passwords, mut held) = (&server.app().passwords, Vec::new());
    for _ in 0..server.app().config.limits.hash_threads {
        held.push(passwords.acquire().await.expect("a turn"));
    }
    assert_eq!(wait(&ada.sign_in(&login).await), 60);
    drop(held);
    server.advance_time(Duration::from_secs(60));
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"));
}

async fn an_address_that_fails_as_a_client_is_told_to_wait_and_real_clients_are_not(
    backing: Backend,
) {
    let server = limited(backing, "3").await;
    let robot = server.relying_party("robot").await;
    let itself = [("grant_type", "client_credentials")];
    let wrong = server.client_with_secret("robot", &"wrong".repeat(10));
    for _ in 0..3 {
        assert_eq!(wrong.post("/token", &itself).await.error(), (401, "invalid_client".into()));
    }
    for path in ["/token", "/introspect", "/revoke"] {
        let shut = wrong.post(path, &itself).await;
        assert!((1..=60).contains(&wait(&shut)), "{path}");
        assert_eq!(shut.json()["error"], "temporarily_unavailable");
    }
    assert_eq!(robot.post("/token", &itself).await.status, 200, "whoever proves itself");
    server.advance_time(Duration::from_secs(60));
    assert_eq!(wrong.post("/token", &itself).await.status, 401);
}

async fn registers(server: &TestServer) -> HttpResponse {
    let body = json!({"redirect_uris": ["https://new.example/cb"]});
    let url = server.url("/register");
    http::send(http::json(server.http(), reqwest::Method::POST, &url, &body)).await
}

async fn registrations_are_counted_by_address(backing: Backend) {
    let server = limited(backing, "3").await;
    for _ in 0..3 {
        assert_eq!(registers(&server).await.status, 201);
    }
    let shut = registers(&server).await;
    assert_eq!(wait(&shut), 60);
    assert_eq!(shut.json()["error"], "temporarily_unavailable");
    server.advance_time(Duration::from_secs(60));
    assert_eq!(registers(&server).await.status, 201);
}

/// Guessing stays limited whatever is switched off: for one account, and in all.
async fn what_is_counted_by_address_can_be_switched_off_and_guesses_at_an_account_cannot(
    backing: Backend,
) {
    let off = [("RATE_LIMITING_ENABLED", "false"), ("RATE_LIMIT_PER_MINUTE", "1")];
    let server = TestServer::start_with(backing, &off).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let wrong = server.client_with_secret("shop", &"wrong".repeat(10));
    for name in ["eve", "mallory", "trudy", "walter", "craig", "judy", "peggy"] {
        assert_eq!(ada.sign_in_as(&login, name, "wrong password").await.status, 200);
        assert_eq!(wrong.post("/token", &[]).await.status, 401);
        assert_eq!(registers(&server).await.status, 201);
    }
    for _ in 0..5 {
        assert_eq!(ada.sign_in_as(&login, "ada", "wrong password").await.status, 200);
    }
    assert_eq!(wait(&ada.sign_in(&login).await), 3, "the right password is not told apart");
    server.advance_time(Duration::from_secs(3));
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"));
    // Everybody together has as many failures as twenty addresses.
    server.advance_time(Duration::from_secs(60));
    let login = ada.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    for number in 0..20 {
        let name = format!("name-{number}");
        assert_eq!(ada.sign_in_as(&login, &name, "wrong password").await.status, 200, "{name}");
    }
    assert!(wait(&ada.sign_in_as(&login, "one-more", "wrong password").await) <= 60);
}

async fn in_development_guesses_can_be_free(backing: Backend) {
    let off = [("DEV_GUESS_LIMITS_ENABLED", "false"), ("RATE_LIMIT_PER_MINUTE", "25")];
    let server = TestServer::start_with(backing, &off).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    for _ in 0..24 {
        assert_eq!(ada.sign_in_as(&login, "ada", "wrong password").await.status, 200);
    }
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"));
    // The address has its limit, which is a switch of its own.
    let on = [off[0], off[1], ("RATE_LIMITING_ENABLED", "true")];
    let server = TestServer::start_with(backing, &on).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    for _ in 0..25 {
        assert_eq!(ada.sign_in_as(&login, "ada", "wrong password").await.status, 200);
    }
    assert_eq!(wait(&ada.sign_in(&login).await), 60);
}
