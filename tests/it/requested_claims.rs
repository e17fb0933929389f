//! Single claims (OpenID Connect Core §5.5): only what the client could have by scope, and only what the
//! person was shown.

use latchkey::domain::clients::{self, ClientId, ClientSettings};
use serde_json::{Value, json};

use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    claims_above_the_registration_are_dropped_silently,
    each_claim_is_named_on_the_page_and_remembered_by_name,
    what_a_client_may_not_have_any_more_is_not_given_for_what_was_granted_before,
];

async fn shop(server: &TestServer, scope: &str, settings: ClientSettings) -> RelyingParty {
    server.relying_party_with("shop", &json!({ "scope": scope }), settings).await
}

/// A sign-in with that `claims` parameter, the ID token and userinfo that come of it.
async fn learns(server: &TestServer, shop: &RelyingParty, wish: &Value) -> (Tokens, Value, Value) {
    let request = shop.authorization_request("openid").with("claims", &wish.to_string());
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let body = shop.redeem(&code, &request).await.success_json();
    let tokens = Tokens { body, code, request };
    let userinfo = server.userinfo(tokens.access()).await.success_json();
    let id_token = tokens.id_claims();
    (tokens, id_token, userinfo)
}

/// Everything of the person's in it.
fn of_the_person(claims: &Value) -> Vec<&str> {
    let protocol =
        ["iss", "sub", "aud", "iat", "exp", "sid", "amr", "auth_time", "at_hash", "acr", "nonce"];
    let names = claims.as_object().expect("claims").keys().map(String::as_str);
    names.filter(|name| !protocol.contains(name)).collect()
}

async fn claims_above_the_registration_are_dropped_silently(server: TestServer) {
    let wish = json!({
        "userinfo": {"name": null, "email": {"essential": true}, "groups": null,
            "phone_number": {"value": "+44 20 7946 0001"}, "password": null},
        "id_token": {"birthdate": null, "email": null, "groups": {"values": [["analysts"]]},
            "address": {"essential": true}},
    });
    for (name, first_party) in [("asked", false), ("first party", true)] {
        let settings = ClientSettings { first_party, ..ClientSettings::default() };
        let client = json!({"scope": "openid profile"});
        let client = server
            .relying_party_with(name.split(' ').next().expect("a word"), &client, settings)
            .await;
        let (tokens, id_token, userinfo) = learns(&server, &client, &wish).await;
        assert_eq!(of_the_person(&userinfo), ["name"], "{name}");
        assert_eq!(of_the_person(&id_token), ["birthdate"], "{name}");
        let next = client.refresh(tokens.refresh()).await.success_json();
        let next = Tokens { body: next, ..tokens };
        assert_eq!(of_the_person(&next.id_claims()), ["birthdate"], "{name}");
    }
}

async fn each_claim_is_named_on_the_page_and_remembered_by_name(server: TestServer) {
    let shop = shop(&server, "openid profile email", ClientSettings::default()).await;
    let ada = server.browser("ada");
    let asks = |wish: Value| shop.authorization_request("openid").with("claims", &wish.to_string());
    let first = json!({"userinfo": {"birthdate": null, "phone_number": null},
        "id_token": {"email": null, "acr": {"values": ["1"]}}});
    let login = ada.open(&asks(first.clone()).url()).await;
    let page = ada.sign_in(&login).await;
    let shown = page.text_of(".claims").expect("a list of claims");
    assert!(
        shown.contains("Your date of birth") && shown.contains("Your email address"),
        "{shown}"
    );
    assert!(!shown.contains("phone") && !shown.contains("acr"), "{shown}");
    let landing = ada.decide_consent(&page, "accept").await;
    assert!(landing.location().is_some_and(|to| to.contains("code=")));

    let silent = async |wish: Value| {
        ada.authorize(&asks(wish).with("prompt", "none").url()).await.param("error")
    };
    assert_eq!(silent(first).await, None, "the same again");
    assert_eq!(silent(json!({"id_token": {"birthdate": null}})).await, None, "less, elsewhere");
    let more = json!({"userinfo": {"birthdate": null, "gender": null}});
    assert_eq!(silent(more.clone()).await.as_deref(), Some("consent_required"));
    let page = ada.open(&asks(more).url()).await;
    assert!(page.text_of(".claims").is_some_and(|shown| shown.contains("Your gender")));
    let beyond = json!({"userinfo": {"birthdate": null, "phone_number": null, "groups": null}});
    assert_eq!(silent(beyond).await, None, "what is dropped is not asked about");
}

async fn what_a_client_may_not_have_any_more_is_not_given_for_what_was_granted_before(
    server: TestServer,
) {
    let shop = shop(&server, "openid profile email", ClientSettings::default()).await;
    let wish = json!({"userinfo": {"email": null, "name": null},
        "id_token": {"email": null, "name": null}});
    let (tokens, id_token, userinfo) = learns(&server, &shop, &wish).await;
    assert_eq!(of_the_person(&id_token), ["email", "name"]);
    assert_eq!(of_the_person(&userinfo), ["email", "name"]);
    let ada = server.browser("ada");
    let pending = shop.authorization_request("openid email").with("claims", &wish.to_string());
    let code = ada.authorize(&pending.url()).await.code();
    let parked = shop.authorization_request("openid email").with("claims", &wish.to_string());
    let parked = ada.open(&parked.with("prompt", "consent").url()).await;

    let id = ClientId::parse(&shop.id).expect("an id");
    let narrow = clients::update(server.store(), &id, |client| {
        client.metadata.scope = Some("openid profile".parse().expect("a scope"));
    });
    assert_eq!(narrow.await.expect("a store"), Some(()));

    // What was given out before, what comes of a refresh, and of a code that was on its way.
    let userinfo = server.userinfo(tokens.access()).await.success_json();
    assert_eq!(of_the_person(&userinfo), ["name"]);
    let next = shop.refresh(tokens.refresh()).await.success_json();
    let next = Tokens { body: next, ..tokens };
    assert_eq!(of_the_person(&next.id_claims()), ["name"]);
    let body = shop.redeem(&code, &pending).await.success_json();
    assert_eq!(
        of_the_person(
            &server.userinfo(body["access_token"].as_str().expect("a token")).await.success_json()
        ),
        ["name"]
    );
    // And of a page that stood open.
    let landing = ada.decide_consent(&parked, "accept").await;
    assert!(landing.location().is_some_and(|to| to.contains("code=")), "{landing:?}");
}
