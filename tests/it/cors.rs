//! What pages of other origins may read: their own client's answers, errors included, and no others.

mod refusals;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use latchkey::domain::clients::{self, ClientId, ClientSettings};
use latchkey::http::cors;
use latchkey::server::layers::{LayerSettings, wrap};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::http::{self, FormFields, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_preflight_is_answered_to_whom_the_room_is_open,
    a_client_reads_its_own_answers_and_no_other_origin_does,
    an_error_about_no_client_can_be_read_from_every_clients_origin,
    the_origin_of_a_removed_client_is_a_strangers,
    new_redirect_uris_move_the_origin,
    an_origin_two_clients_share_stays_for_the_other,
];

const SHOP: &str = "https://shop.example";
const OTHER: &str = "https://other.example";
const FOREIGN: &str = "https://evil.example";
const CONFIGURED: &str = "https://tools.example";
const ALLOWED: &str = "access-control-allow-origin";

/// Rooms that answer the origins of clients, and one method that each knows.
const OWN: [(&str, Method); 3] =
    [("/token", Method::POST), ("/userinfo", Method::GET), ("/revoke", Method::POST)];
/// Rooms that answer everybody.
const OPEN: [(&str, Method); 5] = [
    ("/.well-known/openid-configuration", Method::GET),
    ("/.well-known/oauth-authorization-server", Method::GET),
    ("/jwks.json", Method::GET),
    ("/register", Method::POST),
    ("/register/somebody", Method::PUT),
];
/// Rooms that no page of another origin has any business with.
const CLOSED: [(&str, Method); 6] = [
    ("/authorize", Method::GET),
    ("/login", Method::GET),
    ("/consent", Method::POST),
    ("/introspect", Method::POST),
    ("/metrics", Method::GET),
    ("/nowhere", Method::GET),
];

/// A request that can be made again.
type Ask<'a> = Box<dyn Fn() -> RequestBuilder + 'a>;

async fn with_tools(backing: Backend) -> TestServer {
    TestServer::start_with(backing, &[("CORS_ORIGINS", CONFIGURED)]).await
}

/// What traces a request, and the version of MCP: scripts send them with each.
const TRACED: &str = "traceparent, tracestate, baggage, mcp-protocol-version";

