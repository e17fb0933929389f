//! F07: `kill -9` of redis, which writes its append-only file every second, and its restart.
//!
//! What the kernel has been given survives the process, so nothing that was acknowledged is lost. (Redis
//! holds writes back while an fsync takes longer than a second; how often it did is printed, for then
//! something could be.) The service is back a second after redis is.

use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `lost=0 forks=0 double_code=0 zombie=0 gap_s<=restart+1`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(60, 500),
        refreshes_per_s: 200.0,
        codes_per_s: 40.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let kills = context.pick(4, 20);
    let (mut restart, mut held_back) = (Duration::ZERO, 0);
    for _ in 0..kills {
        context.random_delay(800..2500).await;
        held_back += delayed_fsyncs(&redis);
        let since = Instant::now();
        redis.signal(ServerSignal::Kill);
        redis.restart();
        restart = restart.max(since.elapsed());
    }
    context.random_delay(1500..2000).await;
    let after = workload.stop_and_collect().await;
    let mut report = Report::new();
    report.figure("kills", kills).figure("delayed_fsyncs", held_back);
    after.report(&mut report).await;
    let restart = restart.as_secs_f64();
    report.measurement("restart_s", restart).within(
        "gap_s",
        after.history.gap().as_secs_f64(),
        restart + 1.0,
        restart + 3.0,
    );
    vec![report]
}

fn delayed_fsyncs(redis: &RedisServer) -> u64 {
    let info = redis.command(&[b"INFO", b"persistence"]);
    let line = info.lines().find_map(|line| line.strip_prefix("aof_delayed_fsync:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
