//! What the pages say of the client, the user and the redirect URI.

use latchkey::domain::users::{self, User};
use serde_json::{Value, json};

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::test_server::{PASSWORD, TestServer, on_every_store};

on_every_store![
    who_is_not_meant_signs_in_as_somebody_else_and_is_asked_anew,
    two_people_of_one_name_are_told_apart,
    the_answer_goes_where_the_pages_say_and_not_where_the_client_says_it_lives,
    a_logo_is_shown_of_who_registered_itself_only_from_where_the_answer_goes,
    a_refused_request_leads_back_to_an_application_that_the_operator_knows,
    scopes_are_listed_in_the_order_in_which_they_were_declared,
];

async fn who_is_not_meant_signs_in_as_somebody_else_and_is_asked_anew(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let browser = server.browser("ada");
    let request = shop.authorization_request("openid");
    let consent = browser.sign_in(&browser.open(&request.url()).await).await;
    let other = consent.attribute("#consent-other", "href").expect("a way to be somebody else");
    let login = browser.open(&server.url(&other)).await;
    assert_eq!(login.text_of("#login-continue").as_deref(), Some("Continue as Ada Lovelace (ada)"));
    let back = browser.continue_as_current_user(&login).await;
    assert!(back.text_of(".person").expect("a person").contains("Ada Lovelace (ada)"));
    let consent = browser.sign_in_as(&login, "bob", PASSWORD).await;
    assert!(consent.text_of(".person").expect("a person").contains("(bob)"), "{consent:?}");
    let code =
        AuthorizationResponse::from_redirect(&browser.decide_consent(&consent, "accept").await)
            .code();
    let tokens = shop.redeem(&code, &request).await;
    assert_eq!(tokens.success_json()["scope"], "openid");
    // A client that asks for this very person could not be given another.
    let ada = server.browser("ada");
    let hint = shop.sign_in(&ada, "openid").await.id().to_owned();
    let asked = shop.authorization_request("openid email").with("id_token_hint", &hint);
    let consent = ada.open(&asked.url()).await;
    assert!(consent.has_element("#consent-accept") && !consent.has_element("#consent-other"));
}

async fn two_people_of_one_name_are_told_apart(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for name in ["ada", "bob"] {
        let sub = server.user(name).await.sub;
        let named = |user: &mut User| drop(user.claims.insert("name".into(), "Sam Smith".into()));
        users::update(server.store(), &sub, named).await.expect("a store");
        let browser = server.browser(name);
        let consent =
            browser.sign_in(&browser.open(&shop.authorization_request("openid").url()).await).await;
        let said = consent.text_of(".person").expect("a person");
        assert!(said.starts_with(&format!("Signed in as Sam Smith ({name})")), "{said}");
        let choice = shop.authorization_request("openid").with("prompt", "select_account");
        let choice = browser.open(&choice.url()).await;
        let said = choice.text_of("#login-continue").expect("a choice");
        assert_eq!(said, format!("Continue as Sam Smith ({name})"));
    }
}

/// A client that registered itself, with these members beside its redirect URI.
async fn self_registered(server: &TestServer, more: Value) -> Value {
    let mut asked =
        json!({"redirect_uris": ["https://new.example/cb"], "client_name": "Your Bank"});
    asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let request = server.http().post(server.url("/register"));
    let request = request.header("content-type", "application/json").body(asked.to_string());
    http::send(request).await.success_json()
}

fn asks_for(server: &TestServer, client: &Value, redirect_uri: &str) -> String {
    let query = http::encode(&[
        ("response_type", "code"),
        ("client_id", client["client_id"].as_str().expect("an id")),
        ("redirect_uri", redirect_uri),
        ("scope", "openid"),
        ("code_challenge", &"A".repeat(43)),
        ("code_challenge_method", "S256"),
    ]);
    server.url(&format!("/authorize?{query}"))
}

async fn the_answer_goes_where_the_pages_say_and_not_where_the_client_says_it_lives(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let new = self_registered(&server, json!({"client_uri": "https://bank.example"})).await;
    let new = asks_for(&server, &new, "https://new.example/cb");
    for (url, to, vouched) in [
        (shop.authorization_request("openid").url(), "shop.example", true),
        (new, "new.example", false),
    ] {
        let ada = server.browser("ada");
        let login = ada.open(&url).await;
        let consent = ada.sign_in(&login).await;
        assert!(consent.has_element("#consent-accept"));
        for page in [&login, &consent] {
            let said = page.text_of(".client .quiet").expect("a place");
            assert_eq!(said, format!("You return to {to}"));
            assert!(!page.body.contains("bank.example"), "{page:?}");
            assert_eq!(page.body.contains("Nobody here has vouched for this app."), !vouched);
        }
        assert_eq!(consent.has_element(".caution"), !vouched);
    }
}

async fn a_logo_is_shown_of_who_registered_itself_only_from_where_the_answer_goes(
    server: TestServer,
) {
    let shows = async |server: &TestServer, logo: &str| {
        let client = self_registered(server, json!({"logo_uri": logo})).await;
        let login =
            server.browser("ada").open(&asks_for(server, &client, "https://new.example/cb")).await;
        let policy = login.header("content-security-policy").expect("a policy");
        assert_eq!(
            policy.contains(logo.trim_end_matches("/logo.png")),
            login.has_element(".badge img")
        );
        login.has_element(".badge img")
    };
    let (home, elsewhere) = ("https://new.example/logo.png", "https://bank.example/logo.png");
    assert!(!shows(&server, home).await, "not unless the operator wants it");
    let server = server.restart(&[("REGISTRATION_LOGOS", "true")]).await;
    assert!(shows(&server, home).await);
    assert!(!shows(&server, elsewhere).await);
}

async fn a_refused_request_leads_back_to_an_application_that_the_operator_knows(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let elsewhere =
        shop.authorization_request("openid").with("redirect_uri", "https://elsewhere.example/");
    let page = ada.get(&elsewhere.url()).await;
    assert_eq!((page.status, page.location()), (400, None));
    assert_eq!(page.text_of("a.button").as_deref(), Some("Back to shop"));
    assert_eq!(page.attribute("a.button", "href").as_deref(), Some("https://shop.example"));
    let new = self_registered(&server, json!({"client_uri": "https://bank.example"})).await;
    let page = ada.get(&asks_for(&server, &new, "https://elsewhere.example/")).await;
    assert_eq!(
        (page.status, page.has_element("a.button")),
        (400, false),
        "nobody vouches for its address"
    );
}

async fn scopes_are_listed_in_the_order_in_which_they_were_declared(server: TestServer) {
    let words: Vec<String> = {
        let shop = server.relying_party("shop").await;
        let ada = server.browser("ada");
        let asked = shop.authorization_request("phone offline_access address email profile openid");
        let consent = ada.sign_in(&ada.open(&asked.url()).await).await;
        (1..=6).filter_map(|n| consent.text_of(&format!("ul.scopes > li:nth-child({n})"))).collect()
    };
    let begins = [
        "Know that it is you",
        "See your profile",
        "See your email address",
        "See your postal address",
        "See your phone number",
        "Keep all this while you are away",
    ];
    assert_eq!(words.len(), begins.len());
    for (said, begin) in words.iter().zip(begins) {
        assert!(said.starts_with(begin), "{said}");
    }
}
