//! WebFinger: from a person's address to the issuer, and nothing about the person.

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, TestServer};

const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";

async fn server() -> TestServer {
    let domains = [("WEBFINGER_DOMAINS", "Example.com, people.example:8443")];
    TestServer::start_with(Backend::Memory, &domains).await
}

async fn asked(server: &TestServer, pairs: &[(&str, &str)]) -> HttpResponse {
    let url = format!("/.well-known/webfinger?{}", http::encode(pairs));
    let answer = http::send(server.http().get(server.url(&url))).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_a_domain_leads_to_the_issuer_whoever_that_is() {
    let server = server().await;
    let own = format!("acct:ada@{}", server.issuer().trim_start_matches("http://"));
    let mut links = Vec::new();
    for resource in [
        "acct:ada@example.com",
        "acct:nobody@example.com",
        "acct:ada@people.example:8443",
        "https://example.com/ada",
        &own,
        server.issuer(),
    ] {
        let answer = asked(&server, &[("resource", resource)]).await;
        assert_eq!(answer.header("content-type"), Some("application/jrd+json"), "{resource}");
        let told = answer.success_json();
        assert_eq!(told["subject"], resource);
        assert_eq!(told["links"][0]["rel"], ISSUER);
        assert_eq!(told["links"][0]["href"], server.issuer());
        links.push(told["links"].clone());
    }
    assert!(links.iter().all(|it| *it == links[0]), "{links:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_that_is_not_ours_gets_no_links_and_ours_among_several_does() {
    let server = server().await;
    let resource = ("resource", "acct:ada@example.com");
    let other = ("rel", "http://webfinger.net/rel/avatar");
    for (rels, count) in [
        (vec![], 1),
        (vec![("rel", ISSUER)], 1),
        (vec![other], 0),
        (vec![other, ("rel", ISSUER)], 1),
    ] {
        let told = asked(&server, &[&[resource][..], &rels].concat()).await.success_json();
        assert_eq!(told["links"].as_array().map(Vec::len), Some(count), "{rels:?}");
        assert_eq!(told["subject"], resource.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_nobody_is_a_bad_request_and_whom_others_keep_is_not_found() {
    let server = server().await;
    let (ada, other) = (("resource", "acct:ada@example.com"), ("resource", "acct:bob@example.com"));
    for pairs in [
        &[][..],
        &[("rel", ISSUER)],
        &[("resource", "")],
        &[("resource", "ada")],
        &[("resource", "mailto:ada@example.com")],
        &[ada, other],
    ] {
        assert_eq!(
            asked(&server, pairs).await.error(),
            (400, "invalid_request".into()),
            "{pairs:?}"
        );
    }
    for strange in [
        "acct:ada@other.example",
        "acct:ada@mail.example.com",
        "acct:ada@example.com:8443",
        "acct:ada@people.example",
        "https://other.example/ada",
    ] {
        let answer = asked(&server, &[("resource", strange)]).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{strange}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plus_is_a_plus_and_what_is_no_text_a_bad_request() {
    let server = server().await;
    let asked = async |query: &str| {
        http::send(server.http().get(server.url(&format!("/.well-known/webfinger?{query}")))).await
    };
    for resource in ["acct:ada+shop@example.com", "acct%3Aada%2Bshop%40example.com"] {
        let told = asked(&format!("x=%ff&resource={resource}")).await.success_json();
        assert_eq!(told["subject"], "acct:ada+shop@example.com", "{resource}");
    }
    for query in [
        "resource=acct:ada%ff@example.com",
        "resource=acct:ada%4@example.com",
        "resource=acct:ada@example.com&rel=%ff",
    ] {
        assert_eq!(asked(query).await.error(), (400, "invalid_request".into()), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_of_the_domain_may_pass_it_on_under_its_own_name() {
    let server = server().await;
    let url = server.url("/.well-known/webfinger?resource=acct:ada@example.com");
    let answer = http::send(server.http().get(url).header("host", "example.com")).await;
    assert_eq!(answer.success_json()["links"][0]["href"], server.issuer());
    let elsewhere = server.http().get(server.url("/authorize")).header("host", "example.com");
    assert_eq!(http::send(elsewhere).await.status, 421);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_led_anywhere_until_a_domain_is_named() {
    let server = TestServer::start(Backend::Memory).await;
    let own = format!("acct:ada@{}", server.issuer().trim_start_matches("http://"));
    assert_eq!(asked(&server, &[("resource", &own)]).await.status, 404);
}
