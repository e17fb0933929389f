//! Clients that fail to prove themselves: counted by reason, limited by address, and nobody locked out.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, TestServer, on_every_backend};

on_every_backend![failures_are_limited_and_the_real_client_goes_on];

const ITSELF: (&str, &str) = ("grant_type", "client_credentials");
const HERE: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.9";

/// A server that believes its proxies, of which the test is one.
async fn limited(backing: Backend, per_minute: &str) -> TestServer {
    let variables = [
        ("RATE_LIMITING_ENABLED", "true"),
        ("RATE_LIMIT_PER_MINUTE", per_minute),
        ("TRUSTED_PROXIES", "127.0.0.1,::1"),
    ];
    TestServer::start_with(backing, &variables).await
}

async fn guesses(shop: &RelyingParty, id: &str, from: &str) -> HttpResponse {
    let request = shop.form("/token", &[ITSELF]).basic_auth(id, Some("wrong"));
    http::send(request.header("x-forwarded-for", from)).await
}

async fn shows_its_secret(shop: &RelyingParty, from: &str) -> HttpResponse {
    let request = shop.with_basic_auth(shop.form("/token", &[ITSELF]));
    http::send(request.header("x-forwarded-for", from)).await
}

async fn failures_are_limited_and_the_real_client_goes_on(backing: Backend) {
    let server = limited(backing, "100").await;
    let shop = server.relying_party("shop").await;
    for _ in 0..10 {
        assert_eq!(guesses(&shop, "shop", HERE).await.status, 401);
    }
    let refused = guesses(&shop, "shop", HERE).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(shows_its_secret(&shop, ELSEWHERE).await.status, 200);
    assert_eq!(shows_its_secret(&shop, HERE).await.status, 200, "not even beside the guesser");
    assert_eq!(guesses(&shop, "shop", ELSEWHERE).await.status, 401, "its own count");
    assert_eq!(guesses(&shop, "kiosk", HERE).await.status, 401, "another client's count");
    server.advance_time(Duration::from_secs(wait));
    assert_eq!(guesses(&shop, "shop", HERE).await.status, 401, "a minute later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_tries_many_names_is_limited_too() {
    let server = limited(Backend::Memory, "20").await;
    let shop = server.relying_party("shop").await;
    for guess in 0..20 {
        assert_eq!(guesses(&shop, &format!("name-{guess}"), HERE).await.status, 401);
    }
    assert_eq!(guesses(&shop, "one-more", HERE).await.status, 429);
    assert_eq!(shows_its_secret(&shop, HERE).await.status, 200);
}

/// How many changes its store has made.
async fn changes(server: &TestServer) -> u64 {
    let line = r#"oidc_store_commands_total{outcome="ok",verb="commit"}"#;
    let metrics = server.metrics().await;
    let found = metrics.lines().find_map(|told| told.strip_prefix(line));
    found.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_files_nothing_more_whatever_name_it_claims() {
    let server = limited(Backend::Memory, "5").await;
    let shop = server.relying_party("shop").await;
    let refused = async |guess: usize| guesses(&shop, &format!("name-{guess}"), HERE).await.status;
    for guess in 0..5 {
        assert_eq!(refused(guess).await, 401);
    }
    let before = changes(&server).await;
    for guess in 5..15 {
        assert_eq!(refused(guess).await, 429);
    }
    assert_eq!(changes(&server).await - before, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_known_whatever_bytes_the_client_wrote_before_the_proxy_did() {
    let server = limited(Backend::Memory, "50").await;
    let shop = server.relying_party("shop").await;
    let guesses = async |from: &str| {
        let forwarded = [b"caf\xe9, ", from.as_bytes()].concat();
        let forwarded = HeaderValue::from_bytes(&forwarded).expect("a value");
        let request = shop.form("/token", &[ITSELF]).basic_auth("shop", Some("wrong"));
        http::send(request.header("x-forwarded-for", forwarded)).await.status
    };
    for _ in 0..5 {
        assert_eq!(guesses(HERE).await, 401);
    }
    assert_eq!(guesses(HERE).await, 429);
    assert_eq!(guesses(ELSEWHERE).await, 401, "its own count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_open_when_the_store_does_not_count() {
    let server = limited(Backend::Memory, "5").await;
    let shop = server.relying_party("shop").await;
    server.failing_store().fail_operation("commit");
    for _ in 0..20 {
        assert_eq!(guesses(&shop, "shop", HERE).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_is_counted_by_its_reason() {
    let server = TestServer::start(Backend::Memory).await;
    let shop = server.relying_party("shop").await;
    let form = |fields: &[(&str, &str)]| {
        let mut all = vec![ITSELF];
        all.extend(fields);
        shop.form("/token", &all)
    };
    let assertion = ("client_assertion", "x.y.z");
    for (reason, request) in [
        ("no_credentials", form(&[])),
        ("malformed_header", form(&[]).header(AUTHORIZATION, "Basic !!!")),
        ("two_headers", form(&[]).header(AUTHORIZATION, "Basic a").header(AUTHORIZATION, "b")),
        (
            "two_methods",
            shop.with_basic_auth(form(&[("client_id", "shop"), ("client_secret", "x")])),
        ),
        ("two_clients", shop.with_basic_auth(form(&[("client_id", "kiosk")]))),
        ("assertion_type", form(&[assertion])),
        ("unknown_client", form(&[("client_id", "nobody")])),
        ("wrong_method", form(&[("client_id", "shop"), ("client_secret", "x")])),
        ("wrong_secret", form(&[]).basic_auth("shop", Some("x"))),
        // It is right, and it has characters in it that should have been encoded.
        ("secret_not_form_encoded", form(&[]).basic_auth("shop", Some(&shop.secret))),
    ] {
        let answer = http::send(request).await;
        assert!(matches!(answer.status, 400 | 401), "{reason}: {answer:?}");
        let line = format!("oidc_client_auth_failures_total{{reason=\"{reason}\"}} 1");
        let metrics = server.metrics().await;
        assert!(metrics.lines().any(|it| it == line), "{line}");
    }
}
