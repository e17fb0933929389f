use std::time::Duration;

use latchkey::domain::clients::{self, ClientId, ClientSettings};
use latchkey::domain::grants::MAX_OPAQUE_TOKENS;
use latchkey::infra::store::CreateOutcome;
use latchkey::protocol::GrantType;
use serde_json::{Value, json};

use crate::support::relying_party::Tokens;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_refresh_may_ask_for_less_and_never_for_more,
    a_scope_that_was_taken_from_the_client_is_refreshed_no_more,
    another_clients_refresh_is_refused_and_the_family_lives,
    a_refreshed_id_token_has_no_nonce_and_is_otherwise_about_the_same,
    an_opaque_access_token_is_good_for_as_long_as_it_said_however_many_come_after_it,
    a_repeated_refresh_within_the_grace_gets_the_same_bytes,
    an_old_refresh_token_ends_the_family,
    without_offline_access_a_refresh_token_ends_with_the_session,
    a_disabled_person_is_refreshed_no_more,
    a_client_that_gave_up_refreshing_refreshes_no_more,
    a_refresh_token_is_not_guessed_from_another,
    what_a_removed_client_was_given_does_not_come_back_with_another_of_its_id,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

fn text(body: &serde_json::Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}

async fn a_refresh_may_ask_for_less_and_never_for_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid email").await;
    let asks = async |token: &str, scope: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        shop.post("/token", &fields).await
    };
    let refused = asks(tokens.refresh(), "openid email profile").await;
    assert_eq!(refused.error(), (400, "invalid_scope".to_owned()));
    let less = asks(tokens.refresh(), "openid").await.success_json();
    assert_eq!(less["scope"], "openid");
    let shown = server.userinfo(&text(&less, "access_token")).await.success_json();
    assert_eq!((&shown["email"], &shown["sub"]), (&serde_json::Value::Null, &"sub-of-ada".into()));
    // Less for one access token is not less for ever.
    let all = shop.refresh(&text(&less, "refresh_token")).await.success_json();
    let shown = server.userinfo(&text(&all, "access_token")).await.success_json();
    assert_eq!(shown["email"], "ada@ada.example");
}

async fn a_scope_that_was_taken_from_the_client_is_refreshed_no_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid email offline_access").await;
    let may_have = async |scope: &str| {
        let id = ClientId::parse("shop").unwrap();
        let change = |client: &mut clients::Client| client.metadata.scope = scope.parse().ok();
        assert_eq!(clients::update(server.store(), &id, change).await.unwrap(), Some(()));
    };
    may_have("openid offline_access").await;
    let less = shop.refresh(tokens.refresh()).await.success_json();
    assert_eq!(text(&less, "scope"), "offline_access openid");
    assert!(server.userinfo(&text(&less, "access_token")).await.success_json()["email"].is_null());
    may_have("phone").await;
    let nothing = shop.refresh(&text(&less, "refresh_token")).await;
    assert_eq!(nothing.error(), (400, "invalid_scope".to_owned()));
    may_have("openid email offline_access").await;
    let again = shop.refresh(&text(&less, "refresh_token")).await.success_json();
    assert_eq!(text(&again, "scope"), "email offline_access openid");
}

