//! Servers whose clocks are wrong.

use std::sync::Arc;
use std::time::Duration;

use latchkey::domain::grants::KeyProof;
use latchkey::domain::token_claims::{AccessTokenError, validate_access_token};
use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::jose::parse_unverified;
use latchkey::infra::store::{
    CommitOutcome, Partition, RawKey, RedisOptions, RedisStore, Store, Transaction,
};
use serde_json::Value;

use crate::support::http;
use crate::support::redis::RedisServer;
use crate::support::test_server::{Backend, TestServer};

const HOUR: Duration = Duration::from_secs(3600);

/// The store as a server sees it whose clock says this.
async fn seen_at(server: &RedisServer, clock: Clock) -> RedisStore {
    let options = RedisOptions { clock, ..RedisOptions::new(server.url()) };
    RedisStore::connect(&options).await.expect("a fit redis")
}

#[tokio::test]
async fn a_record_lives_as_long_as_it_should_whatever_the_clock_of_its_writer_says() {
    let server = RedisServer::start();
    let now = Clock::System.now();
    for (name, its_now) in [("behind", now.minus(HOUR)), ("ahead", now.plus(HOUR))] {
        let store = seen_at(&server, Clock::manual(its_now)).await;
        let key = RawKey::new(Partition::new(name), "k.v1", None);
        let until = its_now.plus(Duration::from_secs(60));
        let change = Transaction::within(key.partition().clone()).put(
            key.clone(),
            b"here".to_vec(),
            Some(until),
        );
        assert_eq!(store.commit(change).await.unwrap(), CommitOutcome::Committed);
        assert_eq!(store.get(&key).await.unwrap().as_deref(), Some(&b"here"[..]), "{name}");
        let left = server.command(&[b"PTTL", key.as_str().as_bytes()]);
        let left: i64 = left.trim_start_matches(':').trim().parse().expect("milliseconds");
        assert!((1..=60_000).contains(&left), "{name}: {left} ms");
    }
}

/// What `/ready` of a server says whose clock, as far as the store is concerned, says this.
async fn ready_at(server: &RedisServer, clock: Clock) -> (TestServer, u16, Value) {
    let store = Arc::new(seen_at(server, clock).await);
    let clock = Clock::manual(Clock::System.now());
    let provider = TestServer::start_on((store, clock), None, &[]).await;
    let ready = http::send(provider.http().get(provider.url("/ready"))).await;
    (provider, ready.status, serde_json::from_str(&ready.body).expect("JSON"))
}

#[tokio::test]
async fn a_clock_that_is_far_from_the_stores_is_told_but_turns_no_traffic_away() {
    let server = RedisServer::start();
    let (_house, status, ready) = ready_at(&server, Clock::System).await;
    assert_eq!((status, &ready["checks"]["clock"]), (200, &Value::from("ok")));

    server.command(&[b"FLUSHALL"]);
    let behind = Clock::manual(Clock::System.now().minus(Duration::from_secs(90)));
    let (provider, status, ready) = ready_at(&server, behind).await;
    assert_eq!((status, &ready["checks"]["clock"]), (200, &Value::from("off")));
    let metrics = provider.metrics().await;
    let line = metrics.lines().find(|line| line.starts_with("oidc_clock_ahead_milliseconds "));
    let ahead: i64 = line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a number");
    assert!((-100_000..=-90_000).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn an_access_token_from_the_future_is_good_for_nothing() {
    let provider = TestServer::start(Backend::Memory).await;
    let party = provider.relying_party("app").await;
    let tokens = party.sign_in(&provider.browser("ada"), "openid").await;
    let (app, access) = (provider.app(), tokens.access());
    let judged = async |now: UnixTime| {
        let issuer = (&app.keys, app.issuer());
        validate_access_token(provider.store(), issuer, access, KeyProof::NotRequired, now)
            .await
            .err()
    };
    assert!(judged(app.now()).await.is_none());
    assert!(judged(app.now().minus(Duration::from_secs(30))).await.is_none());
    let early = judged(app.now().minus(Duration::from_secs(120))).await;
    assert!(matches!(early, Some(AccessTokenError::IssuedInFuture)), "{early:?}");
}

/// Four libraries refuse a token whose `iat` is ahead of their clock, and nearly all one with such an `nbf`.
#[tokio::test]
async fn no_token_says_a_moment_that_is_still_to_come() {
    let provider = TestServer::start(Backend::Memory).await;
    let party = provider.relying_party("app").await;
    // At the very end of a second, where rounding would show.
    let into_it = provider.app().now().as_millis() % 1000;
    provider.advance_time(Duration::from_millis(999 - into_it));
    let first = party.sign_in(&provider.browser("ada"), "openid offline_access").await;
    let next = party.refresh(first.refresh()).await.success_json();
    let robot = party.post("/token", &[("grant_type", "client_credentials")]).await.success_json();
    let now = provider.app().now();
    assert_eq!(now.as_millis() % 1000, 999, "this clock is moved by hand");
    let text = |body: &Value, name: &str| body[name].as_str().expect("a token").to_owned();
    for token in [
        first.id().to_owned(),
        first.access().to_owned(),
        text(&next, "id_token"),
        text(&next, "access_token"),
        text(&robot, "access_token"),
    ] {
        let claims = parse_unverified(&token).expect("a JWT").claims;
        assert_eq!((&claims["iat"], claims.get("nbf")), (&now.as_secs().into(), None));
    }
}
