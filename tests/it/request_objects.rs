//! Request objects (OpenID Connect Core §6, RFC 9101), by value and by reference.

use std::sync::OnceLock;

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::jose::{self, RecipientKey, SigningKey};
use latchkey::infra::secret::base64url;
use latchkey::protocol::algorithms::{ClientAlg, ContentEncryption, KeyManagement};
use serde_json::{Value, json};

use crate::support::browser::AuthorizationResponse;
use crate::support::http::{self, HttpResponse};
use crate::support::mock_client_host::MockHost;
use crate::support::relying_party::{AuthorizationRequest, RelyingParty};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    what_is_signed_counts_before_what_stands_beside_it,
    an_object_that_is_not_the_clients_own_is_refused_where_the_query_says,
    a_client_that_chose_an_algorithm_is_held_to_it,
    a_redirect_uri_in_the_object_is_checked_like_any_other,
    a_request_uri_that_nobody_registered_is_not_fetched,
];

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate_for(ClientAlg::Rs256).expect("a key"))
}

async fn shop(server: &TestServer, more: &Value) -> RelyingParty {
    let mut metadata = json!({"jwks": {"keys": [key().jwk()]}});
    for (member, value) in more.as_object().expect("an object") {
        metadata[member] = value.clone();
    }
    server.relying_party_with("shop", &metadata, ClientSettings::default()).await
}

/// A request with everything in the object, and beside it only what OAuth asks for.
fn signed(shop: &RelyingParty, by: &SigningKey, more: &Value) -> (AuthorizationRequest, String) {
    let request = shop.authorization_request("openid");
    let mut claims = json!({"iss": shop.id, "aud": shop.issuer()});
    for (name, value) in request.fields() {
        claims[name] = value.into();
    }
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let object = by.sign("JWT", &claims).expect("a signature");
    let keep = ["client_id", "response_type", "scope"];
    let names: Vec<String> = request.fields().iter().map(|(name, _)| (*name).to_owned()).collect();
    let bare = names
        .iter()
        .filter(|name| !keep.contains(&name.as_str()))
        .fold(request, |request, name| request.without(name));
    (bare, object)
}

async fn what_is_signed_counts_before_what_stands_beside_it(server: TestServer) {
    let shop = shop(&server, &json!({})).await;
    let (request, object) = signed(&shop, key(), &json!({"nonce": "inner", "state": "inner"}));
    let request = request.with("request", &object);
    let browser = server.browser("ada");
    let landing = browser.authorize(&request.url()).await;
    assert_eq!(landing.param("state").as_deref(), Some("inner"));
    let body = shop.redeem(&landing.code(), &request).await.success_json();
    let claims = body["id_token"].as_str().and_then(|it| it.split('.').nth(1)).expect("claims");
    let claims = latchkey::infra::secret::from_base64url(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["nonce"], "inner");
    // What is said beside it and not inside completes it; what is said twice is taken from inside.
    let beside = request.with("state", "outer").with("login_hint", "ada");
    let landing = browser.authorize(&beside.url()).await;
    assert_eq!(landing.param("state").as_deref(), Some("inner"));
}

