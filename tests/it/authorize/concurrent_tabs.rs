//! Several tabs, second clicks, and requests that come from another site.

use std::time::Duration;

use latchkey::domain::clients::Settings;
use latchkey::domain::interactions::REPEAT_WINDOW;
use serde_json::json;

use crate::support::browser::{Browser, Landing};
use crate::support::http::Answer;
use crate::support::relying_party::Request;
use crate::support::test_server::{House, PASSWORD, on_every_store};

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

async fn tabs_that_were_begun_at_once_each_go_on(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let mut tabs = Vec::new();
    for _ in 0..5 {
        let (request, tab) = (shop.asks("openid"), ada.window());
        let login = tab.opens(&request.url()).await;
        tabs.push((request, login, tab));
    }
    // The answers come in any order, and the browser has the cookies of all of them.
    for (_, _, tab) in tabs.iter().rev() {
        ada.keeps_cookies_of(tab);
    }
    for (request, login, _) in &tabs {
        assert!(login.shows("#login-submit"));
        let mut answer = ada.signs_in(login).await;
        if answer.shows("#consent-accept") {
            answer = ada.decides(&answer, "accept").await;
        }
        let code = Landing::of(&answer).code();
        assert_eq!(shop.exchanges(&code, request).await.status, 200);
    }
}

async fn a_browser_keeps_so_many_authorizations_and_no_more(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let mut last = None;
    for _ in 0..40 {
        last = Some(ada.opens(&shop.asks("openid").url()).await);
    }
    let begins = house.cookie_name("interaction-");
    let of_authorizations = |name: &String| name.starts_with(&begins);
    assert_eq!(ada.cookies().iter().filter(|it| of_authorizations(it)).count(), 24);
    let answer = ada.signs_in(&last.expect("a page")).await;
    assert!(answer.shows("#consent-accept"));
}

/// The consent page.
async fn asked(ada: &Browser, request: &Request) -> Answer {
    let page = ada.opens(&request.url()).await;
    let page = if page.shows("#login-submit") { ada.signs_in(&page).await } else { page };
    assert!(page.shows("#consent-accept"), "{page:?}");
    page
}

async fn a_second_click_gets_the_same_code(house: House) {
    let shop = house.relying_party("shop").await;
    for mode in ["query", "fragment"] {
        let ada = house.browser("ada");
        let request =
            shop.asks("openid").with("prompt", "login consent").with("response_mode", mode);
        let login = ada.opens(&request.url()).await;
        let consent = ada.signs_in(&login).await;
        let first = Landing::of(&ada.decides(&consent, "accept").await);
        for again in [ada.decides(&consent, "accept").await, ada.signs_in(&login).await] {
            assert_eq!(Landing::of(&again).code(), first.code(), "{mode}");
            assert_eq!(Landing::of(&again).param("state"), first.param("state"));
        }
        assert_eq!(shop.exchanges(&first.code(), &request).await.status, 200);
    }
}

async fn a_click_after_the_code_was_redeemed_is_answered_anew_where_nobody_has_to_be_asked(
    house: House,
) {
    let shop = house.relying_party("shop").await;
    for (prompt, anew) in [("select_account", false), ("", true), ("consent", false)] {
        let ada = house.browser("ada");
        let request = shop.asks("openid").with("prompt", prompt);
        let login = ada.opens(&request.url()).await;
        let mut answer = ada.signs_in(&login).await;
        if answer.shows("#consent-accept") {
            answer = ada.decides(&answer, "accept").await;
        }
        let first = Landing::of(&answer).code();
        let tokens = shop.exchanges(&first, &request).await.good();
        let again = ada.signs_in(&login).await;
        if anew {
            let second = Landing::of(&again).code();
            assert_ne!(second, first);
            assert_eq!(shop.exchanges(&second, &request).await.status, 200);
        } else {
            assert_eq!((again.status, again.location()), (400, None), "{prompt}");
            assert_eq!(again.words("h1").as_deref(), Some("Already signed in"));
            assert_eq!(again.words("a.button").as_deref(), Some("Back to shop"));
        }
        let token = tokens["access_token"].as_str().expect("a token");
        assert_eq!(house.userinfo(token).await.status, 200, "what was given first stands");
    }
}

