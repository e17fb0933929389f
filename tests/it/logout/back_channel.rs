//! `OpenID Connect Back-Channel Logout`: applications are told server to server.

use std::time::Duration;

use latchkey::domain::clients::Settings;
use latchkey::domain::logout_notifications::{self, LOGOUT_TYP};
use serde_json::{Value, json};

use super::rp_initiated::{is_signed_in, logout};
use crate::support::browser::Browser;
use crate::support::http;
use crate::support::logout_receiver::{Ear, Heard, Reply, Town};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backing, House, PASSWORD};

/// Runs every scenario, an `async fn(Town, House)`, once on each kind of store.
macro_rules! in_town {
    (@in $module:ident, $backing:ident; $($scenario:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::begin(super::Backing::$backing, super::$scenario).await;
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

async fn begin<F: Future<Output = ()>>(backing: Backing, scenario: impl FnOnce(Town, House) -> F) {
    let town = Town::new();
    let house = town.house(backing).await;
    scenario(town, house).await;
}

async fn listening(house: &House, name: &str, ear: &Ear) -> RelyingParty {
    let more =
        json!({ "backchannel_logout_uri": ear.url(), "backchannel_logout_session_required": true });
    house.relying_party_with(name, &more, Settings::default()).await
}

/// Signs out without a question.
async fn signs_out(house: &House, browser: &Browser, id_token: &str) {
    let answer = browser.asks(&logout(house, &[("id_token_hint", id_token)])).await;
    assert_eq!(answer.words("h1").as_deref(), Some("Signed out"));
}

/// The claims, once everything about the request is right.
fn claims(house: &House, heard: &Heard) -> Value {
    let mut lines = heard.head.lines();
    assert_eq!(lines.next(), Some("POST /heard HTTP/1.1"));
    let kind = "content-type: application/x-www-form-urlencoded";
    assert!(lines.any(|line| line.eq_ignore_ascii_case(kind)), "{}", heard.head);
    let token = heard.body.strip_prefix("logout_token=").expect("the one field there is");
    assert!(!token.contains('&'), "nothing else: {token}");
    Value::Object(house.app().keys.verify(token, LOGOUT_TYP).expect("a token of ours"))
}

/// Until nothing is on its way any more.
async fn settled(house: &House) {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while logout_notifications::count_pending(house.store()).await.expect("a store") > 0 {
        assert!(tokio::time::Instant::now() < until, "it never settles");
        tokio::task::yield_now().await;
    }
}

/// Until a try has been put off or given up.
async fn noted(house: &House, tries: u8) -> logout_notifications::Delivery {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = logout_notifications::list(house.store()).await.expect("a store");
        let sent = |it: &logout_notifications::Delivery| {
            matches!(it.state, logout_notifications::State::Sending { .. })
        };
        if let Some(it) = found.into_iter().find(|it| it.tries == tries && !sent(it)) {
            return it;
        }
        assert!(tokio::time::Instant::now() < until, "try {tries} is never noted");
        tokio::task::yield_now().await;
    }
}

/// Whether it is counted: the worker does so a moment after the delivery has left the queue.
async fn counted(house: &House, outcome: &str) -> bool {
    let line = format!("oidc_logout_deliveries_total{{outcome=\"{outcome}\"}}");
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while !house.metrics().await.contains(&line) {
        if tokio::time::Instant::now() > until {
            return false;
        }
    }
    true
}

async fn oidcc_backchannel_rp_initiated_logout(town: Town, house: House) {
    let ear = town.ear().await;
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;

    let claims = claims(&house, &ear.hears().await);
    let id = tokens.id_claims();
    for name in ["iss", "sub", "aud", "sid"] {
        assert_eq!(claims[name], id[name], "{name}");
    }
    let now = house.app().now().as_secs();
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(now), Some(now + 120)));
    assert!(claims["jti"].is_string());
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(claims["events"], json!({ event: {} }));
    assert!(claims.get("nonce").is_none());
    settled(&house).await;
    assert!(counted(&house, "ok").await);

    let discovery = house.http().get(house.url("/.well-known/openid-configuration"));
    let metadata = http::send(discovery).await.good();
    assert_eq!(metadata["backchannel_logout_supported"], true);
    assert_eq!(metadata["backchannel_logout_session_supported"], true);
}

