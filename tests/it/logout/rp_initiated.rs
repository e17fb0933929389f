//! `OpenID Connect RP-Initiated Logout`, module by module of the conformance suite, and what lies
//! between its modules.

use latchkey::domain::clients::{self, Client, ClientId, Settings, Source};
use latchkey::infra::jose::SigningKey;
use serde_json::{Value, json};

use crate::support::browser::{Browser, Landing};
use crate::support::http::{self, Answer, Fields};
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{House, on_every_store};

on_every_store![
    oidcc_rp_initiated_logout,
    oidcc_rp_initiated_logout_bad_post_logout_redirect_uri,
    oidcc_rp_initiated_logout_modified_id_token_hint,
    oidcc_rp_initiated_logout_no_id_token_hint,
    oidcc_rp_initiated_logout_no_params,
    oidcc_rp_initiated_logout_no_post_logout_redirect_uri,
    oidcc_rp_initiated_logout_no_state,
    oidcc_rp_initiated_logout_only_state,
    oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri,
    oidcc_rp_initiated_logout_bad_id_token_hint,
    a_client_id_that_is_not_the_hints_is_an_error_and_nothing_ends,
    a_client_id_alone_sends_on_after_the_person_agreed,
    a_hint_of_another_session_is_asked_about,
    an_expired_hint_is_as_good_as_a_fresh_one,
    a_logout_from_another_site_comes_by_form,
    a_request_that_shows_no_session_takes_no_cookie_away,
    the_confirmation_belongs_to_the_session_it_was_shown_in,
    the_session_takes_its_refresh_tokens_along_but_not_the_offline_ones,
    whoever_is_signed_out_already_goes_on_with_a_hint_and_has_a_link_without,
    an_app_on_the_device_is_gone_back_to_by_a_touch,
    whoever_stays_goes_to_an_address_the_operator_wrote_down,
    a_head_changes_nothing,
];

pub const BYE: &str = "https://shop.example/bye?kept=1";

pub async fn shop(house: &House) -> RelyingParty {
    let more = json!({ "post_logout_redirect_uris": [BYE, "https://shop.example/other"] });
    house.relying_party_with("shop", &more, Settings::default()).await
}

pub fn logout(house: &House, fields: Fields<'_>) -> String {
    format!("{}?{}", house.url("/logout"), http::encode(fields))
}

/// Whether the house still knows this browser, asked without a page.
pub async fn is_signed_in(shop: &RelyingParty, browser: &Browser) -> bool {
    let silent = shop.asks("openid").with("prompt", "none");
    let landing = Landing::of(&browser.asks(&silent.url()).await);
    match landing.param("error") {
        None => true,
        Some(error) => {
            assert_eq!(error, "login_required");
            false
        }
    }
}

/// It is our own page, nobody was sent anywhere, and it does not open anything.
fn shows(answer: &Answer, heading: &str) {
    assert_eq!((answer.status, answer.location()), (200, None), "{answer:?}");
    assert_eq!(answer.words("h1").as_deref(), Some(heading), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

async fn confirms(browser: &Browser, page: &Answer) -> Answer {
    shows(page, "Sign out");
    let hidden = page.hidden_fields_beside("#logout-confirm");
    let fields: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    browser.submits("/logout/confirm", &fields).await
}

async fn signed_in(house: &House) -> (RelyingParty, Browser, Tokens) {
    let shop = shop(house).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    (shop, ada, tokens)
}

async fn oidcc_rp_initiated_logout(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let url = logout(
        &house,
        &[
            ("id_token_hint", tokens.id()),
            ("post_logout_redirect_uri", BYE),
            ("state", "s t&a=te"),
            ("ui_locales", "de"),
            ("logout_hint", "ada"),
        ],
    );
    let answer = ada.asks(&url).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.location(), Some(&*format!("{BYE}&state=s+t%26a%3Dte")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&shop, &ada).await);
    let discovery = house.http().get(house.url("/.well-known/openid-configuration"));
    let metadata: Value = http::send(discovery).await.good();
    assert_eq!(metadata["end_session_endpoint"], house.url("/logout"));
}

async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let more = json!({ "post_logout_redirect_uris": ["https://other.example/bye"] });
    house.relying_party_with("other", &more, Settings::default()).await;
    for uri in [
        "https://shop.example/bye",
        "https://other.example/bye",
        "https://evil.example/",
        "javascript:alert(1)",
    ] {
        let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", uri)];
        let page = ada.asks(&logout(&house, &fields)).await;
        shows(&page, "Sign out");
        assert!(!page.body.contains(uri), "{page:?}");
        let note = page.words(".developer").expect("a note for the developer");
        assert!(note.contains("is not one of those registered"), "{note}");
        assert!(is_signed_in(&shop, &ada).await, "{uri}: nothing ends without being asked");
        shows(&confirms(&ada, &page).await, "Signed out");
        assert!(!is_signed_in(&shop, &ada).await);
        shop.signs_in(&ada, "openid").await;
    }
}

