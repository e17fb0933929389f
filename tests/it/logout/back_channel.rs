//! `OpenID Connect Back-Channel Logout`: applications are told server to server.

use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::logout_notifications::{self, LOGOUT_TOKEN_TYP};
use serde_json::{Value, json};

use super::rp_initiated::{is_signed_in, logout};
use crate::support::browser::Browser;
use crate::support::http;
use crate::support::logout_receiver::{LogoutReceiver, ReceivedRequest, ScriptedResponse, TestCa};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, PASSWORD, TestServer};

/// Runs every scenario, an `async fn(TestCa, TestServer)`, once on each kind of store.
macro_rules! in_town {
    (@in $module:ident, $backing:ident; $($scenario:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::begin(super::Backend::$backing, super::$scenario).await;
            })+
        }
    };
    ($($scenario:ident),+ $(,)?) => {
        in_town! { @in in_memory, Memory; $($scenario),+ }
        in_town! { @in in_a_file, File; $($scenario),+ }
        in_town! { @in in_redis, Redis; $($scenario),+ }
    };
}

in_town![
    oidcc_backchannel_rp_initiated_logout,
    everybody_who_got_tokens_is_told_once_and_nobody_else,
    each_sector_is_told_of_the_session_it_knows,
    an_application_that_does_not_answer_delays_neither_the_page_nor_another,
    a_try_that_fails_is_made_again_later_and_given_up_after_the_third,
    a_no_is_not_asked_again,
    a_redirect_is_not_followed,
    what_was_queued_outlives_the_server,
    another_person_signing_in_ends_the_session_before,
    a_session_that_ran_out_is_told_when_an_application_asks,
    a_private_address_nobody_vouched_for_is_not_reached,
];

async fn begin<F: Future<Output = ()>>(
    backing: Backend,
    scenario: impl FnOnce(TestCa, TestServer) -> F,
) {
    let town = TestCa::new();
    let server = town.start_server(backing).await;
    scenario(town, server).await;
}

async fn listening(server: &TestServer, name: &str, ear: &LogoutReceiver) -> RelyingParty {
    let more =
        json!({ "backchannel_logout_uri": ear.url(), "backchannel_logout_session_required": true });
    server.relying_party_with(name, &more, ClientSettings::default()).await
}

/// Signs out without a question.
async fn signs_out(server: &TestServer, browser: &Browser, id_token: &str) {
    let answer = browser.get(&logout(server, &[("id_token_hint", id_token)])).await;
    assert_eq!(answer.text_of("h1").as_deref(), Some("Signed out"));
}

/// The claims, once everything about the request is right.
fn claims(server: &TestServer, heard: &ReceivedRequest) -> Value {
    let mut lines = heard.head.lines();
    assert_eq!(lines.next(), Some("POST /heard HTTP/1.1"));
    let kind = "content-type: application/x-www-form-urlencoded";
    assert!(lines.any(|line| line.eq_ignore_ascii_case(kind)), "{}", heard.head);
    let token = heard.body.strip_prefix("logout_token=").expect("the one field there is");
    assert!(!token.contains('&'), "nothing else: {token}");
    Value::Object(server.app().keys.verify(token, LOGOUT_TOKEN_TYP).expect("a token of ours"))
}

/// Until nothing is on its way any more.
async fn settled(server: &TestServer) {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while logout_notifications::count_pending(server.store()).await.expect("a store") > 0 {
        assert!(tokio::time::Instant::now() < until, "it never settles");
        tokio::task::yield_now().await;
    }
}

/// Until a try has been put off or given up.
async fn noted(server: &TestServer, tries: u8) -> logout_notifications::Delivery {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = logout_notifications::list(server.store()).await.expect("a store");
        let sent = |it: &logout_notifications::Delivery| {
            matches!(it.state, logout_notifications::DeliveryState::Sending { .. })
        };
        if let Some(it) = found.into_iter().find(|it| it.tries == tries && !sent(it)) {
            return it;
        }
        assert!(tokio::time::Instant::now() < until, "try {tries} is never noted");
        tokio::task::yield_now().await;
    }
}

/// Whether it is counted: the worker does so a moment after the delivery has left the queue.
async fn counted(server: &TestServer, outcome: &str) -> bool {
    let line = format!("oidc_logout_deliveries_total{{outcome=\"{outcome}\"}}");
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while !server.metrics().await.contains(&line) {
        if tokio::time::Instant::now() > until {
            return false;
        }
    }
    true
}

