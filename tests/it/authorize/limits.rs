use std::time::Duration;

use latchkey::domain::grants::{self, Handle, Use};
use latchkey::domain::interactions::{self, Interaction};
use latchkey::infra::secret::Secret;

use crate::support::browser::Landing;
use crate::support::http::Answer;
use crate::support::test_server::{Backing, House, on_every_store};

const LIMITED: [(&str, &str); 2] =
    [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", "1")];

on_every_store! {
    &super::LIMITED;
    beginning_is_limited_and_who_is_signed_in_is_not,
    of_a_request_only_what_means_something_here_is_kept,
    a_request_longer_than_what_is_kept_is_refused_at_the_client,
    a_long_request_takes_more_turns_than_a_short_one,
    a_session_is_answered_so_often_without_a_page,
    a_persons_list_is_as_long_as_what_lives,
}

/// How many an address may begin in a minute, for one failure it may make.
const STARTS: usize = 10;

async fn beginning_is_limited_and_who_is_signed_in_is_not(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid").await;
    let stranger = house.browser("bob");
    for _ in 1..STARTS {
        assert_eq!(stranger.asks(&shop.asks("openid").url()).await.status, 303);
    }
    let refused = stranger.asks(&shop.asks("openid").url()).await;
    assert_eq!((refused.status, refused.location()), (429, None));
    assert_eq!(refused.words("h1").as_deref(), Some("One moment"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Nobody has to be asked for this, so nothing is kept of it.
    assert!(ada.asks(&shop.asks("openid").url()).await.location().unwrap().contains("code="));
    let silent = shop.asks("openid").with("prompt", "none");
    let told = stranger.asks(&silent.url()).await;
    assert!(told.location().unwrap().contains("error=login_required"));
    house.later(Duration::from_secs(wait));
    assert_eq!(stranger.asks(&shop.asks("openid").url()).await.status, 303, "a minute later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beginning_is_not_limited_when_the_store_does_not_count() {
    let house = House::start_with(Backing::Memory, &LIMITED).await;
    let shop = house.relying_party("shop").await;
    house.faults().plan_verb("tally");
    for _ in 0..=STARTS {
        let answer = house.browser("bob").asks(&shop.asks("openid").url()).await;
        assert_eq!(answer.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_finished_is_soon_forgotten_and_what_was_finished_can_say_so_for_an_hour() {
    let house = House::start(Backing::Memory).await;
    let shop = house.relying_party("shop").await;
    let (ada, bob) = (house.browser("ada"), house.browser("bob"));
    let unfinished = bob.opens(&shop.asks("openid").url()).await;
    let finished = ada.opens(&shop.asks("openid").url()).await;
    let consent = ada.signs_in(&finished).await;
    assert!(ada.decides(&consent, "accept").await.location().is_some());
    house.later(house.app().config.lifetimes.interaction * 2);
    let heading = async |answer: crate::support::http::Answer| answer.words("h1");
    let forgotten = heading(bob.signs_in(&unfinished).await).await;
    assert_eq!(forgotten.as_deref(), Some("Please start again"));
    let told = heading(ada.signs_in(&finished).await).await;
    assert_eq!(told.as_deref(), Some("Already signed in"));
}

/// What is kept of the request that was just begun.
async fn kept(house: &House, answer: &Answer) -> Interaction {
    let to = answer.location().unwrap_or_else(|| panic!("goes nowhere: {answer:?}"));
    let (_, id) = to.split_once("?interaction=").expect("an interaction");
    let id = Secret::parse(id).expect("a secret");
    let found = interactions::find(house.store(), &id).await;
    found.expect("a store").expect("an interaction")
}

async fn of_a_request_only_what_means_something_here_is_kept(house: House) {
    let shop = house.relying_party("shop").await;
    let stranger = house.browser("bob");
    stranger.asks(&shop.asks("openid").url()).await;
    let (long, request) = ("\"".repeat(20_000), shop.asks("openid"));
    let request = request.with("junk", &long).with("x", "1").with("ui_locales", "en");
    let answer = stranger.presses("/authorize", &request.fields()).await;
    let kept = kept(&house, &answer).await.request;
    let again = url::form_urlencoded::parse(kept.query.as_bytes()).into_owned();
    let mut names: Vec<String> = again.map(|(name, _)| name).collect();
    names.sort();
    let asked = shop.asks("openid").with("ui_locales", "en");
    let fields = asked.fields();
    let mut expected: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let bytes = serde_json::to_vec(&kept).expect("JSON").len();
    assert!(bytes < 2_048, "{bytes} bytes are kept of 60 KB");
}

async fn a_request_longer_than_what_is_kept_is_refused_at_the_client(house: House) {
    let shop = house.relying_party("shop").await;
    let stranger = house.browser("bob");
    for long in ["ui_locales", "login_hint", "claims_locales", "acr_values"] {
        let request = shop.asks("openid").with(long, &"x".repeat(9_000));
        let refused = Landing::of(&stranger.presses("/authorize", &request.fields()).await);
        assert!(refused.0.as_str().starts_with(&shop.redirect_uri), "{}", refused.0);
        assert_eq!(refused.error(), "invalid_request");
        assert!(refused.param("error_description").is_some_and(|text| text.contains("8 KiB")));
        assert_eq!(refused.param("state").as_deref(), request.get("state"));
    }
    let long_hint = shop.asks("openid").with("id_token_hint", &"x".repeat(9_000));
    let refused = Landing::of(&stranger.submits("/authorize", &long_hint.fields()).await);
    let why = refused.param("error_description").unwrap_or_default();
    assert!(why.contains("id_token_hint"), "a hint is not kept: {why}");
}

async fn a_long_request_takes_more_turns_than_a_short_one(house: House) {
    let shop = house.relying_party("shop").await;
    let stranger = house.browser("bob");
    let long = shop.asks("openid").with("acr_values", &"x".repeat(7_000));
    for _ in 0..2 {
        let answer = stranger.asks(&long.url()).await;
        let kept = kept(&house, &answer).await;
        let bytes = serde_json::to_vec(&kept.request).expect("JSON").len();
        assert!((6_145..8_192).contains(&bytes), "{bytes} bytes make four turns");
    }
    assert_eq!(stranger.asks(&long.url()).await.status, 429);
    house.later(Duration::from_secs(60));
    for _ in 0..STARTS {
        assert_eq!(stranger.asks(&shop.asks("openid").url()).await.status, 303, "short ones");
    }
}

async fn a_session_is_answered_so_often_without_a_page(house: House) {
    let shop = house.relying_party("shop").await;
    let (ada, bob) = (house.browser("ada"), house.browser("bob"));
    shop.signs_in(&ada, "openid").await;
    let silent = shop.asks("openid").with("prompt", "none");
    let asks = async || Landing::of(&ada.asks(&silent.url()).await);
    for _ in 0..STARTS {
        assert!(!asks().await.code().is_empty());
    }
    let refused = asks().await;
    assert_eq!(refused.error(), "temporarily_unavailable");
    assert_eq!(refused.param("state").as_deref(), silent.get("state"));
    house.later(Duration::from_secs(60));
    assert!(!asks().await.code().is_empty(), "a minute later");
    shop.signs_in(&bob, "openid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_nobody_redeemed_is_forgotten_soon_and_one_that_was_is_remembered() {
    for backing in [Backing::Memory, Backing::File] {
        let house = House::start(backing).await;
        let shop = house.relying_party("shop").await;
        let ada = house.browser("ada");
        let tokens = shop.signs_in(&ada, "openid").await;
        let silent = shop.asks("openid").with("prompt", "none");
        let unused = Landing::of(&ada.asks(&silent.url()).await).code();
        let is_kept = async |code: &str| {
            let grant = Handle::parse(Use::Code, code).expect("a code").grant;
            grants::find(house.store(), grant).await.expect("a store").is_some()
        };
        let lifetimes = &house.app().config.lifetimes;
        house.later(lifetimes.code);
        assert!(is_kept(&unused).await && is_kept(&tokens.code).await);
        house.later(Duration::from_secs(60));
        assert!(!is_kept(&unused).await && is_kept(&tokens.code).await);
        let late = shop.exchanges(&unused, &silent).await.error();
        assert_eq!(late, (400, "invalid_grant".to_owned()));
        assert_eq!(shop.refreshes(tokens.refresh()).await.status, 200);
    }
}

async fn a_persons_list_is_as_long_as_what_lives(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let tokens = shop.signs_in(&ada, "openid offline_access").await;
    let sub = house.user("ada").await.sub;
    let listed = async || grants::listed(house.store(), &sub).await.expect("a store").len();
    let silent = shop.asks("openid").with("prompt", "none");
    for _ in 0..12 {
        for _ in 0..2 {
            assert!(!Landing::of(&ada.asks(&silent.url()).await).code().is_empty());
        }
        house.later(Duration::from_secs(180));
    }
    assert!(listed().await <= 5, "{} are listed of what nobody came for", listed().await);
    // The one that lives on has not been lost, and goes with its person.
    let ended = grants::cut_off(house.store(), &sub, house.app().now()).await.expect("a store");
    assert!(ended.grants >= 1, "{ended:?}");
    assert_eq!(shop.refreshes(tokens.refresh()).await.error().1, "invalid_grant");
    assert_eq!(listed().await, 0);
}
