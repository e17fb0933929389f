//! Pairwise subjects (OpenID Connect Core §8.1), and the sectors they are made for.

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::secret::from_base64url;
use reqwest::Method;
use serde_json::{Value, json};

use crate::logout::rp_initiated::{is_signed_in, logout};
use crate::support::http::{self, HttpResponse};
use crate::support::mock_client_host::MockHost;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, TestServer, on_every_backend, on_every_store};

on_every_store![
    a_client_sees_one_subject_everywhere_and_never_the_local_one,
    clients_of_one_sector_see_the_same_and_others_do_not,
    a_hint_and_a_demanded_sub_are_what_this_client_sees,
    a_session_has_another_name_for_each_sector_and_ends_by_any_of_them,
    when_somebody_signed_in_is_told_to_a_pairwise_client_that_asked,
];
on_every_backend![
    a_sector_has_to_list_every_redirect_uri,
    a_client_cannot_move_to_another_sector,
    a_salt_of_its_own_survives_a_change_of_the_secret_key,
];

async fn pairwise(server: &TestServer, name: &str, more: Value) -> RelyingParty {
    let mut members = json!({"subject_type": "pairwise"});
    members.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    server.relying_party_with(name, &members, ClientSettings::default()).await
}

async fn sub_of(server: &TestServer, client: &RelyingParty, person: &str) -> Value {
    let tokens = client.sign_in(&server.browser(person), "openid").await;
    tokens.id_claims()["sub"].clone()
}

fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&from_base64url(part).expect("base64url")).expect("JSON")
}

async fn a_client_sees_one_subject_everywhere_and_never_the_local_one(server: TestServer) {
    let shop = pairwise(&server, "shop", json!({})).await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let sub = tokens.id_claims()["sub"].clone();
    assert_eq!(sub.as_str().expect("text").len(), 43);
    let told = [
        tokens.id_claims(),
        claims(tokens.access()),
        server.userinfo(tokens.access()).await.success_json(),
        shop.introspect(tokens.access()).await,
        shop.introspect(tokens.refresh()).await,
    ];
    let next = shop.refresh(tokens.refresh()).await.success_json();
    let next = claims(next["id_token"].as_str().expect("an ID token"));
    for it in told.iter().chain([&next]) {
        assert_eq!(it["sub"], sub, "{it}");
        // In quotes, for random digits may spell anything.
        let text = it.to_string();
        assert!(!text.contains("sub-of-ada") && !text.contains("\"ada\""), "{it}");
    }
    // A client of the other kind still knows them by the local subject, and by name.
    let open = server.relying_party("open").await;
    let tokens = open.sign_in(&server.browser("ada"), "openid profile").await;
    assert_eq!(tokens.id_claims()["sub"], "sub-of-ada");
    assert_eq!(open.introspect(tokens.access()).await["username"], "ada");
}

async fn clients_of_one_sector_see_the_same_and_others_do_not(server: TestServer) {
    let sector = json!({"sector_identifier_uri": "https://group.example/sector.json"});
    let shop = pairwise(&server, "shop", sector.clone()).await;
    let kiosk = pairwise(&server, "kiosk", sector).await;
    let bank = pairwise(&server, "bank", json!({})).await;
    let seen = sub_of(&server, &shop, "ada").await;
    assert_eq!(sub_of(&server, &kiosk, "ada").await, seen);
    assert_ne!(sub_of(&server, &bank, "ada").await, seen);
    assert_ne!(sub_of(&server, &shop, "bob").await, seen);
    assert_eq!(sub_of(&server, &shop, "ada").await, seen, "and it stays so");
}

