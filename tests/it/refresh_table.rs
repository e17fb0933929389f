//! The table of refresh tokens that survive real networks, row by row, over HTTP.

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use serde_json::json;

use crate::support::http;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_client_that_never_got_the_answer_goes_on_with_the_token_it_has,
    a_burst_that_crosses_generations_is_answered_with_the_newest_alone,
    a_public_client_may_come_in_a_burst_too,
    one_that_was_replaced_longer_ago_than_the_grace_is_a_copy_however_many_came_since,
    of_many_generations_in_one_moment_the_last_eight_are_answered,
    the_successor_that_was_skipped_is_void_and_using_it_ends_the_family,
    a_copy_used_by_two_is_found_out_and_ends_the_family_for_both,
    a_family_lies_unused_only_so_long_and_ends_in_any_case,
    one_clients_reuse_leaves_its_other_grants_alone,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn next(shop: &RelyingParty, token: &str) -> String {
    let body = shop.refresh(token).await.success_json();
    body["refresh_token"].as_str().expect("the next one").to_owned()
}

fn grace(server: &TestServer) -> Duration {
    server.app().config.lifetimes.refresh_grace
}

async fn a_client_that_never_got_the_answer_goes_on_with_the_token_it_has(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let held = tokens.refresh();
    let mut lost = next(&shop, held).await;
    for round in 0..3 {
        assert_eq!(next(&shop, held).await, lost, "at once: the same again ({round})");
        server.advance_time(grace(&server));
        let later = next(&shop, held).await;
        assert_ne!(later, lost, "later: a new one ({round})");
        lost = later;
    }
    let arrived = next(&shop, &lost).await;
    assert_ne!(arrived, lost);
    assert_eq!(shop.refresh(&arrived).await.status, 200);
}

/// What clients do that refresh in each call, without a lock: the first may show its token again when another has
/// long gone on from it.
async fn a_burst_that_crosses_generations_is_answered_with_the_newest_alone(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid email offline_access").await;
    let first = next(&shop, tokens.refresh()).await;
    let second = next(&shop, &first).await;
    server.advance_time(Duration::from_millis(50));
    for held in [tokens.refresh(), &first, tokens.refresh()] {
        assert_eq!(shop.introspect(held).await["active"], true);
        assert_eq!(next(&shop, held).await, second, "the same bytes");
    }
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("scope", "openid")];
    let less = shop.post("/token", &fields).await.success_json();
    assert_eq!((&less["refresh_token"], &less["scope"]), (&json!(second), &json!("openid")));
    let access = less["access_token"].as_str().expect("an access token");
    assert!(server.userinfo(access).await.success_json()["email"].is_null(), "what it asked for");
    let third = next(&shop, &second).await;
    assert_ne!(third, second);
    assert_eq!(next(&shop, tokens.refresh()).await, third, "one that is live, ever");
}