/// The request headers that a preflight allows, in lower case.
fn headers(answer: &HttpResponse) -> Vec<String> {
    let names = answer.header("access-control-allow-headers").unwrap_or_default();
    names.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

async fn from(origin: &str, request: RequestBuilder) -> HttpResponse {
    let answer = http::send(request.header("origin", origin)).await;
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
    assert_ne!(answer.header(ALLOWED), Some("null"), "{answer:?}");
    answer
}

async fn preflight(server: &TestServer, path: &str, method: &Method, origin: &str) -> HttpResponse {
    let request = server.http().request(Method::OPTIONS, server.url(path));
    let request = request.header("access-control-request-method", method.as_str());
    from(origin, request.header("access-control-request-headers", "authorization")).await
}

/// The values of `Vary`, all of them.
fn varies(answer: &HttpResponse) -> Vec<&str> {
    answer.headers.get_all("vary").iter().map(|value| value.to_str().expect("text")).collect()
}

/// The origin allowed; where it depends on who asks, a cache is told.
fn allowed(answer: &HttpResponse) -> Option<&str> {
    assert_eq!(varies(answer), ["Origin"], "{answer:?}");
    answer.header(ALLOWED)
}

fn posts(rp: &RelyingParty, path: &str, fields: FormFields<'_>) -> RequestBuilder {
    rp.with_basic_auth(rp.form(path, fields))
}

async fn a_preflight_is_answered_to_whom_the_room_is_open(server: TestServer) {
    server.relying_party("shop").await;
    for (path, method) in &OWN {
        for (origin, expected) in [(SHOP, Some(SHOP)), (FOREIGN, None), ("null", None)] {
            let answer = preflight(&server, path, method, origin).await;
            assert_eq!((answer.status, allowed(&answer)), (204, expected), "{path} {origin}");
            let methods = answer.header("access-control-allow-methods").unwrap_or_default();
            assert_eq!(methods.contains(method.as_str()), expected.is_some(), "{answer:?}");
            let (traced, named) = (TRACED.split(", "), headers(&answer));
            assert_eq!(
                traced.into_iter().all(|it| named.contains(&it.to_owned())),
                expected.is_some()
            );
            assert!(!named.contains(&"*".to_owned()), "{path} {named:?}");
        }
    }
    for (path, method) in &OPEN {
        for origin in [SHOP, FOREIGN, "null"] {
            let answer = preflight(&server, path, method, origin).await;
            assert_eq!((answer.status, answer.header(ALLOWED)), (204, Some("*")), "{path}");
            assert!(
                answer.header("access-control-allow-methods").unwrap().contains(method.as_str())
            );
            assert_eq!(varies(&answer), [""; 0], "it is the same for all: {path}");
            // The one name that a star does not stand for.
            let named = headers(&answer);
            assert!(["*", "authorization"].iter().all(|it| named.contains(&(*it).to_owned())));
        }
    }
    for (path, method) in &CLOSED {
        let answer = preflight(&server, path, method, SHOP).await;
        assert!((400..500).contains(&answer.status), "{path} {answer:?}");
        assert_eq!(answer.header(ALLOWED), None, "{path}");
    }
}

async fn a_client_reads_its_own_answers_and_no_other_origin_does(server: TestServer) {
    let shop = server.relying_party("shop").await;
    server.relying_party("other").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let alone = [("grant_type", "client_credentials")];
    let refused = [("grant_type", "refresh_token"), ("refresh_token", "no such token")];
    for (origin, expected) in
        [(SHOP, Some(SHOP)), (OTHER, None), (FOREIGN, None), ("null", None), ("", None)]
    {
        let userinfo = server.http().get(server.url("/userinfo")).bearer_auth(tokens.access());
        for (status, request) in [
            (200, posts(&shop, "/token", &alone)),
            (400, posts(&shop, "/token", &refused)),
            (200, posts(&shop, "/revoke", &[("token", "no such token")])),
            (400, posts(&shop, "/revoke", &[])),
            (200, userinfo),
        ] {
            let answer = from(origin, request).await;
            assert_eq!((answer.status, allowed(&answer)), (status, expected), "{origin}");
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(exposed.is_some(), expected.is_some(), "{answer:?}");
        }
    }
    // A token that is good, and not for this: it still says whose it is.
    let own = shop.post("/token", &alone).await.success_json();
    let own = own["access_token"].as_str().unwrap();
    for (origin, expected) in [(SHOP, Some(SHOP)), (OTHER, None)] {
        let request = server.http().get(server.url("/userinfo")).bearer_auth(own);
        let answer = from(origin, request).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert_eq!(allowed(&answer), expected, "{origin}");
    }
}

async fn an_error_about_no_client_can_be_read_from_every_clients_origin(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let large = "x".repeat(70_000);
    let url = |path| server.url(path);
    for (origin, expected) in [(SHOP, Some(SHOP)), (FOREIGN, None), ("null", None)] {
        let form = |path, fields| shop.form(path, fields);
        for (status, request) in [
            (401, form("/token", &[("grant_type", "refresh_token"), ("client_id", "nobody")])),
            (401, form("/revoke", &[("token", "x")])),
            (400, form("/token", &[("code", "1"), ("code", "2")])),
            (400, server.http().post(url("/token")).body("{}")),
            (401, server.http().get(url("/userinfo"))),
            (401, server.http().get(url("/userinfo")).bearer_auth("wrong")),
            (405, server.http().get(url("/token"))),
            // From here on no endpoint is reached.
            (413, form("/token", &[("code", &large)])),
            (414, form(&format!("/token?{}", &large[..9000]), &[])),
            (431, form("/token", &[]).header("x-large", &large[..17_000])),
            (421, form("/token", &[]).header("host", "strange.example")),
        ] {
            let answer = from(origin, request).await;
            assert_eq!((answer.status, allowed(&answer)), (status, expected), "{origin}");
            assert!(answer.json()["error"].is_string(), "{answer:?}");
        }
    }
    let answer = from(FOREIGN, server.http().post(url("/register")).body(large)).await;
    assert_eq!((answer.status, answer.header(ALLOWED)), (413, Some("*")));
}

async fn the_origin_of_a_removed_client_is_a_strangers(server: TestServer) {
    let shop = server.relying_party("shop").await;
    clients::remove(server.store(), &ClientId::parse(&shop.id).unwrap()).await.unwrap();
    for (path, method) in &OWN {
        let answer = preflight(&server, path, method, SHOP).await;
        assert_eq!(allowed(&answer), None, "{path}");
    }
    let answer = from(SHOP, posts(&shop, "/token", &[("grant_type", "refresh_token")])).await;
    assert_eq!((answer.status, allowed(&answer)), (401, None));
}

async fn new_redirect_uris_move_the_origin(server: TestServer) {
    let url = server.url("/register");
    let asked = json!({"redirect_uris": ["https://old.example/cb"],
        "token_endpoint_auth_method": "none"});
    let request = http::json(server.http(), Method::POST, &url, &asked);
    let answer = from(FOREIGN, request).await;
    assert_eq!(answer.header(ALLOWED), Some("*"), "anybody's page may register");
    let client = answer.success_json();
    let (old, new) = ("https://old.example", "https://new.example");
    assert_eq!(origins_of_token(&server, &client, &[old, new]).await, [Some(old), None]);

    let text = |name: &str| client[name].as_str().unwrap();
    let change = json!({"client_id": client["client_id"], "token_endpoint_auth_method": "none",
        "redirect_uris": ["https://new.example/cb", "https://new.example/more"]});
    let place = text("registration_client_uri");
    let put = || http::json(server.http(), Method::PUT, place, &change);
    assert_eq!(http::send(put().bearer_auth("wrong")).await.status, 401);
    assert_eq!(origins_of_token(&server, &client, &[old, new]).await, [Some(old), None]);
    let changed =
        http::send(put().bearer_auth(text("registration_access_token"))).await.success_json();
    assert_eq!(origins_of_token(&server, &client, &[old, new]).await, [None, Some(new)]);

    let token = changed["registration_access_token"].as_str().unwrap();
    let gone = http::send(server.http().delete(place).bearer_auth(token)).await;
    assert_eq!(gone.status, 204);
    assert_eq!(origins_of_token(&server, &client, &[old, new]).await, [None, None]);
}

/// What a public client's page of each origin may read: the preflight and the answer agree.
async fn origins_of_token<'a>(
    server: &TestServer,
    client: &Value,
    origins: &[&'a str],
) -> Vec<Option<&'a str>> {
    let id = client["client_id"].as_str().expect("an id");
    let fields = [("client_id", id), ("grant_type", "refresh_token"), ("refresh_token", "x")];
    let mut may = Vec::new();
    for &origin in origins {
        let asked = preflight(server, "/token", &Method::POST, origin).await;
        let request = http::form(server.http(), &server.url("/token"), &fields);
        let answer = from(origin, request).await;
        assert_eq!(allowed(&asked), allowed(&answer), "{answer:?}");
        may.push(allowed(&answer).map(|said| {
            assert_eq!(said, origin);
            origin
        }));
    }
    may
}

