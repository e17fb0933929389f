//! Several tabs, second clicks, and requests that come from another site.

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::interactions::REPEAT_WINDOW;
use serde_json::json;

use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http::HttpResponse;
use crate::support::relying_party::AuthorizationRequest;
use crate::support::test_server::{PASSWORD, TestServer, on_every_store};

on_every_store![
    tabs_that_were_begun_at_once_each_go_on,
    a_browser_keeps_so_many_authorizations_and_no_more,
    a_second_click_gets_the_same_code,
    a_click_after_the_code_was_redeemed_is_answered_anew_where_nobody_has_to_be_asked,
    what_was_answered_is_told_once_more_for_a_minute_and_in_one_browser,
    a_page_of_a_finished_sign_in_is_no_way_to_its_answer,
    whoever_has_no_cookie_of_it_is_shown_the_way_to_the_application_and_nothing_else,
    a_long_request_from_another_site_meets_its_session_and_changes_no_cookie,
    a_login_form_of_the_release_before_still_arrives,
    a_no_is_a_no_whatever_happened_in_another_tab,
    a_yes_counts_for_whom_the_page_named_and_for_nobody_else,
    whoever_goes_back_to_be_somebody_else_is_not_the_first_once_more,
];

async fn tabs_that_were_begun_at_once_each_go_on(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let mut tabs = Vec::new();
    for _ in 0..5 {
        let (request, tab) = (shop.authorization_request("openid"), ada.new_window());
        let login = tab.open(&request.url()).await;
        tabs.push((request, login, tab));
    }
    // The answers come in any order, and the browser has the cookies of all of them.
    for (_, _, tab) in tabs.iter().rev() {
        ada.merge_cookies_of(tab);
    }
    for (request, login, _) in &tabs {
        assert!(login.has_element("#login-submit"));
        let mut answer = ada.sign_in(login).await;
        if answer.has_element("#consent-accept") {
            answer = ada.decide_consent(&answer, "accept").await;
        }
        let code = AuthorizationResponse::from_redirect(&answer).code();
        assert_eq!(shop.redeem(&code, request).await.status, 200);
    }
}

async fn a_browser_keeps_so_many_authorizations_and_no_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let mut last = None;
    for _ in 0..40 {
        last = Some(ada.open(&shop.authorization_request("openid").url()).await);
    }
    let begins = server.cookie_name("interaction-");
    let of_authorizations = |name: &String| name.starts_with(&begins);
    assert_eq!(ada.cookie_names().iter().filter(|it| of_authorizations(it)).count(), 24);
    let answer = ada.sign_in(&last.expect("a page")).await;
    assert!(answer.has_element("#consent-accept"));
}

/// The consent page.
async fn asked(ada: &Browser, request: &AuthorizationRequest) -> HttpResponse {
    let page = ada.open(&request.url()).await;
    let page = if page.has_element("#login-submit") { ada.sign_in(&page).await } else { page };
    assert!(page.has_element("#consent-accept"), "{page:?}");
    page
}

async fn a_second_click_gets_the_same_code(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for mode in ["query", "fragment"] {
        let ada = server.browser("ada");
        let request = shop
            .authorization_request("openid")
            .with("prompt", "login consent")
            .with("response_mode", mode);
        let login = ada.open(&request.url()).await;
        let consent = ada.sign_in(&login).await;
        let first =
            AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await);
        for again in [ada.decide_consent(&consent, "accept").await, ada.sign_in(&login).await] {
            assert_eq!(AuthorizationResponse::from_redirect(&again).code(), first.code(), "{mode}");
            assert_eq!(
                AuthorizationResponse::from_redirect(&again).param("state"),
                first.param("state")
            );
        }
        assert_eq!(shop.redeem(&first.code(), &request).await.status, 200);
    }
}

