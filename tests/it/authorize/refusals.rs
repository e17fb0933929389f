use latchkey::domain::clients::ClientSettings;
use latchkey::infra::secret::base64url;
use serde_json::json;

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::relying_party::AuthorizationRequest;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_stranger_or_a_strange_address_is_told_on_a_page_and_never_redirected,
    every_other_refusal_travels_to_the_client_with_state_and_issuer,
    a_repeated_parameter_is_refused_even_when_empty,
    what_was_sent_comes_back_whatever_else_is_wrong_or_too_long,
    a_state_that_cannot_come_back_as_it_was_is_told_on_a_page,
    a_disabled_client_is_a_stranger,
];

async fn a_stranger_or_a_strange_address_is_told_on_a_page_and_never_redirected(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let good = || shop.authorization_request("openid");
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
        let answer = server.browser("ada").get(&request.url()).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{what}");
        assert!(answer.has_element("h1"), "{what}: {answer:?}");
    }
}

async fn every_other_refusal_travels_to_the_client_with_state_and_issuer(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let good = || shop.authorization_request("openid");
    let long = "s".repeat(2000);
    let table: [(&str, AuthorizationRequest); 17] = [
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
        let answer = server.browser("ada").get(&request.url()).await;
        assert_eq!(answer.status, 303, "{request:?}");
        let landing = AuthorizationResponse::from_redirect(&answer);
        assert!(landing.0.as_str().starts_with("https://shop.example/cb?"), "{request:?}");
        assert_eq!(landing.error(), error, "{request:?}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{request:?}");
        assert_eq!(landing.param("iss").as_deref(), Some(server.issuer()), "{request:?}");
        assert_eq!(landing.param("code"), None);
    }
    let machine = json!({"grant_types": ["client_credentials"], "response_types": []});
    let robot = server.relying_party_with("robot", &machine, ClientSettings::default()).await;
    let answer = server.browser("ada").get(&robot.authorization_request("openid").url()).await;
    assert_eq!(AuthorizationResponse::from_redirect(&answer).error(), "unauthorized_client");
}

async fn a_repeated_parameter_is_refused_even_when_empty(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for (name, value) in [("client_id", ""), ("redirect_uri", ""), ("redirect_uri", "https://a.b/")]
    {
        let request = shop.authorization_request("openid").with_duplicate(name, value);
        let answer = server.browser("ada").get(&request.url()).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{name}");
        let told = answer.text_of(".developer").unwrap_or_default();
        assert!(told.contains(&format!("{name} is repeated")), "{told}");
    }
    for (name, value) in
        [("scope", ""), ("scope", "openid"), ("prompt", "none"), ("client_id", "shop")]
    {
        let request = shop
            .authorization_request("openid")
            .with("prompt", "login")
            .with_duplicate(name, value);
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert_eq!(landing.error(), "invalid_request", "{name}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{name}");
    }
    // What means nothing here may be there as often as it likes, in whatever bytes.
    let request =
        shop.authorization_request("openid").with_duplicate("utm", "1").with_duplicate("utm", "2");
    let url = format!("{}&name=%E9&%FF=1&x=%zz", request.url());
    assert!(server.browser("ada").open(&url).await.has_element("#login-submit"));
}

