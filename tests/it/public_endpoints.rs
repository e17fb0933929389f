//! What everybody sees: the front page, the way out of nowhere, the public documents, the health.

use reqwest::Method;
use serde_json::json;

use crate::support::http::{self, Answer};
use crate::support::test_server::{House, on_every_store};

on_every_store![
    the_front_page_says_whose_it_is_and_where_clients_begin,
    an_address_where_nothing_is_leads_a_person_back_and_tells_a_program_so,
    a_public_document_that_is_kept_already_is_not_sent_again,
    health_tells_of_a_store_that_takes_nothing_and_being_alive_does_not_depend_on_it,
    an_access_token_is_shown_in_one_place_and_in_one_way,
];

async fn gets(house: &House, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = house.http().get(house.url(path));
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    http::send(request).await
}

async fn the_front_page_says_whose_it_is_and_where_clients_begin(house: House) {
    let page = gets(&house, "/", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(house.issuer()));
    let place = house.url("/.well-known/openid-configuration");
    assert_eq!(page.attribute("main a", "href"), Some(place));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

async fn an_address_where_nothing_is_leads_a_person_back_and_tells_a_program_so(house: House) {
    let page = gets(&house, "/nowhere", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((page.status, page.words("h1").as_deref()), (404, Some("Nothing here")));
    assert_eq!(page.attribute("a.button", "href").as_deref(), Some("/"));
    let told = gets(&house, "/nowhere?%3Cb%3E", &[("accept", "application/json")]).await;
    assert_eq!(told.error(), (404, "not_found".to_owned()));
    assert!(!told.body.contains("<b>") && !told.body.contains("%3Cb"));
}

async fn a_public_document_that_is_kept_already_is_not_sent_again(house: House) {
    let keys = gets(&house, "/.well-known/openid-configuration", &[]).await.good();
    let keys = keys["jwks_uri"].as_str().expect("an address").to_owned();
    let keys = keys.strip_prefix(house.issuer()).expect("ours");
    for path in ["/.well-known/openid-configuration", keys] {
        let first = gets(&house, path, &[]).await;
        assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
        let tag = first.header("etag").expect("a tag");
        for kept in [tag, &format!("\"other\", W/{tag}"), "*"] {
            let again = gets(&house, path, &[("if-none-match", kept)]).await;
            assert_eq!((again.status, &*again.body, again.header("etag")), (304, "", Some(tag)));
        }
        let other = gets(&house, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status, other.body), (200, first.body.clone()), "{path}");
    }
}

async fn health_tells_of_a_store_that_takes_nothing_and_being_alive_does_not_depend_on_it(
    house: House,
) {
    for path in ["/ready", "/health", "/live"] {
        assert_eq!(gets(&house, path, &[]).await.good()["status"], "ok", "{path}");
    }
    house.faults().plan_verb("ping");
    for path in ["/ready", "/health"] {
        let ill = gets(&house, path, &[]).await;
        assert_eq!(ill.status, 503);
        let told = json!({"store": "failing", "keys": "ok", "clock": "unknown"});
        assert_eq!(ill.json()["checks"], told, "{path}");
    }
    assert_eq!(gets(&house, "/live", &[]).await.status, 200);
    house.faults().heal();
    assert_eq!(gets(&house, "/ready", &[]).await.status, 200);
}

async fn an_access_token_is_shown_in_one_place_and_in_one_way(house: House) {
    let shop = house.relying_party("shop").await;
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let (token, bearer) = (tokens.access(), format!("Bearer {}", tokens.access()));
    let url = house.url("/userinfo");
    let form = |fields| http::form(house.http(), &url, fields);
    let get = |value: &str| house.http().get(&url).header("authorization", value);
    let body: &[(&str, &str)] = &[("access_token", token)];
    for (why, request, status, challenge) in [
        ("header", get(&bearer), 200, None),
        ("scheme in another case", get(&format!("bEARER {token}")), 200, None),
        ("form", form(body), 200, None),
        ("POST by header", house.http().request(Method::POST, &url).bearer_auth(token), 200, None),
        ("nothing", house.http().get(&url), 401, Some("Bearer")),
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
            house.http().get(format!("{url}?access_token={token}")),
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
