//! `OpenID Connect RP-Initiated Logout`, module by module of the conformance suite, and what lies
//! between its modules.

use latchkey::domain::clients::{self, Client, ClientId, ClientSettings, RegistrationSource};
use latchkey::infra::jose::SigningKey;
use serde_json::{Value, json};

use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http::{self, FormFields, HttpResponse};
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{TestServer, on_every_store};

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

pub async fn shop(server: &TestServer) -> RelyingParty {
    let more = json!({ "post_logout_redirect_uris": [BYE, "https://shop.example/other"] });
    server.relying_party_with("shop", &more, ClientSettings::default()).await
}

pub fn logout(server: &TestServer, fields: FormFields<'_>) -> String {
    format!("{}?{}", server.url("/logout"), http::encode(fields))
}

/// Whether the server still knows this browser, asked without a page.
pub async fn is_signed_in(shop: &RelyingParty, browser: &Browser) -> bool {
    let silent = shop.authorization_request("openid").with("prompt", "none");
    let landing = AuthorizationResponse::from_redirect(&browser.get(&silent.url()).await);
    match landing.param("error") {
        None => true,
        Some(error) => {
            assert_eq!(error, "login_required");
            false
        }
    }
}

/// It is our own page, nobody was sent anywhere, and it does not open anything.
fn shows(answer: &HttpResponse, heading: &str) {
    assert_eq!((answer.status, answer.location()), (200, None), "{answer:?}");
    assert_eq!(answer.text_of("h1").as_deref(), Some(heading), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

async fn confirms(browser: &Browser, page: &HttpResponse) -> HttpResponse {
    shows(page, "Sign out");
    let hidden = page.hidden_fields_beside("#logout-confirm");
    let fields: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    browser.submit("/logout/confirm", &fields).await
}

async fn signed_in(server: &TestServer) -> (RelyingParty, Browser, Tokens) {
    let shop = shop(server).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    (shop, ada, tokens)
}

async fn oidcc_rp_initiated_logout(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let url = logout(
        &server,
        &[
            ("id_token_hint", tokens.id()),
            ("post_logout_redirect_uri", BYE),
            ("state", "s t&a=te"),
            ("ui_locales", "de"),
            ("logout_hint", "ada"),
        ],
    );
    let answer = ada.get(&url).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.location(), Some(&*format!("{BYE}&state=s+t%26a%3Dte")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&shop, &ada).await);
    let discovery = server.http().get(server.url("/.well-known/openid-configuration"));
    let metadata: Value = http::send(discovery).await.success_json();
    assert_eq!(metadata["end_session_endpoint"], server.url("/logout"));
}

async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let more = json!({ "post_logout_redirect_uris": ["https://other.example/bye"] });
    server.relying_party_with("other", &more, ClientSettings::default()).await;
    for uri in [
        "https://shop.example/bye",
        "https://other.example/bye",
        "https://evil.example/",
        "javascript:alert(1)",
    ] {
        let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", uri)];
        let page = ada.get(&logout(&server, &fields)).await;
        shows(&page, "Sign out");
        assert!(!page.body.contains(uri), "{page:?}");
        let note = page.text_of(".developer").expect("a note for the developer");
        assert!(note.contains("is not one of those registered"), "{note}");
        assert!(is_signed_in(&shop, &ada).await, "{uri}: nothing ends without being asked");
        shows(&confirms(&ada, &page).await, "Signed out");
        assert!(!is_signed_in(&shop, &ada).await);
        shop.sign_in(&ada, "openid").await;
    }
}