async fn oidcc_backchannel_rp_initiated_logout(town: TestCa, server: TestServer) {
    let ear = town.start_receiver().await;
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;

    let claims = claims(&server, &ear.next_request().await);
    let id = tokens.id_claims();
    for name in ["iss", "sub", "aud", "sid"] {
        assert_eq!(claims[name], id[name], "{name}");
    }
    let now = server.app().now().as_secs();
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(now), Some(now + 120)));
    assert!(claims["jti"].is_string());
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(claims["events"], json!({ event: {} }));
    assert!(claims.get("nonce").is_none());
    settled(&server).await;
    assert!(counted(&server, "ok").await);

    let discovery = server.http().get(server.url("/.well-known/openid-configuration"));
    let metadata = http::send(discovery).await.success_json();
    assert_eq!(metadata["backchannel_logout_supported"], true);
    assert_eq!(metadata["backchannel_logout_session_supported"], true);
}

async fn everybody_who_got_tokens_is_told_once_and_nobody_else(town: TestCa, server: TestServer) {
    let (first, second, third) =
        (town.start_receiver().await, town.start_receiver().await, town.start_receiver().await);
    let shop = listening(&server, "shop", &first).await;
    let cafe = listening(&server, "cafe", &second).await;
    listening(&server, "closed", &third).await;
    let quiet = server.relying_party("quiet").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    cafe.sign_in(&ada, "openid").await;
    quiet.sign_in(&ada, "openid").await;
    // The same person proves it again, and again gets tokens: still one session, still one word.
    let again = shop.authorization_request("openid").with("prompt", "login");
    ada.authorize(&again.url()).await.code();
    assert!(first.has_no_more_requests().await, "signing in again is no logout");
    // Somebody else's session is none of it.
    let bob = server.browser("bob");
    shop.sign_in(&bob, "openid").await;

    signs_out(&server, &ada, tokens.id()).await;
    let told = [
        claims(&server, &first.next_request().await),
        claims(&server, &second.next_request().await),
    ];
    assert_eq!((&told[0]["aud"], &told[1]["aud"]), (&json!("shop"), &json!("cafe")));
    assert_eq!(told[0]["sid"], tokens.id_claims()["sid"]);
    settled(&server).await;
    for ear in [&first, &second, &third] {
        assert!(ear.has_no_more_requests().await);
    }
    assert!(is_signed_in(&shop, &bob).await);
}

async fn each_sector_is_told_of_the_session_it_knows(town: TestCa, server: TestServer) {
    let (first, second) = (town.start_receiver().await, town.start_receiver().await);
    let pairwise = async |name: &str, ear: &LogoutReceiver| {
        let more = json!({"backchannel_logout_uri": ear.url(), "subject_type": "pairwise"});
        server.relying_party_with(name, &more, ClientSettings::default()).await
    };
    let (shop, cafe) = (pairwise("shop", &first).await, pairwise("cafe", &second).await);
    let ada = server.browser("ada");
    let of_shop = shop.sign_in(&ada, "openid").await;
    let of_cafe = cafe.sign_in(&ada, "openid").await;
    // By the name one of them has for it, after it ran out: all are told.
    server.advance_time(server.app().config.lifetimes.session_idle);
    signs_out(&server, &ada, of_shop.id()).await;
    let told = [
        claims(&server, &first.next_request().await),
        claims(&server, &second.next_request().await),
    ];
    for (told, known) in told.iter().zip([of_shop.id_claims(), of_cafe.id_claims()]) {
        assert_eq!((&told["sid"], &told["sub"]), (&known["sid"], &known["sub"]));
    }
    assert_ne!(told[0]["sid"], told[1]["sid"]);
}

async fn an_application_that_does_not_answer_delays_neither_the_page_nor_another(
    town: TestCa,
    server: TestServer,
) {
    let (dead, alive) = (town.start_receiver().await, town.start_receiver().await);
    dead.respond_with([
        ScriptedResponse::Silence,
        ScriptedResponse::Silence,
        ScriptedResponse::Silence,
    ]);
    let shop = listening(&server, "shop", &dead).await;
    let cafe = listening(&server, "cafe", &alive).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    cafe.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    assert!(!is_signed_in(&shop, &ada).await);
    let waiting = logout_notifications::list(server.store()).await.expect("a store");
    assert!(waiting.iter().any(|it| it.client.as_str() == "shop"), "the page was there before");
    assert_eq!(claims(&server, &alive.next_request().await)["aud"], "cafe");
    assert_eq!(claims(&server, &dead.next_request().await)["aud"], "shop");
}

