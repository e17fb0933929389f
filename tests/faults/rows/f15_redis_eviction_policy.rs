//! F15: a redis that throws live records away when it is full (`allkeys-lru` and its like).
//!
//! The server does not start on it, unless it is told that this is known; and if it becomes one while the
//! server runs, the log says so at the next connection.

use std::time::Duration;

use crate::context::RunContext;
use crate::parts::installation::Installation;
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
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let policies = &POLICIES[..context.pick(2, POLICIES.len())];
    let (mut refused, mut named) = (0, 0);
    for policy in policies {
        redis.command(&[b"CONFIG", b"SET", b"maxmemory-policy", policy.as_bytes()]);
        let refusal = installation.plan(&redis.url()).run_to_exit();
        let Ok((code, said)) = tokio::time::timeout(LONGEST, refusal).await else { continue };
        refused += usize::from(code.is_some_and(|code| code != 0));
        named += usize::from(said.contains(policy) && said.contains("noeviction"));
    }
    let allowed = installation.plan(&redis.url()).set("ALLOW_VOLATILE_STORE", "true").start().await;
    let warned = allowed.log().contains("noeviction");
    allowed.kill();

    redis.command(&[b"CONFIG", b"SET", b"maxmemory-policy", b"noeviction"]);
    let server = installation.start_server(&redis.url()).await;
    redis.command(&[b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru"]);
    redis.command(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
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
        .equals("refused", refused, policies.len())
        .equals("policy_named", named, policies.len())
        .must("allowed_with_warning", warned)
        .must("loud_when_changed", loud);
    vec![report]
}

/// By then a server that will end has ended.
const LONGEST: Duration = Duration::from_secs(20);
