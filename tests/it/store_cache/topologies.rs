//! The cache on several primaries, and across a failover.

use std::time::Duration;

use latchkey::infra::store::RedisOptions;

use super::{Server, key, until};
use crate::support::redis::{ServerSignal, eventually};
use crate::support::topologies::{RedisCluster, RedisSentinel};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_primary_of_a_cluster_tells_of_its_own() {
    let redis = RedisCluster::shared();
    let (here, there) =
        (Server::listening_on(&redis.url()).await, Server::listening_on(&redis.url()).await);
    let mut nodes = [0; 3];
    for number in 0..60 {
        let key = key(&format!("cluster-{number}"));
        there.files(&key, "old").await;
        here.keeps(&key, "old").await;
        if number % 2 == 0 {
            there.files(&key, "new").await;
        } else {
            assert!(redis.command(&[b"SET", key.as_str().as_bytes(), b"new"]).starts_with("+OK"));
        }
        here.sees(&key, "new").await;
        let has = |it: &&crate::support::redis::RedisServer| {
            !it.command(&[b"GET", key.as_str().as_bytes()]).starts_with("-MOVED")
        };
        let owner = redis.nodes().iter().find(has).expect("an owner").port();
        let at = redis.nodes().iter().position(|node| node.port() == owner).expect("a node");
        nodes[at] += 1;
    }
    assert!(nodes.iter().all(|keys| *keys > 3), "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_that_takes_over_tells_from_then_on() {
    let redis = RedisCluster::start(true);
    let here = Server::with(RedisOptions {
        timeout: Duration::from_secs(2),
        ..RedisOptions::new(redis.url())
    });
    let here = here.await;
    here.hears(1).await;
    let first = &redis.nodes()[0];
    let on_first = |key: &latchkey::infra::store::RawKey| {
        !first.command(&[b"GET", key.as_str().as_bytes()]).starts_with("-MOVED")
    };
    let key = (0..999).map(|number| key(&format!("over-{number}"))).find(on_first).expect("one");
    here.files(&key, "old").await;
    here.keeps(&key, "old").await;
    let begun = here.begun();
    first.signal(ServerSignal::Kill);
    let replica = &redis.nodes()[3];
    assert!(eventually(|| replica.command(&[b"ROLE"]).contains("master")), "nobody takes over");
    assert!(eventually(|| {
        replica.command(&[b"SET", key.as_str().as_bytes(), b"new"]).starts_with("+OK")
    }));
    here.hears(begun + 1).await;
    until("it is seen", async || {
        let found = here.store.get_cached(&key).await;
        found.is_ok_and(|found| found.as_deref() == Some(b"new"))
    })
    .await;
    here.keeps(&key, "new").await;
    assert!(replica.command(&[b"SET", key.as_str().as_bytes(), b"newer"]).starts_with("+OK"));
    here.sees(&key, "newer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_by_sentinels_it_is_the_new_primary_that_tells() {
    let redis = RedisSentinel::start(2, Duration::from_millis(500));
    let here = Server::with(RedisOptions {
        timeout: Duration::from_secs(2),
        ..RedisOptions::new(redis.url())
    });
    let here = here.await;
    here.hears(1).await;
    let key = key("a");
    here.files(&key, "old").await;
    here.keeps(&key, "old").await;
    let begun = here.begun();
    redis.initial_primary().signal(ServerSignal::Kill);
    here.hears(begun + 1).await;
    // Whoever is promoted hangs up on everybody, so it is looked for only now.
    let primary = redis.replicas().iter().find(|it| it.command(&[b"ROLE"]).contains("master"));
    let primary = primary.expect("somebody took over");
    here.keeps(&key, "old").await;
    assert!(primary.command(&[b"SET", key.as_str().as_bytes(), b"new"]).starts_with("+OK"));
    here.sees(&key, "new").await;
}
