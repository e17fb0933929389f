//! A page requested under another host name of this server is redirected to the issuer's own address.

use latchkey::http::assets::stylesheet_path;
use reqwest::Method;

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, TestServer};

const EXTRA: &[(&str, &str)] = &[("EXTRA_HOSTS", "latchkey:5000")];

async fn asks(server: &TestServer, method: Method, path: &str, host: &str) -> HttpResponse {
    let request = server.http().request(method, server.url(path)).header("host", host);
    http::send(request.header("accept", "text/html")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_under_another_name_is_asked_for_again_at_the_issuers_address() {
    let server = TestServer::start_with(Backend::Memory, EXTRA).await;
    let other = format!("127.0.0.1:{}", server.at().port());
    let url = server.relying_party("shop").await.authorization_request("openid").url();
    let authorize = url.strip_prefix(server.issuer()).expect("ours");
    for host in [&*other, "latchkey:5000"] {
        for (method, path) in [
            (Method::GET, authorize),
            (Method::GET, "/authorize"),
            (Method::GET, "/login?interaction=x"),
            (Method::HEAD, "/consent"),
            (Method::GET, "/logout?state=a%20b"),
            // With its form: 307 is what keeps it.
            (Method::POST, "/authorize"),
            (Method::POST, "/logout"),
        ] {
            let answer = asks(&server, method.clone(), path, host).await;
            assert_eq!(answer.status, 307, "{method} {path} {host}");
            let separator = if path.contains('?') { '&' } else { '?' };
            let there = format!("{}{path}{separator}other_host=1", server.issuer());
            assert_eq!(answer.location(), Some(&*there));
        }
    }
    // Once there, it is as if nothing had been: the mark means nothing to anybody.
    let ada = server.browser("ada");
    let login = ada.open(&format!("{url}&other_host=1")).await;
    assert!(login.has_element("#login-submit"));
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_for_programs_answer_under_every_name() {
    let server = TestServer::start_with(Backend::Memory, EXTRA).await;
    for (method, path, status) in [
        (Method::GET, "/.well-known/openid-configuration", 200),
        (Method::GET, "/jwks.json", 200),
        (Method::POST, "/token", 400),
        (Method::POST, "/introspect", 400),
        (Method::GET, "/userinfo", 401),
        (Method::GET, "/check-session", 200),
        (Method::GET, "/", 200),
        // A form of ours has no cookies anywhere else.
        (Method::POST, "/login", 403),
    ] {
        let answer = asks(&server, method.clone(), path, "latchkey:5000").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_changes_host_nobody_is_sent_in_a_circle() {
    let server = TestServer::start_with(Backend::Memory, EXTRA).await;
    let sent = asks(&server, Method::GET, "/logout", "latchkey:5000").await;
    assert_eq!(sent.status, 307);
    // The browser follows, and what arrives has the changed name again.
    let to = sent.location().and_then(|it| it.strip_prefix(server.issuer())).expect("ours");
    assert_eq!(asks(&server, Method::GET, to, "latchkey:5000").await.status, 200);
    // Anybody can write the mark: it is about the request that carries it.
    assert_eq!(asks(&server, Method::GET, "/logout", "latchkey:5000").await.status, 307);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_asks_under_another_name_is_served_there() {
    let server = TestServer::start_with(Backend::Memory, EXTRA).await;
    for (name, value) in [("accept", "*/*"), ("accept", "application/json")] {
        let request = server.http().post(server.url("/logout")).header("host", "latchkey:5000");
        let answer = http::send(request.header(name, value)).await;
        assert_ne!(answer.status, 307, "{name}: {value}: {answer:?}");
    }
    let request = server.http().post(server.url("/logout")).header("host", "latchkey:5000");
    let proven = request.header("accept", "text/html").basic_auth("shop", Some("secret"));
    let answer = http::send(proven).await;
    assert_ne!(answer.status, 307, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strange_name_is_answered_with_the_right_address_and_the_setting() {
    let server = TestServer::start_with(Backend::Memory, EXTRA).await;
    let page = asks(&server, Method::GET, "/authorize", "old.example:<b>").await;
    assert_eq!((page.status, page.text_of("h1").as_deref()), (421, Some("Wrong address")));
    assert_eq!(page.attribute("a.button", "href").as_deref(), Some(server.issuer()));
    let said = page.text_of(".developer").expect("a section");
    for word in ["old.example:<b>", server.issuer(), "ISSUER_URL", "EXTRA_HOSTS"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let style = asks(&server, Method::GET, stylesheet_path(), "old.example").await;
    assert_eq!(style.status, 200, "the page looks like one of ours");
    // What is of use inside only stays inside.
    assert!(!page.body.contains("latchkey:5000"));
    // RFC 6749 §5.2 has no quotation mark in a description, and nobody writes theirs into it.
    let told = asks(&server, Method::POST, "/token", "a\"b<c").await;
    assert_eq!(told.error().0, 421);
    let json = told.json();
    let description = json["error_description"].as_str().expect("a text");
    assert!(description.contains(server.issuer()) && description.contains("EXTRA_HOSTS"), "{json}");
    assert!(!description.contains(['"', '\\', '<']), "{json}");
}
