//! F18: the primary is gone, or stands still and comes back, and the sentinels choose another one.
//!
//! A critical write is acknowledged once a replica has it, so nothing that anybody was told is lost; and
//! the service is back three seconds after the sentinels have given the primary up.

use std::time::{Duration, Instant};

use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::redis::Blow;
use crate::parts::topologies::Watched;
use crate::report::Report;
use crate::workload::{Load, Storm};

/// `gap_s<=down_after+3 lost=0 forks=0 double_code=0`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let mut reports = Vec::new();
    for (name, blow) in [("kill", Blow::Kill), ("stop", Blow::Stop)] {
        reports.push(fails_over(&bench, name, blow).await);
    }
    reports
}

const DOWN_AFTER: Duration = Duration::from_secs(1);

async fn fails_over(bench: &Bench, name: &str, blow: Blow) -> Report {
    let watched = Watched::start(2, DOWN_AFTER);
    let house = House::new().await;
    let servers = house.start_many(2, &watched.url()).await;
    let load = Load {
        families: bench.pick(40, 80),
        refreshes_per_s: 80.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    bench.somewhen(800..1500).await;
    let gone = Instant::now();
    watched.first().signal(blow);
    let promoted = promotes(|| watched.has_promoted()).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    if matches!(blow, Blow::Stop) {
        watched.first().signal(Blow::Continue);
        // Long enough to be made a replica, in the long set.
        bench.somewhen(bench.pick(2500..3000, 14_000..15_000)).await;
    }
    let over = Instant::now();
    let after = storm.ends().await;
    let mut report = Report::of(name);
    after.tells(&mut report).await;
    let gap = after.ledger.gap_within(gone, over).as_secs_f64();
    let most = DOWN_AFTER.as_secs_f64() + 3.0;
    report.measures("promoted_s", promoted.as_secs_f64()).promises("gap_s", gap, most, most + 4.0);
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
