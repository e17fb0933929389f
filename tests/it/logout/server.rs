//! A server asks for a logout by itself: what shows no browser's session ends none, and is told so; a client
//! that proves who it is may end the session of the hint it was given.

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::logout_notifications;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::rp_initiated::{BYE, is_signed_in, logout, shop};
use crate::support::browser::Browser;
use crate::support::http::{self, HttpResponse};
use crate::support::logout_receiver::TestCa;
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    without_client_authentication_a_server_is_told_that_nothing_has_ended,
    an_authenticated_client_ends_the_session_of_its_hint_wherever_its_browser_is,
    a_secret_in_the_form_is_as_good_and_one_in_an_address_is_none,
    an_authenticated_client_ends_no_session_of_anothers_hint,
    a_hint_of_a_session_that_is_over_says_so_and_is_no_error,
];

async fn signed_in(server: &TestServer) -> (RelyingParty, Browser, Tokens) {
    let shop = shop(server).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    (shop, ada, tokens)
}

/// The error and what it says, of an answer that no program takes for done.
fn refusal(answer: &HttpResponse, status: u16) -> (String, String) {
    assert_eq!((answer.status, answer.location()), (status, None), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = |name: &str| answer.json()[name].as_str().expect("text").to_owned();
    (text("error"), text("error_description"))
}

fn get(server: &TestServer, hint: &str) -> RequestBuilder {
    server.http().get(logout(server, &[("id_token_hint", hint)]))
}

async fn without_client_authentication_a_server_is_told_that_nothing_has_ended(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let fields =
        [("id_token_hint", tokens.id()), ("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
    for request in [
        get(&server, tokens.id()),
        server.http().get(logout(&server, &fields)).header("accept", "*/*"),
        shop.form("/logout", &fields),
        // As Node.js sends it.
        shop.form("/logout", &fields).header("sec-fetch-mode", "cors").header("accept", "*/*"),
        server.http().get(server.url("/logout")),
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
    let page = get(&server, tokens.id()).header("sec-fetch-site", "cross-site");
    assert_eq!(http::send(page).await.text_of("h1").as_deref(), Some("Signed out"));
    let form = shop.form("/logout", &fields).header("accept", "text/html");
    assert_eq!(http::send(form).await.status, 303);
}

async fn an_authenticated_client_ends_the_session_of_its_hint_wherever_its_browser_is(
    server: TestServer,
) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let elsewhere = server.browser("ada");
    shop.sign_in(&elsewhere, "openid").await;
    let answer = http::send(shop.with_basic_auth(get(&server, tokens.id()))).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": true })));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&shop, &ada).await);
    assert!(is_signed_in(&shop, &elsewhere).await, "another session of the same person goes on");
    let refused = shop.refresh(tokens.refresh()).await.error();
    assert_eq!(
        refused,
        (400, "invalid_grant".to_owned()),
        "what hangs on the session ended with it"
    );
    assert!(server.metrics().await.contains("oidc_sign_outs_total{how=\"client\"} 1"));
}

async fn a_secret_in_the_form_is_as_good_and_one_in_an_address_is_none(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let posts = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let cafe = server.relying_party_with("cafe", &posts, ClientSettings::default()).await;
    let of_cafe = cafe.sign_in(&ada, "openid").await;
    let fields =
        [("id_token_hint", of_cafe.id()), ("client_id", "cafe"), ("client_secret", &*cafe.secret)];
    let answer = http::send(server.http().get(logout(&server, &fields))).await;
    assert_eq!(refusal(&answer, 401).0, "invalid_client");
    let wrong = server.client_with_secret("shop", "guessed");
    let answer = http::send(wrong.with_basic_auth(get(&server, tokens.id()))).await;
    assert_eq!(refusal(&answer, 401).0, "invalid_client");
    assert!(is_signed_in(&shop, &ada).await);
    let answer = cafe.post("/logout", &[("id_token_hint", of_cafe.id())]).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": true })));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn an_authenticated_client_ends_no_session_of_anothers_hint(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let cafe = server.relying_party("cafe").await;
    for (client, hint) in
        [(&cafe, tokens.id()), (&shop, "x"), (&shop, ""), (&shop, tokens.access())]
    {
        let answer = http::send(client.with_basic_auth(get(&server, hint))).await;
        let (error, said) = refusal(&answer, 400);
        assert_eq!(error, "invalid_request");
        assert!(said.starts_with("nothing has ended"), "{said}");
    }
    let fields = [("id_token_hint", tokens.id()), ("client_id", "cafe")];
    let answer =
        http::send(shop.with_basic_auth(server.http().get(logout(&server, &fields)))).await;
    assert_eq!(refusal(&answer, 400).0, "invalid_request");
    assert!(is_signed_in(&shop, &ada).await);
}

async fn a_hint_of_a_session_that_is_over_says_so_and_is_no_error(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    for expected in [true, false, false] {
        let answer = http::send(shop.with_basic_auth(get(&server, tokens.id()))).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "signed_out": expected })));
    }
    assert!(!is_signed_in(&shop, &ada).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_applications_of_the_session_are_told_server_to_server() {
    let town = TestCa::new();
    for backing in [Backend::Memory, Backend::File, Backend::Redis] {
        let server = town.start_server(backing).await;
        let ear = town.start_receiver().await;
        let shop = shop(&server).await;
        let more = json!({ "backchannel_logout_uri": ear.url() });
        let cafe = server.relying_party_with("cafe", &more, ClientSettings::default()).await;
        let ada = server.browser("ada");
        let tokens = shop.sign_in(&ada, "openid").await;
        cafe.sign_in(&ada, "openid").await;
        let answer = http::send(shop.with_basic_auth(get(&server, tokens.id()))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let heard = ear.next_request().await;
        let token = heard.body.strip_prefix("logout_token=").expect("a logout token");
        let claims = server
            .app()
            .keys
            .verify(token, logout_notifications::LOGOUT_TOKEN_TYP)
            .expect("a token of ours");
        assert_eq!(claims["aud"], Value::from("cafe"));
        assert_eq!(claims["sid"], tokens.id_claims()["sid"]);
    }
}