async fn an_origin_two_clients_share_stays_for_the_other(server: TestServer) {
    let shared = json!({"redirect_uris": ["https://shop.example/second"]});
    let shop = server.relying_party("shop").await;
    let second = server.relying_party_with("second", &shared, ClientSettings::default()).await;
    clients::remove(server.store(), &ClientId::parse(&shop.id).unwrap()).await.unwrap();
    let answer = preflight(&server, "/token", &Method::POST, SHOP).await;
    assert_eq!(allowed(&answer), Some(SHOP));
    let alone = [("grant_type", "client_credentials")];
    let answer = from(SHOP, posts(&second, "/token", &alone)).await;
    assert_eq!((answer.status, allowed(&answer)), (200, Some(SHOP)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_origins_may_read_every_clients_answers() {
    let server = with_tools(Backend::Memory).await;
    let shop = server.relying_party("shop").await;
    for (path, method) in &OWN {
        let answer = preflight(&server, path, method, CONFIGURED).await;
        assert_eq!(allowed(&answer), Some(CONFIGURED), "{path}");
    }
    let alone = [("grant_type", "client_credentials")];
    let answer = from(CONFIGURED, posts(&shop, "/token", &alone)).await;
    assert_eq!((answer.status, allowed(&answer)), (200, Some(CONFIGURED)));
    for near in ["https://tools.example:8443", "http://tools.example", "https://a.tools.example"] {
        let answer = from(near, posts(&shop, "/token", &alone)).await;
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{near}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_for_all_says_so_even_to_whom_no_origin_is_asked() {
    let server = TestServer::start(Backend::Memory).await;
    for path in ["/.well-known/openid-configuration", "/jwks.json"] {
        let answer = http::send(server.http().get(server.url(path))).await;
        assert_eq!((answer.status, answer.header(ALLOWED)), (200, Some("*")), "{path}");
        let kept = server.http().get(server.url(path)).header("if-none-match", "*");
        let answer = from(FOREIGN, kept).await;
        assert_eq!((answer.status, answer.header(ALLOWED)), (304, Some("*")), "{path}");
    }
    let token = http::send(http::form(server.http(), &server.url("/token"), &[])).await;
    assert_eq!((token.status, allowed(&token)), (401, None), "{token:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_off_nothing_is_said_to_anybody() {
    let off = [("CORS_ENABLED", "false"), ("CORS_ORIGINS", CONFIGURED)];
    let server = TestServer::start_with(Backend::Memory, &off).await;
    let shop = server.relying_party("shop").await;
    let quiet = |answer: &HttpResponse| {
        let said = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control"));
        assert_eq!(said.count(), 0, "{answer:?}");
    };
    for (path, method) in OWN.iter().chain(&OPEN) {
        for origin in [SHOP, CONFIGURED] {
            let answer = preflight(&server, path, method, origin).await;
            assert_eq!(answer.status, 405, "{path}");
            quiet(&answer);
        }
        quiet(&from(SHOP, server.http().request(method.clone(), server.url(path))).await);
    }
    quiet(&from(SHOP, shop.form("/token", &[("code", &"x".repeat(70_000))])).await);
}

async fn panics() {
    panic!("hidden")
}

/// An endpoint that panics and one that hangs, both with the layer that the token endpoint has.
fn troubled(server: &TestServer) -> Router {
    let rooms = Router::new()
        .route("/panics", get(panics))
        .route("/hangs", get(async || std::future::pending::<()>().await))
        .layer(from_fn_with_state(server.app().clone(), cors::own_origins))
        .route("/login", get(panics));
    let mut settings = LayerSettings::new(&[], true);
    settings.handler_timeout = Duration::from_millis(20);
    wrap(rooms, settings)
}

async fn asked(rooms: &Router, path: &str, name: &str, value: &str) -> Response<Body> {
    let request = Request::get(path).header(name, value).body(Body::empty()).expect("a request");
    rooms.clone().oneshot(request).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_and_a_timeout_can_be_read_too() {
    let server = TestServer::start(Backend::Memory).await;
    server.relying_party("shop").await;
    let rooms = troubled(&server);
    for (path, status) in [("/panics", 500), ("/hangs", 503)] {
        for (origin, expected) in [(SHOP, Some(SHOP)), (FOREIGN, None), ("null", None)] {
            let answer = asked(&rooms, path, "origin", origin).await;
            assert_eq!(answer.status(), status, "{path}");
            let said = answer.headers().get(ALLOWED).map(|value| value.to_str().unwrap());
            assert_eq!(said, expected, "{path} {origin}");
            let varies = answer.headers().get_all("vary").iter().count();
            assert_eq!(varies, 1, "{path} {origin}");
            assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        }
    }
    let answer = asked(&rooms, "/login", "origin", SHOP).await;
    assert_eq!((answer.status().as_u16(), answer.headers().get(ALLOWED)), (500, None));
}
