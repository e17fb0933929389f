//! F16: the disk under the append-only file is full.
//!
//! With `everysec` redis refuses writes (`MISCONF`) until there is room; with `always` it ends itself.
//! Both are a "not now". If it is killed while its disk is full, what it had acknowledged in its last
//! moment before it found out is not on the disk: that is at most one write of each client.

use std::time::{Duration, Instant};

use crate::checker::CheckCounts;
use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::small_disk::SmallDisk;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `500=0 recover_s<=2`, and nothing lost, or one at the most where redis is killed in that state.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = vec![
        fills_up(&context, "everysec", false).await,
        fills_up(&context, "always", false).await,
    ];
    if context.long {
        reports.push(fills_up(&context, "everysec", true).await);
    }
    reports
}

async fn fills_up(context: &RunContext, fsync: &str, killed: bool) -> Report {
    let disk = SmallDisk::start(fsync);
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &disk.url()).await;
    let load = Load {
        families: context.pick(40, 100),
        refreshes_per_s: 80.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(500..1000).await;
    let full = Instant::now();
    let said = disk.fill();
    let red = servers[0].wait_for_status("/ready", 503, Duration::from_secs(8)).await;
    context.random_delay(1000..context.pick(1500, 8000)).await;
    let ended = !disk.answers();
    disk.grow();
    if killed {
        disk.stop_redis();
    }
    if killed || ended {
        disk.start_redis();
    }
    let room = Instant::now();
    tokio::time::sleep(Duration::from_millis(3500)).await;

    let after = workload.stop_and_collect().await;
    let mut report = Report::of(if killed { format!("{fsync}+kill") } else { fsync.to_owned() });
    let word = said.split(' ').next().unwrap_or_default().trim_start_matches('-');
    report
        .figure("disk", if disk.is_mounted() { "tmpfs" } else { "limit" })
        .figure("redis_said", if ended { "nothing,it_ended" } else { word })
        .must("ready_red", red.is_some());
    let mut settled = after.check().await;
    if killed {
        report.at_most("lost_by_kill", u32::try_from(settled.lost).unwrap_or(u32::MAX), 1);
        settled = CheckCounts { lost: 0, ..settled };
    }
    after.report_counts(settled, &mut report);
    let refused = after.history.count(|it| it.has_status(503) && it.sent >= full);
    report
        .at_least("refused", i32::try_from(refused).unwrap_or(i32::MAX), 1)
        .measurement("gap_s", after.history.gap_within(full, Instant::now()).as_secs_f64())
        .within(
            "recover_s",
            after.history.errors_after(room, Instant::now()).as_secs_f64(),
            2.0,
            3.0,
        );
    report
}