async fn oidcc_rp_initiated_logout_modified_id_token_hint(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let (head, rest) = tokens.id().split_once('.').expect("a JWT");
    let (payload, signature) = rest.split_once('.').expect("a JWT");
    let none = latchkey::infra::secret::base64url(br#"{"alg":"none","typ":"JWT"}"#);
    let other = format!("{head}.{payload}.{}x", &signature[..signature.len() - 1]);
    for hint in [format!("{none}.{payload}."), other, tokens.access().to_owned()] {
        let fields =
            [("id_token_hint", &*hint), ("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
        let page = ada.open(&logout(&server, &fields)).await;
        shows(&page, "Sign out");
        assert!(is_signed_in(&shop, &ada).await, "nothing ends without being asked");
        let done = confirms(&ada, &page).await;
        shows(&done, "Signed out");
        assert!(!is_signed_in(&shop, &ada).await);
        shop.sign_in(&ada, "openid").await;
    }
}

async fn oidcc_rp_initiated_logout_no_id_token_hint(server: TestServer) {
    let (shop, ada, _) = signed_in(&server).await;
    let fields = [("post_logout_redirect_uri", BYE), ("state", "s")];
    let done = confirms(&ada, &ada.open(&logout(&server, &fields)).await).await;
    shows(&done, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_params(server: TestServer) {
    let (shop, ada, _) = signed_in(&server).await;
    let page = ada.open(&server.url("/logout")).await;
    assert!(page.text_of("main").expect("a page").contains("Ada Lovelace"));
    assert!(page.has_element("a#logout-stay"));
    assert!(is_signed_in(&shop, &ada).await, "a GET ends nothing by itself");
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let url = logout(&server, &[("id_token_hint", tokens.id()), ("state", "s")]);
    shows(&ada.open(&url).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_no_state(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.get(&logout(&server, &fields)).await.location(), Some(BYE));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_only_state(server: TestServer) {
    let (shop, ada, _) = signed_in(&server).await;
    let page = ada.open(&logout(&server, &[("state", "s")])).await;
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let added = format!("{BYE}&foo=bar");
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", &*added)];
    let page = ada.open(&logout(&server, &fields)).await;
    assert!(is_signed_in(&shop, &ada).await, "nothing ends without being asked");
    shows(&confirms(&ada, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn oidcc_rp_initiated_logout_bad_id_token_hint(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let own = SigningKey::generate().expect("a key").0;
    let mut claims = tokens.id_claims();
    let ours = own.sign("JWT", &claims).expect("a token");
    claims["iss"] = "shop".into();
    claims["aud"] = server.issuer().into();
    let theirs = own.sign("JWT", &claims).expect("a token");
    for hint in [&*ours, &*theirs, "x", "a.b.c"] {
        let fields = [("id_token_hint", hint), ("post_logout_redirect_uri", BYE)];
        shows(&ada.open(&logout(&server, &fields)).await, "Sign out");
        assert!(is_signed_in(&shop, &ada).await);
    }
}

async fn a_client_id_that_is_not_the_hints_is_an_error_and_nothing_ends(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    server.relying_party("other").await;
    let wrong = [("id_token_hint", tokens.id()), ("client_id", "other")];
    for url in [logout(&server, &wrong), logout(&server, &[("state", "a"), ("state", "b")])] {
        let answer = ada.open(&url).await;
        assert_eq!((answer.status, answer.location()), (400, None));
        assert_eq!(answer.text_of("h1").as_deref(), Some("Request error"));
        assert!(is_signed_in(&shop, &ada).await);
    }
    let right = [("id_token_hint", tokens.id()), ("client_id", "shop")];
    shows(&ada.open(&logout(&server, &right)).await, "Signed out");
}

async fn a_client_id_alone_sends_on_after_the_person_agreed(server: TestServer) {
    let (shop, ada, _) = signed_in(&server).await;
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let page = ada.open(&logout(&server, &fields)).await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(!policy.contains("form-action"), "the application may send people on: {policy}");
    let done = confirms(&ada, &page).await;
    assert_eq!((done.status, done.location()), (303, Some(&*format!("{BYE}&state=s"))));
    assert!(!is_signed_in(&shop, &ada).await);
}

async fn a_hint_of_another_session_is_asked_about(server: TestServer) {
    let (shop, ada, of_ada) = signed_in(&server).await;
    let bob = server.browser("bob");
    shop.sign_in(&bob, "openid").await;
    let elsewhere = server.browser("ada");
    shop.sign_in(&elsewhere, "openid").await;
    let fields = [("id_token_hint", of_ada.id()), ("post_logout_redirect_uri", BYE)];
    for browser in [&bob, &elsewhere] {
        let page = browser.open(&logout(&server, &fields)).await;
        shows(&page, "Sign out");
        assert!(is_signed_in(&shop, browser).await);
        assert_eq!(confirms(browser, &page).await.location(), Some(BYE));
        assert!(!is_signed_in(&shop, browser).await);
    }
    assert!(is_signed_in(&shop, &ada).await, "the session of the hint is another browser's");
}

async fn an_expired_hint_is_as_good_as_a_fresh_one(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    server.advance_time(server.app().config.lifetimes.id_token * 2);
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.get(&logout(&server, &fields)).await.location(), Some(BYE));
    assert!(!is_signed_in(&shop, &ada).await);
}

/// Lax cookies stay behind in a POST from another site; our own GET has them again.
async fn a_logout_from_another_site_comes_by_form(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let fields =
        [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let without_cookies = server.browser("ada");
    let answer = without_cookies.post("/logout", &fields).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("set-cookie").is_none(), "the session's cookie is left alone");
    let to = answer.location().expect("a way on").to_owned();
    assert!(to.starts_with(&server.url("/logout?")), "{to}");
    let done = ada.get(&to).await;
    assert_eq!(done.location(), Some(&*format!("{BYE}&state=s")));
    assert!(!is_signed_in(&shop, &ada).await);

    // What does not fit into an address waits for it; what means nothing here stays out of it.
    let tokens = shop.sign_in(&ada, "openid").await;
    let state = "s".repeat(7_000);
    let fields = [
        ("id_token_hint", tokens.id()),
        ("post_logout_redirect_uri", BYE),
        ("junk", "of no use here"),
        ("state", &state),
    ];
    let answer = without_cookies.post("/logout", &fields).await;
    let to = answer.location().expect("a way on").to_owned();
    assert!(to.starts_with(&server.url("/logout?kept=")) && to.len() < 200, "{to}");
    assert_eq!(ada.get(&to).await.location(), Some(&*format!("{BYE}&state={state}")));
    assert!(!is_signed_in(&shop, &ada).await);
    let answer = without_cookies.post("/logout", &fields[..3]).await;
    assert!(!answer.location().expect("a way on").contains("junk"));

    // Longer than any address: nobody is sent on with less than was sent.
    let tokens = shop.sign_in(&ada, "openid").await;
    let state = "s".repeat(8_193);
    let fields = [("id_token_hint", tokens.id()), fields[1], ("state", &*state)];
    let page = ada.post("/logout", &fields).await;
    assert!(page.text_of(".developer").unwrap_or_default().contains("8 KiB"), "{page:?}");

    // With its cookies at hand, a POST is answered as it is.
    let tokens = shop.sign_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.post("/logout", &fields).await.location(), Some(BYE));
}

/// From another site the browser leaves the session's cookie out, and would still obey a `Set-Cookie`.
async fn a_request_that_shows_no_session_takes_no_cookie_away(server: TestServer) {
    let form = [("csrf", "x")];
    let foreign = http::form(server.http(), &server.url("/logout/confirm"), &form)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site");
    let answer = http::send(foreign).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{answer:?}");
    let asked = server.http().get(server.url("/logout")).header("sec-fetch-site", "cross-site");
    let answer = http::send(asked).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{answer:?}");
}

async fn the_confirmation_belongs_to_the_session_it_was_shown_in(server: TestServer) {
    let (shop, ada, _) = signed_in(&server).await;
    let bob = server.browser("bob");
    shop.sign_in(&bob, "openid").await;
    let page = bob.open(&server.url("/logout")).await;
    let of_bob = page.hidden_fields_beside("#logout-confirm");
    for token in [&*of_bob[0].1, "", "x"] {
        let answer = ada.post("/logout/confirm", &[("csrf", token)]).await;
        assert_eq!((answer.status, answer.location()), (403, None));
        assert!(is_signed_in(&shop, &ada).await);
    }
    let answer = ada.post("/logout/confirm", &[]).await;
    assert!(answer.status >= 400, "{answer:?}");
    shows(&confirms(&bob, &page).await, "Signed out");
    assert!(!is_signed_in(&shop, &bob).await);
    // A second press finds nothing to end.
    shows(&confirms(&bob, &page).await, "Signed out");
}

async fn the_session_takes_its_refresh_tokens_along_but_not_the_offline_ones(server: TestServer) {
    let (shop, ada, bound) = signed_in(&server).await;
    let offline = shop.sign_in(&ada, "openid offline_access").await;
    ada.get(&logout(&server, &[("id_token_hint", bound.id())])).await;
    assert_eq!(shop.refresh(bound.refresh()).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(server.userinfo(bound.access()).await.status, 401);
    assert_eq!(shop.refresh(offline.refresh()).await.status, 200);
}

async fn whoever_is_signed_out_already_goes_on_with_a_hint_and_has_a_link_without(
    server: TestServer,
) {
    let (_, _, tokens) = signed_in(&server).await;
    let nobody = server.browser("ada");
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(nobody.get(&logout(&server, &fields)).await.location(), Some(BYE));
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
    let page = nobody.get(&logout(&server, &fields)).await;
    shows(&page, "Signed out");
    assert!(page.has_element(&format!("a#logout-continue[href='{BYE}']")), "{page:?}");
    shows(&nobody.get(&server.url("/logout")).await, "Signed out");
}

/// A phone's browser opens another app only after a touch.
async fn an_app_on_the_device_is_gone_back_to_by_a_touch(server: TestServer) {
    let back = "com.example.shop:/bye";
    let more = json!({ "application_type": "native", "post_logout_redirect_uris": [back] });
    let shop = server.relying_party_with("shop", &more, ClientSettings::default()).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", back)];
    let page = ada.get(&logout(&server, &fields)).await;
    shows(&page, "Signed out");
    assert!(page.has_element(&format!("a#logout-continue[href='{back}']")), "{page:?}");
    shop.sign_in(&ada, "openid").await;
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", back)];
    let done = confirms(&ada, &ada.open(&logout(&server, &fields)).await).await;
    assert_eq!(done.location(), Some(back), "after a touch");
}

async fn whoever_stays_goes_to_an_address_the_operator_wrote_down(server: TestServer) {
    let more = json!({ "client_uri": "https://shop.example" });
    let shop = server.relying_party_with("shop", &more, ClientSettings::default()).await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let url = logout(&server, &[("client_id", "shop")]);
    assert!(ada.open(&url).await.has_element("a#logout-stay[href='https://shop.example']"));
    let id = ClientId::parse("shop").expect("an id");
    let registered = |client: &mut Client| client.source = RegistrationSource::Registered;
    clients::update(server.store(), &id, registered).await.expect("a store");
    assert!(ada.open(&url).await.has_element("a#logout-stay[href='/']"));
}

async fn a_head_changes_nothing(server: TestServer) {
    let (shop, ada, tokens) = signed_in(&server).await;
    let url = logout(&server, &[("id_token_hint", tokens.id())]);
    assert_eq!(ada.head(&url).await.status, 204);
    assert!(is_signed_in(&shop, &ada).await);
}
