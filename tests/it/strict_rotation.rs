//! `REFRESH_TOKEN_GRACE=0`: nothing that was replaced is answered.

use std::time::Duration;

use serde_json::json;

use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    &[("REFRESH_TOKEN_GRACE", "0")];
    a_replaced_token_is_a_copy_at_once_and_later,
    a_burst_that_crosses_generations_ends_the_family,
    the_newest_token_is_answered_as_ever,
];

async fn a_replaced_token_is_a_copy_at_once_and_later(server: TestServer) {
    for wait in [0, 60] {
        let shop = server.relying_party(&format!("shop-{wait}")).await;
        let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
        let next = shop.refresh(tokens.refresh()).await.success_json();
        let next = next["refresh_token"].as_str().expect("the next one");
        server.advance_time(Duration::from_secs(wait));
        assert_eq!(shop.introspect(tokens.refresh()).await, json!({"active": false}));
        assert_eq!(shop.introspect(next).await["active"], true);
        for token in [tokens.refresh(), next] {
            let refused = shop.refresh(token).await.error();
            assert_eq!(refused, (400, "invalid_grant".to_owned()), "the family is over");
        }
    }
}

async fn a_burst_that_crosses_generations_ends_the_family(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let mut held = tokens.refresh().to_owned();
    for _ in 0..2 {
        let next = shop.refresh(&held).await.success_json();
        next["refresh_token"].as_str().expect("the next one").clone_into(&mut held);
    }
    for token in [tokens.refresh(), &held] {
        let refused = shop.refresh(token).await.error();
        assert_eq!(refused, (400, "invalid_grant".to_owned()), "the family is over");
    }
}

async fn the_newest_token_is_answered_as_ever(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let mut held = tokens.refresh().to_owned();
    for _ in 0..3 {
        let next = shop.refresh(&held).await.success_json();
        next["refresh_token"].as_str().expect("the next one").clone_into(&mut held);
    }
}