async fn an_object_that_is_not_the_clients_own_is_refused_where_the_query_says(server: TestServer) {
    let shop = shop(&server, &json!({})).await;
    let other = SigningKey::generate_for(ClientAlg::Es256).expect("a key");
    let good = signed(&shop, key(), &json!({})).1;
    let (head, rest) = good.split_once('.').expect("a JWS");
    let none = base64url(br#"{"alg":"none"}"#);
    let payload = rest.split_once('.').expect("a JWS").0;
    let flipped = base64url(br#"{"redirect_uri":"https://shop.example/cb","state":"evil"}"#);
    let signature = rest.split_once('.').expect("a JWS").1;
    for (what, object) in [
        ("by another key", signed(&shop, &other, &json!({})).1),
        ("unsigned", format!("{none}.{payload}.")),
        ("changed", format!("{head}.{flipped}.{signature}")),
        ("for another server", signed(&shop, key(), &json!({"aud": "https://other.example"})).1),
        ("of another client", signed(&shop, key(), &json!({"iss": "other"})).1),
        ("expired", signed(&shop, key(), &json!({"exp": 1_600_000_000})).1),
        ("with another inside", signed(&shop, key(), &json!({"request": "x"})).1),
        ("an assertion", signed(&shop, key(), &json!({"sub": "shop"})).1),
        ("no JWT", "x".to_owned()),
    ] {
        let request = shop.authorization_request("openid").with("request", &object);
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert_eq!(landing.error(), "invalid_request_object", "{what}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{what}");
    }
    let both = shop
        .authorization_request("openid")
        .with("request", &good)
        .with("request_uri", "https://a.example");
    let landing =
        AuthorizationResponse::from_redirect(&server.browser("ada").get(&both.url()).await);
    assert_eq!(landing.error(), "invalid_request");
}

async fn a_client_that_chose_an_algorithm_is_held_to_it(server: TestServer) {
    let shop = shop(&server, &json!({"request_object_signing_alg": "ES256"})).await;
    let object = signed(&shop, key(), &json!({})).1;
    let request = shop.authorization_request("openid").with("request", &object);
    let landing =
        AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
    assert_eq!(landing.error(), "invalid_request_object");
}

/// `oidcc-ensure-request-object-with-redirect-uri`
async fn a_redirect_uri_in_the_object_is_checked_like_any_other(server: TestServer) {
    let shop = shop(&server, &json!({})).await;
    let (request, object) = signed(&shop, key(), &json!({}));
    let request = request.with("redirect_uri", "https://evil.example/").with("request", &object);
    let landing = server.browser("ada").authorize(&request.url()).await;
    assert!(landing.0.as_str().starts_with("https://shop.example/cb?code="), "{}", landing.0);
    let (request, object) = signed(&shop, key(), &json!({"redirect_uri": "https://evil.example/"}));
    let request = request.with("redirect_uri", &shop.redirect_uri).with("request", &object);
    let answer = server.browser("ada").get(&request.url()).await;
    assert_eq!((answer.status, answer.location()), (400, None));
}

async fn a_request_uri_that_nobody_registered_is_not_fetched(server: TestServer) {
    let shop = shop(&server, &json!({})).await;
    let request =
        shop.authorization_request("openid").with("request_uri", "https://localhost:1/request.jwt");
    let landing =
        AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
    assert_eq!(landing.error(), "invalid_request_uri");
}

/// `oidcc-request-uri-signed-rs256`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_request_uri_is_fetched_and_honoured() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    for (variables, honoured) in [(&outgoing[..], true), (&[("REQUEST_URI", "false")][..], false)] {
        let server = TestServer::start_with(Backend::Memory, variables).await;
        let place = format!("{}#a-digest", elsewhere.uri);
        let shop = shop(&server, &json!({"request_uris": [place]})).await;
        let (request, object) = signed(&shop, key(), &json!({"nonce": "inner"}));
        elsewhere.serve_jwt(&object);
        let request =
            request.with("request_uri", &place).with("redirect_uri", "https://shop.example/cb");
        let browser = server.browser("ada");
        if honoured {
            let landing = browser.authorize(&request.url()).await;
            assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
            shop.redeem(&landing.code(), &request).await.success_json();
        } else {
            let landing = AuthorizationResponse::from_redirect(&browser.get(&request.url()).await);
            assert_eq!(landing.error(), "request_uri_not_supported");
        }
    }
}

