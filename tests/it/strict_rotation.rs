//! `REFRESH_TOKEN_GRACE=0`: nothing that was replaced is answered.

use std::time::Duration;

use serde_json::json;

use crate::support::test_server::{House, on_every_store};

on_every_store![
    &[("REFRESH_TOKEN_GRACE", "0")];
    a_replaced_token_is_a_copy_at_once_and_later,
    a_burst_that_crosses_generations_ends_the_family,
    the_newest_token_is_answered_as_ever,
];

async fn a_replaced_token_is_a_copy_at_once_and_later(house: House) {
    for wait in [0, 60] {
        let shop = house.relying_party(&format!("shop-{wait}")).await;
        let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
        let next = shop.refreshes(tokens.refresh()).await.good();
        let next = next["refresh_token"].as_str().expect("the next one");
        house.later(Duration::from_secs(wait));
        assert_eq!(shop.introspects(tokens.refresh()).await, json!({"active": false}));
        assert_eq!(shop.introspects(next).await["active"], true);
        for token in [tokens.refresh(), next] {
            let refused = shop.refreshes(token).await.error();
            assert_eq!(refused, (400, "invalid_grant".to_owned()), "the family is over");
        }
    }
}

async fn a_burst_that_crosses_generations_ends_the_family(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    let mut held = tokens.refresh().to_owned();
    for _ in 0..2 {
        let next = shop.refreshes(&held).await.good();
        next["refresh_token"].as_str().expect("the next one").clone_into(&mut held);
    }
    for token in [tokens.refresh(), &held] {
        let refused = shop.refreshes(token).await.error();
        assert_eq!(refused, (400, "invalid_grant".to_owned()), "the family is over");
    }
}

async fn the_newest_token_is_answered_as_ever(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    let mut held = tokens.refresh().to_owned();
    for _ in 0..3 {
        let next = shop.refreshes(&held).await.good();
        next["refresh_token"].as_str().expect("the next one").clone_into(&mut held);
    }
}
