//! Grants of the second kind, as the next release leaves them.

use latchkey::domain::grants::{self, Code, Credential, Grant, GrantId, GrantV2, Refusal};
use latchkey::infra::store::{CommitOutcome, Record, Transaction};
use latchkey::protocol::Confirmation;
use serde_json::json;
use uuid::Uuid;

use crate::support::relying_party::Tokens;
use crate::support::test_server::{House, on_every_store};

on_every_store![
    a_grant_that_the_next_release_moved_goes_on_and_stays_where_it_is,
    a_grant_that_is_moved_while_it_is_changed_is_found_again,
    a_grant_that_is_bound_to_a_key_is_worth_nothing_here_and_loses_nothing,
    a_grant_without_a_redirect_uri_is_no_authorization_code,
    this_release_writes_what_the_one_before_reads,
];

fn id(tokens: &Tokens) -> GrantId {
    let text = tokens.refresh().split('.').nth(1).expect("a grant");
    GrantId(Uuid::try_parse(text).expect("a UUID"))
}

/// What a server of the next release does: one change.
async fn moves(house: &House, id: GrantId, step: impl FnOnce(&mut Grant)) {
    let held = house.store().load(&id.key()).await.expect("a store").expect("a grant");
    let unchanged = held.unchanged();
    let mut next = GrantV2(held.record);
    step(&mut next.0);
    let bytes = serde_json::to_vec(&next).expect("JSON");
    let change = Transaction::within(id.key().raw().partition().clone())
        .require(id.key().raw().clone(), unchanged)
        .delete(id.key().raw().clone())
        .put(id.key_v2().raw().clone(), bytes, next.delete_after());
    assert_eq!(house.store().commit(change).await.expect("a store"), CommitOutcome::Committed);
}

async fn places(house: &House, id: GrantId) -> (bool, bool) {
    let first = house.store().get(id.key().raw()).await.expect("a store").is_some();
    (first, house.store().get(id.key_v2().raw()).await.expect("a store").is_some())
}

async fn a_grant_that_the_next_release_moved_goes_on_and_stays_where_it_is(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    moves(&house, id(&tokens), |_| ()).await;
    let next = shop.refreshes(tokens.refresh()).await.good();
    let next = next["refresh_token"].as_str().expect("the next one");
    for token in [tokens.access(), next] {
        assert_eq!(shop.introspects(token).await["active"], true);
    }
    assert_eq!(house.userinfo(tokens.access()).await.status, 200);
    assert_eq!(places(&house, id(&tokens)).await, (false, true));
    shop.revokes(next).await;
    assert_eq!(shop.introspects(tokens.access()).await, json!({"active": false}));

    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    moves(&house, id(&tokens), |_| ()).await;
    let (sub, now) = (house.user("ada").await.sub, house.app().now());
    let ended = grants::cut_off(house.store(), &sub, now).await.expect("a store");
    assert_eq!(ended.grants, 1, "the other one was given back");
    assert_eq!(shop.refreshes(tokens.refresh()).await.error().1, "invalid_grant");
}

async fn a_grant_that_is_moved_while_it_is_changed_is_found_again(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    let held = house.faults().hold("grant.v1");
    let (refreshed, ()) = tokio::join!(shop.refreshes(tokens.refresh()), async {
        held.arrives().await;
        moves(&house, id(&tokens), |_| ()).await;
        held.goes_on();
    });
    let next = refreshed.good();
    let next = next["refresh_token"].as_str().expect("the next one");
    assert_eq!(shop.refreshes(next).await.status, 200);
    assert_eq!(places(&house, id(&tokens)).await, (false, true));
}

async fn a_grant_that_is_bound_to_a_key_is_worth_nothing_here_and_loses_nothing(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    let id = id(&tokens);
    let key = Confirmation::JwkThumbprint("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned());
    moves(&house, id, |grant| grant.cnf = Some(key.clone())).await;
    assert_eq!(shop.refreshes(tokens.refresh()).await.error().1, "invalid_grant");
    for token in [tokens.access(), tokens.refresh()] {
        assert_eq!(shop.introspects(token).await, json!({"active": false}));
    }
    assert_eq!(house.userinfo(tokens.access()).await.status, 401);
    // It can be ended, and nothing of it is lost on the way.
    shop.revokes(tokens.refresh()).await;
    let held = grants::find(house.store(), id).await.expect("a store").expect("a grant");
    assert_eq!(held.cnf, Some(key));
    assert!(held.has_revoked(Uuid::nil()));
    let bytes = house.store().get(id.key_v2().raw()).await.expect("a store").expect("a grant");
    let written: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(written["cnf"], json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}));
}

async fn a_grant_without_a_redirect_uri_is_no_authorization_code(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let grant = code.split('.').nth(1).expect("a grant");
    let id = GrantId(Uuid::try_parse(grant).expect("a UUID"));
    moves(&house, id, |grant| {
        if let Some(Code::Issued { credential, redirect_uri, challenge, .. }) = &mut grant.code {
            (*credential, *redirect_uri, *challenge) = (Credential::DeviceCode, None, None);
        }
        assert!(grant.needs_v2());
    })
    .await;
    let fields = [("grant_type", "authorization_code"), ("code", &*code)];
    let refused = shop.posts("/token", &fields).await;
    assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    let held = grants::find(house.store(), id).await.expect("a store").expect("a grant");
    let still = matches!(held.code, Some(Code::Issued { failures: 0, .. }));
    assert!(still, "whoever comes with the right grant type gets it: {:?}", Refusal::Unknown);
}

async fn this_release_writes_what_the_one_before_reads(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid offline_access").await;
    shop.refreshes(tokens.refresh()).await.good();
    assert_eq!(places(&house, id(&tokens)).await, (true, false));
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let grant = code.split('.').nth(1).expect("a grant");
    let id = GrantId(Uuid::try_parse(grant).expect("a UUID"));
    let bytes = house.store().get(id.key().raw()).await.expect("a store").expect("a grant");
    let written: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let issued = &written["code"]["Issued"];
    assert_eq!(issued["redirect_uri"], shop.redirect_uri, "a text, as it always was");
    assert_eq!((issued.get("credential"), written.get("cnf")), (None, None));
}
