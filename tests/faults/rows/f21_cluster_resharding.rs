//! F21: a Redis Cluster whose slots move under load, one of whose primaries hands over to its replica,
//! and one of whose primaries is killed.
//!
//! Everything that changes together has one hash tag, so no command ever spans slots; and being sent
//! elsewhere is nothing that a client sees.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::parts::topologies::{RedisCluster, id, is_primary};
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `crossslot=0 lost=0`; while slots move and a primary hands over, hardly anybody is told to wait.
pub async fn run(context: RunContext) -> Vec<Report> {
    let cluster = tokio::task::spawn_blocking(|| RedisCluster::start(true)).await;
    let cluster = Arc::new(cluster.expect("a cluster"));
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &cluster.url()).await;
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: context.pick(100.0, 200.0),
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(500..1000).await;

    let began = Instant::now();
    let (moving, slots) = (Arc::clone(&cluster), context.pick(0..=2730, 0..=5000));
    let moved = tokio::task::spawn_blocking(move || moves(moving.nodes(), slots)).await;
    let moved = moved.expect("slots that move");
    let reshard = began.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let resharded = Instant::now();

    let nodes = cluster.nodes();
    nodes[4].command(&[b"CLUSTER", b"FAILOVER"]);
    becomes_primary(&nodes[4]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let handed_over = Instant::now();

    nodes[2].signal(ServerSignal::Kill);
    let killed = Instant::now();
    becomes_primary(&nodes[5]).await;
    let promoted = killed.elapsed();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let over = Instant::now();

    let after = workload.stop_and_collect().await;
    let logs: String = servers.iter().map(|it| it.log()).collect();
    let gap = |from, to| after.history.gap_within(from, to).as_secs_f64();
    let refused = |from: Instant, to: Instant| {
        after.history.count(|it| it.has_status(503) && (from..to).contains(&it.sent))
    };
    let mut report = Report::new();
    after.report(&mut report).await;
    report
        .never("crossslot", logs.matches("CROSSSLOT").count())
        .never("moved_told", logs.matches("another one has the key").count())
        .never("in_circles", logs.matches("in circles").count())
        .figure("keys_moved", moved)
        .measurement("reshard_s", reshard.as_secs_f64())
        .figure("reshard_503", refused(began, resharded))
        .within("reshard_gap_s", gap(began, resharded), 1.0, 3.0)
        .figure("handover_503", refused(resharded, handed_over))
        .within("handover_gap_s", gap(resharded, handed_over), 2.0, 4.0)
        .measurement("promoted_s", promoted.as_secs_f64())
        .figure("kill_503", refused(killed, over))
        .within("kill_trouble_s", after.history.errors_after(killed, over).as_secs_f64(), 5.0, 8.0);
    vec![report]
}

async fn becomes_primary(node: &RedisServer) {
    let since = Instant::now();
    while !is_primary(node) {
        assert!(since.elapsed() < Duration::from_secs(20), "a replica does not take over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// From the first primary to the second, one slot after the other; answers how many keys went along.
fn moves(nodes: &[RedisServer], slots: RangeInclusive<u16>) -> usize {
    let (from, to) = (&nodes[0], &nodes[1]);
    let (from_id, to_id, port) = (id(from), id(to), to.port().to_string());
    let (mut moved, mut skipped) = (0, 0);
    for slot in slots {
        let slot = slot.to_string();
        let held = from.command(&[b"CLUSTER", b"COUNTKEYSINSLOT", slot.as_bytes()]);
        if held.starts_with(":0") && skipped < 7 {
            // Most are empty, and a few of those are enough.
            skipped += 1;
            continue;
        }
        skipped = 0;
        let set = |node: &RedisServer, how: &[u8], id: &str| {
            let said = node.command(&[b"CLUSTER", b"SETSLOT", slot.as_bytes(), how, id.as_bytes()]);
            assert!(said.starts_with("+OK"), "slot {slot}: {said}");
        };
        set(to, b"IMPORTING", &from_id);
        set(from, b"MIGRATING", &to_id);
        loop {
            let held = from.command(&[b"CLUSTER", b"GETKEYSINSLOT", slot.as_bytes(), b"3"]);
            let keys: Vec<_> = held.lines().filter(|it| !it.starts_with(['*', '$'])).collect();
            if keys.is_empty() {
                break;
            }
            moved += keys.len();
            let mut words: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b""];
            words.extend([&b"0"[..], b"5000", b"KEYS"]);
            words.extend(keys.iter().map(|key| key.as_bytes()));
            let said = from.command(&words);
            assert!(said.starts_with('+'), "keys of slot {slot}: {said}");
            // So that somebody meets the slot half moved.
            std::thread::sleep(Duration::from_millis(3));
        }
        set(to, b"NODE", &to_id);
        set(from, b"NODE", &to_id);
    }
    moved
}