/// However the answer travels, its `state` is the one that came (RFC 6749 §4.1.2.1).
async fn what_was_sent_comes_back_whatever_else_is_wrong_or_too_long(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let unsigned = |claims: &str| format!("e30.{}.", base64url(claims.as_bytes()));
    let long = |letters: usize| "s".repeat(letters);
    let state = format!("ä &=#+%/{}", long(3_000));
    let in_object = unsigned(&json!({ "state": state, "prompt": "none" }).to_string());
    let faults: [(&str, &str, String); 10] = [
        ("invalid_request", "nonce", long(1_025)),
        ("invalid_request", "prompt", "none login".to_owned()),
        ("invalid_request", "login_hint", long(9_000)),
        ("invalid_request", "max_age", long(100)),
        ("invalid_request", "claims", "{".to_owned()),
        ("invalid_scope", "scope", long(4_097)),
        ("unsupported_response_type", "response_type", "everything".to_owned()),
        ("invalid_request_object", "request", "e30.e30.".to_owned()),
        ("invalid_request_object", "request", in_object.clone()),
        ("invalid_request", "id_token_hint", long(40_000)),
    ];
    for mode in ["query", "fragment", "form_post"] {
        let good = || {
            shop.authorization_request("openid").with("response_mode", mode).with("state", &state)
        };
        let told = async |request: &AuthorizationRequest, more: &str| {
            let body = format!("{}{more}", http::encode(&request.fields()));
            let url = server.url("/authorize");
            let form = server.http().post(url).body(body);
            let kind = ("content-type", "application/x-www-form-urlencoded");
            let mut answer = http::send(form.header(kind.0, kind.1)).await;
            // Without a cookie it becomes a GET first.
            let again = answer.location().filter(|to| to.starts_with(server.issuer()));
            if let Some(again) = again.map(str::to_owned) {
                answer = server.browser("ada").get(&again).await;
            }
            if mode == "form_post" {
                let fields = answer.hidden_fields_beside("input[name=error]");
                let of = |name: &str| fields.iter().find(|(key, _)| key == name).cloned();
                return ["error", "state"].map(|name| of(name).map(|(_, value)| value));
            }
            let landing = AuthorizationResponse::from_redirect(&answer);
            assert_eq!(landing.0.fragment().is_some(), mode == "fragment");
            ["error", "state"].map(|name| landing.param(name))
        };
        for (error, name, value) in &faults {
            let said = told(&good().with(name, value), "").await;
            assert_eq!(said, [Some((*error).to_owned()), Some(state.clone())], "{mode}: {name}");
        }
        let inside = good().without("state").with("request", &in_object);
        assert_eq!(told(&inside, "").await[1].as_ref(), Some(&state), "{mode}: in the object");
        for more in ["&scope=openid", "&login_hint=%E9", "&nonce=%", &"&resource=r".repeat(101)] {
            let said = told(&good(), more).await;
            let expected = [Some("invalid_request".to_owned()), Some(state.clone())];
            assert_eq!(said, expected, "{mode}: {more}");
        }
    }
}

async fn a_state_that_cannot_come_back_as_it_was_is_told_on_a_page(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let good = || shop.authorization_request("openid");
    let other = good().with_duplicate("state", "another");
    let unreadable = format!("{}&state=%ff", good().without("state").url());
    for url in [other.url(), unreadable] {
        let answer = ada.get(&url).await;
        assert_eq!((answer.status, answer.location()), (400, None), "{url}");
        assert!(answer.text_of(".developer").unwrap_or_default().contains("state"), "{url}");
    }
    // Twice the same is the same.
    let landing = AuthorizationResponse::from_redirect(
        &ada.get(&good().with_duplicate("state", "s t&a=te").url()).await,
    );
    assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    // Longer than an address of ours: by form it comes back, and by no other way.
    for (letters, mode, comes_back) in [
        (8_192, "query", true),
        (8_193, "query", false),
        (8_193, "fragment", false),
        (60_000, "form_post", true),
    ] {
        let state = "s".repeat(letters);
        let request = good().with("response_mode", mode).with("state", &state);
        let answer = ada.post("/authorize", &request.fields()).await;
        let told = answer.location().unwrap_or(&answer.body);
        assert_eq!(told.contains(&state), comes_back, "{letters} {mode}");
        assert_eq!(answer.status == 400, !comes_back, "{letters} {mode}");
    }
}

async fn a_disabled_client_is_a_stranger(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let request = shop.authorization_request("openid");
    let ada = server.browser("ada");
    let login = ada.open(&request.url()).await;
    let id = latchkey::domain::clients::ClientId::parse("shop").unwrap();
    let disabled =
        latchkey::domain::clients::update(server.store(), &id, |it| it.enabled = false).await;
    assert_eq!(disabled.unwrap(), Some(()));
    assert_eq!(server.browser("ada").get(&request.url()).await.status, 400);
    assert_eq!(ada.sign_in(&login).await.status, 400, "also half-way");
}
