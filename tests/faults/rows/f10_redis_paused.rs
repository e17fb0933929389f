//! F10: Redis is paused for a while (`SIGSTOP`), its sockets open, while the workload goes on.
//!
//! Nobody waits long for it: a "not now" within the store's second and a half, the process alive, `/ready`
//! red, no pile. When redis goes on it carries out what was sent to it before, and that does no harm: at
//! most a code is spent by a redemption that was answered "not now" (`burnt`), and its client is refused.

use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::report::Report;
use crate::workload::{Load, Workload};

/// For each stop `p99_during<=1.5 s ready_red_s<=2 live rss_growth<=50 MB recover_s<=1`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: 200.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let stops: &[u64] = context.pick(&[500, 2_000], &[500, 2_000, 10_000, 30_000]);
    let mut reports = Vec::new();
    for &millis in stops {
        let workload = Workload::start(&installation, &servers, load, context.seed).await;
        context.random_delay(800..1500).await;
        let rss_before = servers.iter().map(|it| it.rss_mb()).fold(0.0, f64::max);

        let stopped = Instant::now();
        redis.signal(ServerSignal::Stop);
        // What ends up shorter than a call may take need not be noticed by anybody.
        let long = millis > 1_500;
        let red = if long {
            servers[0].wait_for_status("/ready", 503, Duration::from_secs(8)).await
        } else {
            Some(Duration::ZERO)
        };
        let alive = servers[0].client().status("/live").await == Some(200)
            && servers[1].client().status("/live").await == Some(200);
        tokio::time::sleep_until((stopped + Duration::from_millis(millis)).into()).await;
        redis.signal(ServerSignal::Continue);
        let went_on = Instant::now();
        let green = servers[0].wait_for_status("/ready", 200, Duration::from_secs(8)).await;
        tokio::time::sleep_until((went_on + Duration::from_millis(5_500)).into()).await;

        let after = workload.stop_and_collect().await;
        let during = after.history.quantile(0.99, (stopped, went_on), |_| true);
        let recovered = after.history.errors_after(went_on, Instant::now());
        let mut report = Report::of(format!("stop_ms={millis}"));
        after.report(&mut report).await;
        let seconds = |it: Option<Duration>| it.map_or(f64::INFINITY, |it| it.as_secs_f64());
        report
            .must("live", alive)
            .at_most("rss_growth_mb", after.rss_max_mb - rss_before, 50.0)
            .within("p99_during_s", during.as_secs_f64(), 1.5, 4.0)
            .within("ready_red_s", seconds(red), 2.0, 4.0)
            .within("ready_again_s", seconds(green), 1.0, 5.0)
            .within("recover_s", recovered.as_secs_f64(), 1.0, 5.0);
        reports.push(report);
    }
    reports
}