async fn everybody_who_got_tokens_is_told_once_and_nobody_else(town: Town, house: House) {
    let (first, second, third) = (town.ear().await, town.ear().await, town.ear().await);
    let shop = listening(&house, "shop", &first).await;
    let cafe = listening(&house, "cafe", &second).await;
    listening(&house, "closed", &third).await;
    let quiet = house.relying_party("quiet").await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    cafe.signs_in(&ada, "openid").await;
    quiet.signs_in(&ada, "openid").await;
    // The same person proves it again, and again gets tokens: still one session, still one word.
    let again = shop.asks("openid").with("prompt", "login");
    ada.authorizes(&again.url()).await.code();
    assert!(first.heard_nothing_more().await, "signing in again is no logout");
    // Somebody else's session is none of it.
    let bob = house.browser("bob");
    shop.signs_in(&bob, "openid").await;

    signs_out(&house, &ada, tokens.id()).await;
    let told = [claims(&house, &first.hears().await), claims(&house, &second.hears().await)];
    assert_eq!((&told[0]["aud"], &told[1]["aud"]), (&json!("shop"), &json!("cafe")));
    assert_eq!(told[0]["sid"], tokens.id_claims()["sid"]);
    settled(&house).await;
    for ear in [&first, &second, &third] {
        assert!(ear.heard_nothing_more().await);
    }
    assert!(is_signed_in(&shop, &bob).await);
}

async fn each_sector_is_told_of_the_session_it_knows(town: Town, house: House) {
    let (first, second) = (town.ear().await, town.ear().await);
    let pairwise = async |name: &str, ear: &Ear| {
        let more = json!({"backchannel_logout_uri": ear.url(), "subject_type": "pairwise"});
        house.relying_party_with(name, &more, Settings::default()).await
    };
    let (shop, cafe) = (pairwise("shop", &first).await, pairwise("cafe", &second).await);
    let ada = house.browser("ada");
    let of_shop = shop.signs_in(&ada, "openid").await;
    let of_cafe = cafe.signs_in(&ada, "openid").await;
    // By the name one of them has for it, after it ran out: all are told.
    house.later(house.app().config.lifetimes.session_idle);
    signs_out(&house, &ada, of_shop.id()).await;
    let told = [claims(&house, &first.hears().await), claims(&house, &second.hears().await)];
    for (told, known) in told.iter().zip([of_shop.id_claims(), of_cafe.id_claims()]) {
        assert_eq!((&told["sid"], &told["sub"]), (&known["sid"], &known["sub"]));
    }
    assert_ne!(told[0]["sid"], told[1]["sid"]);
}

async fn an_application_that_does_not_answer_delays_neither_the_page_nor_another(
    town: Town,
    house: House,
) {
    let (dead, alive) = (town.ear().await, town.ear().await);
    dead.will([Reply::Silence, Reply::Silence, Reply::Silence]);
    let shop = listening(&house, "shop", &dead).await;
    let cafe = listening(&house, "cafe", &alive).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    cafe.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    assert!(!is_signed_in(&shop, &ada).await);
    let waiting = logout_notifications::list(house.store()).await.expect("a store");
    assert!(waiting.iter().any(|it| it.client.as_str() == "shop"), "the page was there before");
    assert_eq!(claims(&house, &alive.hears().await)["aud"], "cafe");
    assert_eq!(claims(&house, &dead.hears().await)["aud"], "shop");
}