/// Signed by the client, then encrypted for a key from our JWK Set (OpenID Connect Core §6.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_encrypted_for_us_is_opened() {
    let offered = [("REQUEST_OBJECT_ENCRYPTION", "true")];
    let server = TestServer::start_with(Backend::Memory, &offered).await;
    let set = http::send(server.http().get(server.url("/jwks.json"))).await.success_json();
    let shop = shop(&server, &json!({})).await;
    let browser = server.browser("ada");
    for alg in [KeyManagement::RsaOaep256, KeyManagement::EcdhEs] {
        let ours = RecipientKey::select(&set, alg).expect("a key to encrypt for");
        for enc in ContentEncryption::ALL {
            let (request, object) = signed(&shop, key(), &json!({"state": "inner"}));
            let sealed = jose::encrypt(object.as_bytes(), alg, *enc, &ours, Some("JWT"));
            let sealed = sealed.expect("a JWE");
            let landing = browser.authorize(&request.with("request", &sealed).url()).await;
            assert_eq!(landing.param("state").as_deref(), Some("inner"), "{alg:?} {enc:?}");

            let middle = sealed.len() / 2;
            let other = if sealed.as_bytes()[middle] == b'A' { "B" } else { "A" };
            let damaged = format!("{}{other}{}", &sealed[..middle], &sealed[middle + 1..]);
            let request = shop.authorization_request("openid").with("request", &damaged);
            let landing = AuthorizationResponse::from_redirect(&browser.get(&request.url()).await);
            assert_eq!(landing.error(), "invalid_request_object", "{alg:?} {enc:?}");
        }
    }
    // Nothing is opened for a client that could not have signed what is inside.
    let bare = server.relying_party("bare").await;
    let request = bare.authorization_request("openid").with("request", "a.b.c.d.e");
    let landing = AuthorizationResponse::from_redirect(&browser.get(&request.url()).await);
    assert_eq!(landing.error(), "invalid_request_object");
}

/// Nine people of one client whose server is slow, and what became of the first who was answered and of the
/// rest, once that server went on.
async fn nine_at_a_slow_host(
    server: &TestServer,
    elsewhere: &MockHost,
    request: &AuthorizationRequest,
) -> (AuthorizationResponse, Vec<HttpResponse>) {
    elsewhere.hold_responses(true);
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..9 {
        under_way.spawn(http::send(server.http().get(request.url())));
    }
    let first = under_way.join_next().await.expect("somebody").expect("an answer");
    elsewhere.hold_responses(false);
    (AuthorizationResponse::from_redirect(&first), under_way.join_all().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_host_takes_eight_places_and_nobody_waits_for_somebody_elses_object() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let shop = shop(&server, &json!({"request_uris": [elsewhere.uri]})).await;
    let (request, object) = signed(&shop, key(), &json!({}));
    elsewhere.serve_jwt(&object);
    let request = request
        .with("request_uri", &elsewhere.uri)
        .with("redirect_uri", &shop.redirect_uri)
        .with("state", "beside");
    let (refused, answered) = nine_at_a_slow_host(&server, &elsewhere, &request).await;
    assert_eq!(refused.error(), "temporarily_unavailable");
    assert_eq!(refused.param("state").as_deref(), Some("beside"));
    assert_eq!(elsewhere.request_count(), 8);
    assert_eq!(answered.len(), 8);
    for answer in answered {
        assert!(answer.location().is_some_and(|to| to.contains("/login?")), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_behind_a_slow_host_are_waited_for_by_eight_before_the_pages() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let remote = json!({"jwks": null, "jwks_uri": elsewhere.uri});
    let shop = shop(&server, &remote).await;
    elsewhere.serve_json(Some(json!({"keys": [key().jwk()]})));
    let (request, object) = signed(&shop, key(), &json!({}));
    let request = request.with("request", &object).with("redirect_uri", &shop.redirect_uri);
    let (refused, answered) = nine_at_a_slow_host(&server, &elsewhere, &request).await;
    assert_eq!(refused.error(), "temporarily_unavailable");
    assert_eq!(elsewhere.request_count(), 1, "one fetch for all");
    for answer in answered {
        assert!(answer.location().is_some_and(|to| to.contains("/login?")), "{answer:?}");
    }
}
