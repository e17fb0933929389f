//! F11: redis is there and slow: 50, 200 and 900 ms for a round trip, and one byte a second.
//!
//! Requests arrive at their own rate, whether or not the ones before are answered. What is slower than
//! our patience is given up; nothing piles up beyond the rate times the longest that a request may take;
//! and once redis is known to be as good as away, nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::context::RunContext;
use crate::history::{History, Kind};
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::proxy::{NetworkFault, Proxy};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, Load, Workload, new_families};

/// Introspections a second: each asks the store.
const RATE: u32 = 80;

/// A line for each pace: `in_flight_max<=cap`, and the quantiles, printed.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &proxy.url()).await;
    let asked = new_families(&installation, &servers, 8).await;
    let half =
        |millis| NetworkFault::Slow(Duration::from_millis(millis), Duration::from_millis(millis));
    let paces = [
        ("50ms", half(25), 0.05),
        ("200ms", half(100), 0.2),
        ("900ms", half(450), 0.9),
        ("1B/s", NetworkFault::Drip(1), 0.0),
    ];
    let load = Load { families: 24, refreshes_per_s: 20.0, codes_per_s: 4.0, revoked: 0.002 };
    let mut reports = Vec::new();
    for (name, fault, delay) in paces {
        let workload = Workload::start(&installation, &servers, load, context.seed).await;
        let (history, connections) = (Arc::new(History::default()), Arc::new(AtomicUsize::new(0)));
        let from = Instant::now();
        proxy.set_fault(fault);
        let long = Duration::from_secs(context.pick(2, 20));
        arrive(&history, &servers, &asked, long, || {
            connections.fetch_max(proxy.open(), Ordering::Relaxed);
        })
        .await;
        proxy.set_fault(NetworkFault::Fair);
        let healed = Instant::now();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let after = workload.stop_and_collect().await;

        let during = (from, healed);
        let p50 = history.quantile(0.5, during, |_| true).as_secs_f64();
        let p99 = history.quantile(0.99, during, |_| true).as_secs_f64();
        // The calls of an introspection come one after the other.
        let longest = if delay > 0.0 { delay * CALLS + 0.5 } else { 1.5 };
        let (most, cap) = (history.max_in_flight(), f64::from(RATE) * longest);
        // None of them may take longer than a second for each call, whatever the machine does besides.
        let hard = f64::from(RATE) * CALLS;
        let at_once = |it: &crate::history::Attempt| {
            it.has_status(503) && it.took().is_some_and(|took| took < Duration::from_millis(100))
        };
        let mut report = Report::of(format!("pace={name}"));
        after.report(&mut report).await;
        report
            .figure("asked", history.count(|_| true))
            .figure("answered", history.answers(200))
            .figure("refused_at_once", history.count(at_once))
            .measurement("p50_s", p50)
            .measurement("p99_s", p99)
            .figure(
                "p99/delay",
                if delay > 0.0 { format!("{:.1}", p99 / delay) } else { "-".into() },
            )
            .within("in_flight_max", f64::from(u32::try_from(most).unwrap_or(u32::MAX)), cap, hard)
            .figure("cap", format!("{cap:.0}"))
            .figure("connections_max", connections.load(Ordering::Relaxed))
            .within(
                "recover_s",
                after.history.errors_after(healed, Instant::now()).as_secs_f64(),
                2.0,
                4.0,
            );
        reports.push(report);
    }
    reports
}

/// Calls of the store that an introspection makes one after the other, at the most.
const CALLS: f64 = 5.0;

/// Sends introspections at the rate for so long, and waits for their answers.
async fn arrive(
    history: &Arc<History>,
    servers: &[Arc<Server>],
    asked: &[Family],
    long: Duration,
    look: impl Fn(),
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let (since, mut under_way, mut turn) = (Instant::now(), JoinSet::new(), 0);
    while since.elapsed() < long {
        ticks.tick().await;
        look();
        let (history, family) = (Arc::clone(history), asked[turn % asked.len()].clone());
        let server = turn % servers.len();
        let http = servers[server].client().clone();
        under_way.spawn(async move {
            let ask = send(family.client.introspect_request(&http, &family.newest.access));
            history.record((server, Kind::Other), (family.number, 0), ask).await
        });
        turn += 1;
    }
    while under_way.join_next().await.is_some() {}
}
