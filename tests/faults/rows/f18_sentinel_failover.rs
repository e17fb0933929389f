//! F18: the primary is gone, or stands still and comes back, and the sentinels choose another one.
//!
//! A critical write is acknowledged once a replica has it, so nothing that anybody was told is lost; and
//! the service is back three seconds after the sentinels have given the primary up.

use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::ServerSignal;
use crate::parts::topologies::RedisSentinel;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `gap_s<=down_after+3 lost=0 forks=0 double_code=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = Vec::new();
    for (name, blow) in [("kill", ServerSignal::Kill), ("stop", ServerSignal::Stop)] {
        reports.push(fails_over(&context, name, blow).await);
    }
    reports
}

const DOWN_AFTER: Duration = Duration::from_secs(1);

async fn fails_over(context: &RunContext, name: &str, blow: ServerSignal) -> Report {
    let watched = RedisSentinel::start(2, DOWN_AFTER);
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &watched.url()).await;
    let load = Load {
        families: context.pick(40, 80),
        refreshes_per_s: 80.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(800..1500).await;
    let gone = Instant::now();
    watched.initial_primary().signal(blow);
    let promoted = promotes(|| watched.has_promoted()).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    if matches!(blow, ServerSignal::Stop) {
        watched.initial_primary().signal(ServerSignal::Continue);
        // Long enough to be made a replica, in the long set.
        context.random_delay(context.pick(2500..3000, 14_000..15_000)).await;
    }
    let over = Instant::now();
    let after = workload.stop_and_collect().await;
    let mut report = Report::of(name);
    after.report(&mut report).await;
    let gap = after.history.gap_within(gone, over).as_secs_f64();
    let most = DOWN_AFTER.as_secs_f64() + 3.0;
    report.measurement("promoted_s", promoted.as_secs_f64()).within("gap_s", gap, most, most + 4.0);
    report
}

/// How long it took until there was a new primary.
pub async fn promotes(promoted: impl Fn() -> bool) -> Duration {
    let since = Instant::now();
    while !promoted() {
        assert!(since.elapsed() < Duration::from_secs(30), "the sentinels choose nobody");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    since.elapsed()
}
