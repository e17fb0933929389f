//! Who asks, who is asked, and where the answer goes: what the pages say of them.

use latchkey::domain::users::{self, User};
use serde_json::{Value, json};

use crate::support::browser::Landing;
use crate::support::http;
use crate::support::test_server::{House, PASSWORD, on_every_store};

on_every_store![
    who_is_not_meant_signs_in_as_somebody_else_and_is_asked_anew,
    two_people_of_one_name_are_told_apart,
    the_answer_goes_where_the_pages_say_and_not_where_the_client_says_it_lives,
    a_logo_is_shown_of_who_registered_itself_only_from_where_the_answer_goes,
    a_refused_request_leads_back_to_an_application_that_the_operator_knows,
    scopes_are_listed_in_the_order_in_which_they_were_declared,
];

async fn who_is_not_meant_signs_in_as_somebody_else_and_is_asked_anew(house: House) {
    let shop = house.relying_party("shop").await;
    let browser = house.browser("ada");
    let request = shop.asks("openid");
    let consent = browser.signs_in(&browser.opens(&request.url()).await).await;
    let other = consent.attribute("#consent-other", "href").expect("a way to be somebody else");
    let login = browser.opens(&house.url(&other)).await;
    assert_eq!(login.words("#login-continue").as_deref(), Some("Continue as Ada Lovelace (ada)"));
    let back = browser.continues(&login).await;
    assert!(back.words(".person").expect("a person").contains("Ada Lovelace (ada)"));
    let consent = browser.tries(&login, "bob", PASSWORD).await;
    assert!(consent.words(".person").expect("a person").contains("(bob)"), "{consent:?}");
    let code = Landing::of(&browser.decides(&consent, "accept").await).code();
    let tokens = shop.exchanges(&code, &request).await;
    assert_eq!(tokens.good()["scope"], "openid");
    // A client that asks for this very person could not be given another.
    let ada = house.browser("ada");
    let hint = shop.signs_in(&ada, "openid").await.id().to_owned();
    let asked = shop.asks("openid email").with("id_token_hint", &hint);
    let consent = ada.opens(&asked.url()).await;
    assert!(consent.shows("#consent-accept") && !consent.shows("#consent-other"));
}

async fn two_people_of_one_name_are_told_apart(house: House) {
    let shop = house.relying_party("shop").await;
    for name in ["ada", "bob"] {
        let sub = house.user(name).await.sub;
        let named = |user: &mut User| drop(user.claims.insert("name".into(), "Sam Smith".into()));
        users::update(house.store(), &sub, named).await.expect("a store");
        let browser = house.browser(name);
        let consent = browser.signs_in(&browser.opens(&shop.asks("openid").url()).await).await;
        let said = consent.words(".person").expect("a person");
        assert!(said.starts_with(&format!("Signed in as Sam Smith ({name})")), "{said}");
        let choice = shop.asks("openid").with("prompt", "select_account");
        let choice = browser.opens(&choice.url()).await;
        let said = choice.words("#login-continue").expect("a choice");
        assert_eq!(said, format!("Continue as Sam Smith ({name})"));
    }
}

/// A client that registered itself, with these members beside its redirect URI.
async fn self_registered(house: &House, more: Value) -> Value {
    let mut asked =
        json!({"redirect_uris": ["https://new.example/cb"], "client_name": "Your Bank"});
    asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let request = house.http().post(house.url("/register"));
    let request = request.header("content-type", "application/json").body(asked.to_string());
    http::send(request).await.good()
}

fn asks_for(house: &House, client: &Value, redirect_uri: &str) -> String {
    let query = http::encode(&[
        ("response_type", "code"),
        ("client_id", client["client_id"].as_str().expect("an id")),
        ("redirect_uri", redirect_uri),
        ("scope", "openid"),
        ("code_challenge", &"A".repeat(43)),
        ("code_challenge_method", "S256"),
    ]);
    house.url(&format!("/authorize?{query}"))
}

async fn the_answer_goes_where_the_pages_say_and_not_where_the_client_says_it_lives(house: House) {
    let shop = house.relying_party("shop").await;
    let new = self_registered(&house, json!({"client_uri": "https://bank.example"})).await;
    let new = asks_for(&house, &new, "https://new.example/cb");
    for (url, to, vouched) in
        [(shop.asks("openid").url(), "shop.example", true), (new, "new.example", false)]
    {
        let ada = house.browser("ada");
        let login = ada.opens(&url).await;
        let consent = ada.signs_in(&login).await;
        assert!(consent.shows("#consent-accept"));
        for page in [&login, &consent] {
            let said = page.words(".client .quiet").expect("a place");
            assert_eq!(said, format!("You return to {to}"));
            assert!(!page.body.contains("bank.example"), "{page:?}");
            assert_eq!(page.body.contains("Nobody here has vouched for this app."), !vouched);
        }
        assert_eq!(consent.shows(".caution"), !vouched);
    }
}

async fn a_logo_is_shown_of_who_registered_itself_only_from_where_the_answer_goes(house: House) {
    let shows = async |house: &House, logo: &str| {
        let client = self_registered(house, json!({"logo_uri": logo})).await;
        let login =
            house.browser("ada").opens(&asks_for(house, &client, "https://new.example/cb")).await;
        let policy = login.header("content-security-policy").expect("a policy");
        assert_eq!(policy.contains(logo.trim_end_matches("/logo.png")), login.shows(".badge img"));
        login.shows(".badge img")
    };
    let (home, elsewhere) = ("https://new.example/logo.png", "https://bank.example/logo.png");
    assert!(!shows(&house, home).await, "not unless the operator wants it");
    let house = house.restarts(&[("REGISTRATION_LOGOS", "true")]).await;
    assert!(shows(&house, home).await);
    assert!(!shows(&house, elsewhere).await);
}

async fn a_refused_request_leads_back_to_an_application_that_the_operator_knows(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let elsewhere = shop.asks("openid").with("redirect_uri", "https://elsewhere.example/");
    let page = ada.asks(&elsewhere.url()).await;
    assert_eq!((page.status, page.location()), (400, None));
    assert_eq!(page.words("a.button").as_deref(), Some("Back to shop"));
    assert_eq!(page.attribute("a.button", "href").as_deref(), Some("https://shop.example"));
    let new = self_registered(&house, json!({"client_uri": "https://bank.example"})).await;
    let page = ada.asks(&asks_for(&house, &new, "https://elsewhere.example/")).await;
    assert_eq!(
        (page.status, page.shows("a.button")),
        (400, false),
        "nobody vouches for its address"
    );
}

async fn scopes_are_listed_in_the_order_in_which_they_were_declared(house: House) {
    let words: Vec<String> = {
        let shop = house.relying_party("shop").await;
        let ada = house.browser("ada");
        let asked = shop.asks("phone offline_access address email profile openid");
        let consent = ada.signs_in(&ada.opens(&asked.url()).await).await;
        (1..=6).filter_map(|n| consent.words(&format!("ul.scopes > li:nth-child({n})"))).collect()
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
