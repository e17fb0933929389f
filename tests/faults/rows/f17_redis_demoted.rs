//! F17: the primary becomes a replica under the servers (`FAILOVER`, which redis does by `REPLICAOF`), and
//! a primary again; and a server that is pointed at a replica.
//!
//! A replica refuses writes with `READONLY`: that is a "not now", and a reason to look again who is there.

use std::time::{Duration, Instant};

use super::f18_sentinel_failover::promotes;
use crate::checker::CheckCounts;
use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, send_command};
use crate::parts::topologies::RedisSentinel;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `recover_s<=2 500=0`, and a replica is refused at the start.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = vec![hands_over_and_back(&context).await];
    if context.long {
        for care in [Care::None, Care::Pause, Care::WaitForAll] {
            reports.push(is_told_to_fail_over(&context, care).await);
        }
    }
    reports
}

async fn hands_over_and_back(context: &RunContext) -> Report {
    let fast = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let first = RedisServer::start_with_extra(&fast);
    let port = first.port().to_string();
    let follow = [&fast[..], &["--replicaof", "127.0.0.1", &port]].concat();
    let second = RedisServer::start_with_extra(&follow);
    becomes(&first, "state=online").await;

    let installation = Installation::new().await;
    let (code, said) = installation.plan(&second.url()).run_to_exit().await;
    let servers = installation.start_servers(2, &first.url()).await;
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: 150.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let (mut slowest, mut waits, mut refused) = (Duration::ZERO, Duration::ZERO, 0);
    let switches = context.pick(2, 10);
    for _ in 0..switches {
        context.random_delay(500..1000).await;
        hands_over(&first, &second).await;
        let demoted = Instant::now();
        context.random_delay(1500..context.pick(2500, 6000)).await;
        let back = Instant::now();
        hands_over(&second, &first).await;
        let again = Instant::now();
        tokio::time::sleep(Duration::from_millis(3200)).await;
        let history = workload.history();
        slowest = slowest.max(history.errors_after(again, Instant::now()));
        waits = waits.max(history.quantile(0.99, (demoted, back), |_| true));
        refused += history.count(|it| it.has_status(503) && (demoted..back).contains(&it.sent));
    }
    let after = workload.stop_and_collect().await;
    let mut report = Report::of("handover");
    report.figure("switches", switches);
    after.report(&mut report).await;
    report
        .must("replica_refused", code.is_some_and(|code| code != 0) && said.contains("replica"))
        .at_least("refused_meanwhile", i32::try_from(refused).unwrap_or(i32::MAX), 1)
        .within("p99_during_s", waits.as_secs_f64(), 1.5, 3.0)
        .within("recover_s", slowest.as_secs_f64(), 2.0, 3.0);
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
async fn is_told_to_fail_over(context: &RunContext, care: Care) -> Report {
    let watched = RedisSentinel::start(2, Duration::from_mins(1));
    let installation = Installation::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let acks = if care == Care::WaitForAll { "2" } else { "1" };
        let plan = installation.plan(&watched.url()).set("REDIS_MIN_REPLICAS_ACK", acks);
        servers.push(plan.start().await);
    }
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: 100.0,
        codes_per_s: 15.0,
        revoked: 0.01,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(800..1200).await;
    if care == Care::Pause {
        watched.initial_primary().command(&[b"CLIENT", b"PAUSE", b"5000", b"WRITE"]);
    }
    let url = watched.url();
    let sentinel = url.split([':', ',', '/']).find_map(|word| word.parse().ok());
    let sentinel = sentinel.expect("the port of one");
    let said = send_command(sentinel, &[b"SENTINEL", b"FAILOVER", b"main"]).unwrap_or_default();
    assert!(said.starts_with("+OK"), "the sentinel does not fail over: {said}");
    let told = Instant::now();
    promotes(|| watched.has_promoted()).await;
    let promoted = Instant::now();
    tokio::time::sleep(Duration::from_secs(if care == Care::WaitForAll { 18 } else { 6 })).await;
    let over = Instant::now();

    let after = workload.stop_and_collect().await;
    let CheckCounts { lost, zombie, mixed } = after.check().await;
    let history = &after.history;
    let mut report = Report::of(format!("sentinel_failover care={care:?}"));
    report.figure("families", after.families.len());
    if care == Care::None {
        report.figure("lost", lost).figure("zombie", zombie);
    } else {
        report.never("lost", lost).never("zombie", zombie);
    }
    report
        .never("double_code", history.double_codes())
        .never("forks", history.forks())
        .never("mix", mixed);
    after.report_measurements(&mut report);
    report
        .measurement("promoted_s", (promoted - told).as_secs_f64())
        .measurement("gap_s", history.gap_within(told, over).as_secs_f64());
    let recovered = history.errors_after(promoted, over).as_secs_f64();
    if care == Care::WaitForAll {
        report.measurement("recover_s", recovered);
    } else {
        report.within("recover_s", recovered, 2.0, 4.0);
    }
    report
}

/// The one becomes the replica of the other, which has all it had.
async fn hands_over(from: &RedisServer, to: &RedisServer) {
    let port = to.port().to_string();
    let said = from.command(&[b"FAILOVER", b"TO", b"127.0.0.1", port.as_bytes()]);
    assert!(said.starts_with("+OK"), "it does not hand over: {said}");
    becomes(to, "role:master").await;
    becomes(from, "master_link_status:up").await;
    becomes(to, "state=online").await;
}

async fn becomes(redis: &RedisServer, what: &str) {
    for _ in 0..2000 {
        // Whoever changes sides ends its connections.
        let said = send_command(redis.port(), &[b"INFO", b"replication"]).unwrap_or_default();
        if said.contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("a redis does not become {what}");
}
