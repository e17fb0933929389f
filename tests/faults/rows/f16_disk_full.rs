//! F16: the disk under the append-only file is full.
//!
//! With `everysec` redis refuses writes (`MISCONF`) until there is room; with `always` it ends itself.
//! Both are a "not now". If it is killed while its disk is full, what it had acknowledged in its last
//! moment before it found out is not on the disk: that is at most one write of each client.

use std::time::{Duration, Instant};

use crate::checker::Settled;
use crate::context::Bench;
use crate::parts::installation::House;
use crate::parts::small_disk::SmallDisk;
use crate::report::Report;
use crate::workload::{Load, Storm};

/// `500=0 recover_s<=2`, and nothing lost, or one at the most where redis is killed in that state.
pub async fn run(bench: Bench) -> Vec<Report> {
    let mut reports =
        vec![fills_up(&bench, "everysec", false).await, fills_up(&bench, "always", false).await];
    if bench.long {
        reports.push(fills_up(&bench, "everysec", true).await);
    }
    reports
}

async fn fills_up(bench: &Bench, fsync: &str, killed: bool) -> Report {
    let disk = SmallDisk::start(fsync);
    let house = House::new().await;
    let servers = house.start_many(2, &disk.url()).await;
    let load = Load {
        families: bench.pick(40, 100),
        refreshes_per_s: 80.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    bench.somewhen(500..1000).await;
    let full = Instant::now();
    let said = disk.fills();
    let red = servers[0].comes_to("/ready", 503, Duration::from_secs(8)).await;
    bench.somewhen(1000..bench.pick(1500, 8000)).await;
    let ended = !disk.answers();
    disk.grows();
    if killed {
        disk.ends();
    }
    if killed || ended {
        disk.starts();
    }
    let room = Instant::now();
    tokio::time::sleep(Duration::from_millis(3500)).await;

    let after = storm.ends().await;
    let mut report = Report::of(if killed { format!("{fsync}+kill") } else { fsync.to_owned() });
    let word = said.split(' ').next().unwrap_or_default().trim_start_matches('-');
    report
        .says("disk", if disk.is_mounted() { "tmpfs" } else { "limit" })
        .says("redis_said", if ended { "nothing,it_ended" } else { word })
        .must("ready_red", red.is_some());
    let mut settled = after.settle().await;
    if killed {
        report.at_most("lost_by_kill", u32::try_from(settled.lost).unwrap_or(u32::MAX), 1);
        settled = Settled { lost: 0, ..settled };
    }
    after.tells_of(settled, &mut report);
    let refused = after.ledger.count(|it| it.has_status(503) && it.sent >= full);
    report
        .at_least("refused", i32::try_from(refused).unwrap_or(i32::MAX), 1)
        .measures("gap_s", after.ledger.gap_within(full, Instant::now()).as_secs_f64())
        .promises(
            "recover_s",
            after.ledger.trouble_after(room, Instant::now()).as_secs_f64(),
            2.0,
            3.0,
        );
    report
}
