//! Pairwise subjects (OpenID Connect Core §8.1), and the sectors they are made for.

use latchkey::domain::clients::Settings;
use latchkey::infra::secret::from_base64url;
use reqwest::Method;
use serde_json::{Value, json};

use crate::logout::rp_initiated::{is_signed_in, logout};
use crate::support::http::{self, Answer};
use crate::support::mock_client_host::Elsewhere;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backing, House, on_every_backing, on_every_store};

on_every_store![
    a_client_sees_one_subject_everywhere_and_never_the_local_one,
    clients_of_one_sector_see_the_same_and_others_do_not,
    a_hint_and_a_demanded_sub_are_what_this_client_sees,
    a_session_has_another_name_for_each_sector_and_ends_by_any_of_them,
    when_somebody_signed_in_is_told_to_a_pairwise_client_that_asked,
];
on_every_backing![
    a_sector_has_to_list_every_redirect_uri,
    a_client_cannot_move_to_another_sector,
    a_salt_of_its_own_survives_a_change_of_the_secret_key,
];

async fn pairwise(house: &House, name: &str, more: Value) -> RelyingParty {
    let mut members = json!({"subject_type": "pairwise"});
    members.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    house.relying_party_with(name, &members, Settings::default()).await
}

async fn sub_of(house: &House, client: &RelyingParty, person: &str) -> Value {
    let tokens = client.signs_in(&house.browser(person), "openid").await;
    tokens.id_claims()["sub"].clone()
}

fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&from_base64url(part).expect("base64url")).expect("JSON")
}

async fn a_client_sees_one_subject_everywhere_and_never_the_local_one(house: House) {
    let shop = pairwise(&house, "shop", json!({})).await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let sub = tokens.id_claims()["sub"].clone();
    assert_eq!(sub.as_str().expect("text").len(), 43);
    let told = [
        tokens.id_claims(),
        claims(tokens.access()),
        house.userinfo(tokens.access()).await.good(),
        shop.introspects(tokens.access()).await,
        shop.introspects(tokens.refresh()).await,
    ];
    let next = shop.refreshes(tokens.refresh()).await.good();
    let next = claims(next["id_token"].as_str().expect("an ID token"));
    for it in told.iter().chain([&next]) {
        assert_eq!(it["sub"], sub, "{it}");
        // In quotes, for random digits may spell anything.
        let text = it.to_string();
        assert!(!text.contains("sub-of-ada") && !text.contains("\"ada\""), "{it}");
    }
    // A client of the other kind still knows them by the local subject, and by name.
    let open = house.relying_party("open").await;
    let tokens = open.signs_in(&house.browser("ada"), "openid profile").await;
    assert_eq!(tokens.id_claims()["sub"], "sub-of-ada");
    assert_eq!(open.introspects(tokens.access()).await["username"], "ada");
}

async fn clients_of_one_sector_see_the_same_and_others_do_not(house: House) {
    let sector = json!({"sector_identifier_uri": "https://group.example/sector.json"});
    let shop = pairwise(&house, "shop", sector.clone()).await;
    let kiosk = pairwise(&house, "kiosk", sector).await;
    let bank = pairwise(&house, "bank", json!({})).await;
    let seen = sub_of(&house, &shop, "ada").await;
    assert_eq!(sub_of(&house, &kiosk, "ada").await, seen);
    assert_ne!(sub_of(&house, &bank, "ada").await, seen);
    assert_ne!(sub_of(&house, &shop, "bob").await, seen);
    assert_eq!(sub_of(&house, &shop, "ada").await, seen, "and it stays so");
}

async fn a_hint_and_a_demanded_sub_are_what_this_client_sees(house: House) {
    let shop = pairwise(&house, "shop", json!({})).await;
    let open = house.relying_party("open").await;
    let ada = house.browser("ada");
    let here = shop.signs_in(&ada, "openid").await;
    let there = open.signs_in(&ada, "openid").await;
    let bobs = shop.signs_in(&house.browser("bob"), "openid").await;
    let sub = here.id_claims()["sub"].clone();
    let demands = |sub: &Value| json!({"id_token": {"sub": {"value": sub}}}).to_string();
    let silent = shop.asks("openid").with("prompt", "none");
    for (parameter, value, error) in [
        ("id_token_hint", here.id().to_owned(), None),
        ("claims", demands(&sub), None),
        ("id_token_hint", bobs.id().to_owned(), Some("login_required")),
        ("id_token_hint", there.id().to_owned(), Some("login_required")),
        ("claims", demands(&json!("sub-of-ada")), Some("login_required")),
    ] {
        let landing = ada.authorizes(&silent.clone().with(parameter, &value).url()).await;
        assert_eq!(landing.param("error").as_deref(), error, "{parameter} {value}");
    }
    // Signed in again because of the hint, and the right person, it goes on.
    let again = shop.asks("openid").with("prompt", "login").with("id_token_hint", here.id());
    assert!(ada.authorizes(&again.url()).await.param("code").is_some());
}

