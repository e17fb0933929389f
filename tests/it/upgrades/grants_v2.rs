//! Grants of the second kind, as the next release leaves them.

use latchkey::domain::grants::{self, CodeState, Credential, Grant, GrantError, GrantId, GrantV2};
use latchkey::infra::store::{CommitOutcome, Record, Transaction};
use latchkey::protocol::Confirmation;
use serde_json::json;
use uuid::Uuid;

use crate::support::relying_party::Tokens;
use crate::support::test_server::{TestServer, on_every_store};

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
async fn moves(server: &TestServer, id: GrantId, step: impl FnOnce(&mut Grant)) {
    let held = server.store().load(&id.key()).await.expect("a store").expect("a grant");
    let unchanged = held.unchanged();
    let mut next = GrantV2(held.record);
    step(&mut next.0);
    let bytes = serde_json::to_vec(&next).expect("JSON");
    let change = Transaction::within(id.key().raw().partition().clone())
        .require(id.key().raw().clone(), unchanged)
        .delete(id.key().raw().clone())
        .put(id.key_v2().raw().clone(), bytes, next.delete_after());
    assert_eq!(server.store().commit(change).await.expect("a store"), CommitOutcome::Committed);
}

async fn places(server: &TestServer, id: GrantId) -> (bool, bool) {
    let first = server.store().get(id.key().raw()).await.expect("a store").is_some();
    (first, server.store().get(id.key_v2().raw()).await.expect("a store").is_some())
}

async fn a_grant_that_the_next_release_moved_goes_on_and_stays_where_it_is(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    moves(&server, id(&tokens), |_| ()).await;
    let next = shop.refresh(tokens.refresh()).await.success_json();
    let next = next["refresh_token"].as_str().expect("the next one");
    for token in [tokens.access(), next] {
        assert_eq!(shop.introspect(token).await["active"], true);
    }
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    assert_eq!(places(&server, id(&tokens)).await, (false, true));
    shop.revoke(next).await;
    assert_eq!(shop.introspect(tokens.access()).await, json!({"active": false}));

    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    moves(&server, id(&tokens), |_| ()).await;
    let (sub, now) = (server.user("ada").await.sub, server.app().now());
    let ended = grants::revoke_all_for_subject(server.store(), &sub, now).await.expect("a store");
    assert_eq!(ended.grants, 1, "the other one was given back");
    assert_eq!(shop.refresh(tokens.refresh()).await.error().1, "invalid_grant");
}

async fn a_grant_that_is_moved_while_it_is_changed_is_found_again(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let held = server.failing_store().pause_next_commit("grant.v1");
    let (refreshed, ()) = tokio::join!(shop.refresh(tokens.refresh()), async {
        held.wait_until_reached().await;
        moves(&server, id(&tokens), |_| ()).await;
        held.resume();
    });
    let next = refreshed.success_json();
    let next = next["refresh_token"].as_str().expect("the next one");
    assert_eq!(shop.refresh(next).await.status, 200);
    assert_eq!(places(&server, id(&tokens)).await, (false, true));
}

async fn a_grant_that_is_bound_to_a_key_is_worth_nothing_here_and_loses_nothing(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let id = id(&tokens);
    let key = Confirmation::JwkThumbprint("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned());
    moves(&server, id, |grant| grant.cnf = Some(key.clone())).await;
    assert_eq!(shop.refresh(tokens.refresh()).await.error().1, "invalid_grant");
    for token in [tokens.access(), tokens.refresh()] {
        assert_eq!(shop.introspect(token).await, json!({"active": false}));
    }
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    // It can be ended, and nothing of it is lost on the way.
    shop.revoke(tokens.refresh()).await;
    let held = grants::find(server.store(), id).await.expect("a store").expect("a grant");
    assert_eq!(held.cnf, Some(key));
    assert!(held.is_access_token_revoked(Uuid::nil()));
    let bytes = server.store().get(id.key_v2().raw()).await.expect("a store").expect("a grant");
    let written: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(written["cnf"], json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}));
}

async fn a_grant_without_a_redirect_uri_is_no_authorization_code(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let grant = code.split('.').nth(1).expect("a grant");
    let id = GrantId(Uuid::try_parse(grant).expect("a UUID"));
    moves(&server, id, |grant| {
        if let Some(CodeState::Issued { credential, redirect_uri, challenge, .. }) = &mut grant.code
        {
            (*credential, *redirect_uri, *challenge) = (Credential::DeviceCode, None, None);
        }
        assert!(grant.needs_v2());
    })
    .await;
    let fields = [("grant_type", "authorization_code"), ("code", &*code)];
    let refused = shop.post("/token", &fields).await;
    assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    let held = grants::find(server.store(), id).await.expect("a store").expect("a grant");
    let still = matches!(held.code, Some(CodeState::Issued { failures: 0, .. }));
    assert!(still, "whoever comes with the right grant type gets it: {:?}", GrantError::Unknown);
}

async fn this_release_writes_what_the_one_before_reads(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    shop.refresh(tokens.refresh()).await.success_json();
    assert_eq!(places(&server, id(&tokens)).await, (true, false));
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let grant = code.split('.').nth(1).expect("a grant");
    let id = GrantId(Uuid::try_parse(grant).expect("a UUID"));
    let bytes = server.store().get(id.key().raw()).await.expect("a store").expect("a grant");
    let written: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let issued = &written["code"]["Issued"];
    assert_eq!(issued["redirect_uri"], shop.redirect_uri, "a text, as it always was");
    assert_eq!((issued.get("credential"), written.get("cnf")), (None, None));
}
