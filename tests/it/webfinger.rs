//! WebFinger: from a person's address to the issuer, and nothing about the person.

use crate::support::http::{self, Answer};
use crate::support::test_server::{Backing, House};

const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";

async fn house() -> House {
    let domains = [("WEBFINGER_DOMAINS", "Example.com, people.example:8443")];
    House::start_with(Backing::Memory, &domains).await
}

async fn asked(house: &House, pairs: &[(&str, &str)]) -> Answer {
    let url = format!("/.well-known/webfinger?{}", http::encode(pairs));
    let answer = http::send(house.http().get(house.url(&url))).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_a_domain_leads_to_the_issuer_whoever_that_is() {
    let house = house().await;
    let own = format!("acct:ada@{}", house.issuer().trim_start_matches("http://"));
    let mut links = Vec::new();
    for resource in [
        "acct:ada@example.com",
        "acct:nobody@example.com",
        "acct:ada@people.example:8443",
        "https://example.com/ada",
        &own,
        house.issuer(),
    ] {
        let answer = asked(&house, &[("resource", resource)]).await;
        assert_eq!(answer.header("content-type"), Some("application/jrd+json"), "{resource}");
        let told = answer.good();
        assert_eq!(told["subject"], resource);
        assert_eq!(told["links"][0]["rel"], ISSUER);
        assert_eq!(told["links"][0]["href"], house.issuer());
        links.push(told["links"].clone());
    }
    assert!(links.iter().all(|it| *it == links[0]), "{links:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_that_is_not_ours_gets_no_links_and_ours_among_several_does() {
    let house = house().await;
    let resource = ("resource", "acct:ada@example.com");
    let other = ("rel", "http://webfinger.net/rel/avatar");
    for (rels, count) in [
        (vec![], 1),
        (vec![("rel", ISSUER)], 1),
        (vec![other], 0),
        (vec![other, ("rel", ISSUER)], 1),
    ] {
        let told = asked(&house, &[&[resource][..], &rels].concat()).await.good();
        assert_eq!(told["links"].as_array().map(Vec::len), Some(count), "{rels:?}");
        assert_eq!(told["subject"], resource.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_nobody_is_a_bad_request_and_whom_others_keep_is_not_found() {
    let house = house().await;
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
            asked(&house, pairs).await.error(),
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
        let answer = asked(&house, &[("resource", strange)]).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{strange}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plus_is_a_plus_and_what_is_no_text_a_bad_request() {
    let house = house().await;
    let asked = async |query: &str| {
        http::send(house.http().get(house.url(&format!("/.well-known/webfinger?{query}")))).await
    };
    for resource in ["acct:ada+shop@example.com", "acct%3Aada%2Bshop%40example.com"] {
        let told = asked(&format!("x=%ff&resource={resource}")).await.good();
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
    let house = house().await;
    let url = house.url("/.well-known/webfinger?resource=acct:ada@example.com");
    let answer = http::send(house.http().get(url).header("host", "example.com")).await;
    assert_eq!(answer.good()["links"][0]["href"], house.issuer());
    let elsewhere = house.http().get(house.url("/authorize")).header("host", "example.com");
    assert_eq!(http::send(elsewhere).await.status, 421);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_led_anywhere_until_a_domain_is_named() {
    let house = House::start(Backing::Memory).await;
    let own = format!("acct:ada@{}", house.issuer().trim_start_matches("http://"));
    assert_eq!(asked(&house, &[("resource", &own)]).await.status, 404);
}