async fn a_session_has_another_name_for_each_sector_and_ends_by_any_of_them(house: House) {
    let sector = json!({"sector_identifier_uri": "https://group.example/sector.json"});
    let shop = pairwise(&house, "shop", sector.clone()).await;
    let kiosk = pairwise(&house, "kiosk", sector).await;
    let bank = pairwise(&house, "bank", json!({})).await;
    let open = house.relying_party("open").await;
    let ada = house.browser("ada");
    let sid = async |client: &RelyingParty| {
        let tokens = client.signs_in(&ada, "openid").await;
        (tokens.id_claims()["sid"].as_str().expect("text").to_owned(), tokens)
    };
    let (at_shop, of_shop) = sid(&shop).await;
    let (at_bank, of_bank) = sid(&bank).await;
    let (plain, _) = sid(&open).await;
    assert_eq!(sid(&kiosk).await.0, at_shop, "one sector");
    assert_eq!(sid(&shop).await.0, at_shop, "and it stays so");
    let next = shop.refreshes(of_shop.refresh()).await.good();
    assert_eq!(claims(next["id_token"].as_str().expect("an ID token"))["sid"], *at_shop);
    assert_eq!(plain.len(), 36, "one that is not pairwise has the plain name");
    assert!(at_shop != at_bank && !at_shop.contains(&plain) && !at_bank.contains(&plain));

    // Another session of the same person is another name, which ends nothing here.
    let other = bank.signs_in(&house.browser("ada"), "openid").await;
    assert_ne!(other.id_claims()["sid"], *at_bank);
    let asked = ada.opens(&logout(&house, &[("id_token_hint", other.id())])).await;
    assert!(asked.shows("#logout-confirm"));
    let done = ada.opens(&logout(&house, &[("id_token_hint", of_bank.id())])).await;
    assert_eq!(done.words("h1").as_deref(), Some("Signed out"));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn when_somebody_signed_in_is_told_to_a_pairwise_client_that_asked(house: House) {
    let now = json!(house.app().now().as_secs());
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
        let client = pairwise(&house, name, more.clone()).await;
        let request = client.asks("openid");
        let request = asked.map_or(request.clone(), |(name, value)| request.with(name, value));
        let code = house.browser("ada").authorizes(&request.url()).await.code();
        let tokens = client.exchanges(&code, &request).await.good();
        let refresh = tokens["refresh_token"].as_str().expect("a refresh token");
        let next = client.refreshes(refresh).await.good();
        for (what, answer) in [("first", &tokens), ("next", &next)] {
            for token in ["id_token", "access_token"] {
                let found = claims(answer[token].as_str().expect("a token"));
                let expected = told.then_some(&now);
                assert_eq!(found.get("auth_time"), expected, "{name} {what} {token}");
            }
        }
    }
}

async fn registers(house: &House, metadata: &Value) -> Answer {
    let url = house.url("/register");
    http::send(http::json(house.http(), Method::POST, &url, metadata)).await
}

async fn a_sector_has_to_list_every_redirect_uri(backing: Backing) {
    let elsewhere = Elsewhere::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let house = House::start_with(backing, &outgoing).await;
    let uris = ["https://a.example/cb", "https://b.example/cb"];
    let metadata = json!({"redirect_uris": uris, "subject_type": "pairwise",
        "sector_identifier_uri": elsewhere.uri});
    let refused = (400, "invalid_client_metadata".to_owned());
    for said in [Some(json!([uris[0]])), Some(json!({"keys": []})), None] {
        elsewhere.says(said.clone());
        assert_eq!(registers(&house, &metadata).await.error(), refused, "{said:?}");
    }
    elsewhere.says(Some(json!([uris[1], uris[0], "https://c.example/cb"])));
    let client = registers(&house, &metadata).await.good();
    assert_eq!(client["sector_identifier_uri"], elsewhere.uri);
    assert_eq!(client["subject_type"], "pairwise");

    // An update is held against it, too.
    let place = client["registration_client_uri"].as_str().expect("a URL");
    let token = client["registration_access_token"].as_str().expect("a token");
    let mut change = metadata.clone();
    change["client_id"] = client["client_id"].clone();
    change["redirect_uris"] = json!(["https://evil.example/cb"]);
    let put = http::json(house.http(), Method::PUT, place, &change).bearer_auth(token);
    assert_eq!(http::send(put).await.error(), refused);

    let bare = json!({"redirect_uris": uris, "subject_type": "pairwise"});
    assert_eq!(registers(&house, &bare).await.error(), refused, "two hosts and no sector");
    // Whoever names an address of our own network learns nothing of it.
    let closed = House::start_with(backing, &[("OUTGOING_CA_FILE", &*elsewhere.ca)]).await;
    let visits = elsewhere.visits();
    assert_eq!(registers(&closed, &metadata).await.error(), refused);
    assert_eq!(elsewhere.visits(), visits);
}

async fn a_client_cannot_move_to_another_sector(backing: Backing) {
    let house = House::start(backing).await;
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
        let client = registers(&house, &of(&before)).await.good();
        let place = client["registration_client_uri"].as_str().expect("a URL");
        let token = client["registration_access_token"].as_str().expect("a token");
        let mut change = of(&after);
        change["client_id"] = client["client_id"].clone();
        let put = http::json(house.http(), Method::PUT, place, &change).bearer_auth(token);
        assert_eq!(http::send(put).await.status, status, "{before} to {after}");
    }
}

async fn a_salt_of_its_own_survives_a_change_of_the_secret_key(backing: Backing) {
    let first = "the-first-key-of-this-house-3f9a7c1e".to_owned();
    let second = "and-another-one-after-it-b82d04e6f1".to_owned();
    let house = House::start_with(backing, &[("SECRET_KEY", &*first)]).await;
    let shop = pairwise(&house, "shop", json!({})).await;
    let seen = sub_of(&house, &shop, "ada").await;
    for (salt, stays) in [(Some(&*first), true), (None, false)] {
        let mut variables = vec![("SECRET_KEY", &*second), ("SECRET_KEY_PREVIOUS", &*first)];
        variables.extend(salt.map(|salt| ("PAIRWISE_SALT", salt)));
        let beside = house.beside(&variables).await;
        // The same client, known to that house by another address.
        let there = beside.claims_to_be("shop", &shop.secret);
        assert_eq!(sub_of(&beside, &there, "ada").await == seen, stays, "{salt:?}");
    }
}
