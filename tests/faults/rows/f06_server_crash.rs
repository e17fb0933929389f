//! F06: `kill -9` of one of two servers, at random moments of a workload of refreshes and codes.
//!
//! A client without an answer shows the same token to the other server. Nothing is doubled, nothing
//! forks, nobody is signed out, and the server is back within a second.

use std::time::Duration;

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `double_code=0 forks=0 lost=0 zombie=0 restart_to_ready_s<=1`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(60, 200),
        refreshes_per_s: 200.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let kills = context.pick(8, 50);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        context.random_delay(100..800).await;
        let victim = &servers[usize::from(context.random(0..2) == 1)];
        victim.kill();
        slowest = slowest.max(victim.restart().await);
    }
    context.random_delay(500..600).await;
    let after = workload.stop_and_collect().await;
    let mut report = Report::new();
    report.figure("kills", kills);
    after.report(&mut report).await;
    report.measurement("gap_s", after.history.gap().as_secs_f64()).within(
        "restart_to_ready_s",
        slowest.as_secs_f64(),
        1.0,
        5.0,
    );
    vec![report]
}