async fn a_click_after_the_code_was_redeemed_is_answered_anew_where_nobody_has_to_be_asked(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    for (prompt, anew) in [("select_account", false), ("", true), ("consent", false)] {
        let ada = server.browser("ada");
        let request = shop.authorization_request("openid").with("prompt", prompt);
        let login = ada.open(&request.url()).await;
        let mut answer = ada.sign_in(&login).await;
        if answer.has_element("#consent-accept") {
            answer = ada.decide_consent(&answer, "accept").await;
        }
        let first = AuthorizationResponse::from_redirect(&answer).code();
        let tokens = shop.redeem(&first, &request).await.success_json();
        let again = ada.sign_in(&login).await;
        if anew {
            let second = AuthorizationResponse::from_redirect(&again).code();
            assert_ne!(second, first);
            assert_eq!(shop.redeem(&second, &request).await.status, 200);
        } else {
            assert_eq!((again.status, again.location()), (400, None), "{prompt}");
            assert_eq!(again.text_of("h1").as_deref(), Some("Already signed in"));
            assert_eq!(again.text_of("a.button").as_deref(), Some("Back to shop"));
        }
        let token = tokens["access_token"].as_str().expect("a token");
        assert_eq!(server.userinfo(token).await.status, 200, "what was given first stands");
    }
}

async fn what_was_answered_is_told_once_more_for_a_minute_and_in_one_browser(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid");
    let login = ada.open(&request.url()).await;
    let consent = ada.sign_in(&login).await;
    let first = ada.decide_consent(&consent, "accept").await;
    let code = AuthorizationResponse::from_redirect(&first).code();
    let thief = server.browser("bob");
    for answer in [thief.sign_in(&login).await, thief.decide_consent(&consent, "accept").await] {
        assert_eq!((answer.status, answer.location()), (400, None));
        assert!(!answer.body.contains(&code));
    }
    let kept = "; Max-Age=60; ";
    let set = first.header("set-cookie").expect("the cookie is let go");
    assert!(set.contains("-interaction-") && set.contains(kept), "{set}");
    server.advance_time(REPEAT_WINDOW.checked_sub(Duration::from_secs(1)).expect("a minute"));
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await).code(),
        code
    );
    server.advance_time(Duration::from_secs(1));
    let late = ada.decide_consent(&consent, "accept").await;
    assert_eq!((late.status, late.location()), (400, None));
    assert_eq!(late.text_of("h1").as_deref(), Some("Already signed in"));

    let denied = asked(&ada, &shop.authorization_request("openid email")).await;
    for _ in 0..2 {
        assert_eq!(
            AuthorizationResponse::from_redirect(&ada.decide_consent(&denied, "deny").await)
                .error(),
            "access_denied"
        );
    }
    server.advance_time(REPEAT_WINDOW);
    let late = ada.decide_consent(&denied, "accept").await;
    assert_eq!(late.text_of("h1").as_deref(), Some("Nothing left to do"));
}

async fn a_page_of_a_finished_sign_in_is_no_way_to_its_answer(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let id = &hidden.iter().find(|(name, _)| name == "interaction").expect("an id").1;
    let consent = ada.sign_in(&login).await;
    ada.decide_consent(&consent, "accept").await;
    for page in ["login", "consent"] {
        let answer = ada.open(&server.url(&format!("/{page}?interaction={id}"))).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{page}");
        assert_eq!(answer.text_of("h1").as_deref(), Some("Already signed in"));
    }
}

async fn whoever_has_no_cookie_of_it_is_shown_the_way_to_the_application_and_nothing_else(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let start = json!({"initiate_login_uri": "https://cafe.example/start?tenant=1"});
    let cafe = server.relying_party_with("cafe", &start, ClientSettings::default()).await;
    let begins = format!(
        "https://cafe.example/start?tenant=1&iss={}",
        url::form_urlencoded::byte_serialize(server.issuer().as_bytes()).collect::<String>()
    );
    for (client, way_on) in [(&shop, "https://shop.example"), (&cafe, &*begins)] {
        let request = client.authorization_request("openid").with("login_hint", "ada@ada.example");
        let login = server.browser("ada").open(&request.with("state", "only-ours").url()).await;
        let hidden = login.hidden_fields_beside("#login-submit");
        let id = &hidden.iter().find(|(name, _)| name == "interaction").expect("an id").1;
        for path in ["/login", "/consent", "/authorize"] {
            let stranger = server.browser("bob");
            let answer = stranger.open(&server.url(&format!("{path}?interaction={id}"))).await;
            assert_eq!((answer.status, answer.location()), (400, None), "{path}");
            assert_eq!(answer.text_of("h1").as_deref(), Some("Please start again"));
            assert_eq!(answer.attribute("a.button", "href").as_deref(), Some(way_on));
            for told in ["only-ours", "ada@", "code_challenge"] {
                assert!(!answer.body.contains(told), "{told}");
            }
        }
    }
    let unknown = latchkey::infra::secret::Secret::random().reveal();
    let answer =
        server.browser("bob").open(&server.url(&format!("/login?interaction={unknown}"))).await;
    assert_eq!(answer.status, 400);
    assert!(
        !answer.body.contains("another browser") && !answer.has_element("a.button"),
        "{answer:?}"
    );
}

