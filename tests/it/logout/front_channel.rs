//! `OpenID Connect Front-Channel Logout`: applications are told by the person's browser.

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use scraper::{Html, Selector};
use serde_json::json;
use url::Url;

use super::rp_initiated::{is_signed_in, logout};
use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    oidcc_frontchannel_rp_initiated_logout,
    frames_are_those_of_the_session_and_twenty_at_most,
    a_second_press_has_the_frames_again_and_queues_nothing_again,
    a_session_that_ran_out_is_told_when_the_person_comes_to_sign_out,
    without_frames_nobody_waits_on_a_page,
    each_frame_has_the_name_its_sector_knows,
];

const BYE: &str = "https://shop.example/bye";

async fn framed(server: &TestServer, name: &str) -> RelyingParty {
    let more = json!({
        "post_logout_redirect_uris": [format!("https://{name}.example/bye")],
        "frontchannel_logout_uri": format!("https://{name}.example/out?kept=a%20b"),
        "frontchannel_logout_session_required": true,
    });
    server.relying_party_with(name, &more, ClientSettings::default()).await
}

fn frames(page: &HttpResponse) -> Vec<Url> {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("iframe").expect("a selector");
    let found = html.select(&selector).map(|it| {
        assert!(it.attr("sandbox").is_some_and(|it| !it.contains("top-navigation")));
        it.attr("src").expect("an address").parse().expect("a URL")
    });
    found.collect()
}

async fn oidcc_frontchannel_rp_initiated_logout(server: TestServer) {
    let shop = framed(&server, "shop").await;
    let cafe = framed(&server, "cafe").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    cafe.sign_in(&ada, "openid").await;
    let fields =
        [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let page = ada.get(&logout(&server, &fields)).await;
    assert_eq!((page.status, page.location()), (200, None));
    assert_eq!(page.text_of("h1").as_deref(), Some("Signed out"));
    assert!(!is_signed_in(&shop, &ada).await);

    let sid = tokens.id_claims()["sid"].as_str().expect("a session").to_owned();
    let frames = frames(&page);
    for (frame, host) in frames.iter().zip(["cafe.example", "shop.example"]) {
        assert_eq!((frame.host_str(), frame.path()), (Some(host), "/out"));
        assert!(frame.query().is_some_and(|query| query.starts_with("kept=a%20b&iss=")));
        let pairs: Vec<(String, String)> = frame.query_pairs().into_owned().collect();
        let expected = [("kept", "a b"), ("iss", server.issuer()), ("sid", &sid)];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    assert_eq!(frames.len(), 2);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("frame-src https://cafe.example https://shop.example;"), "{policy}");
    assert!(policy.contains("script-src 'nonce-"), "{policy}");

    // On it goes by script, without scripts after a while, and by hand.
    let on = format!("{BYE}?state=s");
    assert!(page.has_element(&format!("a#logout-continue[href='{on}']")));
    let refresh =
        format!(r#"<noscript><meta http-equiv="refresh" content="3; url={on}"></noscript>"#);
    assert!(page.body.contains(&refresh), "{}", page.body);

    let discovery = server.http().get(server.url("/.well-known/openid-configuration"));
    let metadata = http::send(discovery).await.success_json();
    assert_eq!(metadata["frontchannel_logout_supported"], true);
    assert_eq!(metadata["frontchannel_logout_session_supported"], true);
}

async fn frames_are_those_of_the_session_and_twenty_at_most(server: TestServer) {
    let shop = framed(&server, "shop").await;
    framed(&server, "stranger").await;
    let (ada, bob) = (server.browser("ada"), server.browser("bob"));
    let of_bob = shop.sign_in(&bob, "openid").await;
    let tokens = shop.sign_in(&ada, "openid").await;
    for number in 0..21 {
        let name = format!("app{number:02}");
        framed(&server, &name).await.sign_in(&ada, "openid").await;
    }
    let page = ada.get(&logout(&server, &[("id_token_hint", tokens.id())])).await;
    assert_eq!(frames(&page).len(), 20);
    assert!(!page.body.contains("stranger"));
    assert!(!page.has_element("script"), "there is nowhere to go on to");
    let page = bob.get(&logout(&server, &[("id_token_hint", of_bob.id())])).await;
    assert_eq!(frames(&page).len(), 1);
}

async fn a_second_press_has_the_frames_again_and_queues_nothing_again(server: TestServer) {
    let more = json!({
        "frontchannel_logout_uri": "https://shop.example/out",
        "backchannel_logout_uri": "https://10.0.0.1/out",
        "post_logout_redirect_uris": [BYE],
    });
    let shop = server.relying_party_with("shop", &more, ClientSettings::default()).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    for _ in 0..2 {
        let page = ada.get(&logout(&server, &fields)).await;
        assert_eq!((page.location(), frames(&page).len()), (None, 1));
    }
    let queued =
        latchkey::domain::logout_notifications::list(server.store()).await.expect("a store");
    assert_eq!(queued.len(), 1);
    server.advance_time(Duration::from_secs(61));
    assert_eq!(ada.get(&logout(&server, &fields)).await.location(), Some(BYE));
}

/// Nothing is known of who asks, so nobody is sent on; those of the session are told all the same.
async fn a_session_that_ran_out_is_told_when_the_person_comes_to_sign_out(server: TestServer) {
    let shop = framed(&server, "shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    server.advance_time(server.app().config.lifetimes.session_idle + Duration::from_secs(1));
    let fields = [("client_id", "shop"), ("post_logout_redirect_uri", BYE)];
    let page = ada.get(&logout(&server, &fields)).await;
    assert_eq!(page.text_of("h1").as_deref(), Some("Signed out"));
    assert_eq!(frames(&page).len(), 1);
    assert!(page.has_element("a#logout-continue") && !page.has_element("script"), "{page:?}");
}

async fn without_frames_nobody_waits_on_a_page(server: TestServer) {
    let more = json!({ "post_logout_redirect_uris": [BYE] });
    let shop = server.relying_party_with("shop", &more, ClientSettings::default()).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let fields = [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE)];
    assert_eq!(ada.get(&logout(&server, &fields)).await.location(), Some(BYE));
}

async fn each_frame_has_the_name_its_sector_knows(server: TestServer) {
    let ada = server.browser("ada");
    let mut known = Vec::new();
    for name in ["shop", "cafe"] {
        let more = json!({
            "frontchannel_logout_uri": format!("https://{name}.example/out"),
            "subject_type": "pairwise",
        });
        let client = server.relying_party_with(name, &more, ClientSettings::default()).await;
        let tokens = client.sign_in(&ada, "openid").await;
        known.push((tokens.id().to_owned(), tokens.id_claims()["sid"].clone()));
    }
    let page = ada.get(&logout(&server, &[("id_token_hint", &known[0].0)])).await;
    let told: Vec<_> = frames(&page)
        .iter()
        .map(|frame| {
            frame.query_pairs().find(|(name, _)| name == "sid").map(|it| it.1.into_owned())
        })
        .collect();
    let sid = |at: usize| known[at].1.as_str().map(str::to_owned);
    assert_eq!(told, [sid(1), sid(0)], "cafe, shop");
}
