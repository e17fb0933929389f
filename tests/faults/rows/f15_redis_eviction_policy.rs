//! F15: a redis that throws live records away when it is full (`allkeys-lru` and its like).
//!
//! The server does not start on it, unless it is told that this is known; and if it becomes one while the
//! server runs, the log says so at the next connection.

use std::time::Duration;

use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::redis::RedisServer;
use crate::report::Report;

const POLICIES: [&str; 7] = [
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

/// `refused=yes` for every such policy.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let policies = &POLICIES[..bench.pick(2, POLICIES.len())];
    let (mut refused, mut named) = (0, 0);
    for policy in policies {
        redis.says(&[b"CONFIG", b"SET", b"maxmemory-policy", policy.as_bytes()]);
        let refusal = house.plan(&redis.url()).refuses();
        let Ok((code, said)) = tokio::time::timeout(LONGEST, refusal).await else { continue };
        refused += usize::from(code.is_some_and(|code| code != 0));
        named += usize::from(said.contains(policy) && said.contains("noeviction"));
    }
    let allowed = house.plan(&redis.url()).set("ALLOW_VOLATILE_STORE", "true").start().await;
    let warned = allowed.log().contains("noeviction");
    allowed.kill();

    redis.says(&[b"CONFIG", b"SET", b"maxmemory-policy", b"noeviction"]);
    let server = house.starts(&redis.url()).await;
    redis.says(&[b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru"]);
    redis.says(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    let mut loud = false;
    for _ in 0..100 {
        loud = server.log().contains("would not have been accepted");
        if loud {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut report = Report::new();
    report
        .counts("refused", refused, policies.len())
        .counts("policy_named", named, policies.len())
        .must("allowed_with_warning", warned)
        .must("loud_when_changed", loud);
    vec![report]
}

/// By then a server that will end has ended.
const LONGEST: Duration = Duration::from_secs(20);
