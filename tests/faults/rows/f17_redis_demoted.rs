//! F17: the primary becomes a replica under the servers (`FAILOVER`, which redis does by `REPLICAOF`), and
//! a primary again; and a server that is pointed at a replica.
//!
//! A replica refuses writes with `READONLY`: that is a "not now", and a reason to look again who is there.

use std::time::{Duration, Instant};

use super::f18_sentinel_failover::promotes;
use crate::checker::Settled;
use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::redis::{RedisServer, say_to};
use crate::parts::topologies::Watched;
use crate::report::Report;
use crate::workload::{Load, Storm};

/// `recover_s<=2 500=0`, and a replica is refused at the start.
pub async fn run(bench: Bench) -> Vec<Report> {
    let mut reports = vec![hands_over_and_back(&bench).await];
    if bench.long {
        for care in [Care::None, Care::Pause, Care::WaitForAll] {
            reports.push(is_told_to_fail_over(&bench, care).await);
        }
    }
    reports
}

async fn hands_over_and_back(bench: &Bench) -> Report {
    let fast = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let first = RedisServer::start_also(&fast);
    let port = first.port().to_string();
    let follow = [&fast[..], &["--replicaof", "127.0.0.1", &port]].concat();
    let second = RedisServer::start_also(&follow);
    becomes(&first, "state=online").await;

    let house = House::new().await;
    let (code, said) = house.plan(&second.url()).refuses().await;
    let servers = house.start_many(2, &first.url()).await;
    let load = Load {
        families: bench.pick(60, 100),
        refreshes_per_s: 150.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let (mut slowest, mut waits, mut refused) = (Duration::ZERO, Duration::ZERO, 0);
    let switches = bench.pick(2, 10);
    for _ in 0..switches {
        bench.somewhen(500..1000).await;
        hands_over(&first, &second).await;
        let demoted = Instant::now();
        bench.somewhen(1500..bench.pick(2500, 6000)).await;
        let back = Instant::now();
        hands_over(&second, &first).await;
        let again = Instant::now();
        tokio::time::sleep(Duration::from_millis(3200)).await;
        let ledger = storm.ledger();
        slowest = slowest.max(ledger.trouble_after(again, Instant::now()));
        waits = waits.max(ledger.quantile(0.99, (demoted, back), |_| true));
        refused += ledger.count(|it| it.has_status(503) && (demoted..back).contains(&it.sent));
    }
    let after = storm.ends().await;
    let mut report = Report::of("handover");
    report.says("switches", switches);
    after.tells(&mut report).await;
    report
        .must("replica_refused", code.is_some_and(|code| code != 0) && said.contains("replica"))
        .at_least("refused_meanwhile", i32::try_from(refused).unwrap_or(i32::MAX), 1)
        .promises("p99_during_s", waits.as_secs_f64(), 1.5, 3.0)
        .promises("recover_s", slowest.as_secs_f64(), 2.0, 3.0);
    report
}

/// What keeps a failover that nobody needed from losing anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Care {
    None,
    /// The old primary is told to take no writes for a while (`CLIENT PAUSE … WRITE`).
    Pause,
    /// A write waits for both replicas, and so for the old primary to become the second one.
    WaitForAll,
}

/// Sentinels are told to fail over although all is well. Between the promotion and the moment when the
/// other replica learns of it, the old primary goes on, and what only that replica vouches for is lost
/// when it changes sides. Redis promises no more, so without any care it is printed.
async fn is_told_to_fail_over(bench: &Bench, care: Care) -> Report {
    let watched = Watched::start(2, Duration::from_mins(1));
    let house = House::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let acks = if care == Care::WaitForAll { "2" } else { "1" };
        let plan = house.plan(&watched.url()).set("REDIS_MIN_REPLICAS_ACK", acks);
        servers.push(plan.start().await);
    }
    let load = Load {
        families: bench.pick(60, 100),
        refreshes_per_s: 100.0,
        codes_per_s: 15.0,
        revoked: 0.01,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    bench.somewhen(800..1200).await;
    if care == Care::Pause {
        watched.first().says(&[b"CLIENT", b"PAUSE", b"5000", b"WRITE"]);
    }
    let url = watched.url();
    let sentinel = url.split([':', ',', '/']).find_map(|word| word.parse().ok());
    let sentinel = sentinel.expect("the port of one");
    let said = say_to(sentinel, &[b"SENTINEL", b"FAILOVER", b"main"]).unwrap_or_default();
    assert!(said.starts_with("+OK"), "the sentinel does not fail over: {said}");
    let told = Instant::now();
    promotes(|| watched.has_promoted()).await;
    let promoted = Instant::now();
    tokio::time::sleep(Duration::from_secs(if care == Care::WaitForAll { 18 } else { 6 })).await;
    let over = Instant::now();

    let after = storm.ends().await;
    let Settled { lost, zombie, mixed } = after.settle().await;
    let ledger = &after.ledger;
    let mut report = Report::of(format!("sentinel_failover care={care:?}"));
    report.says("families", after.families.len());
    if care == Care::None {
        report.says("lost", lost).says("zombie", zombie);
    } else {
        report.never("lost", lost).never("zombie", zombie);
    }
    report
        .never("double_code", ledger.double_codes())
        .never("forks", ledger.forks())
        .never("mix", mixed);
    after.tells_of_times(&mut report);
    report
        .measures("promoted_s", (promoted - told).as_secs_f64())
        .measures("gap_s", ledger.gap_within(told, over).as_secs_f64());
    let recovered = ledger.trouble_after(promoted, over).as_secs_f64();
    if care == Care::WaitForAll {
        report.measures("recover_s", recovered);
    } else {
        report.promises("recover_s", recovered, 2.0, 4.0);
    }
    report
}

/// The one becomes the replica of the other, which has all it had.
async fn hands_over(from: &RedisServer, to: &RedisServer) {
    let port = to.port().to_string();
    let said = from.says(&[b"FAILOVER", b"TO", b"127.0.0.1", port.as_bytes()]);
    assert!(said.starts_with("+OK"), "it does not hand over: {said}");
    becomes(to, "role:master").await;
    becomes(from, "master_link_status:up").await;
    becomes(to, "state=online").await;
}

async fn becomes(redis: &RedisServer, what: &str) {
    for _ in 0..2000 {
        // Whoever changes sides ends its connections.
        let said = say_to(redis.port(), &[b"INFO", b"replication"]).unwrap_or_default();
        if said.contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("a redis does not become {what}");
}
