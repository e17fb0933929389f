use latchkey::clients::Settings;
use serde_json::json;

use crate::support::browser::Landing;
use crate::support::house::{House, on_every_store};
use crate::support::relying_party::Request;

on_every_store![
    a_stranger_or_a_strange_address_is_told_on_a_page_and_never_redirected,
    every_other_refusal_travels_to_the_client_with_state_and_issuer,
    a_repeated_parameter_is_refused_even_when_empty,
    a_disabled_client_is_a_stranger,
];

async fn a_stranger_or_a_strange_address_is_told_on_a_page_and_never_redirected(house: House) {
    let shop = house.relying_party("shop").await;
    let good = || shop.asks("openid");
    for (what, request) in [
        ("unknown client", good().with("client_id", "nobody")),
        ("no client", good().without("client_id")),
        ("no address", good().without("redirect_uri")),
        ("another address", good().with("redirect_uri", "https://evil.example/cb")),
        ("a longer path", good().with("redirect_uri", "https://shop.example/cb/more")),
        ("another case", good().with("redirect_uri", "https://SHOP.example/cb")),
        ("a query added", good().with("redirect_uri", "https://shop.example/cb?x=1")),
        ("markup", good().with("redirect_uri", "javascript:alert(1)")),
    ] {
        let answer = house.browser("ada").asks(&request.url()).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{what}");
        assert!(answer.shows("h1"), "{what}: {answer:?}");
    }
}

async fn every_other_refusal_travels_to_the_client_with_state_and_issuer(house: House) {
    let shop = house.relying_party("shop").await;
    let good = || shop.asks("openid");
    let long = "s".repeat(2000);
    let table: [(&str, Request); 17] = [
        ("invalid_request", good().without("response_type")),
        ("unsupported_response_type", good().with("response_type", "token")),
        ("invalid_request", good().with("response_mode", "web_message")),
        ("invalid_scope", good().with("scope", "open\"id")),
        ("invalid_scope", good().with("scope", "unheard-of")),
        ("invalid_request", good().without("code_challenge").without("code_challenge_method")),
        ("invalid_request", good().without("code_challenge")),
        ("invalid_request", good().with("code_challenge_method", "plain")),
        ("invalid_request", good().without("code_challenge_method")),
        ("invalid_request", good().with("code_challenge", "short")),
        ("invalid_request", good().with("prompt", "none login")),
        ("invalid_request", good().with("max_age", "-1")),
        ("invalid_request", good().with("nonce", &long)),
        ("login_required", good().with("prompt", "none")),
        ("invalid_request_object", good().with("request", "e30.e30.")),
        ("invalid_request_uri", good().with("request_uri", "https://shop.example/r")),
        ("registration_not_supported", good().with("registration", "{}")),
    ];
    for (error, request) in table {
        let answer = house.browser("ada").asks(&request.url()).await;
        assert_eq!(answer.status, 303, "{request:?}");
        let landing = Landing::of(&answer);
        assert!(landing.0.as_str().starts_with("https://shop.example/cb?"), "{request:?}");
        assert_eq!(landing.error(), error, "{request:?}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{request:?}");
        assert_eq!(landing.param("iss").as_deref(), Some(house.issuer()), "{request:?}");
        assert_eq!(landing.param("code"), None);
    }
    let machine = json!({"grant_types": ["client_credentials"], "response_types": []});
    let robot = house.relying_party_with("robot", &machine, Settings::default()).await;
    let answer = house.browser("ada").asks(&robot.asks("openid").url()).await;
    assert_eq!(Landing::of(&answer).error(), "unauthorized_client");
}

async fn a_repeated_parameter_is_refused_even_when_empty(house: House) {
    let shop = house.relying_party("shop").await;
    for (name, value) in [("state", "other"), ("scope", ""), ("redirect_uri", "")] {
        let request = shop.asks("openid").twice(name, value);
        let answer = house.browser("ada").asks(&request.url()).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{name}");
    }
}

async fn a_disabled_client_is_a_stranger(house: House) {
    let shop = house.relying_party("shop").await;
    let request = shop.asks("openid");
    let ada = house.browser("ada");
    let login = ada.opens(&request.url()).await;
    let id = latchkey::clients::ClientId::parse("shop").unwrap();
    let disabled = latchkey::clients::update(house.store(), &id, |it| it.enabled = false).await;
    assert_eq!(disabled.unwrap(), Some(()));
    assert_eq!(house.browser("ada").asks(&request.url()).await.status, 400);
    assert_eq!(ada.signs_in(&login).await.status, 400, "also half-way");
}