async fn a_hint_and_a_demanded_sub_are_what_this_client_sees(server: TestServer) {
    let shop = pairwise(&server, "shop", json!({})).await;
    let open = server.relying_party("open").await;
    let ada = server.browser("ada");
    let here = shop.sign_in(&ada, "openid").await;
    let there = open.sign_in(&ada, "openid").await;
    let bobs = shop.sign_in(&server.browser("bob"), "openid").await;
    let sub = here.id_claims()["sub"].clone();
    let demands = |sub: &Value| json!({"id_token": {"sub": {"value": sub}}}).to_string();
    let silent = shop.authorization_request("openid").with("prompt", "none");
    for (parameter, value, error) in [
        ("id_token_hint", here.id().to_owned(), None),
        ("claims", demands(&sub), None),
        ("id_token_hint", bobs.id().to_owned(), Some("login_required")),
        ("id_token_hint", there.id().to_owned(), Some("login_required")),
        ("claims", demands(&json!("sub-of-ada")), Some("login_required")),
    ] {
        let landing = ada.authorize(&silent.clone().with(parameter, &value).url()).await;
        assert_eq!(landing.param("error").as_deref(), error, "{parameter} {value}");
    }
    // Signed in again because of the hint, and the right person, it goes on.
    let again = shop
        .authorization_request("openid")
        .with("prompt", "login")
        .with("id_token_hint", here.id());
    assert!(ada.authorize(&again.url()).await.param("code").is_some());
}

