//! `OpenID Connect Session Management`: what the server's side of it says. The frame itself is tried in a
//! real browser (`tests/clients/pages.mjs`).

use latchkey::protocol::session_state::session_state;

use super::rp_initiated::logout;
use crate::support::browser::{Browser, Landing};
use crate::support::http;
use crate::support::test_server::{Backing, House, on_every_store};

on_every_store![
    an_answer_carries_the_state_that_the_browser_will_show,
    the_state_changes_with_who_is_signed_in_and_only_then,
];

/// How its name ends.
const COOKIE: &str = "-state";

/// Whether the answer's state is that of the browser's cookie, as the frame computes it.
fn fits(landing: &Landing, browser: &Browser) -> bool {
    let said = landing.param("session_state").expect("a session state");
    let salt = said.split_once('.').expect("a salt").1;
    let cookie = browser.cookie(COOKIE).unwrap_or_default();
    said == session_state("shop", "https://shop.example", &cookie, salt)
}

async fn an_answer_carries_the_state_that_the_browser_will_show(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let silent = shop.asks("openid").with("prompt", "none").url();
    let nobody = Landing::of(&ada.asks(&silent).await);
    assert_eq!(nobody.error(), "login_required");
    assert!(fits(&nobody, &ada), "nobody is signed in, and that is a state, too");
    let first = ada.authorizes(&shop.asks("openid").url()).await;
    assert!(fits(&first, &ada) && !fits(&nobody, &ada));
    let second = Landing::of(&ada.asks(&silent).await);
    assert!(fits(&second, &ada));
    assert_ne!(first.param("session_state"), second.param("session_state"), "salted");
    let plain = ada.authorizes(&shop.asks("email").url()).await;
    assert_eq!(plain.param("session_state"), None, "no OpenID, no session state");
}

async fn the_state_changes_with_who_is_signed_in_and_only_then(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    let first = ada.cookie(COOKIE).expect("a state");
    assert!(!ada.secrets().iter().filter(|it| **it == first).count() > 1, "it opens nothing");
    ada.authorizes(&shop.asks("openid").with("prompt", "login").url()).await;
    assert_eq!(ada.cookie(COOKIE).as_ref(), Some(&first), "the same person");
    let page = ada.opens(&shop.asks("openid").with("prompt", "login").url()).await;
    ada.tries(&page, "bob", crate::support::test_server::PASSWORD).await;
    let second = ada.cookie(COOKIE).expect("a state");
    assert_ne!(second, first, "another person");
    // Bob is here now, so Ada's token is not enough.
    let page = ada.opens(&logout(&house, &[("id_token_hint", tokens.id())])).await;
    let hidden = page.hidden_fields_beside("#logout-confirm");
    let fields: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    ada.submits("/logout/confirm", &fields).await;
    assert_eq!(ada.cookie(COOKIE), None);
}

#[tokio::test]
async fn the_frame_may_be_framed_and_may_do_nothing_else() {
    let house = House::start(Backing::Memory).await;
    let discovery = house.http().get(house.url("/.well-known/openid-configuration"));
    let metadata = http::send(discovery).await.good();
    assert_eq!(metadata["check_session_iframe"], house.url("/check-session"));
    let page = http::send(house.http().get(house.url("/check-session"))).await;
    assert_eq!((page.status, page.header("x-frame-options")), (200, None));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    assert!(policy.contains("form-action 'none'; frame-ancestors *;"), "{policy}");
}

#[tokio::test]
async fn turned_off_there_is_nothing_of_it() {
    let house = House::start_with(Backing::Memory, &[("SESSION_MANAGEMENT", "false")]).await;
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let landing = ada.authorizes(&shop.asks("openid").url()).await;
    assert_eq!((landing.param("session_state"), ada.cookie(COOKIE)), (None, None));
    let silent = shop.asks("openid email").with("prompt", "none").url();
    assert_eq!(Landing::of(&ada.asks(&silent).await).param("session_state"), None);
    assert_eq!(http::send(house.http().get(house.url("/check-session"))).await.status, 404);
    let discovery = house.http().get(house.url("/.well-known/openid-configuration"));
    assert_eq!(http::send(discovery).await.good().get("check_session_iframe"), None);
}