async fn oidcc_rp_initiated_logout_modified_id_token_hint(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let (head, rest) = tokens.id().split_once('.').expect("a JWT");
    let (payload, signature) = rest.split_once('.').expect("a JWT");
    let none = latchkey::infra::secret::base64url(br#"{"alg":"none","typ":"JWT"}"#);
    let other = format!("{head}.{payload}.{}x", &signature[..signature.len() - 1]);
    for hint in [format!("{none}.{payload}."), other, tokens.access().to_owned()] {
        let fields =
            [("id_token_hint", &*hint), ("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
        let page = ada.opens(&logout(&house, &fields)).await;
        shows(&page, "Sign out");
        assert!(is_signed_in(&shop, &ada).await, "nothing ends without being asked");
        let done = confirms(&ada, &page).await;
        shows(&done, "Signed out");
        assert!(!is_signed_in(&shop, &ada).await);
        shop.signs_in(&ada, "openid").await;
    }
}

async fn oidcc_rp_initiated_logout_no_id_token_hint(house: House) {
    let (shop, ada, _) = signed_in(&house).await;
    let fields = [("post_logout_redirect_uri", BYE), ("state", "s")];
    let done = confirms(&ada, &ada.opens(&logout(&house, &fields)).await).await;
    shows(&done, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_params(house: House) {
    let (shop, ada, _) = signed_in(&house).await;
    let page = ada.opens(&house.url("/logout")).await;
    assert!(page.words("main").expect("a page").contains("Ada Lovelace"));
    assert!(page.shows("a#logout-stay"));
    assert!(is_signed_in(&shop, &ada).await, "a GET ends nothing by itself");
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let url = logout(&house, &[("id_token_hint", tokens.id()), ("state", "s")]);
    shows(&ada.opens(&url).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_state(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.asks(&logout(&house, &fields)).await.location(), Some(BYE));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_only_state(house: House) {
    let (shop, ada, _) = signed_in(&house).await;
    let page = ada.opens(&logout(&house, &[("state", "s")])).await;
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let added = format!("{BYE}&foo=bar");
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", &*added)];
    let page = ada.opens(&logout(&house, &fields)).await;
    assert!(is_signed_in(&shop, &ada).await, "nothing ends without being asked");
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_bad_id_token_hint(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let own = SigningKey::generate().expect("a key").0;
    let mut claims = tokens.id_claims();
    let ours = own.sign("JWT", &claims).expect("a token");
    claims["iss"] = "shop".into();
    claims["aud"] = house.issuer().into();
    let theirs = own.sign("JWT", &claims).expect("a token");
    for hint in [&*ours, &*theirs, "x", "a.b.c"] {
        let fields = [("id_token_hint", hint), ("post_logout_redirect_uri", BYE)];
        shows(&ada.opens(&logout(&house, &fields)).await, "Sign out");
        assert!(is_signed_in(&shop, &ada).await);
    }
}

async fn a_client_id_that_is_not_the_hints_is_an_error_and_nothing_ends(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    house.relying_party("other").await;
    let wrong = [("id_token_hint", tokens.id()), ("client_id", "other")];
    for url in [logout(&house, &wrong), logout(&house, &[("state", "a"), ("state", "b")])] {
        let answer = ada.opens(&url).await;
        assert_eq!((answer.status, answer.location()), (400, None));
        assert_eq!(answer.words("h1").as_deref(), Some("Request error"));
        assert!(is_signed_in(&shop, &ada).await);
    }
    let right = [("id_token_hint", tokens.id()), ("client_id", "shop")];
    shows(&ada.opens(&logout(&house, &right)).await, "Signed out");
}

async fn a_client_id_alone_sends_on_after_the_person_agreed(house: House) {
    let (shop, ada, _) = signed_in(&house).await;
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let page = ada.opens(&logout(&house, &fields)).await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(!policy.contains("form-action"), "the application may send people on: {policy}");
    let done = confirms(&ada, &page).await;
    assert_eq!((done.status, done.location()), (303, Some(&*format!("{BYE}&state=s"))));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn a_hint_of_another_session_is_asked_about(house: House) {
    let (shop, ada, of_ada) = signed_in(&house).await;
    let bob = house.browser("bob");
    shop.signs_in(&bob, "openid").await;
    let elsewhere = house.browser("ada");
    shop.signs_in(&elsewhere, "openid").await;
    let fields = [("id_token_hint", of_ada.id()), ("post_logout_redirect_uri", BYE)];
    for browser in [&bob, &elsewhere] {
        let page = browser.opens(&logout(&house, &fields)).await;
        shows(&page, "Sign out");
        assert!(is_signed_in(&shop, browser).await);
        assert_eq!(confirms(browser, &page).await.location(), Some(BYE));
        assert!(!is_signed_in(&shop, browser).await);
    }
    assert!(is_signed_in(&shop, &ada).await, "the session of the hint is another browser's");
}

async fn an_expired_hint_is_as_good_as_a_fresh_one(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    house.later(house.app().config.lifetimes.id_token * 2);
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.asks(&logout(&house, &fields)).await.location(), Some(BYE));
    assert!(!is_signed_in(&shop, &ada).await);
}

/// Lax cookies stay behind in a POST from another site; our own GET has them again.
async fn a_logout_from_another_site_comes_by_form(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let fields =
        [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let without_cookies = house.browser("ada");
    let answer = without_cookies.presses("/logout", &fields).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("set-cookie").is_none(), "the session's cookie is left alone");
    let to = answer.location().expect("a way on").to_owned();
    assert!(to.starts_with(&house.url("/logout?")), "{to}");
    let done = ada.asks(&to).await;
    assert_eq!(done.location(), Some(&*format!("{BYE}&state=s")));
    assert!(!is_signed_in(&shop, &ada).await);

    // What does not fit into an address waits for it; what means nothing here stays out of it.
    let tokens = shop.signs_in(&ada, "openid").await;
    let state = "s".repeat(7_000);
    let fields = [
        ("id_token_hint", tokens.id()),
        ("post_logout_redirect_uri", BYE),
        ("junk", "of no use here"),
        ("state", &state),
    ];
    let answer = without_cookies.presses("/logout", &fields).await;
    let to = answer.location().expect("a way on").to_owned();
    assert!(to.starts_with(&house.url("/logout?kept=")) && to.len() < 200, "{to}");
    assert_eq!(ada.asks(&to).await.location(), Some(&*format!("{BYE}&state={state}")));
    assert!(!is_signed_in(&shop, &ada).await);
    let answer = without_cookies.presses("/logout", &fields[..3]).await;
    assert!(!answer.location().expect("a way on").contains("junk"));

    // Longer than any address: nobody is sent on with less than was sent.
    let tokens = shop.signs_in(&ada, "openid").await;
    let state = "s".repeat(8_193);
    let fields = [("id_token_hint", tokens.id()), fields[1], ("state", &*state)];
    let page = ada.presses("/logout", &fields).await;
    assert!(page.words(".developer").unwrap_or_default().contains("8 KiB"), "{page:?}");

    // With its cookies at hand, a POST is answered as it is.
    let tokens = shop.signs_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.presses("/logout", &fields).await.location(), Some(BYE));
}

/// From another site the browser leaves the session's cookie out, and would still obey a `Set-Cookie`.
async fn a_request_that_shows_no_session_takes_no_cookie_away(house: House) {
    let form = [("csrf", "x")];
    let foreign = http::form(house.http(), &house.url("/logout/confirm"), &form)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site");
    let answer = http::send(foreign).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{answer:?}");
    let asked = house.http().get(house.url("/logout")).header("sec-fetch-site", "cross-site");
    let answer = http::send(asked).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{answer:?}");
}

async fn the_confirmation_belongs_to_the_session_it_was_shown_in(house: House) {
    let (shop, ada, _) = signed_in(&house).await;
    let bob = house.browser("bob");
    shop.signs_in(&bob, "openid").await;
    let page = bob.opens(&house.url("/logout")).await;
    let of_bob = page.hidden_fields_beside("#logout-confirm");
    for token in [&*of_bob[0].1, "", "x"] {
        let answer = ada.presses("/logout/confirm", &[("csrf", token)]).await;
        assert_eq!((answer.status, answer.location()), (403, None));
        assert!(is_signed_in(&shop, &ada).await);
    }
    let answer = ada.presses("/logout/confirm", &[]).await;
    assert!(answer.status >= 400, "{answer:?}");
    shows(&confirms(&bob, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &bob).await);
    // A second press finds nothing to end.
    shows(&confirms(&bob, &page).await, "Signed out");
}

async fn the_session_takes_its_refresh_tokens_along_but_not_the_offline_ones(house: House) {
    let (shop, ada, bound) = signed_in(&house).await;
    let offline = shop.signs_in(&ada, "openid offline_access").await;
    ada.asks(&logout(&house, &[("id_token_hint", bound.id())])).await;
    assert_eq!(shop.refreshes(bound.refresh()).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(house.userinfo(bound.access()).await.status, 401);
    assert_eq!(shop.refreshes(offline.refresh()).await.status, 200);
}

async fn whoever_is_signed_out_already_goes_on_with_a_hint_and_has_a_link_without(house: House) {
    let (_, _, tokens) = signed_in(&house).await;
    let nobody = house.browser("ada");
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(nobody.asks(&logout(&house, &fields)).await.location(), Some(BYE));
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
    let page = nobody.asks(&logout(&house, &fields)).await;
    shows(&page, "Signed out");
    assert!(page.shows(&format!("a#logout-continue[href='{BYE}']")), "{page:?}");
    shows(&nobody.asks(&house.url("/logout")).await, "Signed out");
}

/// A phone's browser opens another app only after a touch.
async fn an_app_on_the_device_is_gone_back_to_by_a_touch(house: House) {
    let back = "com.example.shop:/bye";
    let more = json!({ "application_type": "native", "post_logout_redirect_uris": [back] });
    let shop = house.relying_party_with("shop", &more, Settings::default()).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", back)];
    let page = ada.asks(&logout(&house, &fields)).await;
    shows(&page, "Signed out");
    assert!(page.shows(&format!("a#logout-continue[href='{back}']")), "{page:?}");
    shop.signs_in(&ada, "openid").await;
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", back)];
    let done = confirms(&ada, &ada.opens(&logout(&house, &fields)).await).await;
    assert_eq!(done.location(), Some(back), "after a touch");
}

async fn whoever_stays_goes_to_an_address_the_operator_wrote_down(house: House) {
    let more = json!({ "client_uri": "https://shop.example" });
    let shop = house.relying_party_with("shop", &more, Settings::default()).await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid").await;
    let url = logout(&house, &[("client_id", "shop")]);
    assert!(ada.opens(&url).await.shows("a#logout-stay[href='https://shop.example']"));
    let id = ClientId::parse("shop").expect("an id");
    let registered = |client: &mut Client| client.source = Source::Registered;
    clients::update(house.store(), &id, registered).await.expect("a store");
    assert!(ada.opens(&url).await.shows("a#logout-stay[href='/']"));
}

async fn a_head_changes_nothing(house: House) {
    let (shop, ada, tokens) = signed_in(&house).await;
    let url = logout(&house, &[("id_token_hint", tokens.id())]);
    assert_eq!(ada.heads(&url).await.status, 204);
    assert!(is_signed_in(&shop, &ada).await);
}
