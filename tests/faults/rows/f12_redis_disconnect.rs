//! F12: the network between the servers and redis: reset, closed, a black hole, half open.
//!
//! A connection that was cut is made anew as soon as that is possible. One that leads nowhere is found by
//! our own patience, not by the minutes of TCP.

use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::proxy::{NetworkFault, Proxy};
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::{Load, Workload};

const CUTS: [(&str, NetworkFault); 4] = [
    ("reset", NetworkFault::Reset),
    ("closed", NetworkFault::Closed),
    ("black_hole", NetworkFault::BlackHole),
    ("half_open", NetworkFault::HalfOpen),
];

/// A code may be burnt: what its redemption had to write was on the way when we gave it up, and arrives
/// when the line is there again. Then its client's next try is a second use, which is refused.
///
/// `recover_s<=2` after each, and nobody waits longer than 1.5 s meanwhile.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &proxy.url()).await;
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: 150.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let mut times = Vec::new();
    for _ in 0..context.pick(1, 5) {
        for (name, fault) in CUTS {
            context.random_delay(300..800).await;
            let cut = Instant::now();
            proxy.set_fault(fault);
            // Shorter and longer than a call may take.
            context.random_delay(300..context.pick(2500, 6000)).await;
            proxy.set_fault(NetworkFault::Fair);
            let healed = Instant::now();
            tokio::time::sleep(Duration::from_millis(3200)).await;
            times.push((name, cut, healed, Instant::now()));
        }
    }
    let connections = proxy.open();
    let after = workload.stop_and_collect().await;
    let mut report = Report::new();
    report.figure("cuts", times.len());
    after.report(&mut report).await;
    for (name, _) in CUTS {
        let (mut slowest, mut during) = (Duration::ZERO, Duration::ZERO);
        for &(_, cut, healed, over) in times.iter().filter(|(it, ..)| *it == name) {
            slowest = slowest.max(after.history.errors_after(healed, over));
            during = during.max(after.history.quantile(0.99, (cut, healed), |_| true));
        }
        report.within(&format!("{name}_recover_s"), slowest.as_secs_f64(), 2.0, 3.0).within(
            &format!("{name}_p99_s"),
            during.as_secs_f64(),
            1.5,
            3.0,
        );
    }
    // One for each server, and perhaps one that is being dialled.
    report.at_most("connections", i32::try_from(connections).unwrap_or(i32::MAX), 4);
    vec![report]
}
