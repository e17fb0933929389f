//! A server asks for a logout by itself: what shows no browser's session ends none, and is told so; a client
//! that proves who it is may end the session of the hint it was given.

use latchkey::domain::clients::Settings;
use latchkey::domain::logout_notifications;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::rp_initiated::{BYE, is_signed_in, logout, shop};
use crate::support::browser::Browser;
use crate::support::http::{self, Answer};
use crate::support::logout_receiver::Town;
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{Backing, House, on_every_store};

on_every_store![
    without_client_authentication_a_server_is_told_that_nothing_has_ended,
    an_authenticated_client_ends_the_session_of_its_hint_wherever_its_browser_is,
    a_secret_in_the_form_is_as_good_and_one_in_an_address_is_none,
    an_authenticated_client_ends_no_session_of_anothers_hint,
    a_hint_of_a_session_that_is_over_says_so_and_is_no_error,
];

async fn signed_in(house: &House) -> (RelyingParty, Browser, Tokens) {
    let shop = shop(house).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    (shop, ada, tokens)
}

/// The error and what it says, of an answer that no program takes for done.
fn refusal(answer: &Answer, status: u16) -> (String, String) {
    assert_eq!((answer.status, answer.location()), (status, None), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = |name: &str| answer.json()[name].as_str().expect("text").to_owned();
    (text("error"), text("error_description"))
}

fn get(house: &House, hint: &str) -> RequestBuilder {
    house.http().get(logout(house, &[("id_token_hint", hint)]))
}

async fn without_client_authentication_a_server_is_told_that_nothing_has_ended(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let fields =
        [("id_token_hint", tokens.id()), ("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
    for request in [
        get(&house, tokens.id()),
        house.http().get(logout(&house, &fields)).header("accept", "*/*"),
        shop.form("/logout", &fields),
        // As Node.js sends it.
        shop.form("/logout", &fields).header("sec-fetch-mode", "cors").header("accept", "*/*"),
        house.http().get(house.url("/logout")),
    ] {
        let answer = http::send(request).await;
        let (error, said) = refusal(&answer, 401);
        assert_eq!(error, "invalid_client");
        assert!(said.starts_with("nothing has ended"), "{said}");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Basic "), "{challenge}");
        assert!(answer.header("set-cookie").is_none());
    }
    assert!(is_signed_in(&shop, &ada).await);
    // A browser is answered as ever, whichever way it shows that it is one.
    let page = get(&house, tokens.id()).header("sec-fetch-site", "cross-site");
    assert_eq!(http::send(page).await.words("h1").as_deref(), Some("Signed out"));
    let form = shop.form("/logout", &fields).header("accept", "text/html");
    assert_eq!(http::send(form).await.status, 303);
}

async fn an_authenticated_client_ends_the_session_of_its_hint_wherever_its_browser_is(
    house: House,
) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let elsewhere = house.browser("ada");
    shop.signs_in(&elsewhere, "openid").await;
    let answer = http::send(shop.signed(get(&house, tokens.id()))).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": true })));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&shop, &ada).await);
    assert!(is_signed_in(&shop, &elsewhere).await, "another session of the same person goes on");
    let refused = shop.refreshes(tokens.refresh()).await.error();
    assert_eq!(
        refused,
        (400, "invalid_grant".to_owned()),
        "what hangs on the session ended with it"
    );
    assert!(house.metrics().await.contains("oidc_sign_outs_total{how=\"client\"} 1"));
}

async fn a_secret_in_the_form_is_as_good_and_one_in_an_address_is_none(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let posts = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let cafe = house.relying_party_with("cafe", &posts, Settings::default()).await;
    let of_cafe = cafe.signs_in(&ada, "openid").await;
    let fields =
        [("id_token_hint", of_cafe.id()), ("client_id", "cafe"), ("client_secret", &*cafe.secret)];
    let answer = http::send(house.http().get(logout(&house, &fields))).await;
    assert_eq!(refusal(&answer, 401).0, "invalid_client");
    let wrong = house.claims_to_be("shop", "guessed");
    let answer = http::send(wrong.signed(get(&house, tokens.id()))).await;
    assert_eq!(refusal(&answer, 401).0, "invalid_client");
    assert!(is_signed_in(&shop, &ada).await);
    let answer = cafe.posts("/logout", &[("id_token_hint", of_cafe.id())]).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": true })));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn an_authenticated_client_ends_no_session_of_anothers_hint(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let cafe = house.relying_party("cafe").await;
    for (client, hint) in
        [(&cafe, tokens.id()), (&shop, "x"), (&shop, ""), (&shop, tokens.access())]
    {
        let answer = http::send(client.signed(get(&house, hint))).await;
        let (error, said) = refusal(&answer, 400);
        assert_eq!(error, "invalid_request");
        assert!(said.starts_with("nothing has ended"), "{said}");
    }
    let fields = [("id_token_hint", tokens.id()), ("client_id", "cafe")];
    let answer = http::send(shop.signed(house.http().get(logout(&house, &fields)))).await;
    assert_eq!(refusal(&answer, 400).0, "invalid_request");
    assert!(is_signed_in(&shop, &ada).await);
}

async fn a_hint_of_a_session_that_is_over_says_so_and_is_no_error(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    for expected in [true, false, false] {
        let answer = http::send(shop.signed(get(&house, tokens.id()))).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": expected })));
    }
    assert!(!is_signed_in(&shop, &ada).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_applications_of_the_session_are_told_server_to_server() {
    let town = Town::new();
    for backing in [Backing::Memory, Backing::File, Backing::Redis] {
        let house = town.house(backing).await;
        let ear = town.ear().await;
        let shop = shop(&house).await;
        let more = json!({ "backchannel_logout_uri": ear.url() });
        let cafe = house.relying_party_with("cafe", &more, Settings::default()).await;
        let ada = house.browser("ada");
        let tokens = shop.signs_in(&ada, "openid").await;
        cafe.signs_in(&ada, "openid").await;
        let answer = http::send(shop.signed(get(&house, tokens.id()))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let heard = ear.hears().await;
        let token = heard.body.strip_prefix("logout_token=").expect("a logout token");
        let claims = house
            .app()
            .keys
            .verify(token, logout_notifications::LOGOUT_TYP)
            .expect("a token of ours");
        assert_eq!(claims["aud"], Value::from("cafe"));
        assert_eq!(claims["sid"], tokens.id_claims()["sid"]);
    }
}
