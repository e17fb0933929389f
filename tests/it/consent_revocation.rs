//! What a person agreed to can be taken back, and what was given for it ends with it.

use latchkey::domain::clients::{ClientId, ClientSettings};
use latchkey::domain::consent::{self, WithdrawOutcome};
use latchkey::domain::grants::Grant;
use serde_json::json;

use crate::support::browser::AuthorizationResponse;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

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

async fn withdraws(server: &TestServer, name: &str, client: &RelyingParty) -> WithdrawOutcome {
    let sub = server.user(name).await.sub;
    let id = ClientId::parse(&client.id).expect("an id");
    consent::withdraw(server.store(), &sub, &id, server.app().now()).await.expect("a store")
}

async fn everything_that_was_given_ends_and_nothing_else(server: TestServer) {
    for (name, opaque_access_tokens, scope) in [
        ("shop", false, "openid email"),
        ("kiosk", true, "openid email"),
        ("cafe", false, "openid offline_access"),
        ("bank", true, "openid offline_access"),
    ] {
        let settings = ClientSettings { opaque_access_tokens, ..ClientSettings::default() };
        let client = server.relying_party_with(name, &json!({}), settings).await;
        let other = server.relying_party(&format!("other-{name}")).await;
        let (ada, bob) = (server.browser("ada"), server.browser("bob"));
        let tokens = client.sign_in(&ada, scope).await;
        let elsewhere = other.sign_in(&ada, scope).await;
        let bobs = client.sign_in(&bob, scope).await;
        let pending = client.authorization_request(scope);
        let code = ada.authorize(&pending.url()).await.code();

        assert_eq!(
            withdraws(&server, "ada", &client).await,
            WithdrawOutcome { existed: true, grants: 2 }
        );
        assert_eq!(client.refresh(tokens.refresh()).await.error(), invalid_grant(), "{name}");
        assert_eq!(client.redeem(&code, &pending).await.error(), invalid_grant(), "{name}");
        assert_eq!(server.userinfo(tokens.access()).await.status, 401, "{name}");
        for token in [tokens.access(), tokens.refresh()] {
            assert_eq!(client.introspect(token).await, json!({"active": false}), "{name}");
        }
        let silent = ada.authorize_silently(&client.authorization_request(scope)).await;
        assert_eq!(
            AuthorizationResponse::from_redirect(&silent).error(),
            "consent_required",
            "{name}: still signed in"
        );

        assert_eq!(server.userinfo(elsewhere.access()).await.status, 200, "{name}");
        assert_eq!(other.refresh(elsewhere.refresh()).await.status, 200, "{name}");
        assert_eq!(client.refresh(bobs.refresh()).await.status, 200, "{name}");
        let nothing = WithdrawOutcome { existed: false, grants: 0 };
        assert_eq!(withdraws(&server, "ada", &client).await, nothing, "{name}");
    }
}

async fn what_is_agreed_to_anew_counts_at_once(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    for _ in 0..3 {
        let page = ada.open(&shop.authorization_request("openid").url()).await;
        let page = if page.has_element("#login-submit") { ada.sign_in(&page).await } else { page };
        assert!(page.has_element("#consent-accept"));
        let tokens = shop.sign_in(&ada, "openid").await;
        let next = shop.refresh(tokens.refresh()).await.success_json();
        let access = next["access_token"].as_str().expect("a token");
        assert_eq!(server.userinfo(access).await.status, 200);
        withdraws(&server, "ada", &shop).await;
        assert_eq!(server.userinfo(access).await.status, 401);
    }
}

async fn a_grant_that_is_filed_behind_the_withdrawal_is_worth_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid offline_access").await;
    let request = shop.authorization_request("openid");
    let held = server.failing_store().pause_next_commit("grant.v1");
    let (answer, ()) = tokio::join!(ada.authorize_silently(&request), async {
        held.wait_until_reached().await;
        withdraws(&server, "ada", &shop).await;
        held.resume();
    });
    let code = AuthorizationResponse::from_redirect(&answer).code();
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());

    // Whatever becomes of the record: a grant that carries the epoch before counts for nothing.
    let id = tokens.refresh().split('.').nth(1).expect("a grant").parse().expect("an id");
    let key = latchkey::domain::grants::GrantId(id).key();
    let revived = server.store().update(&key, |grant: &mut Grant| {
        grant.status = latchkey::domain::grants::GrantStatus::Active;
    });
    assert_eq!(revived.await.expect("a store"), Some(()));
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
}

async fn a_yes_that_was_taken_back_before_it_was_answered_is_asked_for_again(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let page = ada.sign_in(&login).await;
    let mut fields = page.hidden_fields_beside("#consent-accept");
    fields.push(("decision".to_owned(), "accept".to_owned()));
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let back = ada.post("/consent", &fields).await;
    assert!(withdraws(&server, "ada", &shop).await.existed);
    let hub = back.location().expect("the way back").to_owned();
    let hub = if hub.starts_with('/') { server.url(&hub) } else { hub };
    let page = ada.open(&hub).await;
    assert!(page.has_element("#consent-accept"), "{page:?}");
    let landing = ada.decide_consent(&page, "accept").await;
    assert!(landing.location().is_some_and(|to| to.contains("code=")));
}

async fn a_client_that_needs_no_consent_goes_on_and_loses_what_it_had(server: TestServer) {
    let own = ClientSettings { first_party: true, ..ClientSettings::default() };
    let desk = server.relying_party_with("desk", &json!({}), own).await;
    let ada = server.browser("ada");
    let tokens = desk.sign_in(&ada, "openid offline_access").await;
    let next = desk.refresh(tokens.refresh()).await.success_json();
    let next = next["refresh_token"].as_str().expect("a refresh token");
    assert_eq!(
        withdraws(&server, "ada", &desk).await,
        WithdrawOutcome { existed: false, grants: 1 }
    );
    assert_eq!(desk.refresh(next).await.error(), invalid_grant());
    let anew = desk.sign_in(&ada, "openid offline_access").await;
    assert_eq!(desk.refresh(anew.refresh()).await.status, 200);
}
