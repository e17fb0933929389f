//! Who may register a client, and how many there may be.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, TestServer, on_every_backend};

on_every_backend![
    only_who_holds_an_initial_access_token_registers,
    where_nobody_registers_discovery_does_not_speak_of_it,
    there_are_only_so_many_clients_and_one_that_goes_makes_room,
];

async fn registers(server: &TestServer, token: Option<&str>) -> HttpResponse {
    let body = json!({"redirect_uris": ["https://new.example/cb"]});
    let request = http::json(server.http(), Method::POST, &server.url("/register"), &body);
    http::send(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

async fn discovered(server: &TestServer) -> Value {
    let place = server.url("/.well-known/openid-configuration");
    http::send(server.http().get(place)).await.success_json()
}

async fn only_who_holds_an_initial_access_token_registers(backing: Backend) {
    let one = "one-initial-access-token-5d2e8b71c0".to_owned();
    let other = "quite-another-token-than-that-94af36".to_owned();
    let both = format!("{one},{other}");
    let gated = [("REGISTRATION", "token"), ("REGISTRATION_TOKEN", &*both)];
    let server = TestServer::start_with(backing, &gated).await;
    assert_eq!(discovered(&server).await["registration_endpoint"], server.url("/register"));

    let bare = registers(&server, None).await;
    assert_eq!(bare.status, 401);
    assert!(bare.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
    let almost = &one[..one.len() - 1];
    for wrong in ["x", almost, &format!("{one}x"), &format!("{one}{other}")] {
        let refused = registers(&server, Some(wrong)).await;
        assert_eq!(refused.error(), (401, "invalid_token".to_owned()), "{wrong}");
    }
    for right in [&one, &other] {
        let client = registers(&server, Some(right)).await.success_json();
        // What opened the gate does not open the client.
        let uri = client["registration_client_uri"].as_str().expect("an address");
        let read = http::send(server.http().get(uri).bearer_auth(right)).await;
        assert_eq!(read.status, 401);
    }
}

async fn where_nobody_registers_discovery_does_not_speak_of_it(backing: Backend) {
    let server = TestServer::start_with(backing, &[("REGISTRATION", "off")]).await;
    assert_eq!(discovered(&server).await.get("registration_endpoint"), None);
    assert_eq!(registers(&server, None).await.status, 403);
    assert_eq!(registers(&server, Some(&"x".repeat(40))).await.status, 403);
}

async fn there_are_only_so_many_clients_and_one_that_goes_makes_room(backing: Backend) {
    let server = TestServer::start_with(backing, &[("REGISTRATION_MAX_CLIENTS", "2")]).await;
    let first = registers(&server, None).await.success_json();
    assert_eq!(registers(&server, None).await.status, 201);
    let full = (503, "temporarily_unavailable".to_owned());
    assert_eq!(registers(&server, None).await.error(), full);

    let text = |name: &str| first[name].as_str().expect("a text").to_owned();
    let request = server.http().delete(text("registration_client_uri"));
    let gone = http::send(request.bearer_auth(text("registration_access_token"))).await;
    assert_eq!(gone.status, 204);
    assert_eq!(registers(&server, None).await.status, 201);
    assert_eq!(registers(&server, None).await.error(), full);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_nobody_ever_used_is_forgotten_and_makes_room() {
    // The store forgets by its own clock, and only this one can be moved.
    let server =
        TestServer::start_with(Backend::Memory, &[("REGISTRATION_MAX_CLIENTS", "2")]).await;
    let (used, unused) =
        (registers(&server, None).await.success_json(), registers(&server, None).await);
    let unused = unused.success_json();
    assert_eq!(registers(&server, None).await.status, 503);
    let begins = async |client: &Value| {
        let fields = [
            ("response_type", "code"),
            ("client_id", client["client_id"].as_str().expect("an id")),
            ("redirect_uri", "https://new.example/cb"),
            ("scope", "openid"),
            ("code_challenge", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("code_challenge_method", "S256"),
        ];
        let url = server.url(&format!("/authorize?{}", http::encode(&fields)));
        let ada = server.browser("ada");
        let page = ada.open(&url).await;
        if page.status == 200 {
            return ada.authorize(&url).await.param("code").is_some();
        }
        assert_eq!(page.text_of("h1").as_deref(), Some("Request error"), "{page:?}");
        false
    };
    assert!(begins(&used).await);
    server.advance_time(Duration::from_secs(31 * 86_400));
    assert!(begins(&used).await, "it was used");
    assert!(!begins(&unused).await, "it was not");
    assert_eq!(registers(&server, None).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_only_proves_itself_is_kept_as_long_as_it_comes_back() {
    let server = TestServer::start_with(Backend::Memory, &[]).await;
    let metadata = |method: &str| {
        serde_json::json!({"redirect_uris": ["https://new.example/cb"],
            "token_endpoint_auth_method": method})
    };
    let registers = async |method: &str| {
        let url = server.url("/register");
        let request = http::json(server.http(), reqwest::Method::POST, &url, &metadata(method));
        http::send(request).await.success_json()
    };
    let (resource, public) = (registers("client_secret_post").await, registers("none").await);
    let comes = async |client: &Value, path: &str| {
        let mut fields = vec![
            ("client_id", client["client_id"].as_str().expect("an id")),
            ("token", "no-token-of-ours"),
        ];
        fields.extend(client["client_secret"].as_str().map(|secret| ("client_secret", secret)));
        http::send(http::form(server.http(), &server.url(path), &fields)).await.status
    };
    for day in [20, 40, 60, 80] {
        server.advance_time(Duration::from_secs(20 * 86_400));
        assert_eq!(comes(&resource, "/introspect").await, 200, "day {day}");
        let known = if day < 30 { 200 } else { 401 };
        assert_eq!(comes(&public, "/revoke").await, known, "anybody can say its name: day {day}");
    }
    server.advance_time(Duration::from_secs(31 * 86_400));
    assert_eq!(comes(&resource, "/introspect").await, 401);
}
