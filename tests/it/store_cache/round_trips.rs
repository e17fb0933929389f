//! How many round trips to Redis each kind of request waits for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::clock::Clock;
use latchkey::infra::store::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, RedisOptions, RedisStore, Store, StoreError,
    StoreFuture, Subscription, Transaction,
};
use serde_json::json;

use super::until;
use crate::support::redis::RedisServer;
use crate::support::test_server::TestServer;

/// Around a redis: writes down when each command was begun and when it was answered.
#[derive(Clone)]
struct Rounds {
    inner: Arc<dyn Store>,
    clock: Arc<AtomicUsize>,
    spans: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl Rounds {
    async fn run<T>(&self, command: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let begun = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = command.await;
        let answered = self.clock.fetch_add(1, Ordering::SeqCst);
        self.spans.lock().expect("spans").push((begun, answered));
        answer
    }

    /// How many commands there were since the last time, and how many of them had to wait for one another:
    /// what was asked side by side counts once.
    fn since(&self) -> (usize, usize) {
        let mut spans = std::mem::take(&mut *self.spans.lock().expect("spans"));
        spans.sort_by_key(|(_, answered)| *answered);
        let (mut waits, mut free) = (0, 0);
        for (begun, answered) in &spans {
            if *begun >= free {
                waits += 1;
                free = *answered;
            }
        }
        (spans.len(), waits)
    }
}

impl Store for Rounds {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run(self.inner.get(key)))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.run(self.inner.get_and_remove(key)))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(self.run(self.inner.commit(change)))
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        // The logout workers look there at times of their own.
        if index.as_str().contains("logout-deliveries") {
            return self.inner.scan_index(index, after, limit);
        }
        Box::pin(self.run(self.inner.scan_index(index, after, limit)))
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(self.run(self.inner.increment(counter, window)))
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(self.run(self.inner.ping()))
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        self.inner.subscribe(listener)
    }
}

/// A server on that redis, and what it asks there.
async fn counted(redis: &RedisServer, ttl: &str) -> (TestServer, Rounds) {
    let store = RedisStore::connect(&RedisOptions::new(redis.url())).await.expect("redis");
    let rounds = Rounds { inner: Arc::new(store), clock: Arc::default(), spans: Arc::default() };
    let clock = Clock::manual(Clock::System.now());
    let at = (Arc::new(rounds.clone()) as Arc<dyn Store>, clock);
    let server = TestServer::start_on(at, None, &[("REDIS_CACHE_TTL", ttl)]).await;
    if ttl != "0" {
        hears(&server).await;
    }
    (server, rounds)
}

async fn hears(server: &TestServer) {
    let live = async || server.metrics().await.contains("oidc_store_cache_live 1");
    until("changes are heard", live).await;
}

/// How often somebody looked while changes were not heard: a machine that has too much to do may miss a
/// beat, and then what was counted tells nothing.
async fn deaf(server: &TestServer) -> Option<String> {
    let metrics = server.metrics().await;
    let off = r#"oidc_store_cache_lookups_total{outcome="off"}"#;
    metrics.lines().find_map(|line| line.strip_prefix(off)).map(str::to_owned)
}

/// What each request of a warm server waits for, in round trips.
async fn waits(ttl: &str, settings: ClientSettings) -> Vec<(&'static str, usize)> {
    for _ in 0..5 {
        if let Some(waits) = counted_waits(ttl, settings.clone()).await {
            return waits;
        }
    }
    panic!("changes are never heard for long")
}

async fn counted_waits(ttl: &str, settings: ClientSettings) -> Option<Vec<(&'static str, usize)>> {
    let redis = RedisServer::start();
    let (server, rounds) = counted(&redis, ttl).await;
    let shop = server.relying_party_with("shop", &json!({}), settings).await;
    let ada = server.browser("ada");
    // Bound to the session, for no offline_access is asked for.
    let tokens = shop.sign_in(&ada, "openid").await;
    let token =
        |answer: &serde_json::Value, name: &str| answer[name].as_str().expect(name).to_owned();
    let request = shop.authorization_request("openid");
    let code = ada.authorize(&request.url()).await.code();
    let alone = [("grant_type", "client_credentials")];
    for _ in 0..2 {
        assert_eq!(shop.introspect(tokens.access()).await["active"], true);
    }

    let mut waits = Vec::new();
    let before = deaf(&server).await;
    rounds.since();
    let mut note = |what| waits.push((what, rounds.since().1));
    shop.redeem(&code, &request).await.success_json();
    note("code");
    let next = shop.refresh(tokens.refresh()).await.success_json();
    note("refresh");
    // By now the session has to be kept from going idle, too.
    server.advance_time(Duration::from_mins(9));
    let next = shop.refresh(&token(&next, "refresh_token")).await.success_json();
    note("refresh and touch");
    // The session has just been changed, so it is read once more.
    assert_eq!(server.userinfo(&token(&next, "access_token")).await.status, 200);
    note("userinfo");
    assert_eq!(shop.introspect(&token(&next, "access_token")).await["active"], true);
    note("introspect access");
    assert_eq!(shop.introspect(&token(&next, "refresh_token")).await["active"], true);
    note("introspect refresh");
    let own = shop.post("/token", &alone).await.success_json();
    note("client_credentials");
    assert_eq!(shop.introspect(&token(&own, "access_token")).await["active"], true);
    note("introspect own");
    (deaf(&server).await == before).then_some(waits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_request_of_a_warm_server_waits_for_redis_twice_at_most() {
    let with = waits("1m", ClientSettings::default()).await;
    #[rustfmt::skip]
    assert_eq!(with, [
        ("code", 2), ("refresh", 2), ("refresh and touch", 2), ("userinfo", 2),
        ("introspect access", 1), ("introspect refresh", 1), ("client_credentials", 0),
        ("introspect own", 1),
    ]);
    let without = waits("0", ClientSettings::default()).await;
    #[rustfmt::skip]
    assert_eq!(without, [
        ("code", 5), ("refresh", 5), ("refresh and touch", 5), ("userinfo", 3),
        ("introspect access", 4), ("introspect refresh", 4), ("client_credentials", 3),
        ("introspect own", 3),
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opaque_access_tokens_cost_no_more_but_where_a_client_acts_for_itself() {
    let opaque = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let with = waits("1m", opaque).await;
    #[rustfmt::skip]
    assert_eq!(with, [
        ("code", 2), ("refresh", 2), ("refresh and touch", 2), ("userinfo", 2),
        ("introspect access", 1), ("introspect refresh", 1), ("client_credentials", 1),
        ("introspect own", 1),
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_not_seen_anybody_yet_waits_as_it_would_without() {
    for _ in 0..5 {
        let redis = RedisServer::start();
        let (server, rounds) = counted(&redis, "1m").await;
        let shop = server.relying_party("shop").await;
        let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
        let fresh = server.start_another(&[("REDIS_CACHE_TTL", "1m")]).await;
        hears(&fresh).await;
        let before = deaf(&fresh).await;
        rounds.since();
        let shop = fresh.client_with_secret("shop", &shop.secret);
        let next = shop.refresh(tokens.refresh()).await.success_json();
        let cold = rounds.since().1;
        shop.refresh(next["refresh_token"].as_str().expect("the next one")).await.success_json();
        let warm = rounds.since();
        if deaf(&fresh).await == before {
            assert_eq!((cold, warm), (5, (2, 2)));
            return;
        }
    }
    panic!("changes are never heard for long")
}