async fn a_try_that_fails_is_made_again_later_and_given_up_after_the_third(
    town: Town,
    house: House,
) {
    let ear = town.ear().await;
    ear.will([Reply::Status(500), Reply::Status(503), Reply::Status(404)]);
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    let mut seen = Vec::new();
    for (tries, pause) in [(1, 10), (2, 60), (3, 0)] {
        seen.push(claims(&house, &ear.hears().await)["jti"].clone());
        noted(&house, tries).await;
        assert!(ear.heard_nothing_more().await);
        house.later(Duration::from_secs(pause));
    }
    settled(&house).await;
    seen.dedup();
    assert_eq!(seen.len(), 3, "each try has a token of its own");
    let failed = noted(&house, 3).await;
    assert!(matches!(failed.state, logout_notifications::State::Failed { refused: false, .. }));
    assert!(counted(&house, "retry").await && counted(&house, "failed").await);
}

async fn a_no_is_not_asked_again(town: Town, house: House) {
    let ear = town.ear().await;
    ear.will([Reply::Status(400)]);
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    ear.hears().await;
    settled(&house).await;
    let refused = noted(&house, 1).await;
    assert!(matches!(refused.state, logout_notifications::State::Failed { refused: true, .. }));
    assert!(counted(&house, "refused").await);
}

async fn a_redirect_is_not_followed(town: Town, house: House) {
    let (ear, canary) = (town.ear().await, town.ear().await);
    ear.will([Reply::Redirect(canary.url())]);
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    ear.hears().await;
    noted(&house, 1).await;
    assert!(canary.heard_nothing_more().await);
}

async fn what_was_queued_outlives_the_server(town: Town, house: House) {
    let ear = town.ear().await;
    ear.will([Reply::Status(503)]);
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    ear.hears().await;
    noted(&house, 1).await;
    let house = house.restarts(&town.variables()).await;
    house.later(Duration::from_secs(10));
    let claims = claims(&house, &ear.hears().await);
    assert_eq!(claims["sid"], tokens.id_claims()["sid"]);
    settled(&house).await;
}

async fn another_person_signing_in_ends_the_session_before(town: Town, house: House) {
    let ear = town.ear().await;
    let shop = listening(&house, "shop", &ear).await;
    let browser = house.browser("ada");
    let tokens = shop.signs_in(&browser, "openid").await;
    let page = browser.opens(&shop.asks("openid").with("prompt", "login").url()).await;
    browser.tries(&page, "bob", PASSWORD).await;
    let told = claims(&house, &ear.hears().await);
    assert_eq!((&told["sub"], &told["sid"]), (&json!("sub-of-ada"), &tokens.id_claims()["sid"]));
}

async fn a_session_that_ran_out_is_told_when_an_application_asks(town: Town, house: House) {
    let (first, second) = (town.ear().await, town.ear().await);
    let shop = listening(&house, "shop", &first).await;
    let cafe = listening(&house, "cafe", &second).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    cafe.signs_in(&ada, "openid").await;
    // A browser that knows nothing of the session does not end it.
    signs_out(&house, &house.browser("ada"), tokens.id()).await;
    assert!(is_signed_in(&shop, &ada).await);
    assert_eq!(logout_notifications::count_pending(house.store()).await.expect("a store"), 0);

    house.later(house.app().config.lifetimes.session_idle + Duration::from_secs(1));
    signs_out(&house, &ada, tokens.id()).await;
    assert_eq!(claims(&house, &second.hears().await)["aud"], "cafe");
    first.hears().await;
}

/// The house does not trust the town's addresses here; what is private stays unreached.
async fn a_private_address_nobody_vouched_for_is_not_reached(town: Town, house: House) {
    let ear = town.ear().await;
    let [authority, _] = town.variables();
    let house = house.restarts(&[authority]).await;
    let shop = listening(&house, "shop", &ear).await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid").await;
    signs_out(&house, &ada, tokens.id()).await;
    noted(&house, 1).await;
    assert!(ear.heard_nothing_more().await);
}
