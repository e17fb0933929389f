//! Applications on the person's own device (RFC 8252): schemes of their own, and loopback ports.

use latchkey::domain::clients::ClientSettings;
use serde_json::json;

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_private_scheme_is_followed_after_a_press_and_offered_as_a_link_without_one,
    a_loopback_redirect_may_name_any_port_and_nothing_else,
    a_public_native_app_asks_for_consent_each_time,
    a_web_application_at_its_registered_loopback_address_is_renewed_silently_and_a_native_one_told_why_not,
];

async fn phone(server: &TestServer, redirect_uri: &str, settings: ClientSettings) -> RelyingParty {
    let native = json!({
        "application_type": "native", "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let mut app = server.relying_party_with("phone", &native, settings).await;
    redirect_uri.clone_into(&mut app.redirect_uri);
    app
}

/// A public client shows its id and nothing else.
async fn exchanges(app: &RelyingParty, code: &str, redirect_uri: &str, verifier: &str) -> u16 {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &*app.id),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    http::send(app.form("/token", &fields)).await.status
}

async fn a_private_scheme_is_followed_after_a_press_and_offered_as_a_link_without_one(
    server: TestServer,
) {
    let own = ClientSettings { first_party: true, ..ClientSettings::default() };
    let app = phone(&server, "com.example.app:/cb", own).await;
    let ada = server.browser("ada");
    let request = app.authorization_request("openid");
    let login = ada.open(&request.url()).await;
    let policy = login.header("content-security-policy").expect("a policy");
    assert!(!policy.contains("form-action"), "{policy}");
    let pressed = ada.sign_in(&login).await;
    assert!(pressed.location().is_some_and(|to| to.starts_with("com.example.app:/cb?code=")));

    // Signed in already: nobody presses anything, and no browser would follow.
    let request = app.authorization_request("openid");
    let page = ada.get(&request.url()).await;
    assert_eq!((page.status, page.location()), (200, None));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("script-src 'none'") && !page.has_element("script"), "{policy}");
    let href = page.attribute("a#continue", "href").expect("a link");
    let landing = AuthorizationResponse(href.parse().expect("a URL"));
    assert!(href.starts_with("com.example.app:/cb?code="), "{href}");
    assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    assert_eq!(landing.param("iss").as_deref(), Some(server.issuer()));
    let done = exchanges(&app, &landing.code(), "com.example.app:/cb", &request.verifier).await;
    assert_eq!(done, 200);

    // An error has to get there too.
    let silent = app.authorization_request("openid").with("prompt", "none");
    let page = server.browser("ada").get(&silent.url()).await;
    assert_eq!((page.status, page.location()), (200, None));
    let href = page.attribute("a#continue", "href").expect("a link");
    assert_eq!(AuthorizationResponse(href.parse().expect("a URL")).error(), "login_required");
}

async fn a_loopback_redirect_may_name_any_port_and_nothing_else(server: TestServer) {
    let app = phone(&server, "http://127.0.0.1/cb", ClientSettings::default()).await;
    let ada = server.browser("ada");
    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb"] {
        let request = app.authorization_request("openid").with("redirect_uri", uri);
        let landing = ada.authorize(&request.url()).await;
        assert!(landing.0.as_str().starts_with(&format!("{uri}?code=")), "{}", landing.0);
        // The code goes with the port it was sent to.
        let code = landing.code();
        let other = exchanges(&app, &code, "http://127.0.0.1:2/cb", &request.verifier).await;
        assert_eq!(other, 400);
        assert_eq!(exchanges(&app, &code, uri, &request.verifier).await, 200);
    }
    for uri in [
        "http://localhost:51004/cb",
        "http://[::1]:51004/cb",
        "https://127.0.0.1:51004/cb",
        "http://127.0.0.1:51004/cb/",
        "http://127.0.0.1:51004/other",
        "http://127.0.0.1:51004/cb?x=y",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1.evil.example:51004/cb",
        "http://127.0.0.1:51004@evil.example/cb",
    ] {
        let page =
            ada.get(&app.authorization_request("openid").with("redirect_uri", uri).url()).await;
        assert_eq!((page.status, page.location()), (400, None), "{uri}");
    }
}

async fn a_public_native_app_asks_for_consent_each_time(server: TestServer) {
    let app = phone(&server, "com.example.app:/cb", ClientSettings::default()).await;
    let ada = server.browser("ada");
    ada.authorize(&app.authorization_request("openid").url()).await;
    // Any other app may claim the same scheme (§8.6).
    let again = ada.open(&app.authorization_request("openid").url()).await;
    assert!(again.has_element("#consent-accept") && again.has_element(".caution"));
}

/// What every developer of a single-page application meets on the first day.
async fn a_web_application_at_its_registered_loopback_address_is_renewed_silently_and_a_native_one_told_why_not(
    server: TestServer,
) {
    let home = "http://localhost:5173/callback";
    let public = json!({
        "redirect_uris": [home], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let mut spa = server.relying_party_with("spa", &public, ClientSettings::default()).await;
    home.clone_into(&mut spa.redirect_uri);
    let native = phone(&server, "http://127.0.0.1/cb", ClientSettings::default()).await;
    let ada = server.browser("ada");
    for (app, why) in [(&spa, None), (&native, Some("asked each time"))] {
        ada.authorize(&app.authorization_request("openid").url()).await;
        let silent = AuthorizationResponse::from_redirect(
            &ada.authorize_silently(&app.authorization_request("openid")).await,
        );
        assert_eq!(silent.param("error").as_deref(), why.map(|_| "consent_required"));
        let said = silent.param("error_description");
        assert_eq!(said.map(|said| said.contains(why.unwrap_or_default())), why.map(|_| true));
    }
    // The page said so.
    let page = ada.open(&native.authorization_request("openid").url()).await;
    assert!(page.text_of("#lasts").expect("a time").ends_with("You will be asked each time."));
}
