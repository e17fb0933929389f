//! F07: `kill -9` of redis, which writes its append-only file every second, and its restart.
//!
//! What the kernel has been given survives the process, so nothing that was acknowledged is lost. (Redis
//! holds writes back while an fsync takes longer than a second; how often it did is printed, for then
//! something could be.) The service is back a second after redis is.

use std::time::{Duration, Instant};

use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::redis::{Blow, RedisServer};
use crate::report::Report;
use crate::workload::{Load, Storm};

/// `lost=0 forks=0 double_code=0 zombie=0 gap_s<=restart+1`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let servers = house.start_many(2, &redis.url()).await;
    let load = Load {
        families: bench.pick(60, 500),
        refreshes_per_s: 200.0,
        codes_per_s: 40.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let kills = bench.pick(4, 20);
    let (mut restart, mut held_back) = (Duration::ZERO, 0);
    for _ in 0..kills {
        bench.somewhen(800..2500).await;
        held_back += delayed_fsyncs(&redis);
        let since = Instant::now();
        redis.signal(Blow::Kill);
        redis.restart();
        restart = restart.max(since.elapsed());
    }
    bench.somewhen(1500..2000).await;
    let after = storm.ends().await;
    let mut report = Report::new();
    report.says("kills", kills).says("delayed_fsyncs", held_back);
    after.tells(&mut report).await;
    let restart = restart.as_secs_f64();
    report.measures("restart_s", restart).promises(
        "gap_s",
        after.ledger.gap().as_secs_f64(),
        restart + 1.0,
        restart + 3.0,
    );
    vec![report]
}

fn delayed_fsyncs(redis: &RedisServer) -> u64 {
    let info = redis.says(&[b"INFO", b"persistence"]);
    let line = info.lines().find_map(|line| line.strip_prefix("aof_delayed_fsync:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
