//! F12: the network between the servers and redis: reset, closed, a black hole, half open.
//!
//! A connection that was cut is made anew as soon as that is possible. One that leads nowhere is found by
//! our own patience, not by the minutes of TCP.

use std::time::{Duration, Instant};

use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::proxy::{Proxy, Weather};
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::{Load, Storm};

const CUTS: [(&str, Weather); 4] = [
    ("reset", Weather::Reset),
    ("closed", Weather::Closed),
    ("black_hole", Weather::BlackHole),
    ("half_open", Weather::HalfOpen),
];

/// A code may be burnt: what its redemption had to write was on the way when we gave it up, and arrives
/// when the line is there again. Then its client's next try is a second use, which is refused.
///
/// `recover_s<=2` after each, and nobody waits longer than 1.5 s meanwhile.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port()).await;
    let house = House::new().await;
    let servers = house.start_many(2, &proxy.url()).await;
    let load = Load {
        families: bench.pick(60, 100),
        refreshes_per_s: 150.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let mut times = Vec::new();
    for _ in 0..bench.pick(1, 5) {
        for (name, weather) in CUTS {
            bench.somewhen(300..800).await;
            let cut = Instant::now();
            proxy.turns(weather);
            // Shorter and longer than a call may take.
            bench.somewhen(300..bench.pick(2500, 6000)).await;
            proxy.turns(Weather::Fair);
            let healed = Instant::now();
            tokio::time::sleep(Duration::from_millis(3200)).await;
            times.push((name, cut, healed, Instant::now()));
        }
    }
    let connections = proxy.open();
    let after = storm.ends().await;
    let mut report = Report::new();
    report.says("cuts", times.len());
    after.tells(&mut report).await;
    for (name, _) in CUTS {
        let (mut slowest, mut during) = (Duration::ZERO, Duration::ZERO);
        for &(_, cut, healed, over) in times.iter().filter(|(it, ..)| *it == name) {
            slowest = slowest.max(after.ledger.trouble_after(healed, over));
            during = during.max(after.ledger.quantile(0.99, (cut, healed), |_| true));
        }
        report.promises(&format!("{name}_recover_s"), slowest.as_secs_f64(), 2.0, 3.0).promises(
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