async fn what_was_answered_is_told_once_more_for_a_minute_and_in_one_browser(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let request = shop.asks("openid");
    let login = ada.opens(&request.url()).await;
    let consent = ada.signs_in(&login).await;
    let first = ada.decides(&consent, "accept").await;
    let code = Landing::of(&first).code();
    let thief = house.browser("bob");
    for answer in [thief.signs_in(&login).await, thief.decides(&consent, "accept").await] {
        assert_eq!((answer.status, answer.location()), (400, None));
        assert!(!answer.body.contains(&code));
    }
    let kept = "; Max-Age=60; ";
    let set = first.header("set-cookie").expect("the cookie is let go");
    assert!(set.contains("-interaction-") && set.contains(kept), "{set}");
    house.later(REPEAT_WINDOW.checked_sub(Duration::from_secs(1)).expect("a minute"));
    assert_eq!(Landing::of(&ada.decides(&consent, "accept").await).code(), code);
    house.later(Duration::from_secs(1));
    let late = ada.decides(&consent, "accept").await;
    assert_eq!((late.status, late.location()), (400, None));
    assert_eq!(late.words("h1").as_deref(), Some("Already signed in"));

    let denied = asked(&ada, &shop.asks("openid email")).await;
    for _ in 0..2 {
        assert_eq!(Landing::of(&ada.decides(&denied, "deny").await).error(), "access_denied");
    }
    house.later(REPEAT_WINDOW);
    let late = ada.decides(&denied, "accept").await;
    assert_eq!(late.words("h1").as_deref(), Some("Nothing left to do"));
}

async fn a_page_of_a_finished_sign_in_is_no_way_to_its_answer(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let id = &hidden.iter().find(|(name, _)| name == "interaction").expect("an id").1;
    let consent = ada.signs_in(&login).await;
    ada.decides(&consent, "accept").await;
    for page in ["login", "consent"] {
        let answer = ada.opens(&house.url(&format!("/{page}?interaction={id}"))).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{page}");
        assert_eq!(answer.words("h1").as_deref(), Some("Already signed in"));
    }
}

async fn whoever_has_no_cookie_of_it_is_shown_the_way_to_the_application_and_nothing_else(
    house: House,
) {
    let shop = house.relying_party("shop").await;
    let start = json!({"initiate_login_uri": "https://cafe.example/start?tenant=1"});
    let cafe = house.relying_party_with("cafe", &start, Settings::default()).await;
    let begins = format!(
        "https://cafe.example/start?tenant=1&iss={}",
        url::form_urlencoded::byte_serialize(house.issuer().as_bytes()).collect::<String>()
    );
    for (client, way_on) in [(&shop, "https://shop.example"), (&cafe, &*begins)] {
        let request = client.asks("openid").with("login_hint", "ada@ada.example");
        let login = house.browser("ada").opens(&request.with("state", "only-ours").url()).await;
        let hidden = login.hidden_fields_beside("#login-submit");
        let id = &hidden.iter().find(|(name, _)| name == "interaction").expect("an id").1;
        for path in ["/login", "/consent", "/authorize"] {
            let stranger = house.browser("bob");
            let answer = stranger.opens(&house.url(&format!("{path}?interaction={id}"))).await;
            assert_eq!((answer.status, answer.location()), (400, None), "{path}");
            assert_eq!(answer.words("h1").as_deref(), Some("Please start again"));
            assert_eq!(answer.attribute("a.button", "href").as_deref(), Some(way_on));
            for told in ["only-ours", "ada@", "code_challenge"] {
                assert!(!answer.body.contains(told), "{told}");
            }
        }
    }
    let unknown = latchkey::infra::secret::Secret::random().reveal();
    let answer =
        house.browser("bob").opens(&house.url(&format!("/login?interaction={unknown}"))).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("another browser") && !answer.shows("a.button"), "{answer:?}");
}

