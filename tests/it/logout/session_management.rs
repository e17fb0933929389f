//! `OpenID Connect Session Management`: what the server's side of it says. The frame itself is tried in a
//! real browser (`tests/clients/pages.mjs`).

use latchkey::protocol::session_state::session_state;

use super::rp_initiated::logout;
use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http;
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    an_answer_carries_the_state_that_the_browser_will_show,
    the_state_changes_with_who_is_signed_in_and_only_then,
];

/// How its name ends.
const COOKIE: &str = "-state";

/// Whether the answer's state is that of the browser's cookie, as the frame computes it.
fn fits(landing: &AuthorizationResponse, browser: &Browser) -> bool {
    let said = landing.param("session_state").expect("a session state");
    let salt = said.split_once('.').expect("a salt").1;
    let cookie = browser.cookie(COOKIE).unwrap_or_default();
    said == session_state("shop", "https://shop.example", &cookie, salt)
}

async fn an_answer_carries_the_state_that_the_browser_will_show(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let silent = shop.authorization_request("openid").with("prompt", "none").url();
    let nobody = AuthorizationResponse::from_redirect(&ada.get(&silent).await);
    assert_eq!(nobody.error(), "login_required");
    assert!(fits(&nobody, &ada), "nobody is signed in, and that is a state, too");
    let first = ada.authorize(&shop.authorization_request("openid").url()).await;
    assert!(fits(&first, &ada) && !fits(&nobody, &ada));
    let second = AuthorizationResponse::from_redirect(&ada.get(&silent).await);
    assert!(fits(&second, &ada));
    assert_ne!(first.param("session_state"), second.param("session_state"), "salted");
    let plain = ada.authorize(&shop.authorization_request("email").url()).await;
    assert_eq!(plain.param("session_state"), None, "no OpenID, no session state");
}

async fn the_state_changes_with_who_is_signed_in_and_only_then(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let first = ada.cookie(COOKIE).expect("a state");
    assert!(!ada.cookie_values().iter().filter(|it| **it == first).count() > 1, "it opens nothing");
    ada.authorize(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    assert_eq!(ada.cookie(COOKIE).as_ref(), Some(&first), "the same person");
    let page = ada.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    ada.sign_in_as(&page, "bob", crate::support::test_server::PASSWORD).await;
    let second = ada.cookie(COOKIE).expect("a state");
    assert_ne!(second, first, "another person");
    // Bob is here now, so Ada's token is not enough.
    let page = ada.open(&logout(&server, &[("id_token_hint", tokens.id())])).await;
    let hidden = page.hidden_fields_beside("#logout-confirm");
    let fields: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    ada.submit("/logout/confirm", &fields).await;
    assert_eq!(ada.cookie(COOKIE), None);
}

#[tokio::test]
async fn the_frame_may_be_framed_and_may_do_nothing_else() {
    let server = TestServer::start(Backend::Memory).await;
    let discovery = server.http().get(server.url("/.well-known/openid-configuration"));
    let metadata = http::send(discovery).await.success_json();
    assert_eq!(metadata["check_session_iframe"], server.url("/check-session"));
    let page = http::send(server.http().get(server.url("/check-session"))).await;
    assert_eq!((page.status, page.header("x-frame-options")), (200, None));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    assert!(policy.contains("form-action 'none'; frame-ancestors *;"), "{policy}");
}

#[tokio::test]
async fn turned_off_there_is_nothing_of_it() {
    let server = TestServer::start_with(Backend::Memory, &[("SESSION_MANAGEMENT", "false")]).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let landing = ada.authorize(&shop.authorization_request("openid").url()).await;
    assert_eq!((landing.param("session_state"), ada.cookie(COOKIE)), (None, None));
    let silent = shop.authorization_request("openid email").with("prompt", "none").url();
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent).await).param("session_state"),
        None
    );
    assert_eq!(http::send(server.http().get(server.url("/check-session"))).await.status, 404);
    let discovery = server.http().get(server.url("/.well-known/openid-configuration"));
    assert_eq!(http::send(discovery).await.success_json().get("check_session_iframe"), None);
}
