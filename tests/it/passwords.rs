//! Passwords at the login form: old hashes are renewed, and too many sign-ins at once are asked to come back.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use latchkey::domain::users;
use tokio::task::JoinSet;

use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_backend};

on_every_backend![
    a_hash_made_with_other_parameters_is_renewed_at_the_next_sign_in,
    the_right_password_is_right_for_all_who_sign_in_while_its_hash_is_renewed,
    who_comes_when_too_many_wait_is_shown_the_form_again_and_told_when,
];

/// As an older configuration, or another program, would have made it.
fn weak_hash() -> String {
    let params = Params::new(8 * 1024, 1, 1, Some(32)).expect("parameters");
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::from_b64("c2FsdHNhbHRzYWx0c2FsdA").expect("a salt");
    argon.hash_password(PASSWORD.as_bytes(), &salt).expect("a hash").to_string()
}

async fn a_hash_made_with_other_parameters_is_renewed_at_the_next_sign_in(backing: Backend) {
    let server = TestServer::start_with(backing, &[("RATE_LIMITING_ENABLED", "true")]).await;
    let shop = server.relying_party("shop").await;
    let (sub, weak) = (server.user("ada").await.sub, weak_hash());
    let weakened = users::update(server.store(), &sub, |user| user.password = Some(weak.clone()));
    assert_eq!(weakened.await.expect("a store"), Some(()));

    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    assert_eq!(ada.sign_in_as(&login, "ada", "wrong password").await.status, 200);
    assert_eq!(server.user("ada").await.password.as_ref(), Some(&weak), "a guess changes nothing");
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"));
    let renewed = server.user("ada").await.password.expect("a password");
    assert_ne!(renewed, weak);
    shop.sign_in(&server.browser("ada"), "openid").await;
    assert_eq!(server.user("ada").await.password, Some(renewed), "once");
}

async fn the_right_password_is_right_for_all_who_sign_in_while_its_hash_is_renewed(
    backing: Backend,
) {
    // Twelve at once are more than one account may be tried.
    let variables = [("HASH_QUEUE", "64"), ("DEV_GUESS_LIMITS_ENABLED", "false")];
    let server = TestServer::start_with(backing, &variables).await;
    let shop = server.relying_party("shop").await;
    let (sub, weak) = (server.user("ada").await.sub, weak_hash());
    let weakened = users::update(server.store(), &sub, |user| user.password = Some(weak.clone()));
    assert_eq!(weakened.await.expect("a store"), Some(()));
    let mut crowd = JoinSet::new();
    for _ in 0..12 {
        let ada = server.browser("ada");
        let login = ada.open(&shop.authorization_request("openid").url()).await;
        crowd.spawn(async move { ada.sign_in(&login).await });
    }
    for next in crowd.join_all().await {
        assert!(next.has_element("#consent-accept"), "{:?}", next.text_of("[role=alert]"));
    }
    assert_ne!(server.user("ada").await.password, Some(weak));
}

async fn who_comes_when_too_many_wait_is_shown_the_form_again_and_told_when(backing: Backend) {
    let server =
        TestServer::start_with(backing, &[("HASH_QUEUE", "1"), ("HASH_THREADS", "1")]).await;
    let shop = server.relying_party("shop").await;
    let ada = Arc::new(server.browser("ada"));
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let mut crowd = JoinSet::new();
    for _ in 0..24 {
        let (ada, login) = (Arc::clone(&ada), login.clone());
        crowd.spawn(async move { ada.sign_in_as(&login, "ada", "wrong password").await });
    }
    let mut turned_away = 0;
    for answer in crowd.join_all().await {
        assert!(
            answer.has_element("#login-submit") && answer.has_element("[role=alert]"),
            "{answer:?}"
        );
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("3"));
            turned_away += 1;
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    assert!((1..24).contains(&turned_away), "{turned_away}");
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"), "when it is quiet again");
}
