//! What a script, or a person, can read of an answer that is a refusal.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Frame;
use latchkey::server::routes;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_headers_and_web_views_are_for_the_operator_to_name() {
    let named = [("CORS_ALLOWED_HEADERS", "X-Shop,b3"), ("CORS_ORIGINS", "capacitor://localhost")];
    let server = TestServer::start_with(Backend::Memory, &named).await;
    let shop = server.relying_party("shop").await;
    for (path, method) in &OWN {
        for (origin, expected) in [(SHOP, true), ("capacitor://localhost", true), (FOREIGN, false)]
        {
            let found = headers(&preflight(&server, path, method, origin).await);
            for name in ["x-shop", "b3", "traceparent"] {
                assert_eq!(found.contains(&name.to_owned()), expected, "{path} {origin} {found:?}");
            }
        }
    }
    let alone = [("grant_type", "client_credentials")];
    for (origin, expected) in [
        ("capacitor://localhost", Some("capacitor://localhost")),
        ("capacitor://localhost:1", None),
        ("ionic://localhost", None),
        ("http://localhost", None),
    ] {
        let answer = from(origin, posts(&shop, "/token", &alone)).await;
        assert_eq!((answer.status, allowed(&answer)), (200, expected), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_status_a_page_may_read_why() {
    let tight = [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", "1")];
    let server = TestServer::start_with(Backend::Memory, &tight).await;
    let shop = server.relying_party("shop").await;
    let wrong =
        [("grant_type", "refresh_token"), ("client_id", &shop.id), ("client_secret", "wrong")];
    let mut last = from(SHOP, shop.form("/token", &wrong)).await;
    for _ in 0..20 {
        last = from(SHOP, shop.form("/token", &wrong)).await;
    }
    assert_eq!((last.status, allowed(&last)), (429, Some(SHOP)), "{last:?}");
    assert!(last.header("access-control-expose-headers").unwrap().contains("Retry-After"));

    // While the store is away nobody knows whose origin that is, and there is nothing else to read.
    server.failing_store().fail_from(0);
    for path in ["/token", "/revoke"] {
        let asked = preflight(&server, path, &Method::POST, SHOP).await;
        assert_eq!((asked.status, allowed(&asked)), (204, Some(SHOP)), "{path}");
        let answer = from(SHOP, posts(&shop, path, &[("token", "x"), wrong[0], wrong[1]])).await;
        assert_eq!((answer.status, allowed(&answer)), (503, Some(SHOP)), "{path} {answer:?}");
        let refused = from(SHOP, server.http().post(server.url(path)).body("{}")).await;
        assert_eq!((refused.status, allowed(&refused)), (400, None), "{path} {refused:?}");
    }
    server.failing_store().heal();
    let answer = from(FOREIGN, server.http().post(server.url("/register/nobody/more"))).await;
    assert_eq!((answer.status, answer.header(ALLOWED)), (404, None), "no room is there");
}

/// A body of which nothing comes.
struct Slow;

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn that_a_body_did_not_come_can_be_read_by_whom_the_room_is_open() {
    let server = TestServer::start(Backend::Memory).await;
    server.relying_party("shop").await;
    let rooms = routes::router(server.app());
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (path, kind, origin, expected) in [
        ("/token", form, SHOP, Some(SHOP)),
        ("/token", form, FOREIGN, None),
        ("/register", json, FOREIGN, Some("*")),
    ] {
        let request = Request::post(path).header("origin", origin).header("host", host(&server));
        let request = request.header("content-type", kind);
        let request = request.body(Body::new(Slow)).expect("a request");
        let answer = rooms.clone().oneshot(request).await.expect("an answer");
        let said = answer.headers().get(ALLOWED).map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), said), (408, expected), "{path} {origin}");
    }
}

fn host(server: &TestServer) -> &str {
    server.issuer().trim_start_matches("http://")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_there_is_no_such_document_can_be_read_by_everybody() {
    let server = TestServer::start(Backend::Memory).await;
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/webfinger?resource=acct:ada@localhost",
    ] {
        let asked = preflight(&server, path, &Method::GET, FOREIGN).await;
        assert_eq!((asked.status, asked.header(ALLOWED)), (204, Some("*")), "{path}");
        let answer = from(FOREIGN, server.http().get(server.url(path))).await;
        assert_eq!((answer.status, answer.header(ALLOWED)), (404, Some("*")), "{path}");
        assert_eq!(answer.json()["error"], "not_found", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_in_a_page_what_programs_are_told_in_json() {
    let server = TestServer::start(Backend::Memory).await;
    let (url, http) = (|path| server.url(path), server.http());
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
    let long = format!("/authorize?state={}", "x".repeat(45_000));
    let cookie = "x".repeat(18_000);
    let large = [("password", &*"x".repeat(70_000))];
    let table: [(u16, &str, Ask<'_>); 5] = [
        (405, "Please start again", Box::new(|| http.delete(url("/consent")))),
        (413, "That was too much", Box::new(|| http::form(http, &url("/authorize"), &large))),
        (414, "Request error", Box::new(|| http.get(url(&long)))),
        (421, "Wrong address", Box::new(|| http.get(url("/login")).header("host", "evil.example"))),
        (431, "That was too much", Box::new(|| http.get(url("/")).header("x", &cookie))),
    ];
    for (status, title, ask) in &table {
        let page = http::send(ask().header("accept", browser).header("x-request-id", "r1")).await;
        assert_eq!((page.status, page.text_of("h1").as_deref()), (*status, Some(*title)));
        assert!(page.text_of(".reference").is_some_and(|it| it.contains("r1")), "{page:?}");
        assert!(!page.body.contains("xxxx"), "{page:?}");
        // The name that came, as text, is what the operator needs; nothing else of the request is there.
        assert_eq!(page.body.contains("evil.example"), *status == 421, "{page:?}");
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'"), "{page:?}");
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(page.header(name), Some(value), "{status} {name}");
        }
        let program = http::send(ask().header("accept", "*/*")).await;
        assert_eq!((program.status, program.json()["error"].is_string()), (*status, true));
        assert_eq!(program.header("allow"), page.header("allow"), "{status}");
    }
    let broken = asked(&troubled(&server), "/login", "accept", browser).await;
    assert_eq!(broken.status(), 500);
    assert_eq!(broken.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(broken.headers()["x-frame-options"], "DENY");
}