async fn a_public_client_may_come_in_a_burst_too(server: TestServer) {
    let public = json!({
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let app = server.relying_party_with("app", &public, ClientSettings::default()).await;
    let request = app.authorization_request("openid offline_access");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let asks = async |fields: &[(&str, &str)]| {
        let answer = http::send(app.form("/token", fields)).await.success_json();
        answer["refresh_token"].as_str().expect("a refresh token").to_owned()
    };
    let next = async |token: &str| {
        let kind = ("grant_type", "refresh_token");
        asks(&[kind, ("client_id", "app"), ("refresh_token", token)]).await
    };
    let oldest = asks(&[
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("code", &code),
        ("redirect_uri", &app.redirect_uri),
        ("code_verifier", &request.verifier),
    ])
    .await;
    let newest = next(&next(&oldest).await).await;
    assert_eq!(next(&oldest).await, newest);
    assert_ne!(next(&newest).await, newest);
}

async fn one_that_was_replaced_longer_ago_than_the_grace_is_a_copy_however_many_came_since(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let first = next(&shop, tokens.refresh()).await;
    server.advance_time(grace(&server).checked_sub(Duration::from_secs(1)).expect("seconds"));
    let second = next(&shop, &first).await;
    assert_eq!(next(&shop, tokens.refresh()).await, second, "in its last second");
    server.advance_time(Duration::from_secs(1));
    assert_eq!(next(&shop, &first).await, second, "this one was replaced later");
    assert_eq!(shop.introspect(tokens.refresh()).await, json!({"active": false}));
    for token in [tokens.refresh(), &second] {
        assert_eq!(shop.refresh(token).await.error(), invalid_grant(), "the family is over");
    }
}

async fn of_many_generations_in_one_moment_the_last_eight_are_answered(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let mut given = vec![tokens.refresh().to_owned()];
    for generation in 0..9 {
        given.push(next(&shop, &given[generation]).await);
    }
    for generation in 1..9 {
        assert_eq!(next(&shop, &given[generation]).await, given[9], "{generation}");
    }
    assert_eq!(shop.refresh(&given[0]).await.error(), invalid_grant());
    assert_eq!(shop.refresh(&given[9]).await.error(), invalid_grant(), "the family is over");
}

async fn the_successor_that_was_skipped_is_void_and_using_it_ends_the_family(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let skipped = next(&shop, tokens.refresh()).await;
    server.advance_time(grace(&server));
    let current = next(&shop, tokens.refresh()).await;
    assert_eq!(shop.introspect(&skipped).await, json!({"active": false}));
    assert_eq!(shop.introspect(&current).await["active"], true);
    assert_eq!(shop.refresh(&skipped).await.error(), invalid_grant());
    for token in [tokens.refresh(), &current] {
        assert_eq!(shop.refresh(token).await.error(), invalid_grant(), "the family is over");
    }
}

async fn a_copy_used_by_two_is_found_out_and_ends_the_family_for_both(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let copy = tokens.refresh().to_owned();
    // The thief is faster, and goes on.
    let stolen = next(&shop, &copy).await;
    let stolen = next(&shop, &stolen).await;
    server.advance_time(grace(&server));
    assert_eq!(shop.refresh(&copy).await.error(), invalid_grant(), "the victim");
    assert_eq!(shop.refresh(&stolen).await.error(), invalid_grant(), "the thief");
    assert_eq!(server.userinfo(tokens.access()).await.status, 401, "what came before");
}

async fn a_family_lies_unused_only_so_long_and_ends_in_any_case(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let idle = server.app().config.lifetimes.refresh_idle;
    let absolute = server.app().config.lifetimes.refresh_absolute;
    let ada = server.browser("ada");
    let unused = shop.sign_in(&ada, "openid offline_access").await;
    let mut used = shop.sign_in(&ada, "openid offline_access").await.refresh().to_owned();
    let mut lived = Duration::ZERO;
    let step = idle.checked_sub(Duration::from_secs(1)).expect("a day");
    while lived + step < absolute {
        server.advance_time(step);
        lived += step;
        used = next(&shop, &used).await;
        if lived == step {
            assert_eq!(shop.introspect(unused.refresh()).await["active"], true);
        }
    }
    assert_eq!(shop.refresh(unused.refresh()).await.error(), invalid_grant(), "idle");
    server.advance_time(absolute.checked_sub(lived).expect("the rest"));
    assert_eq!(shop.refresh(&used).await.error(), invalid_grant(), "in any case");

    let short = ClientSettings {
        refresh_token_idle_lifetime: Some(60),
        refresh_token_lifetime: Some(90),
        ..ClientSettings::default()
    };
    let brief = server.relying_party_with("brief", &json!({}), short).await;
    let token = brief.sign_in(&ada, "openid offline_access").await.refresh().to_owned();
    server.advance_time(Duration::from_secs(59));
    let token = next(&brief, &token).await;
    server.advance_time(Duration::from_secs(31));
    assert_eq!(brief.refresh(&token).await.error(), invalid_grant(), "its own lifetime");
}

async fn one_clients_reuse_leaves_its_other_grants_alone(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let first = shop.sign_in(&ada, "openid offline_access").await;
    let second = shop.sign_in(&ada, "openid offline_access").await;
    let other = next(&shop, &next(&shop, first.refresh()).await).await;
    server.advance_time(grace(&server));
    assert_eq!(shop.refresh(first.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.refresh(&other).await.error(), invalid_grant());
    assert_eq!(shop.refresh(second.refresh()).await.status, 200);
}