async fn a_try_that_fails_is_made_again_later_and_given_up_after_the_third(
    town: TestCa,
    server: TestServer,
) {
    let ear = town.start_receiver().await;
    ear.respond_with([
        ScriptedResponse::Status(500),
        ScriptedResponse::Status(503),
        ScriptedResponse::Status(404),
    ]);
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    let mut seen = Vec::new();
    for (tries, pause) in [(1, 10), (2, 60), (3, 0)] {
        seen.push(claims(&server, &ear.next_request().await)["jti"].clone());
        noted(&server, tries).await;
        assert!(ear.has_no_more_requests().await);
        server.advance_time(Duration::from_secs(pause));
    }
    settled(&server).await;
    seen.dedup();
    assert_eq!(seen.len(), 3, "each try has a token of its own");
    let failed = noted(&server, 3).await;
    assert!(matches!(
        failed.state,
        logout_notifications::DeliveryState::Failed { refused: false, .. }
    ));
    assert!(counted(&server, "retry").await && counted(&server, "failed").await);
}

async fn a_no_is_not_asked_again(town: TestCa, server: TestServer) {
    let ear = town.start_receiver().await;
    ear.respond_with([ScriptedResponse::Status(400)]);
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    ear.next_request().await;
    settled(&server).await;
    let refused = noted(&server, 1).await;
    assert!(matches!(
        refused.state,
        logout_notifications::DeliveryState::Failed { refused: true, .. }
    ));
    assert!(counted(&server, "refused").await);
}

async fn a_redirect_is_not_followed(town: TestCa, server: TestServer) {
    let (ear, canary) = (town.start_receiver().await, town.start_receiver().await);
    ear.respond_with([ScriptedResponse::Redirect(canary.url())]);
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    ear.next_request().await;
    noted(&server, 1).await;
    assert!(canary.has_no_more_requests().await);
}

async fn what_was_queued_outlives_the_server(town: TestCa, server: TestServer) {
    let ear = town.start_receiver().await;
    ear.respond_with([ScriptedResponse::Status(503)]);
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    ear.next_request().await;
    noted(&server, 1).await;
    let server = server.restart(&town.env_vars()).await;
    server.advance_time(Duration::from_secs(10));
    let claims = claims(&server, &ear.next_request().await);
    assert_eq!(claims["sid"], tokens.id_claims()["sid"]);
    settled(&server).await;
}

async fn another_person_signing_in_ends_the_session_before(town: TestCa, server: TestServer) {
    let ear = town.start_receiver().await;
    let shop = listening(&server, "shop", &ear).await;
    let browser = server.browser("ada");
    let tokens = shop.sign_in(&browser, "openid").await;
    let page =
        browser.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    browser.sign_in_as(&page, "bob", PASSWORD).await;
    let told = claims(&server, &ear.next_request().await);
    assert_eq!((&told["sub"], &told["sid"]), (&json!("sub-of-ada"), &tokens.id_claims()["sid"]));
}

async fn a_session_that_ran_out_is_told_when_an_application_asks(town: TestCa, server: TestServer) {
    let (first, second) = (town.start_receiver().await, town.start_receiver().await);
    let shop = listening(&server, "shop", &first).await;
    let cafe = listening(&server, "cafe", &second).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    cafe.sign_in(&ada, "openid").await;
    // A browser that knows nothing of the session does not end it.
    signs_out(&server, &server.browser("ada"), tokens.id()).await;
    assert!(is_signed_in(&shop, &ada).await);
    assert_eq!(logout_notifications::count_pending(server.store()).await.expect("a store"), 0);

    server.advance_time(server.app().config.lifetimes.session_idle + Duration::from_secs(1));
    signs_out(&server, &ada, tokens.id()).await;
    assert_eq!(claims(&server, &second.next_request().await)["aud"], "cafe");
    first.next_request().await;
}

/// The server does not trust the town's addresses here; what is private stays unreached.
async fn a_private_address_nobody_vouched_for_is_not_reached(town: TestCa, server: TestServer) {
    let ear = town.start_receiver().await;
    let [authority, _] = town.env_vars();
    let server = server.restart(&[authority]).await;
    let shop = listening(&server, "shop", &ear).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    signs_out(&server, &ada, tokens.id()).await;
    noted(&server, 1).await;
    assert!(ear.has_no_more_requests().await);
}
