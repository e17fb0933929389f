//! F20: two primaries. One stands still, is replaced, and comes back believing that it still is one; a
//! server without sentinels goes on asking it.
//!
//! With `min-replicas-to-write 1` an old primary whose replicas have left it takes no write, so whoever
//! still goes there hears "not now" and goes elsewhere. What it answers to reads may be old, as that a
//! code does not exist which another server has just given; that is printed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::f18_sentinel_failover::promotes;
use crate::context::RunContext;
use crate::history::Kind;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::redis::ServerSignal;
use crate::parts::topologies::RedisSentinel;
use crate::report::Report;
use crate::workload::{Load, Workload, new_families};

/// `zombie=0 forks=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let watched = RedisSentinel::start(2, Duration::from_secs(1));
    let (first, others) = (watched.initial_primary(), watched.replicas());
    for redis in others.iter().chain([first]) {
        redis.command(&[b"CONFIG", b"SET", b"min-replicas-to-write", b"1"]);
    }
    let installation = Installation::new().await;
    let mut servers = installation.start_servers(2, &watched.url()).await;
    servers.push(installation.start_server(&first.url()).await);
    let known = new_families(&installation, &servers, context.pick(8, 20)).await;
    let load = Load {
        families: context.pick(40, 150),
        refreshes_per_s: context.pick(60.0, 120.0),
        codes_per_s: 10.0,
        revoked: 0.01,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(800..1200).await;
    first.signal(ServerSignal::Stop);
    let promoted = promotes(|| watched.has_promoted()).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;

    first.signal(ServerSignal::Continue);
    let two = Instant::now();
    let (mut revoked, mut stale) = (0, 0);
    for family in &known {
        let told =
            send(family.client.revoke_request(servers[0].client(), &family.newest.refresh)).await;
        if told.has_status(200) {
            revoked += 1;
            let old = servers[2].client();
            let told = send(family.client.introspect_request(old, &family.newest.access)).await;
            stale += usize::from(told.json()["active"] == true);
        }
    }
    let until = two + Duration::from_secs(context.pick(4, 20));
    tokio::time::sleep_until(until.into()).await;

    let mut after = workload.stop_and_collect().await;
    let changes = [Kind::Redeem, Kind::Refresh, Kind::Revoke];
    let there = |it: &crate::history::Attempt| {
        it.server == 2 && it.sent >= two && changes.contains(&it.kind)
    };
    let tried = after.history.count(there);
    let taken = after.history.count(|it| there(it) && it.has_status(200));
    let unknown = after.history.count(|it| there(it) && it.has_status(400));
    let burnt = after.history.burnt.load(Ordering::Relaxed);
    let panics = servers[2].panics();
    // Where everybody is who knows.
    after.servers.truncate(2);
    let mut report = Report::new();
    after.report(&mut report).await;
    report
        .never("panics_of_the_third", panics)
        .at_least("tried_on_old", i32::try_from(tried).unwrap_or(i32::MAX), 1)
        .figure("taken_by_old", taken)
        .figure("unknown_to_old", unknown)
        .never("burnt_elsewhere", burnt.saturating_sub(unknown))
        .figure("revoked", revoked)
        .figure("stale_reads_on_old", stale)
        .measurement("promoted_s", promoted.as_secs_f64());
    vec![report]
}