async fn another_clients_refresh_is_refused_and_the_family_lives(server: TestServer) {
    let (shop, thief) = (server.relying_party("shop").await, server.relying_party("thief").await);
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    assert_eq!(thief.refresh(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
}

/// OpenID Connect Core §12.2.
async fn a_refreshed_id_token_has_no_nonce_and_is_otherwise_about_the_same(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid offline_access").with("nonce", "only once");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let body = shop.redeem(&code, &request).await.success_json();
    let first = Tokens { body, code, request: request.clone() };
    assert_eq!(first.id_claims()["nonce"], "only once");
    server.advance_time(Duration::from_secs(60));
    let body = shop.refresh(first.refresh()).await.success_json();
    let next = Tokens { body, code: String::new(), request };
    assert_eq!(next.id_claims().get("nonce"), None);
    for claim in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(next.id_claims()[claim], first.id_claims()[claim], "{claim}");
    }
    assert!(next.id_claims()["iat"].as_u64() > first.id_claims()["iat"].as_u64());
}

async fn an_opaque_access_token_is_good_for_as_long_as_it_said_however_many_come_after_it(
    server: TestServer,
) {
    let settings = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &json!({}), settings).await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let mut refresh = tokens.refresh().to_owned();
    let text = |body: &Value, name: &str| body[name].as_str().expect(name).to_owned();
    server.advance_time(Duration::from_secs(60));
    for _ in 1..MAX_OPAQUE_TOKENS {
        refresh = text(&shop.refresh(&refresh).await.success_json(), "refresh_token");
    }
    let refused = shop.refresh(&refresh).await;
    assert_eq!(refused.error(), (429, "temporarily_unavailable".to_owned()));
    let said = refused.headers["retry-after"].to_str().expect("text");
    let wait = server.app().config.lifetimes.access_token.as_secs() - 60;
    assert_eq!(said, wait.to_string(), "until the first expires");
    assert_eq!(shop.introspect(tokens.access()).await["active"], true, "to its last second");
    server.advance_time(Duration::from_secs(wait));
    assert_eq!(shop.introspect(tokens.access()).await["active"], false);
    let next = shop.refresh(&refresh).await.success_json();
    assert_eq!(shop.introspect(&text(&next, "access_token")).await["active"], true);
}

async fn a_repeated_refresh_within_the_grace_gets_the_same_bytes(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let first = text(&shop.refresh(tokens.refresh()).await.success_json(), "refresh_token");
    server.advance_time(Duration::from_secs(5));
    let again = text(&shop.refresh(tokens.refresh()).await.success_json(), "refresh_token");
    assert_eq!(first, again);
}

async fn an_old_refresh_token_ends_the_family(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let second = shop.refresh(tokens.refresh()).await.success_json();
    let third = shop.refresh(&text(&second, "refresh_token")).await.success_json();
    server.advance_time(server.app().config.lifetimes.refresh_grace);
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    let newest = text(&third, "refresh_token");
    assert_eq!(shop.refresh(&newest).await.error(), invalid_grant());
    assert_eq!(server.userinfo(&text(&third, "access_token")).await.status, 401);
}

async fn without_offline_access_a_refresh_token_ends_with_the_session(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let bound = shop.sign_in(&server.browser("ada"), "openid").await;
    let offline = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    server.advance_time(server.app().config.lifetimes.session_absolute + Duration::from_secs(1));
    assert_eq!(shop.refresh(bound.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.refresh(offline.refresh()).await.status, 200);
}

async fn a_disabled_person_is_refreshed_no_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    server.disable_user("ada").await;
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
}

async fn a_refresh_token_is_not_guessed_from_another(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let good = tokens.refresh();
    for at in (0..good.len()).step_by(7) {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let bent = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert_eq!(shop.refresh(&bent).await.error(), invalid_grant(), "{at}");
    }
    assert_eq!(shop.refresh(good).await.status, 200);
}

async fn a_client_that_gave_up_refreshing_refreshes_no_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let id = ClientId::parse("shop").unwrap();
    let gives_up = clients::update(server.store(), &id, |client| {
        client.metadata.grant_types.retain(|it| *it != GrantType::RefreshToken);
    });
    assert_eq!(gives_up.await.unwrap(), Some(()));
    let refused = shop.refresh(tokens.refresh()).await;
    assert_eq!(refused.error(), (400, "unauthorized_client".to_owned()));
}

async fn what_a_removed_client_was_given_does_not_come_back_with_another_of_its_id(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    let id = ClientId::parse("shop").unwrap();
    let mut client = clients::find(server.store(), &id).await.unwrap().expect("a client");
    clients::remove(server.store(), &id).await.unwrap();
    server.advance_time(Duration::from_secs(1));
    client.created_at = server.app().now();
    assert_eq!(clients::add(server.store(), &client).await.unwrap(), CreateOutcome::Created);
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    assert_eq!(shop.introspect(tokens.access()).await, serde_json::json!({"active": false}));
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    let anew = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    assert_eq!(shop.refresh(anew.refresh()).await.status, 200);
}
