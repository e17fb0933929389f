//! F06: `kill -9` of one of two servers, at random moments of a storm of refreshes and codes.
//!
//! A client without an answer shows the same token to the other server. Nothing is doubled, nothing
//! forks, nobody is signed out, and the server is back within a second.

use std::time::Duration;

use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::{Load, Storm};

/// `double_code=0 forks=0 lost=0 zombie=0 restart_to_ready_s<=1`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let servers = house.start_many(2, &redis.url()).await;
    let load = Load {
        families: bench.pick(60, 200),
        refreshes_per_s: 200.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let kills = bench.pick(8, 50);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        bench.somewhen(100..800).await;
        let victim = &servers[usize::from(bench.random(0..2) == 1)];
        victim.kill();
        slowest = slowest.max(victim.starts_again().await);
    }
    bench.somewhen(500..600).await;
    let after = storm.ends().await;
    let mut report = Report::new();
    report.says("kills", kills);
    after.tells(&mut report).await;
    report.measures("gap_s", after.ledger.gap().as_secs_f64()).promises(
        "restart_to_ready_s",
        slowest.as_secs_f64(),
        1.0,
        5.0,
    );
    vec![report]
}
