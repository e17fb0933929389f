use std::time::Duration;

use crate::support::house::{Backing, House, on_every_store};

const LIMITED: [(&str, &str); 2] =
    [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", "1")];

on_every_store! { &super::LIMITED; beginning_is_limited_and_who_is_signed_in_is_not }

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
    let heading = async |answer: crate::support::wire::Answer| answer.words("h1");
    let forgotten = heading(bob.signs_in(&unfinished).await).await;
    assert_eq!(forgotten.as_deref(), Some("Please start again"));
    let told = heading(ada.signs_in(&finished).await).await;
    assert_eq!(told.as_deref(), Some("Already signed in"));
}
