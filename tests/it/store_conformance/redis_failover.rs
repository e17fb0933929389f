//! Several redis servers, and what happens when one of them goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latchkey::infra::clock::Clock;
use latchkey::infra::store::{CreateOutcome, Key, Record, RedisOptions, RedisStore, Store};

use super::{Backend, Grant, conforms, issued};
use crate::support::redis::{RedisServer, ServerSignal, eventually};
use crate::support::test_server::TestServer;
use crate::support::topologies::{RedisCluster, RedisSentinel, id};

/// The machine may be busy with sixty-four hands at once.
const UNHURRIED: Duration = Duration::from_secs(10);

async fn connected(url: String) -> Box<dyn Store> {
    let store = RedisStore::connect(&RedisOptions::new(url)).await;
    Box::new(store.expect("a fit redis"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_behind_sentinels_conforms() {
    let redis = RedisSentinel::shared();
    let options = RedisOptions { timeout: UNHURRIED, ..RedisOptions::new(redis.url()) };
    conforms(&Backend::on(options, |words| redis.initial_primary().command(words)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_cluster_conforms_and_no_change_reaches_over_slots() {
    let redis = RedisCluster::shared();
    let options = RedisOptions { timeout: UNHURRIED, ..RedisOptions::new(redis.url()) };
    conforms(&Backend::on(options, |words| redis.command(words)).await).await;
    for node in redis.nodes() {
        let stats = node.command(&[b"INFO", b"errorstats"]);
        assert!(!stats.contains("CROSSSLOT"), "{stats}");
        assert!(!node.command(&[b"DBSIZE"]).starts_with(":0"), "every node has its share");
    }
}

async fn a_person_signs_in_and_the_application_refreshes(url: String) {
    let clock = Clock::manual(Clock::System.now());
    let options = RedisOptions { timeout: UNHURRIED, ..RedisOptions::new(url) };
    let store = RedisStore::connect(&options).await.expect("redis");
    let server = TestServer::start_on((Arc::new(store), clock), None, &[]).await;
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid email").await;
    let fresh = shop.refresh(tokens.refresh()).await.success_json();
    let shown =
        server.userinfo(fresh["access_token"].as_str().expect("a token")).await.success_json();
    assert_eq!(shown["email"], "ada@ada.example");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_a_person_signs_in_and_the_application_refreshes() {
    a_person_signs_in_and_the_application_refreshes(RedisSentinel::shared().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_a_person_signs_in_and_the_application_refreshes() {
    a_person_signs_in_and_the_application_refreshes(RedisCluster::shared().url()).await;
}

/// Creates one record after the other; the keys of those that were acknowledged, and the longest time
/// without one.
async fn files(store: Arc<dyn Store>, enough: Arc<AtomicBool>) -> (Vec<Key<Grant>>, Duration) {
    let (mut filed, mut gap, mut last) = (Vec::new(), Duration::ZERO, Instant::now());
    while !enough.load(Ordering::Relaxed) {
        let grant = issued();
        let asked = Instant::now();
        match store.create(&grant).await {
            Ok(created) => {
                assert_eq!(created, CreateOutcome::Created);
                filed.push(grant.key());
                gap = gap.max(last.elapsed());
                last = Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), "unavailable", "{error}"),
        }
        // A second by the options; the rest is for a machine that has other things to do.
        assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
        tokio::task::yield_now().await;
    }
    (filed, gap)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failover_loses_nothing_that_was_acknowledged_and_is_over_soon() {
    fails_over(ServerSignal::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_wakes_up_after_its_failover_is_believed_no_more() {
    fails_over(ServerSignal::Stop).await;
}

async fn fails_over(blow: ServerSignal) {
    let redis = RedisSentinel::start(2, Duration::from_secs(1));
    let store: Arc<dyn Store> = connected(redis.url()).await.into();
    let enough = Arc::new(AtomicBool::new(false));
    let file = || tokio::spawn(files(Arc::clone(&store), Arc::clone(&enough)));
    let hands: Vec<_> = (0..4).map(|_| file()).collect();

    tokio::task::block_in_place(|| {
        let some = || redis.initial_primary().command(&[b"DBSIZE"]).trim_end().len() > 3;
        assert!(eventually(some), "nothing is filed");
        redis.initial_primary().signal(blow);
        assert!(eventually(|| redis.has_promoted()), "no replica is promoted");
        if matches!(blow, ServerSignal::Stop) {
            redis.initial_primary().signal(ServerSignal::Continue);
        }
    });
    // A write that waits for a replica needs one to follow the new primary.
    let since = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(since.elapsed() < Duration::from_secs(10), "{error}");
        tokio::task::yield_now().await;
    }
    let back = since.elapsed();
    enough.store(true, Ordering::Relaxed);
    assert!(back < Duration::from_secs(8), "back {back:?} after the promotion");

    let mut filed = 0;
    for hand in hands {
        let (keys, gap) = hand.await.expect("no panic");
        assert!(gap < Duration::from_secs(10), "nothing for {gap:?}");
        for key in keys {
            assert!(store.load(&key).await.unwrap().is_some(), "{} is lost", key.raw());
            filed += 1;
        }
    }
    assert!(filed > 100, "{filed}");
}

#[tokio::test]
async fn without_a_replica_nothing_counts_as_written() {
    let redis = RedisServer::start();
    let options = RedisOptions { min_replicas_ack: Some(1), ..RedisOptions::new(redis.url()) };
    let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
    assert!(refusal.contains("fewer replicas"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_its_replica_holds_up_nobody_else() {
    let redis = RedisSentinel::start(1, Duration::from_mins(1));
    let timeout = Duration::from_secs(6);
    let options = RedisOptions { timeout, ..RedisOptions::new(redis.url()) };
    let store: Box<dyn Store> = Box::new(RedisStore::connect(&options).await.expect("fit"));
    let grant = issued();
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
    redis.replicas()[0].signal(ServerSignal::Stop);

    let read = async {
        let since = Instant::now();
        for _ in 0..100 {
            assert!(store.load(&grant.key()).await.unwrap().is_some());
        }
        since.elapsed()
    };
    let (lonely, stale) = (issued(), store.create(&grant));
    let (written, stale, read) = tokio::join!(store.create(&lonely), stale, read);
    assert_eq!(written.unwrap_err().kind(), "unavailable");
    assert_eq!(stale.unwrap(), CreateOutcome::Exists, "what changes nothing waits in vain");
    assert!(read < timeout / 2, "{read:?}");
    redis.replicas()[0].signal(ServerSignal::Continue);
    // It had happened all the same, which is why the caller must know its own work again.
    assert_eq!(store.create(&lonely).await.unwrap(), CreateOutcome::Exists);
}

/// The hash slot, as redis itself counts it.
fn slot(redis: &RedisCluster, key: &Key<Grant>) -> String {
    let said = redis.nodes()[0].command(&[b"CLUSTER", b"KEYSLOT", key.raw().as_str().as_bytes()]);
    said.trim_start_matches(':').trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_to_another_node_is_followed_before_during_and_after() {
    let redis = RedisCluster::shared();
    let store = connected(redis.url()).await;
    let grant = issued();
    let (slot, key) = (slot(redis, &grant.key()), grant.key().raw().to_string());
    let has = |node: &&RedisServer| !node.command(&[b"GET", key.as_bytes()]).starts_with("-MOVED");
    let from = redis.nodes().iter().find(has).expect("an owner");
    let to = redis.nodes().iter().find(|node| node.port() != from.port()).expect("another");
    let (from_id, to_id) = (id(from), id(to));
    let set = |node: &RedisServer, how: &str, id: &str| {
        let words =
            [b"CLUSTER".as_slice(), b"SETSLOT", slot.as_bytes(), how.as_bytes(), id.as_bytes()];
        assert!(node.command(&words).starts_with("+OK"));
    };
    set(to, "IMPORTING", &from_id);
    set(from, "MIGRATING", &to_id);

    // Not there, so it is asked for at the other node, and made there.
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
    assert!(from.command(&[b"GET", key.as_bytes()]).starts_with("-ASK"));
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Exists);
    let port = to.port().to_string();
    loop {
        let left = from.command(&[b"CLUSTER", b"GETKEYSINSLOT", slot.as_bytes(), b"1"]);
        let Some(other) = left.lines().nth(2) else { break };
        let words: [&[u8]; 6] =
            [b"MIGRATE", b"127.0.0.1", port.as_bytes(), other.as_bytes(), b"0", b"5000"];
        assert!(from.command(&words).starts_with('+'));
    }
    for node in [to, from] {
        set(node, "NODE", &to_id);
    }
    store.update(&grant.key(), |grant: &mut Grant| grant.generation = 7).await.unwrap();
    assert_eq!(store.load(&grant.key()).await.unwrap().unwrap().record.generation, 7);
    assert!(to.command(&[b"GET", key.as_bytes()]).starts_with('$'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_that_dies_is_followed_by_its_replica_and_stops_nobody_else() {
    let redis = RedisCluster::start(true);
    let options = RedisOptions { min_replicas_ack: Some(1), ..RedisOptions::new(redis.url()) };
    let store: Box<dyn Store> = Box::new(RedisStore::connect(&options).await.expect("fit nodes"));
    let (mut theirs, mut others) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let grant = issued();
        assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
        let key = grant.key();
        let here = redis.nodes()[0].command(&[b"GET", key.raw().as_str().as_bytes()]);
        if here.starts_with("-MOVED") { others.push(key) } else { theirs.push(key) }
    }
    assert!(theirs.len() > 9 && others.len() > 9, "{} and {}", theirs.len(), others.len());

    redis.nodes()[0].signal(ServerSignal::Kill);
    let since = Instant::now();
    while let Err(error) = store.load(&theirs[0]).await {
        assert_eq!(error.kind(), "unavailable", "{error}");
        assert!(since.elapsed() < Duration::from_secs(10), "{error}");
        for key in &others {
            assert!(store.load(key).await.unwrap().is_some(), "{} is not there", key.raw());
        }
    }
    for key in theirs.iter().chain(&others) {
        assert!(store.load(key).await.unwrap().is_some(), "{} is lost", key.raw());
    }
    // The new primary has no replica until the old one comes back as such.
    assert_eq!(store.ping().await.unwrap_err().kind(), "unavailable");
    redis.nodes()[0].restart();
    let since = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(since.elapsed() < Duration::from_secs(10), "{error}");
    }
}
