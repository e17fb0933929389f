//! F20: two primaries. One stands still, is replaced, and comes back believing that it still is one; a
//! server without sentinels goes on asking it.
//!
//! With `min-replicas-to-write 1` an old primary whose replicas have left it takes no write, so whoever
//! still goes there hears "not now" and goes elsewhere. What it answers to reads may be old, as that a
//! code does not exist which another server has just given; that is printed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::f18_sentinel_failover::promotes;
use crate::context::Bench;
use crate::history::Kind;
use crate::parts::http::send;
use crate::parts::installation::House;
use crate::parts::redis::Blow;
use crate::parts::topologies::Watched;
use crate::report::Report;
use crate::workload::{Load, Storm, families};

/// `zombie=0 forks=0`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let watched = Watched::start(2, Duration::from_secs(1));
    let (first, others) = (watched.first(), watched.replicas());
    for redis in others.iter().chain([first]) {
        redis.says(&[b"CONFIG", b"SET", b"min-replicas-to-write", b"1"]);
    }
    let house = House::new().await;
    let mut servers = house.start_many(2, &watched.url()).await;
    servers.push(house.starts(&first.url()).await);
    let known = families(&house, &servers, bench.pick(8, 20)).await;
    let load = Load {
        families: bench.pick(40, 150),
        refreshes_per_s: bench.pick(60.0, 120.0),
        codes_per_s: 10.0,
        revoked: 0.01,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    bench.somewhen(800..1200).await;
    first.signal(Blow::Stop);
    let promoted = promotes(|| watched.has_promoted()).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;

    first.signal(Blow::Continue);
    let two = Instant::now();
    let (mut revoked, mut stale) = (0, 0);
    for family in &known {
        let told = send(family.shop.revoking(servers[0].wire(), &family.held.refresh)).await;
        if told.is(200) {
            revoked += 1;
            let old = servers[2].wire();
            let told = send(family.shop.introspecting(old, &family.held.access)).await;
            stale += usize::from(told.json()["active"] == true);
        }
    }
    let until = two + Duration::from_secs(bench.pick(4, 20));
    tokio::time::sleep_until(until.into()).await;

    let mut after = storm.ends().await;
    let changes = [Kind::Redeem, Kind::Refresh, Kind::Revoke];
    let there = |it: &crate::history::Attempt| {
        it.server == 2 && it.sent >= two && changes.contains(&it.kind)
    };
    let tried = after.ledger.count(there);
    let taken = after.ledger.count(|it| there(it) && it.has_status(200));
    let unknown = after.ledger.count(|it| there(it) && it.has_status(400));
    let burnt = after.ledger.burnt.load(Ordering::Relaxed);
    let panics = servers[2].panics();
    // Where everybody is who knows.
    after.servers.truncate(2);
    let mut report = Report::new();
    after.tells(&mut report).await;
    report
        .never("panics_of_the_third", panics)
        .at_least("tried_on_old", i32::try_from(tried).unwrap_or(i32::MAX), 1)
        .says("taken_by_old", taken)
        .says("unknown_to_old", unknown)
        .never("burnt_elsewhere", burnt.saturating_sub(unknown))
        .says("revoked", revoked)
        .says("stale_reads_on_old", stale)
        .measures("promoted_s", promoted.as_secs_f64());
    vec![report]
}
