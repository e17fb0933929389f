//! What needs no credentials: the front page, the 404 page, the public documents, the health endpoints.

use reqwest::Method;
use serde_json::json;

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    the_front_page_says_whose_it_is_and_where_clients_begin,
    an_address_where_nothing_is_leads_a_person_back_and_tells_a_program_so,
    a_public_document_that_is_kept_already_is_not_sent_again,
    health_tells_of_a_store_that_takes_nothing_and_being_alive_does_not_depend_on_it,
    an_access_token_is_shown_in_one_place_and_in_one_way,
];

async fn gets(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
    let request = server.http().get(server.url(path));
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    http::send(request).await
}

async fn the_front_page_says_whose_it_is_and_where_clients_begin(server: TestServer) {
    let page = gets(&server, "/", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(server.issuer()));
    let place = server.url("/.well-known/openid-configuration");
    assert_eq!(page.attribute("main a", "href"), Some(place));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

async fn an_address_where_nothing_is_leads_a_person_back_and_tells_a_program_so(
    server: TestServer,
) {
    let page = gets(&server, "/nowhere", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((page.status, page.text_of("h1").as_deref()), (404, Some("Nothing here")));
    assert_eq!(page.attribute("a.button", "href").as_deref(), Some("/"));
    let told = gets(&server, "/nowhere?%3Cb%3E", &[("accept", "application/json")]).await;
    assert_eq!(told.error(), (404, "not_found".to_owned()));
    assert!(!told.body.contains("<b>") && !told.body.contains("%3Cb"));
}

async fn a_public_document_that_is_kept_already_is_not_sent_again(server: TestServer) {
    let keys = gets(&server, "/.well-known/openid-configuration", &[]).await.success_json();
    let keys = keys["jwks_uri"].as_str().expect("an address").to_owned();
    let keys = keys.strip_prefix(server.issuer()).expect("ours");
    for path in ["/.well-known/openid-configuration", keys] {
        let first = gets(&server, path, &[]).await;
        assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
        let tag = first.header("etag").expect("a tag");
        for kept in [tag, &format!("\"other\", W/{tag}"), "*"] {
            let again = gets(&server, path, &[("if-none-match", kept)]).await;
            assert_eq!((again.status, &*again.body, again.header("etag")), (304, "", Some(tag)));
        }
        let other = gets(&server, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status, other.body), (200, first.body.clone()), "{path}");
    }
}

async fn health_tells_of_a_store_that_takes_nothing_and_being_alive_does_not_depend_on_it(
    server: TestServer,
) {
    for path in ["/ready", "/health", "/live"] {
        assert_eq!(gets(&server, path, &[]).await.success_json()["status"], "ok", "{path}");
    }
    server.failing_store().fail_operation("ping");
    for path in ["/ready", "/health"] {
        let ill = gets(&server, path, &[]).await;
        assert_eq!(ill.status, 503);
        let told = json!({"store": "failing", "keys": "ok", "clock": "unknown"});
        assert_eq!(ill.json()["checks"], told, "{path}");
    }
    assert_eq!(gets(&server, "/live", &[]).await.status, 200);
    server.failing_store().heal();
    assert_eq!(gets(&server, "/ready", &[]).await.status, 200);
}

async fn an_access_token_is_shown_in_one_place_and_in_one_way(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let (token, bearer) = (tokens.access(), format!("Bearer {}", tokens.access()));
    let url = server.url("/userinfo");
    let form = |fields| http::form(server.http(), &url, fields);
    let get = |value: &str| server.http().get(&url).header("authorization", value);
    let body: &[(&str, &str)] = &[("access_token", token)];
    for (why, request, status, challenge) in [
        ("header", get(&bearer), 200, None),
        ("scheme in another case", get(&format!("bEARER {token}")), 200, None),
        ("form", form(body), 200, None),
        ("POST by header", server.http().request(Method::POST, &url).bearer_auth(token), 200, None),
        ("nothing", server.http().get(&url), 401, Some("Bearer")),
        ("nothing in a form", form(&[]), 401, Some("Bearer")),
        ("header and form", form(body).bearer_auth(token), 400, Some("invalid_request")),
        ("two headers", get(&bearer).header("authorization", &bearer), 400, None),
        ("another scheme", get("Basic eDp5"), 400, Some("invalid_request")),
        ("no token", get("Bearer "), 400, Some("invalid_request")),
        ("two words", get(&format!("{bearer} x")), 400, Some("invalid_request")),
        ("no token of ours", get("Bearer x"), 401, Some("invalid_token")),
        ("an ID token", get(&format!("Bearer {}", tokens.id())), 401, Some("invalid_token")),
        (
            "in the address",
            server.http().get(format!("{url}?access_token={token}")),
            400,
            Some("invalid_request"),
        ),
    ] {
        let answer = http::send(request).await;
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        let told = answer.header("www-authenticate").unwrap_or_default();
        assert!(told.contains(challenge.unwrap_or_default()), "{why}: {told}");
        assert!(told.is_empty() || told.starts_with("Bearer"), "{why}: {told}");
    }
}
