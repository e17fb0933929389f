//! What a client registered for every request it makes, and for every page it sends people to (OpenID
//! Connect Registration §2).

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_default_max_age_counts_where_the_request_says_nothing,
    an_auth_time_is_there_whether_or_not_it_was_required,
    a_default_acr_is_answered_where_the_request_says_nothing,
    the_logo_of_a_client_that_registered_itself_is_not_loaded,
    the_pages_show_logo_policy_and_terms,
    where_a_login_can_be_begun_is_https_and_given_back,
];

async fn a_default_max_age_counts_where_the_request_says_nothing(server: TestServer) {
    let wishes = json!({"default_max_age": 60});
    let shop = server.relying_party_with("shop", &wishes, ClientSettings::default()).await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let silent = shop.authorization_request("openid").with("prompt", "none");
    let outcome = async |max_age: Option<&str>| {
        let request = silent.clone();
        let request = max_age.map_or(request.clone(), |age| request.with("max_age", age));
        ada.authorize(&request.url()).await.param("error")
    };
    server.advance_time(Duration::from_secs(59));
    assert_eq!(outcome(None).await, None);
    server.advance_time(Duration::from_secs(2));
    assert_eq!(outcome(None).await.as_deref(), Some("login_required"));
    assert_eq!(outcome(Some("100")).await, None, "the request's own word counts before it");
    assert_eq!(outcome(Some("10")).await.as_deref(), Some("login_required"));
}

async fn an_auth_time_is_there_whether_or_not_it_was_required(server: TestServer) {
    for (name, required) in [("shop", true), ("kiosk", false)] {
        let wishes = json!({"require_auth_time": required});
        let client = server.relying_party_with(name, &wishes, ClientSettings::default()).await;
        let now = server.app().now().as_secs();
        let tokens = client.sign_in(&server.browser("ada"), "openid").await;
        assert_eq!(tokens.id_claims()["auth_time"], now, "a number of seconds");
        server.advance_time(Duration::from_secs(5));
        let mut next = tokens.clone();
        next.body = client.refresh(tokens.refresh()).await.success_json();
        assert_eq!(next.id_claims()["auth_time"], now, "of the sign-in, not of the refresh");
    }
}

async fn a_default_acr_is_answered_where_the_request_says_nothing(server: TestServer) {
    for (name, values, told) in
        [("shop", json!(["1"]), json!("1")), ("kiosk", json!([]), Value::Null)]
    {
        let wishes = json!({"default_acr_values": values});
        let client = server.relying_party_with(name, &wishes, ClientSettings::default()).await;
        let tokens = client.sign_in(&server.browser("ada"), "openid").await;
        assert_eq!(tokens.id_claims()["acr"], told, "{name}");
    }
}

async fn the_pages_show_logo_policy_and_terms(server: TestServer) {
    let wishes = json!({
        "logo_uri": "https://shop.example/logo.png", "policy_uri": "https://shop.example/policy",
        "tos_uri": "https://shop.example/terms",
    });
    let shop = server.relying_party_with("shop", &wishes, ClientSettings::default()).await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid email").url()).await;
    let consent = ada.sign_in(&login).await;
    assert!(login.has_element("#login-submit") && consent.has_element("#consent-accept"));
    for page in [login, consent] {
        assert!(page.has_element("img[src='https://shop.example/logo.png']"), "{}", page.body);
        for place in ["policy", "terms"] {
            assert!(
                page.has_element(&format!("a[href='https://shop.example/{place}']")),
                "{place}"
            );
        }
    }
}

/// A stranger who registers would have every visitor's browser call at an address of theirs.
async fn the_logo_of_a_client_that_registered_itself_is_not_loaded(server: TestServer) {
    let metadata = json!({"redirect_uris": ["https://shop.example/cb"], "client_name": "Shop",
        "logo_uri": "https://tracker.example/logo.png"});
    let request = http::json(server.http(), Method::POST, &server.url("/register"), &metadata);
    let client = http::send(request).await.success_json();
    assert_eq!(client["logo_uri"], "https://tracker.example/logo.png", "it is given back");
    let id = client["client_id"].as_str().expect("an id");
    let shop = server.client_with_secret("shop", "unknown");
    let request = shop.authorization_request("openid email").with("client_id", id);
    let ada = server.browser("ada");
    let login = ada.open(&request.url()).await;
    let consent = ada.sign_in(&login).await;
    assert!(login.has_element("#login-submit") && consent.has_element("#consent-accept"));
    for page in [login, consent] {
        assert!(!page.has_element("img") && page.has_element(".badge"), "{}", page.body);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(!policy.contains("tracker.example") && !page.body.contains("tracker.example"));
    }
}

async fn where_a_login_can_be_begun_is_https_and_given_back(server: TestServer) {
    let url = server.url("/register");
    let registers = async |place: &str| {
        let metadata = json!({"redirect_uris": ["https://shop.example/cb"],
            "initiate_login_uri": place, "contacts": ["ops@shop.example"]});
        http::send(http::json(server.http(), Method::POST, &url, &metadata)).await
    };
    for bad in ["http://shop.example/start", "http://localhost/start", "shop:/start", "start"] {
        let refused = registers(bad).await;
        assert_eq!(refused.error(), (400, "invalid_client_metadata".to_owned()), "{bad}");
    }
    let place = "https://shop.example/start?from=op";
    let answer = registers(place).await;
    assert_eq!(answer.status, 201);
    let client = answer.success_json();
    let here = client["registration_client_uri"].as_str().expect("a URL");
    let token = client["registration_access_token"].as_str().expect("a token");
    let read = http::send(server.http().get(here).bearer_auth(token)).await.success_json();
    for said in [client.clone(), read] {
        assert_eq!(said["initiate_login_uri"], place);
        assert_eq!(said["contacts"], json!(["ops@shop.example"]));
    }
}
