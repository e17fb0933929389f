use std::time::Duration;

use latchkey::clients::{self, ClientId};
use latchkey::protocol::GrantType;

use crate::support::house::{House, on_every_store};

on_every_store![
    a_refresh_may_ask_for_less_and_never_for_more,
    another_clients_refresh_is_refused_and_the_family_lives,
    a_repeated_refresh_within_the_grace_gets_the_same_bytes,
    an_old_refresh_token_ends_the_family,
    without_offline_access_a_refresh_token_ends_with_the_session,
    a_disabled_person_is_refreshed_no_more,
    a_client_that_gave_up_refreshing_refreshes_no_more,
    a_refresh_token_is_not_guessed_from_another,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

fn text(body: &serde_json::Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}

async fn a_refresh_may_ask_for_less_and_never_for_more(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid email").await;
    let asks = async |token: &str, scope: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        shop.posts("/token", &fields).await
    };
    let refused = asks(tokens.refresh(), "openid email profile").await;
    assert_eq!(refused.error(), (400, "invalid_scope".to_owned()));
    let less = asks(tokens.refresh(), "openid").await.good();
    assert_eq!(less["scope"], "openid");
    let shown = house.userinfo(&text(&less, "access_token")).await.good();
    assert_eq!((&shown["email"], &shown["sub"]), (&serde_json::Value::Null, &"sub-of-ada".into()));
    // Less for one access token is not less for ever.
    let all = shop.refreshes(&text(&less, "refresh_token")).await.good();
    let shown = house.userinfo(&text(&all, "access_token")).await.good();
    assert_eq!(shown["email"], "ada@ada.example");
}

async fn another_clients_refresh_is_refused_and_the_family_lives(house: House) {
    let (shop, thief) = (house.relying_party("shop").await, house.relying_party("thief").await);
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    assert_eq!(thief.refreshes(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.refreshes(tokens.refresh()).await.status, 200);
}

async fn a_repeated_refresh_within_the_grace_gets_the_same_bytes(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let first = text(&shop.refreshes(tokens.refresh()).await.good(), "refresh_token");
    house.later(Duration::from_secs(5));
    let again = text(&shop.refreshes(tokens.refresh()).await.good(), "refresh_token");
    assert_eq!(first, again);
}

async fn an_old_refresh_token_ends_the_family(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let second = shop.refreshes(tokens.refresh()).await.good();
    let third = shop.refreshes(&text(&second, "refresh_token")).await.good();
    assert_eq!(shop.refreshes(tokens.refresh()).await.error(), invalid_grant());
    let newest = text(&third, "refresh_token");
    assert_eq!(shop.refreshes(&newest).await.error(), invalid_grant());
    assert_eq!(house.userinfo(&text(&third, "access_token")).await.status, 401);
}

async fn without_offline_access_a_refresh_token_ends_with_the_session(house: House) {
    let shop = house.relying_party("shop").await;
    let bound = shop.signs_in(&house.browser("ada"), "openid").await;
    let offline = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    house.later(house.app().config.lifetimes.session_absolute + Duration::from_secs(1));
    assert_eq!(shop.refreshes(bound.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.refreshes(offline.refresh()).await.status, 200);
}

async fn a_disabled_person_is_refreshed_no_more(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    house.disables("ada").await;
    assert_eq!(shop.refreshes(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(house.userinfo(tokens.access()).await.status, 401);
}

async fn a_refresh_token_is_not_guessed_from_another(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let good = tokens.refresh();
    for at in (0..good.len()).step_by(7) {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let bent = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert_eq!(shop.refreshes(&bent).await.error(), invalid_grant(), "{at}");
    }
    assert_eq!(shop.refreshes(good).await.status, 200);
}

async fn a_client_that_gave_up_refreshing_refreshes_no_more(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let id = ClientId::parse("shop").unwrap();
    let gives_up = clients::update(house.store(), &id, |client| {
        client.metadata.grant_types.retain(|it| *it != GrantType::RefreshToken);
    });
    assert_eq!(gives_up.await.unwrap(), Some(()));
    let refused = shop.refreshes(tokens.refresh()).await;
    assert_eq!(refused.error(), (400, "unauthorized_client".to_owned()));
}
