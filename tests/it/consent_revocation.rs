//! What a person agreed to can be taken back, and what was given for it ends with it.

use latchkey::domain::clients::{ClientId, Settings};
use latchkey::domain::consent::{self, Withdrawn};
use latchkey::domain::grants::Grant;
use serde_json::json;

use crate::support::browser::Landing;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{House, on_every_store};

on_every_store![
    everything_that_was_given_ends_and_nothing_else,
    what_is_agreed_to_anew_counts_at_once,
    a_grant_that_is_filed_behind_the_withdrawal_is_worth_nothing,
    a_yes_that_was_taken_back_before_it_was_answered_is_asked_for_again,
    a_client_that_needs_no_consent_goes_on_and_loses_what_it_had,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn withdraws(house: &House, name: &str, client: &RelyingParty) -> Withdrawn {
    let sub = house.user(name).await.sub;
    let id = ClientId::parse(&client.id).expect("an id");
    consent::withdraw(house.store(), &sub, &id, house.app().now()).await.expect("a store")
}

async fn everything_that_was_given_ends_and_nothing_else(house: House) {
    for (name, opaque_access_tokens, scope) in [
        ("shop", false, "openid email"),
        ("kiosk", true, "openid email"),
        ("cafe", false, "openid offline_access"),
        ("bank", true, "openid offline_access"),
    ] {
        let settings = Settings { opaque_access_tokens, ..Settings::default() };
        let client = house.relying_party_with(name, &json!({}), settings).await;
        let other = house.relying_party(&format!("other-{name}")).await;
        let (ada, bob) = (house.browser("ada"), house.browser("bob"));
        let tokens = client.signs_in(&ada, scope).await;
        let elsewhere = other.signs_in(&ada, scope).await;
        let bobs = client.signs_in(&bob, scope).await;
        let pending = client.asks(scope);
        let code = ada.authorizes(&pending.url()).await.code();

        assert_eq!(withdraws(&house, "ada", &client).await, Withdrawn { agreed: true, grants: 2 });
        assert_eq!(client.refreshes(tokens.refresh()).await.error(), invalid_grant(), "{name}");
        assert_eq!(client.exchanges(&code, &pending).await.error(), invalid_grant(), "{name}");
        assert_eq!(house.userinfo(tokens.access()).await.status, 401, "{name}");
        for token in [tokens.access(), tokens.refresh()] {
            assert_eq!(client.introspects(token).await, json!({"active": false}), "{name}");
        }
        let silent = ada.authorizes_silently(&client.asks(scope)).await;
        assert_eq!(Landing::of(&silent).error(), "consent_required", "{name}: still signed in");

        assert_eq!(house.userinfo(elsewhere.access()).await.status, 200, "{name}");
        assert_eq!(other.refreshes(elsewhere.refresh()).await.status, 200, "{name}");
        assert_eq!(client.refreshes(bobs.refresh()).await.status, 200, "{name}");
        let nothing = Withdrawn { agreed: false, grants: 0 };
        assert_eq!(withdraws(&house, "ada", &client).await, nothing, "{name}");
    }
}

async fn what_is_agreed_to_anew_counts_at_once(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    for _ in 0..3 {
        let page = ada.opens(&shop.asks("openid").url()).await;
        let page = if page.shows("#login-submit") { ada.signs_in(&page).await } else { page };
        assert!(page.shows("#consent-accept"));
        let tokens = shop.signs_in(&ada, "openid").await;
        let next = shop.refreshes(tokens.refresh()).await.good();
        let access = next["access_token"].as_str().expect("a token");
        assert_eq!(house.userinfo(access).await.status, 200);
        withdraws(&house, "ada", &shop).await;
        assert_eq!(house.userinfo(access).await.status, 401);
    }
}

async fn a_grant_that_is_filed_behind_the_withdrawal_is_worth_nothing(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid offline_access").await;
    let request = shop.asks("openid");
    let held = house.faults().hold("grant.v1");
    let (answer, ()) = tokio::join!(ada.authorizes_silently(&request), async {
        held.arrives().await;
        withdraws(&house, "ada", &shop).await;
        held.goes_on();
    });
    let code = Landing::of(&answer).code();
    assert_eq!(shop.exchanges(&code, &request).await.error(), invalid_grant());

    // Whatever becomes of the record: a grant that carries the epoch before counts for nothing.
    let id = tokens.refresh().split('.').nth(1).expect("a grant").parse().expect("an id");
    let key = latchkey::domain::grants::GrantId(id).key();
    let revived = house.store().update(&key, |grant: &mut Grant| {
        grant.standing = latchkey::domain::grants::Standing::Good;
    });
    assert_eq!(revived.await.expect("a store"), Some(()));
    assert_eq!(shop.refreshes(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(house.userinfo(tokens.access()).await.status, 401);
}

async fn a_yes_that_was_taken_back_before_it_was_answered_is_asked_for_again(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let page = ada.signs_in(&login).await;
    let mut fields = page.hidden_fields_beside("#consent-accept");
    fields.push(("decision".to_owned(), "accept".to_owned()));
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let back = ada.presses("/consent", &fields).await;
    assert!(withdraws(&house, "ada", &shop).await.agreed);
    let hub = back.location().expect("the way back").to_owned();
    let hub = if hub.starts_with('/') { house.url(&hub) } else { hub };
    let page = ada.opens(&hub).await;
    assert!(page.shows("#consent-accept"), "{page:?}");
    let landing = ada.decides(&page, "accept").await;
    assert!(landing.location().is_some_and(|to| to.contains("code=")));
}

async fn a_client_that_needs_no_consent_goes_on_and_loses_what_it_had(house: House) {
    let own = Settings { first_party: true, ..Settings::default() };
    let desk = house.relying_party_with("desk", &json!({}), own).await;
    let ada = house.browser("ada");
    let tokens = desk.signs_in(&ada, "openid offline_access").await;
    let next = desk.refreshes(tokens.refresh()).await.good();
    let next = next["refresh_token"].as_str().expect("a refresh token");
    assert_eq!(withdraws(&house, "ada", &desk).await, Withdrawn { agreed: false, grants: 1 });
    assert_eq!(desk.refreshes(next).await.error(), invalid_grant());
    let anew = desk.signs_in(&ada, "openid offline_access").await;
    assert_eq!(desk.refreshes(anew.refresh()).await.status, 200);
}