async fn a_session_has_another_name_for_each_sector_and_ends_by_any_of_them(server: TestServer) {
    let sector = json!({"sector_identifier_uri": "https://group.example/sector.json"});
    let shop = pairwise(&server, "shop", sector.clone()).await;
    let kiosk = pairwise(&server, "kiosk", sector).await;
    let bank = pairwise(&server, "bank", json!({})).await;
    let open = server.relying_party("open").await;
    let ada = server.browser("ada");
    let sid = async |client: &RelyingParty| {
        let tokens = client.sign_in(&ada, "openid").await;
        (tokens.id_claims()["sid"].as_str().expect("text").to_owned(), tokens)
    };
    let (at_shop, of_shop) = sid(&shop).await;
    let (at_bank, of_bank) = sid(&bank).await;
    let (plain, _) = sid(&open).await;
    assert_eq!(sid(&kiosk).await.0, at_shop, "one sector");
    assert_eq!(sid(&shop).await.0, at_shop, "and it stays so");
    let next = shop.refresh(of_shop.refresh()).await.success_json();
    assert_eq!(claims(next["id_token"].as_str().expect("an ID token"))["sid"], *at_shop);
    assert_eq!(plain.len(), 36, "one that is not pairwise has the plain name");
    assert!(at_shop != at_bank && !at_shop.contains(&plain) && !at_bank.contains(&plain));

    // Another session of the same person is another name, which ends nothing here.
    let other = bank.sign_in(&server.browser("ada"), "openid").await;
    assert_ne!(other.id_claims()["sid"], *at_bank);
    let asked = ada.open(&logout(&server, &[("id_token_hint", other.id())])).await;
    assert!(asked.has_element("#logout-confirm"));
    let done = ada.open(&logout(&server, &[("id_token_hint", of_bank.id())])).await;
    assert_eq!(done.text_of("h1").as_deref(), Some("Signed out"));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn when_somebody_signed_in_is_told_to_a_pairwise_client_that_asked(server: TestServer) {
    let now = json!(server.app().now().as_secs());
    let wish = json!({"id_token": {"auth_time": {"essential": true}}}).to_string();
    let (plain, required) = (json!({}), json!({"require_auth_time": true}));
    let default = json!({"default_max_age": 3600});
    for (name, more, asked, told) in [
        ("shop", &plain, None, false),
        ("bank", &plain, Some(("max_age", "3600")), true),
        ("cafe", &plain, Some(("claims", &*wish)), true),
        ("club", &required, None, true),
        ("desk", &default, None, true),
    ] {
        let client = pairwise(&server, name, more.clone()).await;
        let request = client.authorization_request("openid");
        let request = asked.map_or(request.clone(), |(name, value)| request.with(name, value));
        let code = server.browser("ada").authorize(&request.url()).await.code();
        let tokens = client.redeem(&code, &request).await.success_json();
        let refresh = tokens["refresh_token"].as_str().expect("a refresh token");
        let next = client.refresh(refresh).await.success_json();
        for (what, answer) in [("first", &tokens), ("next", &next)] {
            for token in ["id_token", "access_token"] {
                let found = claims(answer[token].as_str().expect("a token"));
                let expected = told.then_some(&now);
                assert_eq!(found.get("auth_time"), expected, "{name} {what} {token}");
            }
        }
    }
}

async fn registers(server: &TestServer, metadata: &Value) -> HttpResponse {
    let url = server.url("/register");
    http::send(http::json(server.http(), Method::POST, &url, metadata)).await
}

async fn a_sector_has_to_list_every_redirect_uri(backing: Backend) {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(backing, &outgoing).await;
    let uris = ["https://a.example/cb", "https://b.example/cb"];
    let metadata = json!({"redirect_uris": uris, "subject_type": "pairwise",
        "sector_identifier_uri": elsewhere.uri});
    let refused = (400, "invalid_client_metadata".to_owned());
    for said in [Some(json!([uris[0]])), Some(json!({"keys": []})), None] {
        elsewhere.serve_json(said.clone());
        assert_eq!(registers(&server, &metadata).await.error(), refused, "{said:?}");
    }
    elsewhere.serve_json(Some(json!([uris[1], uris[0], "https://c.example/cb"])));
    let client = registers(&server, &metadata).await.success_json();
    assert_eq!(client["sector_identifier_uri"], elsewhere.uri);
    assert_eq!(client["subject_type"], "pairwise");

    // An update is held against it, too.
    let place = client["registration_client_uri"].as_str().expect("a URL");
    let token = client["registration_access_token"].as_str().expect("a token");
    let mut change = metadata.clone();
    change["client_id"] = client["client_id"].clone();
    change["redirect_uris"] = json!(["https://evil.example/cb"]);
    let put = http::json(server.http(), Method::PUT, place, &change).bearer_auth(token);
    assert_eq!(http::send(put).await.error(), refused);

    let bare = json!({"redirect_uris": uris, "subject_type": "pairwise"});
    assert_eq!(registers(&server, &bare).await.error(), refused, "two hosts and no sector");
    // Whoever names an address of our own network learns nothing of it.
    let closed = TestServer::start_with(backing, &[("OUTGOING_CA_FILE", &*elsewhere.ca)]).await;
    let visits = elsewhere.request_count();
    assert_eq!(registers(&closed, &metadata).await.error(), refused);
    assert_eq!(elsewhere.request_count(), visits);
}

async fn a_client_cannot_move_to_another_sector(backing: Backend) {
    let server = TestServer::start(backing).await;
    for (before, after, status) in [
        (
            json!(["pairwise", "https://a.example/cb"]),
            json!(["pairwise", "https://a.example/x"]),
            200,
        ),
        (
            json!(["pairwise", "https://a.example/cb"]),
            json!(["pairwise", "https://b.example/"]),
            400,
        ),
        (
            json!(["pairwise", "https://a.example/cb"]),
            json!(["public", "https://a.example/cb"]),
            400,
        ),
        (json!(["public", "https://a.example/cb"]), json!(["pairwise", "https://b.example/"]), 400),
        (json!(["public", "https://a.example/cb"]), json!(["public", "https://b.example/"]), 200),
    ] {
        let of = |it: &Value| json!({"subject_type": it[0], "redirect_uris": [it[1]]});
        let client = registers(&server, &of(&before)).await.success_json();
        let place = client["registration_client_uri"].as_str().expect("a URL");
        let token = client["registration_access_token"].as_str().expect("a token");
        let mut change = of(&after);
        change["client_id"] = client["client_id"].clone();
        let put = http::json(server.http(), Method::PUT, place, &change).bearer_auth(token);
        assert_eq!(http::send(put).await.status, status, "{before} to {after}");
    }
}

async fn a_salt_of_its_own_survives_a_change_of_the_secret_key(backing: Backend) {
    let first = "the-first-key-of-this-house-3f9a7c1e".to_owned();
    let second = "and-another-one-after-it-b82d04e6f1".to_owned();
    let server = TestServer::start_with(backing, &[("SECRET_KEY", &*first)]).await;
    let shop = pairwise(&server, "shop", json!({})).await;
    let seen = sub_of(&server, &shop, "ada").await;
    for (salt, stays) in [(Some(&*first), true), (None, false)] {
        let mut variables = vec![("SECRET_KEY", &*second), ("SECRET_KEY_PREVIOUS", &*first)];
        variables.extend(salt.map(|salt| ("PAIRWISE_SALT", salt)));
        let beside = server.start_another(&variables).await;
        // The same client, known to that server by another address.
        let there = beside.client_with_secret("shop", &shop.secret);
        assert_eq!(sub_of(&beside, &there, "ada").await == seen, stays, "{salt:?}");
    }
}