async fn a_long_request_from_another_site_meets_its_session_and_changes_no_cookie(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let pending =
        ada.open(&shop.authorization_request("openid").with("prompt", "consent").url()).await;
    for length in [10, 5_900, 6_500] {
        let request = shop.authorization_request("openid").with("login_hint", &"a".repeat(length));
        let sent = ada.post_cross_site("/authorize", &request.fields()).await;
        assert_eq!((sent.status, sent.header("set-cookie")), (303, None), "{length}");
        let to = sent.location().expect("the way on");
        assert!(to.len() < 8_000, "{length} becomes {}", to.len());
        for _ in 0..2 {
            let code = AuthorizationResponse::from_redirect(&ada.open(to).await).code();
            assert_eq!(shop.redeem(&code, &request).await.status, 200, "{length}");
        }
        if length > 6_000 {
            let stranger = server.browser("bob");
            assert!(stranger.open(to).await.has_element("#login-submit"), "as any link would");
            server.advance_time(Duration::from_secs(60));
            assert_eq!(ada.open(to).await.status, 400);
        }
    }
    assert!(
        !AuthorizationResponse::from_redirect(&ada.decide_consent(&pending, "accept").await)
            .code()
            .is_empty()
    );
    let unknown = AuthorizationRequest::empty(server.issuer())
        .with("client_id", "nobody")
        .with("login_hint", &"a".repeat(6_500));
    let refused = ada.post_cross_site("/authorize", &unknown.fields()).await;
    assert_eq!((refused.status, refused.location()), (400, None), "nothing is kept for nobody");
}

async fn a_login_form_of_the_release_before_still_arrives(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let mut typed: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    typed.extend([("username", "ada"), ("password", PASSWORD)]);
    let sent_on = ada.post("/authorize", &typed).await;
    assert_eq!((sent_on.status, sent_on.location()), (307, Some("/login")));
    assert!(ada.submit("/login", &typed).await.has_element("#consent-accept"));
}

async fn a_no_is_a_no_whatever_happened_in_another_tab(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let (first, second) =
        (shop.authorization_request("openid email"), shop.authorization_request("openid email"));
    let consent = ada.sign_in(&ada.open(&first.url()).await).await;
    let other = ada.open(&second.url()).await;
    assert!(consent.has_element("#consent-accept") && other.has_element("#consent-deny"));
    let code =
        AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await).code();
    let denied = AuthorizationResponse::from_redirect(&ada.decide_consent(&other, "deny").await);
    assert_eq!((&*denied.error(), denied.param("code")), ("access_denied", None));
    // Nor is it a way to the answer once more, nor to a new one.
    assert_eq!(shop.redeem(&code, &first).await.status, 200);
    let late = ada.decide_consent(&consent, "deny").await;
    assert_eq!((late.status, late.location()), (400, None), "{late:?}");
}

async fn a_yes_counts_for_whom_the_page_named_and_for_nobody_else(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let elsewhere = ada.open(&shop.authorization_request("openid").url()).await;
    let of_ada = ada.sign_in(&login).await;
    let of_bob = ada.sign_in_as(&elsewhere, "bob", PASSWORD).await;
    assert!(of_ada.has_element("#consent-accept") && of_bob.has_element("#consent-accept"));
    // It is asked anew, for who is signed in by now.
    let asked = ada.decide_consent(&of_ada, "accept").await;
    assert!(asked.has_element("#consent-accept"), "{asked:?}");
    assert!(
        !AuthorizationResponse::from_redirect(&ada.decide_consent(&asked, "accept").await)
            .code()
            .is_empty()
    );
}

async fn whoever_goes_back_to_be_somebody_else_is_not_the_first_once_more(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let consent = ada.sign_in(&login).await;
    AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await).code();
    let other = ada.sign_in_as(&login, "bob", PASSWORD).await;
    assert_eq!((other.status, other.location()), (400, None), "{other:?}");
}