async fn a_long_request_from_another_site_meets_its_session_and_changes_no_cookie(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid").await;
    let pending = ada.opens(&shop.asks("openid").with("prompt", "consent").url()).await;
    for length in [10, 5_900, 6_500] {
        let request = shop.asks("openid").with("login_hint", &"a".repeat(length));
        let sent = ada.is_sent_by_another_site("/authorize", &request.fields()).await;
        assert_eq!((sent.status, sent.header("set-cookie")), (303, None), "{length}");
        let to = sent.location().expect("the way on");
        assert!(to.len() < 8_000, "{length} becomes {}", to.len());
        for _ in 0..2 {
            let code = Landing::of(&ada.opens(to).await).code();
            assert_eq!(shop.exchanges(&code, &request).await.status, 200, "{length}");
        }
        if length > 6_000 {
            let stranger = house.browser("bob");
            assert!(stranger.opens(to).await.shows("#login-submit"), "as any link would");
            house.later(Duration::from_secs(60));
            assert_eq!(ada.opens(to).await.status, 400);
        }
    }
    assert!(!Landing::of(&ada.decides(&pending, "accept").await).code().is_empty());
    let unknown = Request::blank(house.issuer())
        .with("client_id", "nobody")
        .with("login_hint", &"a".repeat(6_500));
    let refused = ada.is_sent_by_another_site("/authorize", &unknown.fields()).await;
    assert_eq!((refused.status, refused.location()), (400, None), "nothing is kept for nobody");
}

async fn a_login_form_of_the_release_before_still_arrives(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let mut typed: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    typed.extend([("username", "ada"), ("password", PASSWORD)]);
    let sent_on = ada.presses("/authorize", &typed).await;
    assert_eq!((sent_on.status, sent_on.location()), (307, Some("/login")));
    assert!(ada.submits("/login", &typed).await.shows("#consent-accept"));
}

async fn a_no_is_a_no_whatever_happened_in_another_tab(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let (first, second) = (shop.asks("openid email"), shop.asks("openid email"));
    let consent = ada.signs_in(&ada.opens(&first.url()).await).await;
    let other = ada.opens(&second.url()).await;
    assert!(consent.shows("#consent-accept") && other.shows("#consent-deny"));
    let code = Landing::of(&ada.decides(&consent, "accept").await).code();
    let denied = Landing::of(&ada.decides(&other, "deny").await);
    assert_eq!((&*denied.error(), denied.param("code")), ("access_denied", None));
    // Nor is it a way to the answer once more, nor to a new one.
    assert_eq!(shop.exchanges(&code, &first).await.status, 200);
    let late = ada.decides(&consent, "deny").await;
    assert_eq!((late.status, late.location()), (400, None), "{late:?}");
}

async fn a_yes_counts_for_whom_the_page_named_and_for_nobody_else(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let elsewhere = ada.opens(&shop.asks("openid").url()).await;
    let of_ada = ada.signs_in(&login).await;
    let of_bob = ada.tries(&elsewhere, "bob", PASSWORD).await;
    assert!(of_ada.shows("#consent-accept") && of_bob.shows("#consent-accept"));
    // It is asked anew, for who is signed in by now.
    let asked = ada.decides(&of_ada, "accept").await;
    assert!(asked.shows("#consent-accept"), "{asked:?}");
    assert!(!Landing::of(&ada.decides(&asked, "accept").await).code().is_empty());
}

async fn whoever_goes_back_to_be_somebody_else_is_not_the_first_once_more(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let consent = ada.signs_in(&login).await;
    Landing::of(&ada.decides(&consent, "accept").await).code();
    let other = ada.tries(&login, "bob", PASSWORD).await;
    assert_eq!((other.status, other.location()), (400, None), "{other:?}");
}
